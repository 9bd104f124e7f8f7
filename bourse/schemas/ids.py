"""Schema ids, and every version of every schema by its id.

Decides that the id of a schema is the first 31 bits of the SHA-256 of its parsing canonical form (Avro specification,
"Transforming into Parsing Canonical Form"), so that everybody who has the .avsc files writes the same bytes with no
registry at hand. Refuses to know registries: `registry.py` gives the same answers from one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Protocol

import msgspec
from fastavro.schema import SchemaParseException, parse_schema, to_parsing_canonical_form
from fastavro.types import Schema as AvroSchema

from bourse.schemas.definitions import (
    ROW_RECORDS,
    TOPIC_RECORDS,
    SchemaFileError,
    history,
    record_definition,
    standalone,
)

_UNUSED_BITS: Final = 1  # Ids are signed on the wire of some clients: 31 bits of 32.


class Schema(msgspec.Struct, frozen=True):
    """One version of one record's schema."""

    record: str
    text: str
    parsed: AvroSchema
    canonical: str

    def local_id(self) -> int:
        """Return the id that follows from the schema alone."""
        digest = hashlib.sha256(self.canonical.encode()).digest()
        return int.from_bytes(digest[:4], "big") >> _UNUSED_BITS


def schema_from(text: str) -> Schema:
    """Parse a schema that stands alone; SchemaFileError where fastavro does not take it for a record's."""
    try:
        parsed = parse_schema(msgspec.json.decode(text))
    except (msgspec.MsgspecError, SchemaParseException, KeyError, TypeError, ValueError) as error:
        message = f"the schema does not parse: {error!r}"
        raise SchemaFileError(message) from error
    if not isinstance(parsed, dict) or parsed["type"] != "record":
        message = "the schema is not a record's"
        raise SchemaFileError(message)
    record = str(parsed["name"]).rpartition(".")[2]
    return Schema(record, text, parsed, to_parsing_canonical_form(parsed))


@cache
def current(record: str) -> Schema:
    """Return the schema that the record is written with."""
    return schema_from(standalone(record))


@cache
def earlier_versions(record: str) -> tuple[Schema, ...]:
    """Return the schemas that the record was written with before, oldest first."""
    return tuple(schema_from(text) for text in history(record))


def same_record(record: str, writer: Schema) -> bool:
    """Tell whether a schema is some version of the record, under its name or an alias."""
    return writer.record == record or writer.record in record_definition(record).aliases


class SchemaIds(Protocol):
    """What the codec asks: the id to write a record with, and the schema behind an id that it met."""

    def id_of(self, record: str) -> int:
        """Return the id that the record is written with."""
        ...

    def schema_of(self, schema_id: int) -> Schema | None:
        """Return the schema with that id; None where nobody knows it."""
        ...


class LocalIds:
    """Ids from the .avsc files alone: current and earlier versions of every record."""

    def __init__(self) -> None:
        records = TOPIC_RECORDS + ROW_RECORDS
        self._schemas = by_id(
            schema for record in records for schema in (current(record), *earlier_versions(record))
        )

    def id_of(self, record: str) -> int:
        """Return the id that the record is written with."""
        return current(record).local_id()

    def schema_of(self, schema_id: int) -> Schema | None:
        """Return the schema with that id; None where no .avsc file has it."""
        return self._schemas.get(schema_id)


def by_id(schemas: Iterable[Schema]) -> Mapping[int, Schema]:
    """Return the schemas by id; SchemaFileError where two different ones share one."""
    found: dict[int, Schema] = {}
    for schema in schemas:
        other = found.setdefault(schema.local_id(), schema)
        if other.canonical != schema.canonical:
            message = (
                f"{other.record} and {schema.record} share schema id {schema.local_id()}: add a field to one"
            )
            raise SchemaFileError(message)
    return found
