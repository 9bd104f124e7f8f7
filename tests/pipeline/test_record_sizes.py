"""No record that a stage writes is more than its topic takes, whatever the input says: the broker would refuse it at each start."""

import tomllib
from collections.abc import Iterator
from random import Random
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.pipeline.matching import parts
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import MemoryTable, State
from bourse.schemas.codec import Codec
from bourse.schemas.definitions import Primitive, all_records
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import (
    BookLevel,
    BookOrder,
    BookOrderAction,
    BookUpdate,
    CorporateAction,
    CorporateActionType,
    Side,
)
from bourse.schemas.units import INT64_MAX, Cash, Price, Quantity, TimeNs
from bourse.settings import PROJECT_ROOT
from tests.account_strategies import MONDAY
from tests.hostile_strategies import HostileFlow

_FILE: Final = tomllib.loads((PROJECT_ROOT / "deploy" / "topics" / "topics.toml").read_text())
_CODEC: Final = Codec(LocalIds())
_AROUND: Final = 200
"""What Kafka has around a key and a value, at most."""


def cap(topic: str) -> int:
    return int((_FILE["defaults"] | _FILE["topics"][topic])["max.message.bytes"])


def size(key: str | None, record: Record) -> int:
    """How much a record takes that cannot be compressed."""
    return len((key or "").encode()) + len(_CODEC.encoder(type(record))(record)) + _AROUND


def rows(state: State) -> Iterator[tuple[str, Record]]:
    for name in State.__slots__:
        table = getattr(state, name)
        if isinstance(table, MemoryTable):
            yield from ((f"{name}/{key}", row) for key, row in table.scan(""))


def test_a_full_update_is_far_below_what_its_topic_takes() -> None:
    level = BookLevel(Side.SELL, Price(INT64_MAX), Quantity(INT64_MAX), INT64_MAX)
    order = BookOrder(
        f"999-{INT64_MAX}",
        BookOrderAction.MODIFY,
        Side.SELL,
        Price(INT64_MAX),
        Quantity(INT64_MAX),
        INT64_MAX,
    )
    update = BookUpdate(
        "e" * 200,
        "S" * 64,
        INT64_MAX,
        (level,) * parts.MOST,
        *(INT64_MAX,) * 4,
        TimeNs(INT64_MAX),
        True,
        orders=(order,) * parts.MOST,
    )
    assert size(update.symbol, update) < cap("book-updates") / 8


def with_long_texts(event: SimEvent, dice: Random) -> SimEvent:
    """Return an event of which some texts are longer than any topic but two would take, as Kafka takes them compressed."""
    fields = all_records()[type(event.record).__name__].fields
    texts = [field.name for field in fields if field.type == Primitive("string")]
    chosen = dice.sample(texts, dice.choice((1, 1, min(2, len(texts)), len(texts))))
    length = dice.choice((65, 201, 1_100_000, 2_100_000))
    changes = {name: dice.choice(("z", "/", "\N{PILE OF POO}")) * length for name in chosen}
    return event._replace(record=msgspec.structs.replace(event.record, **changes))


@settings(max_examples=20)
@given(st.integers(0, 2**32).map(Random))
def test_whatever_is_sent_no_record_is_more_than_its_topic_takes(dice: Random) -> None:
    simulation, flow = Simulation(), HostileFlow(dice)
    dividend = CorporateAction("a", "AAA", CorporateActionType.DIVIDEND, MONDAY, amount=Cash(1))
    events = [*flow.beginning(), SimEvent(Topic.CORPORATE_ACTIONS, None, dividend)]
    events += [flow.next() for _ in range(60)]
    for event in events:
        for taken in (with_long_texts(event, dice), event):
            for output in simulation.feed(taken):
                assert size(output.key, output.record) <= cap(output.topic), type(output.record)
    for key, row in rows(simulation.state):
        assert size(key, row) <= cap("changelog"), key
