"""One record of a topic as it is shown: a line of an event file, or a line for people.

It decides how numbers, times and what cannot be decoded look. It knows nothing of where records come from.
"""

import base64
import datetime as dt
from functools import cache
from typing import NamedTuple

import msgspec
from confluent_kafka import Message

from bourse.cli.wire import CHANGELOG, Wire
from bourse.schemas.codec import DecodeError
from bourse.schemas.definitions import all_records
from bourse.schemas.records import Record
from bourse.settings import Settings

UNITS = 10_000  # Prices and cash are in 1/10,000 of the currency unit.
NANOSECONDS = 1_000_000_000
DIM, BOLD, RED, PLAIN = "\033[2m", "\033[1m", "\033[31m", "\033[0m"
COLOURS = tuple(f"\033[{code}m" for code in (36, 32, 33, 35, 34, 96, 92, 93, 95, 94))


class Shown(NamedTuple):
    """A record with its place; `record` is None for one that cannot be decoded (`error` says why) or is deleted."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    record: Record | None
    error: str | None

    @classmethod
    def of(cls, message: Message, wire: Wire, settings: Settings) -> "Shown":
        """Decode a message of Kafka."""
        topic, value = settings.contract_topic(message.topic()), message.value()
        record, error = _decode(wire, topic, value)
        place = (topic, message.partition(), message.offset(), message.timestamp()[1])
        return cls(*place, message.key(), value, record, error)


def json_line(shown: Shown, *, colour: bool) -> str:  # noqa: ARG001 - the same shape as text_line
    """Return a line of an event file; one that cannot be decoded has no value, but its bytes and what is wrong."""
    key = _text(shown.key)
    line: dict[str, object] = {
        "topic": shown.topic,
        "partition": shown.partition,
        "offset": shown.offset,
        "timestamp_ms": shown.timestamp_ms,
        "key": key,
        "value": shown.record,
    }
    if key is None and shown.key is not None:
        line["key_base64"] = _base64(shown.key)
    if shown.error is not None:
        line |= {"error": shown.error, "value_base64": _base64(shown.value or b"")}
    return msgspec.json.encode(line).decode() + "\n"


def text_line(shown: Shown, *, colour: bool) -> str:
    """Return a line for people: time, place, key, and the fields that say something."""
    clock = dt.datetime.fromtimestamp(shown.timestamp_ms / 1000, dt.UTC).strftime("%H:%M:%S.%f")[:-3]
    place = f"{shown.topic}/{shown.partition}/{shown.offset}"
    key = _harmless(_text(shown.key) or _base64(shown.key or b"")) or "-"
    body = _body(shown, colour=colour)
    if not colour:
        return f"{clock} {place:<30} {key:<16} {body}\n"
    return f"{DIM}{clock}{PLAIN} {_colour_of(shown.topic)}{place:<30}{PLAIN} {BOLD}{key:<16}{PLAIN} {body}\n"


def _decode(wire: Wire, topic: str, value: bytes | None) -> tuple[Record | None, str | None]:
    if value is None and topic == CHANGELOG:
        return None, None
    try:
        return wire.decode(topic, value), None
    except DecodeError as error:
        return None, str(error)


def _body(shown: Shown, *, colour: bool) -> str:
    if shown.error is not None:
        text = f"not readable ({_harmless(shown.error)}): {_base64(shown.value or b'')}"
        return f"{RED}{text}{PLAIN}" if colour else text
    if shown.record is None:
        return "deleted"
    fields = (
        (name, _harmless(_value(unit, value)))
        for name, unit, default in _fields(type(shown.record))
        if (value := getattr(shown.record, name)) != default and value is not None
    )
    return " ".join(f"{DIM}{name}={PLAIN}{text}" if colour else f"{name}={text}" for name, text in fields)


@cache
def _fields(record_type: type[Record]) -> tuple[tuple[str, str | None, object], ...]:
    """Return each field with its unit and its default."""
    units = {field.name: field.unit for field in all_records()[record_type.__name__].fields}
    return tuple(
        (field.name, units[field.name], field.default) for field in msgspec.structs.fields(record_type)
    )


def _value(unit: str | None, value: object) -> str:
    match unit, value:
        case "price" | "cash", int():
            return _money(value)
        case "time_ns", int():
            return _time(value)
        case _, msgspec.Struct() | tuple():
            return msgspec.json.encode(value).decode()
        case _, bytes():
            return _base64(value)
        case _:
            return str(value)


def _money(units: int) -> str:
    """Return an amount in the currency unit, with two decimals or as many as it has."""
    whole, rest = divmod(abs(units), UNITS)
    decimals = f"{rest:04d}"
    return f"{'-' if units < 0 else ''}{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, NANOSECONDS)
    try:
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _harmless(text: str) -> str:
    """Return a text from outside with its control characters spelled out: a terminal would obey them."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _colour_of(topic: str) -> str:
    return COLOURS[sum(topic.encode()) % len(COLOURS)]
