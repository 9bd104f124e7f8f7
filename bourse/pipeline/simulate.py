"""The whole flow in memory, over an event file: the same stages, one partition, no broker, no clock.

Each line enters at the stages that read its topic, and all that follows from it is worked off, first in first out,
before the next line. What a worker would send to `dead-letters` goes there here too. Files are opened by the caller.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from bourse.pipeline.envelope import cause_of, check_texts, key_of, nanoseconds, time_of
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import STAGES, TOPICS, Read, Stage, TopicDefinition, check_outputs
from bourse.pipeline.ids import position
from bourse.pipeline.letters import dead_letter
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.state import State
from bourse.schemas.jsonform import JsonFormError, event_line, from_json, text_reader, to_json_bytes
from bourse.schemas.units import TimeNs

PARTITION: Final = 0


class SimEvent(NamedTuple):
    """A record of a topic. An input may leave out its key."""

    topic: Topic
    key: str | None
    record: Record
    timestamp_ms: int = 0


class _Line(msgspec.Struct, frozen=True):
    topic: str
    value: msgspec.Raw
    key: str | None = None
    timestamp_ms: int = 0


class _Place(NamedTuple):
    """Where a record stands in its topic, and what it is called as a cause."""

    topic: Topic
    offset: int
    key: str | None
    cause: str
    time_ns: TimeNs


class _Input(NamedTuple):
    """A record on its way to the stages that read its topic."""

    place: _Place
    record: Record
    original: bytes | None
    writer: str | None


_read_line = text_reader(_Line)
_read_value = text_reader(object)
_READERS: Final = {
    topic: tuple((stage, read) for stage in STAGES for read in stage.reads if read.topic is topic)
    for topic in Topic
}
_STAGE_NAMES: Final = frozenset(stage.name for stage in STAGES)
_INNER: Final = frozenset(topic for topic in Topic if _READERS[topic])


def simulate(events: Iterable[SimEvent]) -> Iterator[SimEvent]:
    """Yield every output record of every topic, in order.

    Raises:
        JsonFormError: an event's topic is one that only stages write and only people read.
        InvariantBroken: the flow's state cannot be; nothing after it would mean anything.
    """
    simulation = Simulation()
    for event in events:
        yield from simulation.feed(event)


def simulate_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of the output event file for the lines of an input one.

    Raises:
        JsonFormError: a line is no event, or its topic is none that a stage reads; the text has its number, from 1.
        InvariantBroken: as for `simulate`.
    """
    simulation = Simulation()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                outputs = simulation.feed_line(line)
            except JsonFormError as error:
                message = f"line {number}: {error}"
                raise JsonFormError(message) from error
            for event in outputs:
                yield event_line(event.topic, event.key, event.record)


class Simulation:
    """The flow, its state, and how many records each topic had so far."""

    def __init__(self) -> None:
        self.state = State.in_memory()
        self._fed: Counter[Topic] = Counter()
        self._written: Counter[Topic] = Counter()

    def feed(self, event: SimEvent) -> list[SimEvent]:
        """Take one record in and return all that follows from it."""
        return self._take(event, None)

    def feed_line(self, line: bytes) -> list[SimEvent]:
        """Take in one line of an event file; a value that is no record of its topic is a dead letter."""
        read = _read_line(line)
        definition = _definition(read.topic)
        original = bytes(read.value)
        try:
            record = from_json(definition.record_type, _read_value(original))
        except JsonFormError as error:
            return self._undecodable(definition, read, original, str(error))
        return self._take(SimEvent(definition.name, read.key, record, read.timestamp_ms), original)

    def _take(self, event: SimEvent, original: bytes | None) -> list[SimEvent]:
        definition = _definition(event.topic)
        key = key_of(definition, event.record) if event.key is None else event.key
        offset = self._next_offset(definition.name)
        place = _place(definition.name, offset, key, event.record, event.timestamp_ms)
        return self._work_off(_Input(place, event.record, original, None))

    def _next_offset(self, topic: Topic) -> int:
        offset = self._fed[topic]
        self._fed[topic] += 1
        return offset

    def _work_off(self, entering: _Input) -> list[SimEvent]:
        """Let one record and all that follows from it pass through the stages, first in first out."""
        written: list[SimEvent] = []
        waiting = deque((entering,))
        while waiting:
            record = waiting.popleft()
            for stage, read in _READERS[record.place.topic]:
                if _concerns(read, record):
                    self._handle(stage, record, written, waiting)
        return written

    def _handle(
        self, stage: Stage, entering: _Input, written: list[SimEvent], waiting: deque[_Input]
    ) -> None:
        place, record = entering.place, entering.record
        try:
            _check_key(entering)
            if entering.writer is None:
                check_texts(place.topic, record)
            outputs = stage.handle(self.state, place.topic, place.cause, record, place.time_ns)
        except NotOurs as error:
            value = to_json_bytes(record) if entering.original is None else entering.original
            written.append(_dead_letter(stage, place, value, str(error)))
            return
        check_outputs(stage, outputs)
        for topic, key, output, _ in outputs:
            written.append(SimEvent(topic, key, output))
            if topic in _INNER:
                waiting.append(_Input(self._inner_place(topic, key, output), output, None, stage.name))

    def _inner_place(self, topic: Topic, key: str, record: Record) -> _Place:
        offset = self._written[topic]
        self._written[topic] += 1
        return _place(topic, offset, key, record, 0)

    def _undecodable(
        self, definition: TopicDefinition, line: _Line, original: bytes, error: str
    ) -> list[SimEvent]:
        """Return the dead letter of a value that is no record; it takes up an offset like any other."""
        offset = self._next_offset(definition.name)
        cause = position(definition.name, PARTITION, offset)
        place = _Place(definition.name, offset, line.key, cause, nanoseconds(line.timestamp_ms))
        # Each record is decoded once, for the first of the stages that read it.
        return [_dead_letter(stage, place, original, error) for stage, _ in _READERS[definition.name][:1]]


def _definition(topic: str) -> TopicDefinition:
    """Return the topic of an input; what no stage writes may come in even where no stage reads it yet."""
    known = next((definition for name, definition in TOPICS.items() if name == topic), None)
    if known is None:
        message = f"there is no topic {topic!r}"
        raise JsonFormError(message)
    if known.name not in _INNER and _STAGE_NAMES.intersection(known.written_by):
        message = f"no stage reads {topic}: it is for {' and '.join(known.read_by)}"
        raise JsonFormError(message)
    return known


def _place(topic: Topic, offset: int, key: str | None, record: Record, timestamp_ms: int) -> _Place:
    cause = cause_of(record, topic, PARTITION, offset)
    return _Place(topic, offset, key, cause, time_of(record, timestamp_ms))


def _concerns(read: Read, entering: _Input) -> bool:
    """Say whether a stage that reads the topic reads this record of it; what comes from outside has no writer."""
    if entering.writer is not None and read.from_stage not in {None, entering.writer}:
        return False
    return read.concerns is None or read.concerns(entering.record)


def _check_key(entering: _Input) -> None:
    definition, key = TOPICS[entering.place.topic], entering.place.key
    expected = key_of(definition, entering.record)
    if expected is not None and key != expected:
        message = f"key {key!r:.80} is not the record's {definition.key_field} {expected!r:.80}"
        raise NotOurs(message)


def _dead_letter(stage: Stage, place: _Place, value: bytes, error: str) -> SimEvent:
    key = None if place.key is None else place.key.encode()
    letter = dead_letter(
        place.topic, PARTITION, place.offset, stage.name, stage.letter, error, key, value, place.time_ns
    )
    # As a worker does: a key that is too big for the letter is too big for its own key.
    return SimEvent(Topic.DEAD_LETTERS, None if letter.key is None else place.key, letter)
