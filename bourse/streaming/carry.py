"""The ways of carrying hops from agent to agent."""

from enum import StrEnum


class Carry(StrEnum):
    """Which hops are carried in memory, within the transaction that writes them; the rows of a partition say it too."""

    MEMORY = "memory"
    """Those that keep their key, and so their partition."""
    KAFKA = "kafka"
    """None."""
    TOGETHER = "together"
    """All of them, which takes that there is one partition only: whatever the key, it is there."""
