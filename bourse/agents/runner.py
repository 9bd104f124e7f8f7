"""One stage over frames: decode, decide, send; what cannot be decoded or belongs elsewhere becomes a dead letter."""

import time
from collections.abc import Callable, Container, Iterable
from operator import attrgetter
from typing import NamedTuple

import structlog

from bourse.agents.metrics import StageMetrics
from bourse.agents.wire import Wire
from bourse.pipeline.envelope import MOST_TEXT, cause_of, check_texts, nanoseconds, time_of
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import TOPICS, Stage, check_outputs, hops, stages
from bourse.pipeline.letters import dead_letter
from bourse.pipeline.outputs import BY_KEY, Output, Topic
from bourse.schemas.codec import DecodeError
from bourse.schemas.records import DeadLetter, Record
from bourse.streaming import frames
from bourse.streaming.frames import Frame
from bourse.tables.state import state_of

log = structlog.get_logger()


class Route(NamedTuple):
    """Where a stage's outputs of one topic go: its name in Kafka, which are handed over in memory, which come back."""

    name: str
    is_handed_over: Callable[[Record], bool] | None
    comes_back: bool


def routes(stage: Stage, wire: Wire, handed_over: Container[str]) -> dict[Topic, Route]:
    """Return the route of every topic that `stage` writes."""
    reads = {(reader.name, read.topic): read for reader in stages(1) for read in reader.reads}
    ours = {hop.topic: hop.reader for hop in hops() if hop.writer == stage.name}
    handed = {
        topic: reads[reader, topic].concerns or _every
        for topic, reader in ours.items()
        if topic in handed_over
    }
    back = ours.keys() - handed.keys()
    return {topic: Route(wire.names[topic], handed.get(topic), topic in back) for topic in stage.writes}


def _every(_record: Record) -> bool:
    return True


class StageRunner:
    """Takes frames through one stage."""

    def __init__(self, stage: Stage, wire: Wire, metrics: StageMetrics, handed_over: Container[str]) -> None:
        """Run `stage` with this worker's `wire`; `handed_over` has the topics whose records reach their reader in memory."""
        self.stage = stage
        self._wire = wire
        self._metrics = metrics
        self._routes = routes(stage, wire, handed_over)
        self._key_of = {
            name: attrgetter(topic.key_field) for name, topic in TOPICS.items() if topic.key_field is not None
        }

    def run(self, frame: Frame) -> None:
        """Handle every record of `frame`, in order."""
        began = time.perf_counter()
        topic, partition = self._wire.contract_names[frame.topic], frame.partition
        state, handle = state_of(frame.store), self.stage.handle  # type: ignore[arg-type]
        for record in frame:
            try:
                value = record.passed or self._decode(topic, partition, record)
                cause = cause_of(value, topic, partition, record.offset)
                outputs = handle(state, topic, cause, value, time_of(value, record.timestamp_ms))
            except (DecodeError, NotOurs) as error:
                if record.passed is not None:
                    raise  # the pipeline's own record: a broken invariant, not a stranger's mistake
                self._dead_letter(frame, topic, record, str(error))
            else:
                self._send(frame, outputs)
        self._metrics.observe(topic, frame, time.perf_counter() - began)

    def _decode(self, topic: Topic, partition: int, record: frames.Record) -> Record:
        sent = self._wire.sent.pop(record.value, None)  # type: ignore[arg-type]  # no key is None
        value: Record = sent or self._wire.decoders[topic](record.value)
        if len(record.value or b"") > MOST_TEXT:
            check_texts(topic, value)
        key_of = self._key_of.get(topic)
        if key_of is None:
            return value
        key = key_of(value) or ""
        expected, home = self._wire.keys[key]
        if record.key != expected:
            message = f"the key is {record.key!r:.80}, the record's own is {expected!r:.80}"
            raise NotOurs(message)
        if home != partition:
            message = f"key {expected!r:.80} belongs to partition {home}, not {partition}"
            raise NotOurs(message)
        return value

    def _send(self, frame: Frame, outputs: Iterable[Output]) -> None:
        """Write a stage's outputs, and hand over those that the next stage gets in memory."""
        ways, encoders, keys = self._routes, self._wire.encoders, self._wire.keys
        send, remember = frame.send, self._wire.sent.remember
        for topic, key, record, partition in outputs:
            if topic not in ways:
                check_outputs(self.stage, [(topic, key, record, partition)])
            name, is_handed_over, comes_back = ways[topic]
            key_bytes, home = keys[key]
            value = encoders[type(record)](record)
            to = home if partition == BY_KEY else partition
            if comes_back:
                remember(value, record)
            if is_handed_over is not None and is_handed_over(record):
                send(name, key_bytes, value, to, record)
            else:
                send(name, key_bytes, value, to)

    def _dead_letter(self, frame: Frame, topic: Topic, record: frames.Record, error: str) -> None:
        letter = dead_letter(
            topic,
            frame.partition,
            record.offset,
            self.stage.name,
            self.stage.letter,
            error,
            record.key,
            record.value,
            nanoseconds(record.timestamp_ms),
        )
        value = self._wire.encoders[DeadLetter](letter)
        # The original key may be missing or not text, so the letter stays in the partition of its original.
        frame.send(self._wire.names[Topic.DEAD_LETTERS], letter.key, value, frame.partition)
        self._metrics.dead_letter(self.stage.name)
        log.warning("dead letter", event_id=letter.event_id, error=letter.error)
