"""Between records and Kafka: encoders, decoders, topic names, and which partition a key belongs to."""

from collections.abc import Callable
from typing import Any

from bourse.pipeline.flow import TOPICS
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds, SchemaIds
from bourse.schemas.records import Record
from bourse.schemas.registry import connect
from bourse.settings import Settings
from bourse.streaming.partitioner import Partitioner

Encode = Callable[[Any], bytes]
_KEYS_REMEMBERED = 200_000
SENT_REMEMBERED = 20_000


def schema_ids(settings: Settings) -> SchemaIds:
    """Return the source of schema ids: the registry that the settings name, or else the project's own files."""
    if settings.schema_registry is None:
        return LocalIds()
    return connect(
        settings.schema_registry, {settings.topic(topic.name): topic.record_type for topic in TOPICS.values()}
    )


class Encoders(dict[type[Record], Encode]):
    """The encoder of each record type, made when it is first needed."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self._codec = codec

    def __missing__(self, record_type: type[Record]) -> Encode:
        encode = self[record_type] = self._codec.encoder(record_type)
        return encode


class Keys(dict[str, tuple[bytes, int]]):
    """A key's bytes and its partition, remembered: the keys of an exchange are few."""

    def __init__(self, partition_of: Partitioner) -> None:
        super().__init__()
        self._partition_of = partition_of

    def __missing__(self, key: str) -> tuple[bytes, int]:
        if len(self) >= _KEYS_REMEMBERED:
            self.clear()
        found = self[key] = (key.encode(), self._partition_of[key])
        return found


class Sent(dict[bytes, Record]):
    """What this worker has sent to stages that it may run itself, by its bytes: what comes back need not be decoded.

    The same bytes are the same frozen record, whoever sent them, so nothing depends on what is found here. What goes to
    partitions of other workers is never asked for, and forgotten with the rest when there is too much.
    """

    def remember(self, value: bytes, record: Record) -> None:
        """Keep a record until it comes back."""
        if len(self) >= SENT_REMEMBERED:
            self.clear()
        self[value] = record


class Wire:
    """How this worker's records stand on the wire."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for every topic of the flow; connects to the registry if there is one."""
        self.codec = Codec(schema_ids(settings))
        self.encoders = Encoders(self.codec)
        self.partition_of = Partitioner(settings.partitions)
        self.keys = Keys(self.partition_of)
        self.sent = Sent()
        self.decoders = {name: self.codec.decoder(topic.record_type) for name, topic in TOPICS.items()}
        self.names = {name: settings.topic(name) for name in TOPICS}
        self.contract_names = {kafka: contract for contract, kafka in self.names.items()}
