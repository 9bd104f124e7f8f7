"""A frame: all records of one topic partition in one cycle, and the way out for what they cause.

Agents iterate a frame to its end and send through it. What they send and what they write to the frame's store
becomes visible in one transaction, together with the frame's offsets, or not at all.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bourse.streaming.stores import PartitionStore


class Record(NamedTuple):
    """One record as an agent sees it; `passed` is the decoded object of a handed-over one, else None."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    passed: Any = None


Produce = Callable[[str, bytes | None, bytes | None, int], None]
PassOn = Callable[[str, int, Record], None]


class Frame:
    """The records of one topic partition that one agent handles in one cycle."""

    __slots__ = (
        "_pass_on",
        "_produce",
        "_produce_later",
        "_records",
        "finished",
        "partition",
        "store",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        store: PartitionStore,
        produce: Produce,
        produce_later: Produce,
        pass_on: PassOn,
    ) -> None:
        """Hold `records`; `produce` writes to the transaction, `pass_on` hands over within it.

        `produce` may raise BufferError, when its queue is full; `produce_later` then waits for room.
        """
        self.topic = topic
        self.partition = partition
        self.store = store
        self.finished = False
        self._records = records
        self._produce = produce
        self._produce_later = produce_later
        self._pass_on = pass_on

    def __len__(self) -> int:
        return len(self._records)

    @property
    def first_timestamp_ms(self) -> int:
        """When the oldest record of the frame was written (0 if it was handed over)."""
        return self._records[0].timestamp_ms

    def __iter__(self) -> Iterator[Record]:
        yield from self._records
        # Only an agent that came back for a record after the last one has handled them all. An agent that
        # raised leaves this unset, whatever Faust's acknowledgement says.
        self.finished = True

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int, passed: object = None
    ) -> None:
        """Write a record to `topic`, and hand `passed` to its reader if that hop is carried in memory."""
        try:
            self._produce(topic, value, key, partition)
        except BufferError:
            self._produce_later(topic, value, key, partition)
        if passed is not None:
            self._pass_on(topic, partition, Record(-1, 0, key, value, passed))
