"""Records of the contract's topics as bytes and back, for the commands that publish and show them."""

from collections.abc import Callable
from functools import cached_property

from bourse.agents.wire import Encoders, schema_ids
from bourse.cli.errors import CliError
from bourse.pipeline.flow import TOPICS, TopicDefinition
from bourse.pipeline.outputs import Topic
from bourse.schemas import records
from bourse.schemas.codec import Codec, DecodeError
from bourse.schemas.ids import SchemaIds
from bourse.schemas.records import Record
from bourse.schemas.registry import RegistryError
from bourse.settings import Settings, without_password

CHANGELOG = "changelog"
READABLE = (*(str(topic) for topic in TOPICS), CHANGELOG)
_ID_END = 5  # The magic byte and the schema id.


class Wire:
    """Encoders and decoders of every topic, made when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings, which say where schema ids come from."""
        self._settings = settings
        self._decoders: dict[str, Callable[[bytes | None], Record]] = {}

    def encode(self, topic: str, record: Record) -> bytes:
        """Return a record's bytes for its topic; raises EncodeError."""
        return self._encoders[definition(topic).record_type](record)

    def decode(self, topic: str, value: bytes | None) -> Record:
        """Return the record that a topic's bytes are; raises DecodeError."""
        name = topic if topic != CHANGELOG else self._row_type(value)
        if name not in self._decoders:
            record_type = getattr(records, name) if topic == CHANGELOG else definition(topic).record_type
            self._decoders[name] = self._codec.decoder(record_type)
        try:
            return self._decoders[name](value)
        except RegistryError as error:
            raise self._registry_failure(error) from None

    def _row_type(self, value: bytes | None) -> str:
        """Return the type of a state row, which its schema id tells."""
        schema = self._ids.schema_of(int.from_bytes((value or b"")[1:_ID_END], "big"))
        if schema is None:
            msg = "no schema of ours has its id"
            raise DecodeError(msg)
        return schema.record

    @cached_property
    def _ids(self) -> SchemaIds:
        try:
            return schema_ids(self._settings)
        except RegistryError as error:
            raise self._registry_failure(error) from None

    def _registry_failure(self, error: RegistryError) -> CliError:
        registry = without_password(self._settings.schema_registry)
        problem = f"The schema registry {registry} cannot be used: {error}."
        return CliError(problem, "Start it, or unset BOURSE_SCHEMA_REGISTRY to use the project's own ids.")

    @cached_property
    def _codec(self) -> Codec:
        return Codec(self._ids)

    @cached_property
    def _encoders(self) -> Encoders:
        return Encoders(self._codec)


def definition(topic: str) -> TopicDefinition:
    """Return a topic of the contract; raises CliError for any other name."""
    try:
        return TOPICS[Topic(topic)]
    except ValueError:
        msg = f"There is no topic {topic!r}."
        raise CliError(msg, f"The topics are {', '.join(TOPICS)}.") from None
