"""The announcer: one copy for each partition, and nothing that could not be."""

import datetime as dt

import msgspec
import pytest

from bourse.pipeline import announcer
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Record
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    CorporateAction,
    CorporateActionType,
    Halt,
    Instrument,
    Participant,
    SessionKind,
    TickBand,
)
from tests.account_strategies import MONDAY, session

INSTRUMENT = Instrument("AAA", market="XONE", reference_price=0, maker_fee_bps=10_000, settlement_days=30)
ACTION = CorporateAction("x1", "AAA", CorporateActionType.SPLIT, MONDAY)


@pytest.mark.parametrize(
    ("record", "key", "announcement"),
    [
        (INSTRUMENT, "AAA", Announcement("s/0/0/a0", AnnouncementKind.INSTRUMENT, INSTRUMENT)),
        (ACTION, "AAA", Announcement("s/0/0/a0", AnnouncementKind.CORPORATE_ACTION, None, ACTION)),
        (
            Participant("P"),
            "P",
            Announcement("s/0/0/a0", AnnouncementKind.PARTICIPANT, participant=Participant("P")),
        ),
        (
            session(SessionKind.OPEN),
            "XONE",
            Announcement("s/0/0/a0", AnnouncementKind.SESSION, None, None, session(SessionKind.OPEN)),
        ),
        (
            session(SessionKind.HALT, symbol="AAA"),
            "XONE",
            Announcement(
                "s/0/0/a0", AnnouncementKind.SESSION, session=session(SessionKind.HALT, symbol="AAA")
            ),
        ),
    ],
)
def test_each_partition_gets_its_copy(record: Record, key: str, announcement: Announcement) -> None:
    outputs = announcer.announce(3, "sessions", "s/0/0", record, 7)
    assert outputs == [
        (
            "announcements",
            key,
            msgspec.structs.replace(announcement, event_id=f"s/0/0/a{partition}", event_time_ns=7),
            partition,
        )
        for partition in range(3)
    ]
    assert announcer.handler(3)(State.in_memory(), "sessions", "s/0/0", record, 7) == outputs


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbol": ""},
        {"symbol": "A/A"},
        {"market": "X ONE"},
        {"currency": ""},
        {"currency": "AAA"},
        {"currency": "EURO"},
        {"currency": "eur"},
        {"currency": "E1R"},
        {"tick_size": 0},
        {"lot_size": 0},
        {"maker_fee_bps": -1},
        {"maker_fee_bps": 10_001},
        {"taker_fee_bps": -1},
        {"taker_fee_bps": 10_001},
        {"settlement_days": -1},
        {"settlement_days": 31},
        {"reference_price": -1},
        {"price_band_bps": -1},
        {"collar_bps": -1},
        {"max_order_quantity": -1},
        {"max_order_value": -1},
        {"multiplier": 0},
        {"pause_time_ns": -1},
        {"tick_table": (TickBand(0, 1),)},
        {"tick_table": (TickBand(10, 0),)},
        {"tick_table": (TickBand(10, 3),)},
        {"tick_table": (TickBand(10, 5), TickBand(10, 10))},
        {"tick_table": tuple(TickBand(price, 1) for price in range(1, 102))},
        {"name": "n" * 201},
        {"isin": "n" * 201},
        {"reference_price": 2**62 + 1, "tick_size": 2**62},
    ],
)
def test_an_instrument_that_could_not_be_traded_is_not_ours(wrong: dict[str, object]) -> None:
    with pytest.raises(NotOurs):
        announcer.announce(1, "instruments", "c", msgspec.structs.replace(INSTRUMENT, **wrong), 0)


@pytest.mark.parametrize(
    "record",
    [
        msgspec.structs.replace(ACTION, symbol="A A"),
        msgspec.structs.replace(ACTION, action_id=""),
        Participant(""),
        session(SessionKind.OPEN, market="X/Y"),
        session(SessionKind.OPEN, symbol=""),
        session(SessionKind.OPEN, dt.date.max),
        msgspec.structs.replace(session(SessionKind.HALT), level=0),
        msgspec.structs.replace(session(SessionKind.HALT), level=4),
        msgspec.structs.replace(session(SessionKind.HALT, symbol="AAA"), level=1),
        msgspec.structs.replace(session(SessionKind.RESUME), level=1),
        Halt(),
    ],
)
def test_other_records_that_could_not_be_are_not_ours(record: Record) -> None:
    with pytest.raises(NotOurs):
        announcer.announce(1, "sessions", "c", record, 0)
