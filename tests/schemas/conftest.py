"""Strategies for every record type, drawn from the definitions; what each test of the words starts from."""

import datetime as dt
import io
from collections.abc import Callable, Mapping

import fastavro
import msgspec
import pytest
from hypothesis import strategies as st

from bourse.schemas import records
from bourse.schemas.codec import Codec
from bourse.schemas.definitions import Array, Enum, Field, Primitive, RecordDefinition, Type, all_records
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import Record
from bourse.schemas.units import INT64_MAX, INT64_MIN

HEADER_BYTES = 5
AVRO_PLAIN = (bytes, dt.date)

_PRIMITIVES: Mapping[str, st.SearchStrategy[object]] = {
    "string": st.text(max_size=8) | st.text("xé\x00", min_size=60, max_size=200),
    "bytes": st.binary(max_size=8) | st.binary(min_size=60, max_size=200),
    "boolean": st.booleans(),
    "long": st.integers(-70, 70) | st.integers(INT64_MIN, INT64_MAX),
    "date": st.dates() | st.dates(dt.date(2019, 1, 1), dt.date(2026, 1, 1)),
}


def _values(type_: Type) -> st.SearchStrategy[object]:
    match type_:
        case Primitive(name):
            return _PRIMITIVES[name]
        case Enum(name):
            return st.sampled_from(list(getattr(records, name)))
        case RecordDefinition():
            return _records(type_)
        case Array(items):
            return st.lists(_records(items), max_size=3).map(tuple)


def _field(field: Field) -> st.SearchStrategy[object]:
    return st.none() | _values(field.type) if field.nullable else _values(field.type)


def _records(definition: RecordDefinition) -> st.SearchStrategy[Record]:
    return st.builds(getattr(records, definition.name), *map(_field, definition.fields))


@pytest.fixture(scope="session")
def any_record() -> Callable[[type[Record]], st.SearchStrategy[Record]]:
    """Return the function from a record type to a strategy for its records."""
    return lambda record_type: _records(all_records()[record_type.__name__])


@pytest.fixture(scope="session")
def codec() -> Codec:
    """Return a codec with the ids of the .avsc files alone."""
    return Codec(LocalIds())


class Oracle:
    """fastavro, by itself: plain values to body bytes and back."""

    def encode(self, record: Record, schema: fastavro.types.Schema) -> bytes:
        """Return the Avro body of a record."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, msgspec.to_builtins(record, builtin_types=AVRO_PLAIN))
        return stream.getvalue()

    def decode(self, data: bytes, schema: fastavro.types.Schema, record_type: type[Record]) -> Record:
        """Return the record of wire bytes, whatever their header."""
        stream = io.BytesIO(data)
        stream.seek(HEADER_BYTES)
        plain = fastavro.schemaless_reader(stream, schema, schema)
        return msgspec.convert(plain, record_type, builtin_types=AVRO_PLAIN)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Return fastavro as the oracle."""
    return Oracle()
