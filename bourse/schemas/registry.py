"""Schema ids from a Schema Registry, for deployments whose producers and consumers share one.

Decides when an id that was met is a version of a record (`ids.py` says which), and that a registry out of reach is an
error of its own, never a reason to call good bytes undecodable. Refuses to know topics: the mapping from topic to record
is handed in, and a topic's subject is `<topic>-value` (TopicNameStrategy). Table rows are not registered: their
changelog topic holds many record types, and they keep their local ids.
"""

import base64
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from bourse.schemas.definitions import SchemaFileError
from bourse.schemas.ids import LocalIds, Schema, current, schema_from
from bourse.schemas.records import Record

T = TypeVar("T")

_TIMEOUT_SECONDS: Final = 10
_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"


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
    return RegistryIds(HttpRegistry(url), topics)


class _Registered(msgspec.Struct):
    id: int


class _Found(msgspec.Struct):
    schema: str
    schema_type: str = msgspec.field(name="schemaType", default="AVRO")


class _Refused(msgspec.Struct):
    message: str = "no reason given"


class HttpRegistry:
    """The few calls of Confluent's Schema Registry API that are needed, over HTTP.

    confluent-kafka's own client is not used: the extra that it needs (`schemaregistry`) does not install at the locked
    version.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"{url!r} is not the http or https URL of a schema registry"
            raise RegistryError(message)
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"

    def register(self, subject: str, schema: str) -> int:
        """Return the id of the schema in the subject, registering it first where it is new."""
        body = msgspec.json.encode({"schema": schema, "schemaType": "AVRO"})
        try:
            return self._ask(f"/subjects/{subject}/versions", _Registered, body).id
        except urllib.error.HTTPError as error:
            what = (
                "incompatible with what is there"
                if error.code == HTTPStatus.CONFLICT
                else f"HTTP {error.code}"
            )
            message = f"the registry at {self._url} refused {subject} as {what}: {_reason(error)}"
            raise RegistryError(message) from error

    def schema(self, schema_id: int) -> str | None:
        """Return the Avro schema with that id; None where the registry has none."""
        try:
            found = self._ask(f"/schemas/ids/{schema_id}", _Found)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            message = f"the registry at {self._url} did not give schema {schema_id}: HTTP {error.code}"
            raise RegistryError(message) from error
        return found.schema if found.schema_type == "AVRO" else None

    def _ask(self, path: str, answer: type[T], body: bytes | None = None) -> T:
        request = urllib.request.Request(self._url + path, body, self._headers)  # noqa: S310 - scheme checked above
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - see above
                return msgspec.json.decode(response.read(), type=answer)
        except urllib.error.HTTPError:
            raise
        except (OSError, msgspec.MsgspecError) as error:
            message = f"the schema registry at {self._url} is out of reach: {error}"
            raise RegistryError(message) from error


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_Refused).message
    except (OSError, msgspec.MsgspecError):
        return error.reason
