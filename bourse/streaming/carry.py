"""The ways of carrying hops from agent to agent."""

from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Carry(StrEnum):
    """Which hops are carried in memory, within the transaction that writes them; the rows of a partition say it too."""

    MEMORY = "memory"
    """Those that keep their key, and so their partition."""
    KAFKA = "kafka"
    """None."""
    TOGETHER = "together"
    """All of them, which takes that there is one partition only: whatever the key, it is there."""

    def in_memory(self, inner: frozenset[T], crossing: frozenset[T]) -> frozenset[T]:
        """Return which topics are handed over, of those that are written under the key they are read under and the others."""
        match self:
            case Carry.KAFKA:
                return frozenset()
            case Carry.MEMORY:
                return inner
            case Carry.TOGETHER:
                return inner | crossing
