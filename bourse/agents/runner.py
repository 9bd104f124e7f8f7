"""One stage over frames: decode, decide, send; what cannot be decoded or belongs elsewhere becomes a dead letter."""

import time

import structlog

from bourse.agents.metrics import StageMetrics
from bourse.agents.wire import Handed, Wire
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import TOPICS, Stage, cause_of, hops, key_of, stages, time_of
from bourse.pipeline.ids import position
from bourse.pipeline.outputs import Outputs, Topic
from bourse.schemas.codec import DecodeError
from bourse.schemas.records import DeadLetter, Record
from bourse.schemas.units import TimeNs
from bourse.streaming import frames
from bourse.streaming.frames import Frame
from bourse.tables.state import state_of

log = structlog.get_logger()


def handed_over(stage: Stage) -> Handed:
    """Return which of a stage's outputs the next stage gets in memory, and which records of them."""
    reads = {(reader.name, read.topic): read for reader in stages(1) for read in reader.reads}
    return {
        hop.topic: reads[hop.reader, hop.topic].concerns
        for hop in hops()
        if hop.writer == stage.name and hop.handed_over
    }


class StageRunner:
    """Takes frames through one stage."""

    def __init__(self, stage: Stage, wire: Wire, metrics: StageMetrics) -> None:
        """Run `stage` with this worker's `wire`."""
        self.stage = stage
        self._wire = wire
        self._metrics = metrics
        self._handed = handed_over(stage)

    def run(self, frame: Frame) -> None:
        """Handle every record of `frame`, in order."""
        began = time.perf_counter()
        topic, partition = self._wire.contract_names[frame.topic], frame.partition
        state, handle, send = state_of(frame.store), self.stage.handle, self._wire.send  # type: ignore[arg-type]
        handed = self._handed
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
                send(frame, outputs, handed)
        self._metrics.observe(topic, frame, time.perf_counter() - began)

    def _decode(self, topic: Topic, partition: int, record: frames.Record) -> Record:
        value: Record = self._wire.decoders[topic](record.value)
        expected = key_of(TOPICS[topic], value)
        if expected is None:
            return value
        key = (record.key or b"").decode(errors="replace")
        if key != expected:
            message = f"the key is {key[:64]!r}, the record's own is {expected[:64]!r}"
            raise NotOurs(message)
        if (home := self._wire.partition_of[key]) != partition:
            message = f"key {key[:64]!r} belongs to partition {home}, not {partition}"
            raise NotOurs(message)
        return value

    def _dead_letter(self, frame: Frame, topic: Topic, record: frames.Record, error: str) -> None:
        cause = position(topic, frame.partition, record.offset)
        letter = DeadLetter(
            Outputs(cause, self.stage.letter).next_id(),
            topic,
            frame.partition,
            record.offset,
            self.stage.name,
            error,
            record.key,
            record.value,
            TimeNs(record.timestamp_ms * 1_000_000),
        )
        value = self._wire.encoders[DeadLetter](letter)
        # The original key may be missing or not text, so the letter stays in the partition of its original.
        frame.send(self._wire.names[Topic.DEAD_LETTERS], record.key, value, frame.partition)
        self._metrics.dead_letter(self.stage.name)
        log.warning("dead letter", stage=self.stage.name, record=cause, error=error)
