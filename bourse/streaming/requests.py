"""The requests of a transaction as Kafka's protocol has them since 4.0 (KIP-890): aiokafka's client sends them, and knows older ones only.

In transactions of this version a partition joins with its first batch and a group with its first offset, without a request of
their own, and the end of each gives the producer another epoch, so that nothing of the one before can arrive late.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v0
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


def _format(key: int, version: int, request: Schema, answer: Schema, **more: object) -> type[RequestStruct]:
    """Return how one version of a request is written, and its answer read."""
    kind = {"API_KEY": key, "API_VERSION": version}
    answered = type("Answer", (Response,), {**kind, "SCHEMA": answer})
    asked = {**kind, "FLEXIBLE_VERSION": True, "SCHEMA": request, "RESPONSE_TYPE": answered}
    return type("Asked", (RequestStruct,), asked | more)


class Asked:
    """A request as aiokafka's client takes it."""

    format: ClassVar[type[RequestStruct]]

    def __init__(self, *fields: object) -> None:
        self._fields = fields

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Return what is sent to a broker that knows these versions (first and last) of each kind of request.

        Raises:
            IncompatibleBrokerVersion: not the one that is needed.
        """
        first, last = versions.get(self.format.API_KEY, (0, -1))
        if not first <= self.format.API_VERSION <= last:
            msg = f"the broker knows versions {first} to {last} of {type(self).__name__}, not {self.format.API_VERSION}"
            raise IncompatibleBrokerVersion(msg)
        return self.format(*self._fields, _NO_TAGS)


class Produce(Asked):
    """Write one record batch to each of several partitions that one broker leads."""

    format = _format(
        0,
        12,
        Schema(
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
        ),
        Schema(
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
        ),
    )

    def __init__(self, transactional_id: str, timeout_ms: int, batches: Mapping[Place, bytes]) -> None:
        rows = _rows({place: (batch,) for place, batch in batches.items()})
        super().__init__(transactional_id, _ALL_COPIES, timeout_ms, rows)


_NEXT_IDENTITY = Schema(
    ("throttle_ms", Int32),
    ("error_code", Int16),
    ("producer_id", Int64),
    ("producer_epoch", Int16),
    _TAGS,
)


class InitProducerId(Asked):
    """Take a transactional id over: whoever had it is fenced, and what was left open is aborted first."""

    format = _format(
        22,
        4,
        Schema(
            ("transactional_id", _TEXT),
            ("transaction_timeout_ms", Int32),
            ("producer_id", Int64),
            ("producer_epoch", Int16),
            _TAGS,
        ),
        _NEXT_IDENTITY,
    )

    def __init__(self, transactional_id: str, transaction_timeout_ms: int) -> None:
        super().__init__(transactional_id, transaction_timeout_ms, _UNKNOWN, _UNKNOWN)


class EndTxn(Asked):
    """Commit or abort. The answer has the next transaction's identity; asked again, it is the same end still."""

    format = _format(
        26,
        5,
        Schema(
            ("transactional_id", _TEXT),
            ("producer_id", Int64),
            ("producer_epoch", Int16),
            ("committed", Boolean),
            _TAGS,
        ),
        _NEXT_IDENTITY,
    )

    def __init__(self, transactional_id: str, identity: Identity, *, committed: bool) -> None:
        super().__init__(transactional_id, *identity, committed)


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


class TxnOffsetCommit(Asked):
    """Make a group's offsets part of the transaction."""

    format = _format(
        28,
        5,
        Schema(
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
        ),
        Schema(
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
        ),
    )

    def __init__(
        self, transactional_id: str, identity: Identity, member: GroupMember, offsets: Mapping[Place, int]
    ) -> None:
        rows = _rows({place: (offset, _UNKNOWN, "") for place, offset in offsets.items()})
        who = (member.generation, member.member, member.instance)
        super().__init__(transactional_id, member.group, *identity, *who, rows)


class Features(Asked):
    """Ask which versions of what a cluster has been set to use (`kafka-features.sh`)."""

    format = _format(
        18,
        3,
        Schema(("client_name", _TEXT), ("client_version", _TEXT), _TAGS),
        Schema(
            ("error_code", Int16),
            ("versions", CompactArray(("api_key", Int16), ("first", Int16), ("last", Int16), _TAGS)),
            ("throttle_ms", Int32),
            _TAGS,
        ),
        # The one answer that a client must be able to read before it knows any version has a header without tags.
        parse_response_header=lambda _request, answer: ResponseHeader_v0.decode(answer),
    )
    _FINALIZED = 2
    _LEVELS = CompactArray(("name", _TEXT), ("to", Int16), ("from", Int16), _TAGS)

    def __init__(self) -> None:
        super().__init__("bourse", "1")

    @classmethod
    def levels(cls, tags: Mapping[int, bytes]) -> dict[str, int]:
        """Return the level of each feature, as the tags of the answer have them."""
        rows = cls._LEVELS.decode(BytesIO(tags.get(cls._FINALIZED, b"\1")))
        return {name: level for name, level, *_ in rows or ()}
