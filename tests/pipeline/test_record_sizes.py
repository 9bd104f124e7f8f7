"""No record that a stage writes is more than its topic takes, whatever the input says: the broker would refuse it at each start."""

import tomllib
from collections.abc import Iterator
from random import Random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bourse.pipeline.announcer import MAX_TICK_BANDS, announce
from bourse.pipeline.envelope import MOST_TEXT, check_texts
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import hops
from bourse.pipeline.forms import MAX_LENGTH, MAX_REMARK_LENGTH
from bourse.pipeline.matching import parts
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import MemoryTable, State
from bourse.schemas.codec import Codec
from bourse.schemas.definitions import Primitive, all_records
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    BookLevel,
    BookOrder,
    BookOrderAction,
    BookUpdate,
    CorporateAction,
    CorporateActionType,
    Instrument,
    OrderAction,
    Side,
    TickBand,
)
from bourse.schemas.units import INT64_MAX, Cash, Price, Quantity, TimeNs
from bourse.settings import PROJECT_ROOT
from tests.account_strategies import MONDAY
from tests.hostile_strategies import HostileFlow, behind_risk

_FILE: Final = tomllib.loads((PROJECT_ROOT / "deploy" / "topics" / "topics.toml").read_text())
_CODEC: Final = Codec(LocalIds())
INNER: Final = {hop.topic for hop in hops()}
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
        "\N{PILE OF POO}" * MAX_LENGTH,
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
    assert size(update.symbol, update) < cap("book-updates") / 2


def texts_of(record: Record) -> list[str]:
    fields = all_records()[type(record).__name__].fields
    return [field.name for field in fields if field.type == Primitive("string")]


def with_long_texts(event: SimEvent, dice: Random) -> SimEvent:
    """Return an event of which some texts are longer than any topic but two would take, as Kafka takes them compressed."""
    texts = texts_of(event.record)
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


@settings(max_examples=20)
@given(st.integers(0, 2**32).map(Random))
def test_nor_does_what_comes_in_behind_a_stage_in_its_name(dice: Random) -> None:
    """Records of the topics between the stages, from whoever may write there."""
    other, flow = Simulation(), HostileFlow(dice)
    events = [*flow.beginning(), *(flow.next() for _ in range(40))]
    inner = [written for event in events for written in other.feed(event) if written.topic in INNER]
    inner += [SimEvent(Topic.RISK_APPROVED, None, behind_risk(dice, number)) for number in range(40)]
    simulation = Simulation()
    for event in dice.sample(inner, 40):
        for output in simulation.feed(with_long_texts(event, dice)._replace(key=None)):
            assert size(output.key, output.record) <= cap(output.topic), type(output.record)
    for key, row in rows(simulation.state):
        assert size(key, row) <= cap("changelog"), key


def test_what_a_stage_writes_for_another_is_never_too_much_for_it() -> None:
    long = "z" * MAX_REMARK_LENGTH
    bands = tuple(TickBand(Price(n), Price(1)) for n in range(1, MAX_TICK_BANDS + 1))
    instrument = Instrument("S" * 64, long, long, "EUR", "M" * 64, tick_table=bands)
    (told,) = announce(1, "instruments", "instruments/0/0", instrument, TimeNs(0))
    check_texts(told[0], told[2])
    order = ApprovedOrder(*["i" * 64] * 2, OrderAction.NEW, *["i" * 64] * 4)
    texts = dict.fromkeys(texts_of(order), "i" * 64)
    check_texts(Topic.RISK_APPROVED, msgspec.structs.replace(order, **texts))


def test_more_is_a_dead_letter_and_of_other_topics_it_is_judged_by_their_stage() -> None:
    order = behind_risk(Random(1), 1)
    long = msgspec.structs.replace(order, event_id="z" * MOST_TEXT)
    (letter,) = Simulation().feed(SimEvent(Topic.RISK_APPROVED, None, long))
    assert letter.topic is Topic.DEAD_LETTERS
    assert "more than any of ours" in letter.record.error
    many = Instrument("AAA", tick_table=tuple(TickBand(Price(n), Price(1)) for n in range(MOST_TEXT + 1)))
    told = Announcement("e", AnnouncementKind.INSTRUMENT, many)
    with pytest.raises(NotOurs):
        check_texts(Topic.ANNOUNCEMENTS, told)
    check_texts(Topic.INSTRUMENTS, many)


def test_an_order_id_is_no_longer_than_one_of_ours() -> None:
    order = msgspec.structs.replace(behind_risk(Random(1), 1), order_id="z" * (MAX_LENGTH + 1))
    (letter,) = Simulation().feed(SimEvent(Topic.RISK_APPROVED, None, order))
    assert "too long for an order's id" in letter.record.error
