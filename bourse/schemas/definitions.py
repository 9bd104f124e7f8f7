"""The `.avsc` files as typed definitions. Decides how they refer to each other; refuses to know bytes and Python records.

Enums have files of their own (`avsc/enums/`) and records may name each other: `standalone` writes a record's schema with
everything it names inlined at first use, which is what a registry wants.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Literal

import msgspec

import bourse.schemas

NAMESPACE: Final = "bourse"

# Flow order: what a newcomer reads first comes first. A test holds it to the files.
TOPIC_RECORDS: Final = (
    "Order",
    "ValidatedOrder",
    "ApprovedOrder",
    "Trade",
    "PositionUpdated",
    "SettlementUpdated",
    "Release",
    "OrderEvent",
    "WalletCommand",
    "WalletTransaction",
    "Account",
    "Participant",
    "Instrument",
    "CorporateAction",
    "SessionEvent",
    "Announcement",
    "MarketDataEvent",
    "TapePrint",
    "BookUpdate",
    "DeadLetter",
)
ROW_RECORDS: Final = (
    "MarketState",
    "Halt",
    "ClientOrder",
    "WalletRequest",
    "MessageRate",
    "Sweep",
    "AssetTotal",
    "Wallet",
    "Hold",
    "Position",
    "Obligation",
    "RestingOrder",
    "BookState",
    "SourceOffset",
)

PrimitiveName = Literal["string", "bytes", "boolean", "long", "date"]
Json = object  # What json gives; narrowed where it is read.


class Primitive(msgspec.Struct, frozen=True):
    """A string, bytes, boolean, long, or a date (int with logicalType date)."""

    name: PrimitiveName


class Enum(msgspec.Struct, frozen=True):
    """An enum and its symbols, in the order of their indices."""

    name: str
    doc: str
    symbols: tuple[str, ...]


class Array(msgspec.Struct, frozen=True):
    """A list of records."""

    items: "RecordDefinition"
    name: Literal["array"] = "array"


class RecordDefinition(msgspec.Struct, frozen=True):
    """A record and its fields, in the order of the wire."""

    name: str
    doc: str
    aliases: tuple[str, ...]
    fields: "tuple[Field, ...]"


Type = Primitive | Enum | Array | RecordDefinition


class Field(msgspec.Struct, frozen=True):
    """A field; `default` is as the .avsc writes it, and UNSET where the field is required."""

    name: str
    type: Type
    nullable: bool
    unit: str | None
    default: bool | int | str | tuple[()] | msgspec.UnsetType | None
    doc: str


class SchemaFileError(ValueError):
    """An .avsc file says something that the records have no use for."""


class _RawField(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: Json
    doc: str
    unit: Literal["price", "quantity", "cash", "time_ns"] | None = None
    default: bool | int | str | tuple[()] | msgspec.UnsetType | None = msgspec.UNSET


class _RawNamed(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["record", "enum"]
    name: str
    doc: str
    namespace: str = NAMESPACE
    aliases: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    fields: tuple[_RawField, ...] = ()


def _folders() -> Iterator[Traversable]:
    root = files(bourse.schemas) / "avsc"
    yield root
    yield root / "enums"
    yield root / "rows"


@cache
def _sources() -> Mapping[str, bytes]:
    """Return the text of every .avsc file (history aside) by the name it defines."""
    return {
        entry.name.removesuffix(".avsc"): entry.read_bytes()
        for folder in _folders()
        for entry in sorted(folder.iterdir(), key=lambda found: found.name)
        if entry.name.endswith(".avsc")
    }


def names() -> tuple[str, ...]:
    """Return what the .avsc files define, by name."""
    return tuple(_sources())


@cache
def named(name: str) -> Enum | RecordDefinition:
    """Return the enum or record of that name."""
    if name not in _sources():
        message = f"no .avsc file defines {name}"
        raise SchemaFileError(message)
    return _named(msgspec.json.decode(_sources()[name]))


def record_definition(name: str) -> RecordDefinition:
    """Return the record of that name."""
    definition = named(name)
    if isinstance(definition, Enum):
        message = f"{name} is an enum, not a record"
        raise SchemaFileError(message)
    return definition


def parts(record: RecordDefinition) -> Iterator[RecordDefinition]:
    """Yield the records that a record's fields are made of, one level down."""
    for field in record.fields:
        part = field.type.items if isinstance(field.type, Array) else field.type
        if isinstance(part, RecordDefinition):
            yield part


def with_parts(record: RecordDefinition) -> Iterator[RecordDefinition]:
    """Yield the records that a record is made of, at any depth, and then the record."""
    for part in parts(record):
        yield from with_parts(part)
    yield record


@cache
def all_records() -> Mapping[str, RecordDefinition]:
    """Return every record by name, those within others included; what a record is made of comes before it."""
    return {
        part.name: part
        for name in TOPIC_RECORDS + ROW_RECORDS
        for part in with_parts(record_definition(name))
    }


def standalone(name: str) -> str:
    """Return the schema of that name as JSON text with everything it names inlined, once each."""
    return msgspec.json.encode(_inlined(name, set())).decode()


def _inlined(source: Json, seen: set[str]) -> Json:
    match source:
        case str(name) if name in _sources() and name not in seen:
            seen.add(name)
            return _inlined(msgspec.json.decode(_sources()[name]), seen)
        case dict():
            return {str(key): _inlined_at(str(key), value, seen) for key, value in source.items()}
        case ["null", inner]:
            return ["null", _inlined(inner, seen)]
        case _:
            return source


def _inlined_at(key: str, value: Json, seen: set[str]) -> Json:
    """Inline where a schema has other schemas: only a type, items and the types of fields may be a name."""
    match key, value:
        case "type" | "items", _:
            return _inlined(value, seen)
        case "fields", list(fields):
            return [_inlined(field, seen) for field in fields]
        case _:
            return value


def history(name: str) -> tuple[str, ...]:
    """Return the earlier schemas of a record as JSON texts, oldest first; each stands alone."""
    folder = files(bourse.schemas) / "avsc" / "history"
    numbered = sorted(
        (int(number), entry)
        for entry in folder.iterdir()
        for record, _, number in [entry.name.removesuffix(".avsc").rpartition(".")]
        if record == name
    )
    return tuple(entry.read_text(encoding="utf-8") for _, entry in numbered)


def _named(source: Json) -> Enum | RecordDefinition:
    raw = msgspec.convert(source, _RawNamed)
    if raw.type == "enum":
        return Enum(raw.name, raw.doc, raw.symbols)
    return RecordDefinition(raw.name, raw.doc, raw.aliases, tuple(_field(field) for field in raw.fields))


def _field(raw: _RawField) -> Field:
    match raw.type:
        case ["null", inner]:
            return Field(raw.name, _type(inner), True, raw.unit, raw.default, raw.doc)
        case inner:
            return Field(raw.name, _type(inner), False, raw.unit, raw.default, raw.doc)


def _type(source: Json) -> Type:
    match source:
        case "string" | "bytes" | "boolean" | "long":
            return msgspec.convert({"name": source}, Primitive)
        case {"type": "int", "logicalType": "date"}:
            return Primitive("date")
        case {"type": "array", "items": items}:
            item = _type(items)
            if isinstance(item, RecordDefinition):
                return Array(item)
        case {"type": "record"}:
            return _named(source)
        case str():
            return named(source)
    message = f"no such type here: {source!r}"
    raise SchemaFileError(message)
