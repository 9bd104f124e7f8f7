"""Records as JSON, for event files and people.

Decides the plain form (a nullable is its value or null, a date is "2019-05-23", bytes are base64) and what else is taken
on the way in: fields that have a default may be missing, a date may be days since the epoch, and a nullable may come in
Avro's own JSON form, `{"long": 5}`. Refuses to know which topic carries which record, and where files are.
"""

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final, TypeVar, cast

import msgspec

from bourse.schemas import records
from bourse.schemas.definitions import (
    NAMESPACE,
    Enum,
    Field,
    Primitive,
    RecordDefinition,
    Type,
    all_records,
)
from bourse.schemas.records import Record
from bourse.schemas.units import INT64_MAX, INT64_MIN
from bourse.schemas.wire import EPOCH_ORDINAL

R = TypeVar("R", bound=Record)
T = TypeVar("T")

Read = Callable[[object], object]


class JsonFormError(ValueError):
    """JSON that is not the form of the record; the text names the field, or the line of a file."""


_SHOWN: Final = 100
_encoder: Final = msgspec.json.Encoder()


def to_json_bytes(record: Record) -> bytes:
    """Return the JSON form of a record as one line of text, without its end."""
    return _encoder.encode(record)


def from_json(record_type: type[R], value: object) -> R:
    """Return the record that a JSON form stands for; JsonFormError names the field that does not fit."""
    return cast("R", _record_reader(all_records()[record_type.__name__])(value))


def event_line(topic: str, key: str | None, record: Record) -> bytes:
    """Return a line of an event file, its end included."""
    return _encoder.encode({"topic": topic, "key": key, "value": record}) + b"\n"


def text_reader(form: type[T]) -> Callable[[bytes], T]:
    """Return what reads JSON texts of a form, lines of an event file for one; it raises JsonFormError for all others."""
    decode = msgspec.json.Decoder(form).decode

    def read(text: bytes) -> T:
        try:
            return decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JsonFormError(str(error)) from error
        except RecursionError as error:
            message = "it is nested too deeply"
            raise JsonFormError(message) from error

    return read


@cache
def _record_reader(definition: RecordDefinition) -> Read:
    make = getattr(records, definition.name)
    plan = [(field.name, _field_reader(field), _default(field)) for field in definition.fields]
    known = {field.name for field in definition.fields}

    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise _misfit(value, f"an object with the fields of {definition.name}")
        if not value.keys() <= known:
            message = f"{definition.name} has no field {min(map(str, value.keys() - known))!r}"
            raise JsonFormError(message)
        arguments = []
        name = ""
        try:
            for name, read_field, default in plan:
                arguments.append(read_field(value[name]) if name in value else _present(default))
        except JsonFormError as error:
            message = f"{definition.name}.{name}: {error}"
            raise JsonFormError(message) from error
        return make(*arguments)

    return read


def _present(default: object) -> object:
    if default is msgspec.UNSET:
        message = "it is missing, and has no default"
        raise JsonFormError(message)
    return default


def _default(field: Field) -> object:
    return field.default if field.default is msgspec.UNSET else _field_reader(field)(field.default)


def _field_reader(field: Field) -> Read:
    read = _type_reader(field.type)
    return partial(_read_nullable, read, _branches(field.type)) if field.nullable else read


def _type_reader(type_: Type) -> Read:
    match type_:
        case Primitive(name):
            return _PRIMITIVE_READERS[name]
        case Enum(name):
            return partial(_read_symbol, {str(member): member for member in getattr(records, name)})
        case RecordDefinition():
            return _record_reader(type_)
        case array:
            return partial(_read_array, _record_reader(array.items))


def _branches(type_: Type) -> Mapping[str, Read]:
    """Return what Avro's JSON form calls the branch of a nullable that is not null, and how it is read there."""
    read = _type_reader(type_)
    match type_:
        case Primitive("bytes"):
            return {"bytes": _read_avro_bytes}
        case Primitive("date"):
            return {"int": read}
        case Primitive(name):
            return {name: read}
        case other:
            return {other.name: read, f"{NAMESPACE}.{other.name}": read}


def _read_nullable(read: Read, branches: Mapping[str, Read], value: object) -> object:
    match value:
        case None:
            return None
        case dict() if len(value) == 1 and (branch := next(iter(value))) in branches:
            return branches[branch](value[branch])
        case _:
            return read(value)


def _read_array(read: Read, value: object) -> object:
    if not isinstance(value, list | tuple):
        raise _misfit(value, "an array")
    return tuple(map(read, value))


def _read_symbol(members: Mapping[str, object], value: object) -> object:
    if not isinstance(value, str) or value not in members:
        raise _misfit(value, f"one of {', '.join(members)}")
    return members[value]


def _read_string(value: object) -> object:
    if not isinstance(value, str):
        raise _misfit(value, "a text")
    return value


def _read_boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise _misfit(value, "true or false")
    return value


def _read_long(value: object) -> object:
    if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
        raise _misfit(value, "a whole number of 64 bits")
    return value


def _read_bytes(value: object) -> object:
    try:
        return base64.b64decode(cast("str", value), validate=True)
    except (TypeError, ValueError) as error:
        raise _misfit(value, "bytes in base64") from error


def _read_avro_bytes(value: object) -> object:
    # Avro specification, "JSON Encoding": each character is the byte with its code point.
    try:
        return cast("str", value).encode("latin-1")
    except (AttributeError, UnicodeEncodeError) as error:
        raise _misfit(value, "bytes as characters up to U+00FF") from error


def _read_date(value: object) -> object:
    try:
        if isinstance(value, str) and (day := dt.date.fromisoformat(value)).isoformat() == value:
            return day
        if type(value) is int:
            return dt.date.fromordinal(EPOCH_ORDINAL + value)
    except (ValueError, OverflowError) as error:
        raise _misfit(value, "a date") from error
    raise _misfit(value, 'a date like "2019-05-23"')


def _misfit(value: object, expected: str) -> JsonFormError:
    shown = repr(value)
    return JsonFormError(f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'} is not {expected}")


_PRIMITIVE_READERS: Final[Mapping[str, Read]] = {
    "string": _read_string,
    "bytes": _read_bytes,
    "boolean": _read_boolean,
    "long": _read_long,
    "date": _read_date,
}
