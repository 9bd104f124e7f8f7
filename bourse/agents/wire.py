"""Between records and Kafka: encoders, decoders, topic names, and which partition a key belongs to."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bourse.pipeline.flow import TOPICS
from bourse.pipeline.outputs import BY_KEY, Output, Topic
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds, SchemaIds
from bourse.schemas.records import Record
from bourse.schemas.registry import HttpRegistry, RegistryIds
from bourse.settings import Settings
from bourse.streaming.frames import Frame
from bourse.streaming.partitioner import Partitioner

Encode = Callable[[Any], bytes]
Handed = Mapping[Topic, Callable[[Record], bool] | None]
"""Topics whose next reader gets the record in memory, and which records of them it wants (None: all)."""


def schema_ids(settings: Settings) -> SchemaIds:
    """Return the source of schema ids: the registry that the settings name, or else the project's own files."""
    if settings.schema_registry is None:
        return LocalIds()
    records = {settings.topic(topic.name): topic.record_type for topic in TOPICS.values()}
    return RegistryIds(HttpRegistry(settings.schema_registry), records)


class Encoders(dict[type[Record], Encode]):
    """The encoder of each record type, made when it is first needed."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self._codec = codec

    def __missing__(self, record_type: type[Record]) -> Encode:
        encode = self[record_type] = self._codec.encoder(record_type)
        return encode


class Wire:
    """How this worker's records stand on the wire."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for every topic of the flow; connects to the registry if there is one."""
        self.codec = Codec(schema_ids(settings))
        self.encoders = Encoders(self.codec)
        self.partition_of = Partitioner(settings.partitions)
        self.decoders = {name: self.codec.decoder(topic.record_type) for name, topic in TOPICS.items()}
        self.names = {name: settings.topic(name) for name in TOPICS}
        self.contract_names = {kafka: contract for contract, kafka in self.names.items()}

    def send(self, frame: Frame, outputs: Iterable[Output], handed: Handed) -> None:
        """Write a stage's outputs, and hand over those that the next stage gets in memory."""
        names, encoders, partition_of = self.names, self.encoders, self.partition_of
        for topic, key, record, partition in outputs:
            to = partition_of[key] if partition == BY_KEY else partition
            value = encoders[type(record)](record)
            if topic in handed and ((concerns := handed[topic]) is None or concerns(record)):
                frame.send(names[topic], key.encode(), value, to, record)
            else:
                frame.send(names[topic], key.encode(), value, to)
