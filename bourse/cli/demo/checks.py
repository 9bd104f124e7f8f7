"""What a check is: it sees every record once, in passing, and says at the end whether its equation holds.

A check reads topics only and shares nothing with the stages, so that it can contradict them. What it keeps is bounded by
the accounts, the live orders and a digest for each record, never by the records themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from bourse.pipeline.outputs import Record, Topic


class Finding(NamedTuple):
    """What a check has found: its equation in words, whether it holds, and the figures or the first offender."""

    equation: str
    holds: bool
    detail: str


class Check(ABC):
    """One equation over the topics."""

    equation: ClassVar[str]
    topics: ClassVar[frozenset[Topic]]

    def __init__(self) -> None:
        self._offence: str | None = None

    @abstractmethod
    def see(self, record: Record) -> None:
        """Take in one record of one of the topics."""

    @abstractmethod
    def at_rest(self) -> str:
        """Judge what can only be judged at the end, and return the figures behind the verdict."""

    def blame(self, offence: str) -> None:
        """Note what breaks the equation; the first one is told."""
        self._offence = self._offence or offence

    def require(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Note an offence unless something holds."""
        if not holds:
            self.blame(otherwise)

    def finding(self) -> Finding:
        """Return the verdict, once everything was seen."""
        figures = self.at_rest()
        return Finding(self.equation, self._offence is None, self._offence or figures)


class Checks:
    """Checks side by side: each record goes to those that read its topic."""

    def __init__(self, checks: Iterable[Check]) -> None:
        """Take the checks, in the order in which they report."""
        self._checks = tuple(checks)
        self._by_topic = {
            topic: [check for check in self._checks if topic in check.topics] for topic in Topic
        }

    def see(self, topic: Topic, record: Record) -> None:
        """Take in one record."""
        for check in self._by_topic[topic]:
            check.see(record)

    def findings(self) -> list[Finding]:
        """Return what was found, once everything was seen."""
        return [check.finding() for check in self._checks]
