"""Entries out of event files: the lines of `bourse tail --json`, and those of `bourse simulate` with their inputs.

A line without a place is the next record of its topic in partition 0. Inputs and what was simulated from them are two
files, in which an inner topic may begin twice; so each file counts by itself.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from bourse.audit.entries import CHANGELOG, TOPIC_RECORDS, Entry
from bourse.schemas.jsonform import JsonFormError, from_json, text_reader
from bourse.schemas.records import Record


class Line(msgspec.Struct, frozen=True):
    """A line of an event file; where `value` is missing, `value_base64` has bytes that are no record."""

    topic: str
    value: msgspec.Raw = msgspec.Raw()
    key: str | None = None
    partition: int | None = None
    offset: int | None = None
    timestamp_ms: int = 0
    value_base64: str | None = None


_read_line = text_reader(Line)
_read_value = text_reader(object)


def read_lines(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a file; JsonFormError names the line (from 1). Lines of the changelog are left out."""
    counts: Counter[str] = Counter()
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = _read_line(text)
        except JsonFormError as error:
            message = f"line {number}: {error}"
            raise JsonFormError(message) from error
        if line.topic == CHANGELOG:
            continue
        if line.topic not in TOPIC_RECORDS:
            message = f"line {number}: there is no topic {line.topic!r} to audit"
            raise JsonFormError(message)
        offset = counts[line.topic] if line.offset is None else line.offset
        counts[line.topic] += 1
        record, value = _record(line)
        yield Entry(line.topic, line.partition or 0, offset, line.timestamp_ms, line.key, record, value)


def _record(line: Line) -> tuple[Record | None, bytes | None]:
    """Return the record and what its bytes are; what is no record is poison, as it is for the stages."""
    if line.value_base64 is not None:
        return None, base64.b64decode(line.value_base64)
    value = bytes(line.value)
    try:
        record = from_json(TOPIC_RECORDS[line.topic], _read_value(value))
    except JsonFormError:
        return None, value
    return record, None
