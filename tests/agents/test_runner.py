"""A stage over a frame, without Kafka: a worker refuses as much text as the simulation of one does."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from bourse.pipeline.envelope import MOST_TEXT
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import State
from bourse.schemas.records import ApprovedOrder, OrderAction, Side
from bourse.schemas.units import Price, Quantity
from bourse.streaming.frames import Frame, Record
from tests.simulation.process import stages_for

ORDER = ApprovedOrder(
    "orders/0/0/v0/r0", "0-0", OrderAction.NEW, "c", "ACC", "ACX", side=Side.BUY, quantity=Quantity(1)
)


class Written(NamedTuple):
    """What a worker writes, by topic and bytes."""

    topic: str
    value: bytes | None


def run(order: ApprovedOrder) -> list[Written]:
    stages, written = stages_for(1), []
    record = Record(0, 0, b"ACX", stages.wire.encoders[ApprovedOrder](order))
    store = SimpleNamespace(attached=State.in_memory())

    def produce(topic: str, value: bytes | None, _key: bytes | None, _partition: int) -> None:
        written.append(Written(topic, value))

    (runner,) = stages.readers["risk-approved"]
    frame = Frame("risk-approved", 0, [record], store, produce, produce, lambda *_: None)  # type: ignore[arg-type]
    runner.run(frame)
    return written


@pytest.mark.parametrize("length", [1, 1_000, 1_900, MOST_TEXT, 1_100_000])
def test_what_has_more_text_than_any_record_of_ours_is_a_dead_letter(length: int) -> None:
    order = replace(ORDER, event_id="z" * length, price=Price(1))
    simulated = Simulation().feed(SimEvent(Topic.RISK_APPROVED, "ACX", order))
    topics = [written.topic for written in run(order)]
    assert topics == [event.topic for event in simulated]
    assert ("dead-letters" in topics) is (length >= MOST_TEXT)
