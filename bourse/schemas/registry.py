"""Schema ids from a Schema Registry, for deployments whose producers and consumers share one.

Decides when an id that was met is a version of a record (`ids.py` says which), and that a registry out of reach is an
error of its own, never a reason to call good bytes undecodable. Refuses to know topics: the mapping from topic to record
is handed in, and a topic's subject is `<topic>-value` (TopicNameStrategy). Table rows are not registered: their
changelog topic holds many record types, and they keep their local ids.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit
from weakref import finalize

import msgspec

from bourse.schemas.definitions import SchemaFileError
from bourse.schemas.ids import LocalIds, Schema, current, schema_from
from bourse.schemas.records import Record

T = TypeVar("T")

# Whoever decodes waits for the answer: two tries that time out are over before a transaction is (10 s).
_TIMEOUT_SECONDS: Final = 4
_RETRIES: Final = 1
_WAIT_BEFORE_RETRY_MS: Final = 200
# https://docs.confluent.io/platform/current/schema-registry/develop/api.html: a 404 of a proxy has another code, or none.
_SCHEMA_NOT_FOUND: Final = 40403


class RegistryError(Exception):
    """The registry is out of reach, or refused; nothing is known about the records in question."""


class RegistryClient(Protocol):
    """What is asked of a registry."""

    def register(self, subject: str, schema: str) -> int:
        """Return the id of the schema in the subject, registering it first where it is new."""
        ...

    def schema(self, schema_id: int) -> str | None:
        """Return the schema with that id; None where the registry has none."""
        ...


class RegistryIds:
    """Ids that a registry gave. Current schemas are registered at once; unknown ids are fetched, once each."""

    def __init__(self, client: RegistryClient, topics: Mapping[str, type[Record]]) -> None:
        self._client = client
        self._local = LocalIds()
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Schema | None] = {}
        for topic, record_type in topics.items():
            schema = current(record_type.__name__)
            schema_id = client.register(f"{topic}-value", schema.text)
            self._ids.setdefault(schema.record, schema_id)
            self._schemas[schema_id] = schema

    def id_of(self, record: str) -> int:
        """Return the id that the record is written with: the registry's, or the local one of what no topic carries."""
        return self._ids[record] if record in self._ids else self._local.id_of(record)

    def schema_of(self, schema_id: int) -> Schema | None:
        """Return the schema with that id; None where nobody knows it. RegistryError where nobody can be asked."""
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._local.schema_of(schema_id) or self._fetched(schema_id)
        return self._schemas[schema_id]

    def _fetched(self, schema_id: int) -> Schema | None:
        text = self._client.schema(schema_id)
        try:
            return None if text is None else schema_from(text)
        except SchemaFileError:
            return None


def connect(url: str, topics: Mapping[str, type[Record]]) -> RegistryIds:
    """Return the ids of the registry at a URL (user and password in it if it wants them)."""
    return RegistryIds(ConfluentRegistry(url), topics)


class _Found(msgspec.Struct):
    schema_str: str
    schema_type: str


class ConfluentRegistry:
    """confluent-kafka's own client of the Schema Registry API; what it raises becomes a RegistryError."""

    def __init__(self, url: str) -> None:
        # Imported only here: a worker without a registry starts without the HTTP and OAuth libraries of this client.
        from confluent_kafka import schema_registry  # noqa: PLC0415 - see above

        self._url, user_info = _parts(url)
        self._library = schema_registry
        self._client = schema_registry.SchemaRegistryClient(
            {
                "url": self._url,
                "timeout": _TIMEOUT_SECONDS,
                "max.retries": _RETRIES,
                "retries.wait.ms": _WAIT_BEFORE_RETRY_MS,
            }
            | user_info
        )
        finalize(
            self, self._client.close
        )  # The client keeps a connection open, and does not end it by itself.

    def register(self, subject: str, schema: str) -> int:
        """Return the id of the schema in the subject, registering it first where it is new."""
        avro = self._library.Schema(schema, "AVRO")
        try:
            return self._ask(int, self._client.register_schema, subject, avro)
        except self._library.SchemaRegistryError as error:
            conflict = error.http_status_code == HTTPStatus.CONFLICT
            what = "incompatible with what is there" if conflict else f"HTTP {error.http_status_code}"
            reason = error.error_message or "no reason given"
            message = f"the registry at {self._url} refused {subject} as {what}: {reason}"
            raise RegistryError(message) from error

    def schema(self, schema_id: int) -> str | None:
        """Return the Avro schema with that id; None where the registry has none."""
        try:
            found = self._ask(_Found, self._client.get_schema, schema_id)
        except self._library.SchemaRegistryError as error:
            if error.error_code == _SCHEMA_NOT_FOUND:
                return None
            message = (
                f"the registry at {self._url} did not give schema {schema_id}: HTTP {error.http_status_code}"
            )
            raise RegistryError(message) from error
        return found.schema_str if found.schema_type == "AVRO" else None

    def _ask(self, answer: type[T], question: Callable[..., object], *about: object) -> T:
        """Return the client's answer; raises its SchemaRegistryError, and RegistryError where there is no answer."""
        try:
            return msgspec.convert(question(*about), answer, from_attributes=True)
        except self._library.SchemaRegistryError:
            raise
        except Exception as error:
            # What else the client raises, on a broken line or an odd answer, is not documented.
            message = f"the schema registry at {self._url} is out of reach: {error!r}"
            raise RegistryError(message) from error


def _parts(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL without user and password, which errors and logs would show, and these as the client's setting."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        # Not quoted: it may hold a password, and nobody knows where.
        message = "this is not the http or https URL of a schema registry"
        raise RegistryError(message)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return bare, {}
    return bare, {"basic.auth.user.info": f"{unquote(parts.username)}:{unquote(parts.password or '')}"}
