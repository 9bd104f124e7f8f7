"""The requests of a transaction as Kafka's protocol has them since 4.0 (KIP-890): aiokafka's client sends them, and knows older ones only.

In transactions of this version a partition joins with its first batch and a group with its first offset, without a request of
their own, and the end of each gives the producer another epoch, so that nothing of the one before can arrive late.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

Place = tuple[str, int]
"""Topic and partition."""
Identity = tuple[int, int]
"""A producer's id and epoch."""
_ALL_COPIES = -1
_UNKNOWN = -1
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_NO_TAGS: dict[int, bytes] = {}


def _rows(fields: Mapping[Place, tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return a row for each topic with a row for each of its partitions."""
    topics: dict[str, list[tuple[object, ...]]] = {}
    for (topic, partition), row in fields.items():
        topics.setdefault(topic, []).append((partition, *row, _NO_TAGS))
    return [(topic, rows, _NO_TAGS) for topic, rows in topics.items()]


class _ProduceResponse(Response):
    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("offset", Int64),
                        ("timestamp_ms", Int64),
                        ("log_start_offset", Int64),
                        ("record_errors", CompactArray(("index", Int32), ("message", _TEXT), _TAGS)),
                        ("error_message", _TEXT),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("throttle_ms", Int32),
        _TAGS,
    )


class _Produce(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 0
    API_VERSION = 12
    RESPONSE_TYPE = _ProduceResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("records", CompactBytes), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class Produce(Request[_Produce]):
    """Write one record batch to each of several partitions that one broker leads."""

    API_KEY = 0
    # aiokafka's client asks, to know whether an answer will come.
    required_acks = _ALL_COPIES

    def __init__(self, transactional_id: str, timeout_ms: int, batches: Mapping[Place, bytes]) -> None:
        rows = _rows({place: (batch,) for place, batch in batches.items()})
        self._fields = (transactional_id, self.required_acks, timeout_ms, rows, _NO_TAGS)

    def build(self, request_struct_class: type[_Produce]) -> _Produce:
        """Return what is sent."""
        return request_struct_class(*self._fields)


class _InitProducerIdResponse(Response):
    API_KEY = 22
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class _InitProducerId(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 22
    API_VERSION = 4
    RESPONSE_TYPE = _InitProducerIdResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class InitProducerId(Request[_InitProducerId]):
    """Take a transactional id over: whoever had it is fenced, and what was left open is aborted first."""

    API_KEY = 22

    def __init__(self, transactional_id: str, transaction_timeout_ms: int) -> None:
        self._fields = (transactional_id, transaction_timeout_ms, _UNKNOWN, _UNKNOWN, _NO_TAGS)

    def build(self, request_struct_class: type[_InitProducerId]) -> _InitProducerId:
        """Return what is sent."""
        return request_struct_class(*self._fields)


class _EndTxnResponse(Response):
    API_KEY = 26
    API_VERSION = 5
    SCHEMA = _InitProducerIdResponse.SCHEMA


class _EndTxn(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 26
    API_VERSION = 5
    RESPONSE_TYPE = _EndTxnResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("committed", Boolean),
        _TAGS,
    )


class EndTxn(Request[_EndTxn]):
    """Commit or abort. The answer has the next transaction's identity; asked again, it is the same end still."""

    API_KEY = 26

    def __init__(self, transactional_id: str, identity: Identity, *, committed: bool) -> None:
        self._fields = (transactional_id, *identity, committed, _NO_TAGS)

    def build(self, request_struct_class: type[_EndTxn]) -> _EndTxn:
        """Return what is sent."""
        return request_struct_class(*self._fields)


class _TxnOffsetCommitResponse(Response):
    API_KEY = 28
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _TxnOffsetCommit(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 28
    API_VERSION = 5
    RESPONSE_TYPE = _TxnOffsetCommitResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation", Int32),
        ("member_id", _TEXT),
        ("instance_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Who a consumer is to its group. Kafka refuses the offsets of one whose place another has taken (KIP-447)."""

    group: str
    member: str
    instance: str | None
    generation: int

    @classmethod
    def read(cls, metadata: bytes) -> "GroupMember":
        """Read what a consumer of librdkafka's says of itself, in librdkafka's own layout (2.16, `CGMDv2`).

        Raises:
            ValueError: the layout is another one.
        """
        magic, numbers = b"CGMDv2:", struct.Struct("=i")
        if not metadata.startswith(magic):
            msg = f"a consumer's metadata have a layout that is not known: {metadata!r:.80}"
            raise ValueError(msg)
        (generation,) = numbers.unpack_from(metadata, len(magic))
        group, member, rest = metadata[len(magic) + numbers.size :].split(b"\0", 2)
        # A byte says whether there is no instance.
        instance = None if rest[:1] == b"\1" else rest[1:-1].decode()
        return cls(group.decode(), member.decode(), instance, generation)


class TxnOffsetCommit(Request[_TxnOffsetCommit]):
    """Make a group's offsets part of the transaction."""

    API_KEY = 28

    def __init__(
        self, transactional_id: str, identity: Identity, member: GroupMember, offsets: Mapping[Place, int]
    ) -> None:
        rows = _rows({place: (offset, _UNKNOWN, "") for place, offset in offsets.items()})
        self._fields = (
            transactional_id,
            member.group,
            *identity,
            member.generation,
            member.member,
            member.instance,
            rows,
            _NO_TAGS,
        )

    def build(self, request_struct_class: type[_TxnOffsetCommit]) -> _TxnOffsetCommit:
        """Return what is sent."""
        return request_struct_class(*self._fields)


class _FeaturesResponse(Response):
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("versions", CompactArray(("api_key", Int16), ("first", Int16), ("last", Int16), _TAGS)),
        ("throttle_ms", Int32),
        _TAGS,
    )


class _Features(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = _FeaturesResponse
    SCHEMA = Schema(("client_name", _TEXT), ("client_version", _TEXT), _TAGS)

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        # The one answer that a client must be able to read before it knows any version.
        return ResponseHeader_v0.decode(read_buffer)


class Features(Request[_Features]):
    """Ask which versions of what a cluster has been set to use (`kafka-features.sh`)."""

    API_KEY = 18
    _FINALIZED = 2
    _LEVELS = CompactArray(("name", _TEXT), ("to", Int16), ("from", Int16), _TAGS)

    def build(self, request_struct_class: type[_Features]) -> _Features:
        """Return what is sent."""
        return request_struct_class("bourse", "1", _NO_TAGS)

    @classmethod
    def levels(cls, answer: _FeaturesResponse) -> dict[str, int]:
        """Return the level of each feature."""
        rows = cls._LEVELS.decode(BytesIO(answer.tags.get(cls._FINALIZED, b"\1")))
        return {name: level for name, level, *_ in rows or ()}
