"""Records to bytes and back, in the Schema Registry wire format: magic 0, 4-byte schema id, Avro body.

Decides which bytes are a record of the type expected. Refuses to know topics, and where ids come from (`ids.py`,
`registry.py`). Current versions go through generated code (`codegen.py`); what was written with another version of the
schema is resolved by fastavro, which is also what tests hold the generated code to.

Measured by `python bench/codec.py` on two shared cores, Struct to wire bytes and back: an Order 0.85 and 1.85 microseconds
(fastavro 12.5 and 9.9), a Trade 1.3 and 3.0 (fastavro 9.0 and 8.9). Those encodings find every repeated value in its memo;
an Order whose account, price and time are all new takes 6.5.
"""

import datetime as dt
import io
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

import msgspec
from fastavro import schemaless_reader

from bourse.schemas.compiled import decoder_maker, encoder_maker, trailing, with_article
from bourse.schemas.definitions import record_definition
from bourse.schemas.ids import Schema, SchemaIds, current, same_record
from bourse.schemas.records import Record
from bourse.schemas.wire import DecodeError, EncodeError

__all__ = ["Codec", "DecodeError", "EncodeError"]

R = TypeVar("R", bound=Record)

_MAGIC: Final = b"\x00"
_HEADER_BYTES: Final = 5


class Codec:
    """Encoders and decoders of every record type, for one source of schema ids."""

    def __init__(self, ids: SchemaIds) -> None:
        self._ids = ids

    def encoder(self, record_type: type[R]) -> Callable[[R], bytes]:
        """Return the function from a record to its bytes; it raises EncodeError."""
        make = encoder_maker(record_definition(record_type.__name__))
        return cast("Callable[[R], bytes]", make(_header(self._ids.id_of(record_type.__name__))))

    def decoder(self, record_type: type[R]) -> Callable[[bytes | None], R]:
        """Return the function from bytes to a record; it raises DecodeError, and whatever `ids` raises when asked."""
        versions = _Versions(self._ids, record_type)
        return versions.generated(self._ids.id_of(record_type.__name__))


class _Versions(Generic[R]):
    """The decoders of one record type, by the schema id that the bytes were written with."""

    def __init__(self, ids: SchemaIds, record_type: type[R]) -> None:
        self._ids = ids
        self._type = record_type
        self._name = record_type.__name__
        self._decoders: dict[int, Callable[[bytes | None], R]] = {}

    def generated(self, schema_id: int) -> Callable[[bytes | None], R]:
        """Return the decoder of the current version under an id; other ids come back to `any_version`."""
        make = decoder_maker(record_definition(self._name))
        return cast("Callable[[bytes | None], R]", make(_header(schema_id), self.any_version))

    def any_version(self, data: bytes | None) -> R:
        """Decode what has another id than the current one, or nothing that an id could be."""
        schema_id = _schema_id(self._name, data)
        if schema_id not in self._decoders:
            self._decoders[schema_id] = self._learn(schema_id)
        return self._decoders[schema_id](data)

    def _learn(self, schema_id: int) -> Callable[[bytes | None], R]:
        writer = self._ids.schema_of(schema_id)
        if writer is None:
            message = f"{self._name}: unknown schema id {schema_id}"
            raise DecodeError(message)
        if not same_record(self._name, writer):
            message = f"{with_article(writer.record)} where {with_article(self._name)} was expected"
            raise DecodeError(message)
        if writer.canonical == current(self._name).canonical:
            return self.generated(schema_id)
        return _resolved(writer, self._type)


def _resolved(writer: Schema, record_type: type[R]) -> Callable[[bytes | None], R]:
    """Return the decoder of another version of a record, by Avro's schema resolution."""
    reader = current(record_type.__name__).parsed

    def decode(data: bytes | None) -> R:
        stream = io.BytesIO(data or b"")
        stream.seek(_HEADER_BYTES)
        try:
            plain = schemaless_reader(stream, writer.parsed, reader)
            record = msgspec.convert(plain, record_type, builtin_types=(bytes, dt.date))
        except (
            Exception
        ) as error:  # What fastavro raises on bytes that are not the schema's is not documented.
            message = f"{record_type.__name__}: not readable from its earlier schema: {error!r}"
            raise DecodeError(message) from error
        left = len(stream.read())
        if left:
            raise trailing(record_type, left)
        return record

    return decode


def _header(schema_id: int) -> bytes:
    return _MAGIC + schema_id.to_bytes(_HEADER_BYTES - 1, "big")


def _schema_id(name: str, data: bytes | None) -> int:
    if not data:
        message = f"{name}: no value"
    elif data[:1] != _MAGIC:
        message = f"{name}: the first byte is {data[0]}, not the magic 0"
    elif len(data) < _HEADER_BYTES:
        message = f"{name}: the bytes end within the schema id"
    else:
        return int.from_bytes(data[1:_HEADER_BYTES], "big")
    raise DecodeError(message)
