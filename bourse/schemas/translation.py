"""The source text of one typed module with the encoder and the decoder of every record, for mypyc to translate to C.

`make compiled` runs `python -m bourse.schemas.translation` and has `translated.py` beside this file in its copy of the package;
`compiled.py` prefers what it finds there. Where `codegen.py` avoids work that Python is slow at (memos, look-ups, one join), here a
field is a call of `native.py`, which costs next to nothing once it is C. Both are held to fastavro by the same tests.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from bourse.schemas.codegen import REPEATED_TEXTS
from bourse.schemas.definitions import (
    Enum,
    Field,
    Primitive,
    PrimitiveName,
    RecordDefinition,
    all_records,
    named,
    names,
    parts,
)

MODULE: Final = "bourse.schemas.translated"

_HEAD: Final = '''\
"""Written by `python -m bourse.schemas.translation`: change that, not this."""

from collections.abc import Callable
from typing import Any, Final

from librt.strings import BytesWriter
from msgspec.structs import astuple
from mypy_extensions import i64, u8

from bourse.schemas.compiled import refused, trailing, unreadable
from bourse.schemas.native import (
    get_array,
    get_boolean,
    get_date,
    get_extent,
    get_long,
    put_boolean,
    put_bytes,
    put_long,
    put_string,
)
from bourse.schemas.records import {records}
from bourse.schemas.wire import DecodeError, Pieces, Strings, encode_date, encode_long

_TEXTS: Final = Strings()
_DATES: Final = Pieces(encode_date)
_ENCODE_ERRORS: Final = (TypeError, KeyError, ValueError, OverflowError, AttributeError)
_DECODE_ERRORS: Final = (DecodeError, IndexError, KeyError, UnicodeDecodeError)
'''


def module_source() -> str:
    """Return the module: `encoder_of_X(header)` and `decoder_of_X(header, foreign)` for every record X."""
    definitions = all_records().values()
    enums = [found for name in names() if isinstance(found := named(name), Enum)]
    imported = sorted({*all_records(), *(enum.name for enum in enums)})
    inner = {part.name for definition in definitions for part in parts(definition)}
    chunks = [_HEAD.format(records=f"({', '.join(imported)})"), *map(_enum, enums)]
    for definition in definitions:
        chunks += [_put(definition), _encoder(definition), _decoder(definition)]
        if definition.name in inner:
            chunks.append(_get(definition))
    return "\n\n".join(chunks)


def _enum(enum: Enum) -> str:
    return (
        f"_WRITE_{enum.name}: Final[dict[Any, bytes]] = {{m: encode_long(n) for n, m in enumerate({enum.name})}}\n"
        f"_READ_{enum.name}: Final[dict[int, {enum.name}]] = {{2 * n: m for n, m in enumerate({enum.name})}}\n"
    )


def _put(record: RecordDefinition) -> str:
    """Return the function that writes a record's fields."""
    return (
        f"def _put_{record.name}(w: BytesWriter, o: Any) -> None:\n"
        f"    if type(o) is not {record.name}:\n"
        "        raise TypeError\n"
        "    t: tuple[Any, ...] = astuple(o)\n"
        f"{_indented(_put_lines(record.fields), 4)}"
    )


def _put_lines(fields: Iterable[Field]) -> Iterator[str]:
    for place, field in enumerate(fields):
        value = f"t[{place}]"
        if not field.nullable:
            yield from _put_value_lines(field, value)
        else:
            yield f"if {value} is None:"
            yield "    w.append(u8(0))"
            yield "else:"
            yield "    w.append(u8(2))"
            yield from (f"    {line}" for line in _put_value_lines(field, value))


def _put_value_lines(field: Field, value: str) -> tuple[str, ...]:
    match field.type:
        case Primitive("date"):
            return (f"w.write(_DATES[{value}])",)
        case Primitive(name):
            return (f"put_{name}(w, {value})",)
        case Enum(name):
            return (f"w.write(_WRITE_{name}[{value}])",)
        case RecordDefinition(name):
            return (f"_put_{name}(w, {value})",)
        case array:
            return (
                f"if type({value}) is not tuple:",
                "    raise TypeError",
                f"if {value}:",
                f"    put_long(w, len({value}))",
                f"    for item in {value}:",
                f"        _put_{array.items.name}(w, item)",
                "w.append(u8(0))",
            )


def _encoder(record: RecordDefinition) -> str:
    return (
        f"def encoder_of_{record.name}(header: bytes) -> Callable[[Any], bytes]:\n"
        "    def encode(o: Any) -> bytes:\n"
        "        w = BytesWriter()\n"
        "        w.write(header)\n"
        "        try:\n"
        f"            _put_{record.name}(w, o)\n"
        "        except _ENCODE_ERRORS as error:\n"
        f"            raise refused(o, {record.name}) from error\n"
        "        return w.getvalue()\n"
        "    return encode\n"
    )


def _decoder(record: RecordDefinition) -> str:
    name = record.name
    return (
        f"def decoder_of_{name}(header: bytes, foreign: Callable[[bytes | None], {name}])"
        f" -> Callable[[bytes | None], {name}]:\n"
        f"    def decode(b: bytes | None) -> {name}:\n"
        "        if b is None or b[:5] != header:\n"
        "            return foreign(b)\n"
        "        p: i64 = 5\n"
        f"{_indented(_declarations(), 8)}"
        "        try:\n"
        f"{_indented(_get_lines(record), 12)}"
        "        except _DECODE_ERRORS as error:\n"
        f"            raise unreadable({name}, p, error) from error\n"
        "        n: i64 = len(b)\n"
        "        if p != n:\n"
        f"            raise trailing({name}, n - p)\n"
        f"        return {name}({_values(record)})\n"
        "    return decode\n"
    )


def _get(record: RecordDefinition) -> str:
    """Return the function that reads a record within another one, to the record and the place after it."""
    return (
        f"def _get_{record.name}(b: bytes, p: i64) -> tuple[{record.name}, i64]:\n"
        f"{_indented(_declarations(), 4)}"
        f"{_indented(_get_lines(record), 4)}"
        f"    return {record.name}({_values(record)}), p\n"
    )


def _declarations() -> Iterator[str]:
    yield "y: i64 = 0"
    yield "begin: i64 = 0"
    yield "end: i64 = 0"


def _get_lines(record: RecordDefinition) -> Iterator[str]:
    for field in record.fields:
        target = f"v_{field.name}"
        # Any: a record's constructor takes objects, whatever a type checker knows of their units.
        yield f"{target}: Any = None"
        if not field.nullable:
            yield from _get_value_lines(field, target)
            continue
        yield "y = b[p]"
        yield "p += 1"
        yield "if y == 2:"
        yield from (f"    {line}" for line in _get_value_lines(field, target))
        yield "elif y != 0:"
        yield "    raise KeyError(y)"


def _get_value_lines(field: Field, target: str) -> tuple[str, ...]:
    """Return the statements that read one value at p and move p past it."""
    match field.type:
        case Primitive(name):
            return _get_primitive_lines(field, name, target)
        case Enum(name):
            return (f"{target} = _READ_{name}[b[p]]", "p += 1")
        case RecordDefinition(name):
            return (f"{target}, p = _get_{name}(b, p)",)
        case array:
            return (f"{target}, p = get_array(b, p, _get_{array.items.name})",)


def _get_primitive_lines(field: Field, name: PrimitiveName, target: str) -> tuple[str, ...]:
    match name:
        case "string":
            text = "_TEXTS[b[begin:end]]" if field.name in REPEATED_TEXTS else "b[begin:end].decode()"
            return ("begin, end = get_extent(b, p)", f"{target} = {text}", "p = end")
        case "bytes":
            return ("begin, end = get_extent(b, p)", f"{target} = b[begin:end]", "p = end")
        case "long":
            return ("y, p = get_long(b, p)", f"{target} = y")
        case "date":
            return (f"{target}, p = get_date(b, p)",)
        case _:
            return (f"{target} = get_boolean(b, p)", "p += 1")


def _values(record: RecordDefinition) -> str:
    return ", ".join(f"v_{field.name}" for field in record.fields)


def _indented(lines: Iterable[str], by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(module_source())
