"""Entries out of Kafka: every committed record between two offsets of each partition, merged by time.

Topics are read side by side, and given out in the order of their timestamps as far as partitions are read by then; a
partition that runs ahead is paused, so that what is held stays bounded. Records are decoded once, on their way out.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bourse.audit.entries import CHANGELOG, TOPIC_RECORDS, Entry
from bourse.schemas.codec import DecodeError
from bourse.schemas.records import Record

Decode: TypeAlias = Callable[[str, bytes | None], Record]
"""Topic (of the contract) and bytes to the record; raises DecodeError."""

READ: Final = (*TOPIC_RECORDS, CHANGELOG)
_RANK: Final = {topic: rank for rank, topic in enumerate(READ)}
_WITH_BYTES: Final = frozenset(
    ("orders", "wallet-commands", "accounts", "participants", "instruments", "corporate-actions", "sessions")
)
_BATCH: Final = 1_000
_POLL_SECONDS: Final = 0.2
_MOST_AHEAD: Final = 8_000
_FEW_AHEAD: Final = 2_000
CONSUMER: Final[Mapping[str, str | int | bool]] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 1_048_576,
    "fetch.wait.max.ms": 100,
}
"""What the consumer must be set to; where Kafka is, and the name of a group that is never joined, are the caller's to add."""


class Span(NamedTuple):
    """What is read of one partition: from one offset up to another."""

    topic: str
    """Its name in the contract."""
    name: str
    """Its name in Kafka."""
    partition: int
    start: int
    end: int


class _Stream:
    """One partition while it is read."""

    __slots__ = ("ahead", "end", "is_paused", "key", "position", "rank", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.key = (span.name, span.partition)
        self.rank = _RANK[span.topic]
        self.position = span.start
        self.end = span.end
        self.ahead: deque[Message] = deque()
        self.is_paused = False

    @property
    def is_read(self) -> bool:
        return self.position >= self.end


def read(consumer: Consumer, spans: list[Span], decode: Decode) -> Iterator[Entry]:
    """Yield every record of the spans, merged by time; raises KafkaException where one cannot be read."""
    streams = {(span.name, span.partition): _Stream(span) for span in spans}
    consumer.assign([TopicPartition(span.name, span.partition, span.start) for span in spans])
    heads: list[tuple[int, int, int, _Stream]] = []
    bare = {key: stream for key, stream in streams.items() if not stream.is_read}
    while bare or heads:
        if bare:
            _fill(consumer, streams)
            for key, stream in list(bare.items()):
                if stream.ahead or stream.is_read:
                    del bare[key]
                    if stream.ahead:
                        _offer(heads, stream)
            continue
        stream = heappop(heads)[3]
        yield _entry(stream.span, stream.ahead.popleft(), decode)
        if stream.ahead:
            _offer(heads, stream)
        elif not stream.is_read:
            bare[stream.key] = stream
        if stream.is_paused and len(stream.ahead) < _FEW_AHEAD:
            stream.is_paused = False
            consumer.resume([TopicPartition(*stream.key)])


def _offer(heads: list[tuple[int, int, int, _Stream]], stream: _Stream) -> None:
    """Let a partition take part in the merge, with its next record's time; the flow's order decides between equal ones."""
    heappush(heads, (stream.ahead[0].timestamp()[1], stream.rank, stream.span.partition, stream))


def _fill(consumer: Consumer, streams: Mapping[tuple[str, int], _Stream]) -> None:
    """Take in what has been fetched."""
    messages = consumer.consume(1, _POLL_SECONDS)
    if messages:
        messages += consumer.consume(_BATCH, 0)
    touched: dict[tuple[str, int], _Stream] = {}
    for message in messages:
        key = (message.topic(), message.partition())
        stream = streams[key]
        error = message.error()
        if error is None:
            if message.offset() < stream.end:
                stream.ahead.append(message)
            stream.position = message.offset() + 1
            touched[key] = stream
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for the end of a partition
            stream.position = max(stream.position, message.offset())
        elif error.fatal() or not error.retriable():
            raise KafkaException(error)
    for key, stream in touched.items():
        if stream.is_read or (len(stream.ahead) > _MOST_AHEAD and not stream.is_paused):
            stream.is_paused = True
            consumer.pause([TopicPartition(*key)])


def _entry(span: Span, message: Message, decode: Decode) -> Entry:
    value, key = message.value(), message.key()
    record: Record | None = None
    if value is not None or span.topic != CHANGELOG:
        try:
            record = decode(span.topic, value)
        except DecodeError:
            record = None
    return Entry(
        span.topic,
        span.partition,
        message.offset(),
        message.timestamp()[1],
        None if key is None else key.decode(errors="replace"),
        record,
        value if record is None or span.topic in _WITH_BYTES else None,
    )
