"""Event files on their way to Kafka: each line checked, keyed and encoded before anything is sent.

It decides what a line means for a topic's key and partition. It knows nothing of how records are sent.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bourse.cli.errors import CliError
from bourse.cli.lines import read_lines
from bourse.cli.wire import Wire, definition
from bourse.pipeline.envelope import key_of
from bourse.pipeline.flow import Keyed, TopicDefinition
from bourse.schemas.codec import EncodeError
from bourse.schemas.jsonform import JsonFormError, from_json, text_reader

# So many records are kept from the check for the sending (some hundred megabytes); a longer file is read again.
HELD_RECORDS = 1_000_000


class Line(msgspec.Struct, frozen=True):
    """A line as `bourse tail --json` writes it; where a record was says where it goes only if its key does not."""

    topic: str
    value: dict[str, object]
    key: str | None = None
    partition: int | None = None


_read_line = text_reader(Line)


class Outgoing(NamedTuple):
    """One record to publish; no partition means that the key decides."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None


class EventFile:
    """An event file that has been checked from its first to its last line."""

    def __init__(self, path: Path, wire: Wire, partitions: int) -> None:
        """Check the whole file; raises CliError with the number of the first line that cannot be published."""
        self._path = path
        self._wire = wire
        self._partitions = partitions
        self._held: list[Outgoing] | None = []
        self.count = 0
        for record in self._read():
            self.count += 1
            self._hold(record)

    def __iter__(self) -> Iterator[Outgoing]:
        """Yield the records in the file's order."""
        return self._read() if self._held is None else iter(self._held)

    def _hold(self, record: Outgoing) -> None:
        if self._held is not None:
            self._held.append(record)
        if self.count > HELD_RECORDS and self._path.is_file():
            self._held = None

    def _read(self) -> Iterator[Outgoing]:
        for number, line in enumerate(read_lines(self._path), 1):
            if line.strip():
                try:
                    yield from self._outgoing(line)
                except (JsonFormError, EncodeError) as error:
                    msg = f"{self._path}, line {number}: {error}."
                    raise CliError(msg, "Nothing was published.") from None

    def _outgoing(self, text: bytes) -> Iterator[Outgoing]:
        line = _read_line(text)
        topic = _topic_of(line)
        record = from_json(topic.record_type, line.value)
        key = line.key if line.key is not None else key_of(topic, record) or ""
        value = self._wire.encode(topic.name, record)
        for partition in self._places(topic, line):
            yield Outgoing(topic.name, key.encode(), value, partition)

    def _places(self, topic: TopicDefinition, line: Line) -> list[int | None]:
        """Return the partition for each copy: one that the key decides, save for what is in every partition."""
        if topic.keyed is not Keyed.EVERY_PARTITION:
            return [None]
        return [line.partition] if line.partition is not None else list(range(self._partitions))


def _topic_of(line: Line) -> TopicDefinition:
    try:
        return definition(line.topic)
    except CliError as error:
        raise JsonFormError(f"{error.problem} {error.advice}".rstrip(".")) from None
