"""What the engine asks of whoever remembers state: one store for each partition, filled from one changelog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

Change = tuple[bytes, bytes | None]
"""A row's key and its new value as they stand in the changelog; None deletes the row."""


@dataclass(frozen=True, slots=True)
class ChangelogIdentity:
    """Which changelog partition a store belongs to; another identity means another history."""

    cluster_id: str
    topic_id: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Handled:
    """What of the sources is in the rows of a partition."""

    offsets: Mapping[str, int]
    """By topic, the offset of the first record that is not handled; a topic of which nothing was handled is missing."""
    mode: str
    """How hops were carried meanwhile (`EngineConfig.carry`); nothing where nothing was handled."""


class PartitionStore(Protocol):
    """The state of one partition: an overlay of this cycle's writes over rows on disk.

    `position` is the offset of the next changelog record to apply, or None for a store that is empty.
    """

    position: int | None

    def restore(self, changes: Iterable[Change], position: int) -> None:
        """Apply committed changelog records in bulk and remember `position`, atomically."""

    def ready(self) -> None:
        """Open for agents: called when restoring has reached the end of the changelog."""

    def note(self, handled: Handled) -> None:
        """Remember with this cycle's writes, and as they are, what more is handled."""

    def handled(self) -> Handled:
        """Return what was noted of all topics, as of what is committed."""

    def changes(self) -> list[Change]:
        """Return this cycle's writes, each key once, in the order first written."""

    def commit(self, position: int | None) -> None:
        """Apply this cycle's writes to disk with `position` (None: unchanged), after Kafka has committed them."""

    def wipe(self) -> None:
        """Forget everything: rows, position, caches."""

    def close(self) -> None:
        """Let go of the files."""

    def size_bytes(self) -> int:
        """Return the bytes on disk."""


class StoreFactory(Protocol):
    """Opens the store of one partition; one that belongs to another changelog comes back empty."""

    def __call__(self, identity: ChangelogIdentity) -> PartitionStore:
        """Open the store of `identity`'s partition."""
