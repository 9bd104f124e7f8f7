"""The source text of straight-line encoders and decoders, one for each record definition.

Decides which pieces of `wire.py` a field is made of, and which fields are worth a memo. A field at a time, no loops, no
look-ups by name: that is where the speed comes from. The names in the text are bound by `codec.py`.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from bourse.schemas.definitions import Enum, Field, Primitive, PrimitiveName, RecordDefinition
from bourse.schemas.wire import DATE_BYTES, TIME_BYTES

# Texts that repeat from record to record; every other text (ids above all) is as good as unique.
REPEATED_TEXTS: Final = frozenset(
    {
        "account_id",
        "asset",
        "contra_account_id",
        "currency",
        "market",
        "oco_group",
        "participant_id",
        "reason",
        "stage",
        "symbol",
        "topic",
        "venue",
    },
)
_REPEATED_UNITS: Final = frozenset({"price", "quantity"})
_REPEATED_ENDINGS: Final = ("_bps", "_days")
# `encode_long` up to six bytes (a balance of 219 million in cash) without the call, which costs as much as the work.
_UNROLLED_LONG: Final = (
    "ends[z] if (z := v << 1 if v >= 0 else ~(v << 1)) < 16384 else"
    " goes_on[z & 16383] + ends[z >> 14] if z < 268435456 else"
    " goes_on[z & 16383] + goes_on[z >> 14 & 16383] + ends[z >> 28] if z < 4398046511104 else"
    " encode_long(v)"
)
_UNROLLED_BYTES: Final = 5  # Up to 1.7 million in cash, and every price.
# Fields that are mostly absent: a run of them is read by one comparison with zero bytes, and one by one if that fails.
_MOSTLY_ABSENT: Final = frozenset(
    {
        "display_quantity",
        "expire_time_ns",
        "oco_group",
        "post_only",
        "reason",
        "self_trade_prevention",
        "stop_price",
        "target_client_order_id",
        "target_order_id",
        "text",
        "trail_amount",
    },
)


def encoder_source(record: RecordDefinition) -> str:
    """Return `make(header)`, which returns `encode(o)`: a record to header and body."""
    pieces = "".join(f"                {_piece(field)},\n" for field in record.fields)
    return (
        "def make(header):\n"
        "    def encode(o):\n"
        f"        if o.__class__ is not {record.name}:\n"
        f"            raise refused(o, {record.name})\n"
        "        try:\n"
        "            return join((\n"
        "                header,\n"
        f"{pieces}"
        "            ))\n"
        "        except encode_errors as error:\n"
        f"            raise refused(o, {record.name}) from error\n"
        "    return encode\n"
    )


def _piece(field: Field) -> str:
    """Return the expression, or two, of a field's bytes."""
    match field.type:
        case Primitive(name):
            return _primitive_piece(field, name)
        case Enum(name):
            return _memo(field, f"write_{name}")
        case RecordDefinition(name):
            return _called(field, f"encode_{name}")
        case array:
            return f"encode_array(o.{field.name}, encode_{array.items.name})"


def _primitive_piece(field: Field, name: PrimitiveName) -> str:
    match name:
        case "string":
            return _memo(field, "strings") if field.name in REPEATED_TEXTS else _sized(field, ".encode()")
        case "bytes":
            return _sized(field, "")
        case "date" | "boolean":
            return _memo(field, f"{name}s")
        case _:
            return _long_piece(field)


def _long_piece(field: Field) -> str:
    if field.unit == "time_ns" and not field.nullable:
        return f"times[o.{field.name}]"
    if field.unit in _REPEATED_UNITS or field.name.endswith(_REPEATED_ENDINGS):
        return _memo(field, "longs")
    if field.nullable:
        return _called(field, "encode_long")
    return f"({_UNROLLED_LONG}) if (v := o.{field.name}).__class__ is int else encode_long(v)"


def _memo(field: Field, name: str) -> str:
    return f"{'nullable_' if field.nullable else ''}{name}[o.{field.name}]"


def _called(field: Field, function: str) -> str:
    call = f"{function}(o.{field.name})"
    return f"null if o.{field.name} is None else present + {call}" if field.nullable else call


def _sized(field: Field, suffix: str) -> str:
    if field.nullable:
        return f"null if (v := o.{field.name}) is None else present + longs[len(e := v{suffix})] + e"
    return f"longs[len(e := o.{field.name}{suffix})], e"


def decoder_source(record: RecordDefinition) -> str:
    """Return `make(header, foreign)`, which returns `decode(b)`: header and body to a record.

    Bytes with another header, or none, go to `foreign(b)`.
    """
    return (
        "def make(header, foreign):\n"
        "    def decode(b):\n"
        "        if b is None or b[:5] != header:\n"
        "            return foreign(b)\n"
        "        n = len(b)\n"
        "        p = 5\n"
        "        try:\n"
        f"{_indented(_lines(record), 12)}"
        "        except decode_errors as error:\n"
        f"            raise unreadable({record.name}, p, error) from error\n"
        "        if p != n:\n"
        f"            raise trailing({record.name}, n - p)\n"
        f"        return {record.name}({_values(record)})\n"
        "    return decode\n"
    )


def part_decoder_source(record: RecordDefinition) -> str:
    """Return `decode(b, p)`: a record within another one at p, to the record and the place after it."""
    return (
        "def decode(b, p):\n"
        "    n = len(b)\n"
        f"{_indented(_lines(record), 4)}"
        f"    return {record.name}({_values(record)}), p\n"
    )


def _values(record: RecordDefinition) -> str:
    return ", ".join(f"v_{field.name}" for field in record.fields)


def _indented(lines: Iterator[str], by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in lines)


def _lines(record: RecordDefinition) -> Iterator[str]:
    """Yield the statements that read a record's fields."""
    for absent, fields in groupby(record.fields, key=_is_mostly_absent):
        if absent:
            yield from _run_lines(tuple(fields))
        else:
            yield from (line for field in fields for line in _field_lines(field))


def _is_mostly_absent(field: Field) -> bool:
    one_byte_says_it = field.nullable or isinstance(field.type, Enum) or field.type == Primitive("boolean")
    return field.name in _MOSTLY_ABSENT and one_byte_says_it


def _zero(field: Field) -> str:
    """Return what one zero byte says for a field that is mostly absent."""
    if field.nullable:
        return "None"
    return f"zero_{field.type.name}" if isinstance(field.type, Enum) else "False"


def _run_lines(run: tuple[Field, ...]) -> Iterator[str]:
    yield f"if b[p:p+{len(run)}] == {bytes(len(run))!r}:"
    yield from (f"    v_{field.name} = {_zero(field)}" for field in run)
    yield f"    p += {len(run)}"
    yield "else:"
    yield from (f"    {line}" for field in run for line in _field_lines(field))


def _field_lines(field: Field) -> Iterator[str]:
    target = f"v_{field.name}"
    if not field.nullable:
        yield from _value_lines(field, target)
        return
    yield "y = b[p]"
    yield "p += 1"
    yield "if y == 2:"
    yield from (f"    {line}" for line in _value_lines(field, target))
    yield "elif y == 0:"
    yield f"    {target} = None"
    yield "else:"
    yield "    raise KeyError(y)"


def _value_lines(field: Field, target: str) -> tuple[str, ...]:
    """Return the statements that read one value at p and move p past it."""
    match field.type:
        case Primitive(name):
            return _primitive_lines(field, name, target)
        case Enum(name):
            return (f"{target} = read_{name}[b[p]]", "p += 1")
        case RecordDefinition(name):
            return (f"{target}, p = decode_{name}(b, p)",)
        case array:
            return (f"{target}, p = decode_array(b, p, decode_{array.items.name})",)


def _primitive_lines(field: Field, name: PrimitiveName, target: str) -> tuple[str, ...]:
    match name:
        case "string":
            repeats = field.name in REPEATED_TEXTS
            return _sized_lines(
                target, "decode_string", "texts[b[p+1:q]]" if repeats else "b[p+1:q].decode()"
            )
        case "bytes":
            return _sized_lines(target, "decode_bytes", "b[p+1:q]")
        case "long":
            is_time = field.unit == "time_ns"
            return (
                _window_lines(target, "time", TIME_BYTES, "long") if is_time else tuple(_long_lines(target))
            )
        case "date":
            return _window_lines(target, "date", DATE_BYTES, "date")
        case _:
            return (f"{target} = read_boolean[b[p]]", "p += 1")


def _sized_lines(target: str, slow: str, fast: str) -> tuple[str, ...]:
    # `past` has the way to the end of a text by its first byte, and a huge one where that is not a one-byte length.
    return (
        "q = p + past[b[p]]",
        "if q > n:",
        f"    {target}, p = {slow}(b, p)",
        "else:",
        f"    {target} = {fast}",
        "    p = q",
    )


def _window_lines(target: str, windows: str, length: int, slow: str) -> tuple[str, ...]:
    return (
        f"{target} = {windows}_windows[b[p:p+{length}]]",
        f"if {target} is None:",
        f"    {target}, p = decode_{slow}(b, p)",
        "else:",
        f"    p += {length}",
    )


def _long_lines(target: str) -> Iterator[str]:
    """Yield the statements for a varint of up to five bytes, one `if` deeper for each; longer ones are rare."""
    yield "y = b[p]"
    yield "if y < 128:"
    yield f"    {target} = zigzag[y]"
    yield "    p += 1"
    yield "else:"
    for more in range(1, _UNROLLED_BYTES):
        inset = "    " * more
        yield f"{inset}z = b[p+{more}]"
        yield f"{inset}y += (z << {7 * more}) - {128 << 7 * (more - 1)}"
        yield f"{inset}if z < 128:"
        yield f"{inset}    {target} = (y >> 1) ^ -(y & 1)"
        yield f"{inset}    p += {more + 1}"
        yield f"{inset}else:"
    yield f"{'    ' * _UNROLLED_BYTES}{target}, p = decode_long(b, p)"
