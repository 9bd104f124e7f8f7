"""The generated encoders and decoders, compiled, with what their text calls things by, and their errors in words.

Where `make compiled` has translated them to C (`translation.py`), those are preferred: the same bytes, and the same refusals.
Decides how a refusal names the field or the byte. Refuses to know schema ids: a header is bytes that somebody else chose.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Final, TypeVar, cast

from bourse.schemas import records
from bourse.schemas.codegen import decoder_source, encoder_source, part_decoder_source
from bourse.schemas.definitions import (
    Enum,
    Field,
    Primitive,
    RecordDefinition,
    Type,
    all_records,
    named,
    names,
    parts,
)
from bourse.schemas.records import Record
from bourse.schemas.translation import MODULE as TRANSLATED
from bourse.schemas.wire import (
    DATE_BYTES,
    ENDS,
    GOES_ON,
    NULL,
    PRESENT,
    TIME_BYTES,
    TIME_MEMO_LIMIT,
    DecodeError,
    EncodeError,
    Pieces,
    Strings,
    Windows,
    decode_array,
    decode_bytes,
    decode_date,
    decode_long,
    decode_string,
    encode_array,
    encode_bytes,
    encode_date,
    encode_long,
    encode_string,
    nullable,
)

K = TypeVar("K")

_HUGE: Final = 1 << 62


def with_article(name: str) -> str:
    """Return the name of a record for a sentence."""
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def refused(value: object, record_type: type[Record]) -> EncodeError:
    """Return the error that names the fields which cannot be encoded."""
    name = record_type.__name__
    if not isinstance(value, record_type):
        return EncodeError(f"{with_article(type(value).__name__)} where {with_article(name)} was expected")
    found = (_problem(field, getattr(value, field.name)) for field in all_records()[name].fields)
    return EncodeError("; ".join(f"{name}.{problem}" for problem in found if problem))


def _problem(field: Field, value: object) -> str | None:
    try:
        encode = _value_encoder(field.type)
        (nullable(encode) if field.nullable else encode)(value)
    except (EncodeError, UnicodeEncodeError) as error:
        return f"{field.name}: {error}"
    return None


def unreadable(record_type: type[Record], place: int, error: Exception) -> DecodeError:
    """Return the error that says what is wrong with a body; `place` is where reading had come to."""
    match error:
        case IndexError():
            reason = "the bytes end within the record"
        case KeyError():
            reason = f"byte {place} is no index of an enum, a union or a boolean"
        case UnicodeDecodeError():
            reason = f"the text at byte {place} is not UTF-8"
        case _:
            reason = str(error)
    return DecodeError(f"{record_type.__name__}: {reason}")


def trailing(record_type: type[Record], count: int) -> DecodeError:
    """Return the error for bytes after the end of a record."""
    return DecodeError(f"{record_type.__name__}: {count} bytes too many")


def _value_encoder(type_: Type) -> Callable[[object], bytes]:
    """Return the encoder of a type, nulls aside."""
    encode: object
    match type_:
        case Primitive(name):
            encode = _PRIMITIVE_ENCODERS[name]
        case Enum():
            encode = partial(_encode_symbol, type_)
        case RecordDefinition():
            encode = encoder_maker(type_)(b"")
        case array:
            encode = partial(_encode_items, array.items)
    return cast("Callable[[object], bytes]", encode)


def _encode_symbol(enum: Enum, value: str) -> bytes:
    if not isinstance(value, str) or value not in enum.symbols:
        message = f"{value!r} is not one of {', '.join(enum.symbols)}"
        raise EncodeError(message)
    return encode_long(enum.symbols.index(value))


def _encode_items(items: RecordDefinition, value: tuple[object, ...]) -> bytes:
    return encode_array(value, encoder_maker(items)(b""))


def _encode_boolean(value: object) -> bytes:
    if not isinstance(value, bool):
        message = f"{value!r} is not a boolean"
        raise EncodeError(message)
    return b"\x01" if value else b"\x00"


_PRIMITIVE_ENCODERS: Final[Mapping[str, object]] = {
    "string": encode_string,
    "bytes": encode_bytes,
    "boolean": _encode_boolean,
    "long": encode_long,
    "date": encode_date,
}


@cache
def encoder_maker(definition: RecordDefinition) -> Callable[[bytes], Callable[[object], bytes]]:
    """Return the generated `make(header)` of an encoder."""
    made = _translated().get(f"encoder_of_{definition.name}") or _run(
        encoder_source(definition), definition, "make"
    )
    return cast("Callable[[bytes], Callable[[object], bytes]]", made)


@cache
def decoder_maker(definition: RecordDefinition) -> Callable[[bytes, Callable[..., Record]], object]:
    """Return the generated `make(header, foreign)` of a decoder."""
    made = _translated().get(f"decoder_of_{definition.name}") or _run(
        decoder_source(definition), definition, "make"
    )
    return cast("Callable[[bytes, Callable[..., Record]], object]", made)


@cache
def _translated() -> Mapping[str, object]:
    """Return what there is in C, by name; nothing where this is not the copy that `make compiled` made."""
    return vars(import_module(TRANSLATED)) if find_spec(TRANSLATED) else {}


def _run(source: str, definition: RecordDefinition, result: str) -> object:
    names = dict(_shared_names())
    for part in parts(definition):
        names[f"encode_{part.name}"] = encoder_maker(part)(b"")
        names[f"decode_{part.name}"] = _run(part_decoder_source(part), part, "decode")
    exec(compile(source, f"<generated for {definition.name}>", "exec"), names)  # noqa: S102 - our own text
    return names[result]


@cache
def _shared_names() -> Mapping[str, object]:
    """Return what the generated text calls things by; the memos in it serve every codec of the process."""
    return {
        **{name: getattr(records, name) for name in all_records()},
        **_enum_names(),
        **_memo_names("strings", encode_string),
        **_memo_names("longs", encode_long),
        **_memo_names("dates", encode_date),
        **_memo_names("booleans", _encode_boolean),
        "times": Pieces(encode_long, TIME_MEMO_LIMIT),
        "texts": Strings(),
        "time_windows": Windows(TIME_BYTES, decode_long, TIME_MEMO_LIMIT),
        "date_windows": Windows(DATE_BYTES, decode_date),
        "read_boolean": {0: False, 1: True},
        "past": tuple(_past(byte) for byte in range(256)),
        "zigzag": tuple(decode_long(bytes((byte,)), 0)[0] for byte in range(128)),
        "null": NULL,
        "present": PRESENT,
        "join": b"".join,
        "encode_long": encode_long,
        "ends": ENDS,
        "goes_on": GOES_ON,
        "encode_array": encode_array,
        "decode_long": decode_long,
        "decode_string": decode_string,
        "decode_bytes": decode_bytes,
        "decode_date": decode_date,
        "decode_array": decode_array,
        "encode_errors": (EncodeError, KeyError, TypeError, AttributeError, UnicodeEncodeError),
        "decode_errors": (DecodeError, IndexError, KeyError, UnicodeDecodeError),
        "refused": refused,
        "unreadable": unreadable,
        "trailing": trailing,
    }


def _memo_names(name: str, encode: Callable[[K], bytes]) -> Mapping[str, object]:
    return {name: Pieces(encode), f"nullable_{name}": Pieces(nullable(encode))}


def _enum_names() -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name in names():
        if isinstance(named(name), Enum):
            members = list(cast("type[StrEnum]", getattr(records, name)))
            found[f"write_{name}"] = {member: encode_long(place) for place, member in enumerate(members)}
            found[f"nullable_write_{name}"] = {None: NULL} | {
                member: PRESENT + encode_long(place) for place, member in enumerate(members)
            }
            found[f"read_{name}"] = {2 * place: member for place, member in enumerate(members)}
            found[f"zero_{name}"] = members[0]
    return found


def _past(byte: int) -> int:
    """Return the way past a text that begins with this byte; too far where the byte alone does not say it."""
    one_byte_length = byte in range(0, 128, 2)
    return 1 + byte // 2 if one_byte_length else _HUGE
