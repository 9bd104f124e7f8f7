"""Record batches (Kafka's format of version 2) of one transaction: filled record by record, then sealed as they are sent."""

import struct
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from confluent_kafka import KafkaError

from bourse.streaming.requests import Identity, Place

_MAGIC = 2
_TRANSACTIONAL = 1
NO_HEADERS: Final[list[tuple[str, bytes | None]]] = []
# A batch: its offset, the length of what follows, an epoch, the magic, the checksum of what follows: attributes, more numbers, records.
_NUMBER, _CHECKSUM, _ATTRIBUTES = struct.Struct(">i"), struct.Struct(">I"), struct.Struct(">H")
_LENGTH_AT, _EPOCH_AT, _CHECKSUM_AT, _ATTRIBUTES_AT, _RECORDS_AT = 8, 12, 17, 21, 61


class Delivered:
    """Where a record has been written, asked for as of a client's message."""

    __slots__ = ("_offset", "_place")

    def __init__(self, place: Place, offset: int) -> None:
        """Name the record at `offset` of `place`."""
        self._place = place
        self._offset = offset

    def topic(self) -> str:
        """Return the topic."""
        return self._place[0]

    def partition(self) -> int:
        """Return the partition."""
        return self._place[1]

    def offset(self) -> int:
        """Return the offset."""
        return self._offset


DeliveryCallback = Callable[[KafkaError | None, Delivered], None]


class Batch:
    """Records of one partition that are written together."""

    __slots__ = ("_builder", "add", "callbacks", "count", "data", "place", "time_ms")

    def __init__(self, place: Place, size: int) -> None:
        """Take records of `size` bytes together, or one of any size."""
        self._builder: Final = DefaultRecordBatchBuilder(
            _MAGIC, DefaultRecordBatch.CODEC_NONE, _TRANSACTIONAL, -1, -1, -1, size
        )
        self.place: Final = place
        self.add: Final = self._builder.append
        """Add a record (its number, time, key, value, headers); None is returned when there is no room for it."""
        self.time_ms: Final = time.time_ns() // 1_000_000
        self.count = 0
        self.callbacks: list[tuple[int, DeliveryCallback]] = []
        """Who wants to know the offset of which record."""
        self.data = b""
        """What is sent, as often as it has to be."""

    def seal(self, identity: Identity, sequence: int) -> None:
        """Make it what is sent, in the name of `identity`, after `sequence` records of the same partition and transaction."""
        self._builder.set_producer_state(*identity, sequence)
        self.data = _compressed(bytes(self._builder.build()))


def _compressed(batch: bytes) -> bytes:
    """Return a batch with its records in a frame of LZ4, of independent blocks, as Kafka wants them (KIP-57).

    aiokafka would do it at level 9, which takes five times as long; librdkafka does it as this does.
    """
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(batch[_RECORDS_AT:])
    records = bytes(compressor.finish())
    if len(records) >= len(batch) - _RECORDS_AT:
        return batch
    (attributes,) = _ATTRIBUTES.unpack_from(batch, _ATTRIBUTES_AT)
    numbers = batch[_ATTRIBUTES_AT + _ATTRIBUTES.size : _RECORDS_AT]
    summed = _ATTRIBUTES.pack(attributes | DefaultRecordBatch.CODEC_LZ4) + numbers + records
    length = _ATTRIBUTES_AT - _EPOCH_AT + len(summed)
    return b"".join(
        (
            batch[:_LENGTH_AT],
            _NUMBER.pack(length),
            batch[_EPOCH_AT:_CHECKSUM_AT],
            _CHECKSUM.pack(calc_crc32c(summed)),
            summed,
        )
    )


class Batches:
    """The batches of the open transaction that are being filled, one for each partition."""

    def __init__(self, size: int) -> None:
        """Make batches of `size` bytes before compression."""
        self.size = size
        self.open: dict[Place, Batch] = {}
        self._sequences: defaultdict[Place, int] = defaultdict(int)

    def begin(self, place: Place) -> Batch:
        """Return an empty batch for a partition."""
        batch = self.open[place] = Batch(place, self.size)
        return batch

    def seal(self, place: Place, identity: Identity) -> Batch:
        """Return a partition's batch as it is to be sent; it has none any more."""
        batch = self.open.pop(place)
        batch.seal(identity, self._sequences[place])
        self._sequences[place] += batch.count
        return batch

    def clear(self) -> None:
        """Forget what is not sealed; the next transaction's sequences begin anew."""
        self.open.clear()
        self._sequences.clear()
