"""The session clock's timetable follows the exchange's calendar: its hours, holidays, early closes and breaks."""

import datetime as dt
import warnings
from itertools import pairwise

import pytest

from bourse.pipeline.calendar import exchange_calendar, settlement_date
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.timetable import timetable
from bourse.schemas.records import SessionEvent, SessionKind

KINDS = [
    SessionKind.PRE_OPEN,
    SessionKind.OPENING_AUCTION,
    SessionKind.OPEN,
    SessionKind.CLOSING_AUCTION,
    SessionKind.CLOSED,
]


def times(events: list[SessionEvent]) -> list[str]:
    return [f"{dt.datetime.fromtimestamp(event.event_time_ns // 10**9, dt.UTC):%d %H:%M}" for event in events]


def day(market: str, date: str, tick_seconds: int = 0) -> list[SessionEvent]:
    return list(timetable(market, dt.date.fromisoformat(date), dt.date.fromisoformat(date), tick_seconds))


@pytest.mark.parametrize(
    ("market", "date", "expected"),
    [
        # Madrid trades from 9:00 to 17:30, which are 7:00 and 15:30 UTC in summer and an hour later in winter.
        ("XMAD", "2019-05-23", ["23 06:30", "23 06:55", "23 07:00", "23 15:30", "23 15:35"]),
        ("XMAD", "2019-01-23", ["23 07:30", "23 07:55", "23 08:00", "23 16:30", "23 16:35"]),
        # New York closes at 13:00 on the day after Thanksgiving.
        ("XNYS", "2019-11-29", ["29 14:00", "29 14:25", "29 14:30", "29 18:00", "29 18:05"]),
        ("XONE", "2024-01-08", ["08 08:30", "08 08:55", "08 09:00", "08 17:30", "08 17:35"]),
    ],
)
def test_a_day_goes_through_its_phases_at_the_exchanges_hours(
    market: str, date: str, expected: list[str]
) -> None:
    events = day(market, date)
    assert [event.kind for event in events] == KINDS
    assert times(events) == expected
    assert {event.business_date.isoformat() for event in events} == {date}


@pytest.mark.parametrize(
    ("market", "date"), [("XMAD", "2019-05-25"), ("XMAD", "2019-12-25"), ("XONE", "2024-01-06")]
)
def test_holidays_and_weekends_have_no_session(market: str, date: str) -> None:
    assert day(market, date) == []


def test_a_lunch_break_collects_orders_and_opens_again() -> None:
    events = day("XTKS", "2019-05-23")
    assert [event.kind for event in events] == [
        *KINDS[:3],
        SessionKind.PRE_OPEN,
        SessionKind.OPEN,
        *KINDS[3:],
    ]
    assert times(events)[2:5] == ["23 00:00", "23 02:30", "23 03:30"]


def test_ticks_come_between_the_phases_of_a_day_and_not_at_night() -> None:
    events = [*timetable("XMAD", dt.date(2019, 5, 23), dt.date(2019, 5, 24), tick_seconds=120)]
    assert all(before.event_time_ns < after.event_time_ns for before, after in pairwise(events))
    assert [event.kind for event in events if event.kind is not SessionKind.TICK] == KINDS * 2
    # 25 minutes, 5, 8 h 30 and 5: as many ticks of two minutes fit in between as are not at their ends.
    assert sum(event.kind is SessionKind.TICK for event in events) == 2 * (12 + 2 + 254 + 2)


@pytest.mark.parametrize("market", ["24/7", "CMES"])
def test_the_time_never_goes_back_where_a_session_ends_as_the_next_begins(market: str) -> None:
    events = [*timetable(market, dt.date(2019, 5, 20), dt.date(2019, 5, 25))]
    assert len(events) >= 25
    assert all(before.event_time_ns <= after.event_time_ns for before, after in pairwise(events))


@pytest.mark.parametrize(
    ("market", "date", "expected"),
    [
        # Shanghai's calendar ends with 2026: later days have its hours, its lunch break and no holidays.
        (
            "XSHG",
            "2027-10-01",
            ["01 01:00", "01 01:25", "01 01:30", "01 03:30", "01 05:00", "01 07:00", "01 07:05"],
        ),
        ("XNYS", "2061-01-03", ["03 14:00", "03 14:25", "03 14:30", "03 21:00", "03 21:05"]),
        ("XNYS", "2061-07-05", ["05 13:00", "05 13:25", "05 13:30", "05 20:00", "05 20:05"]),
        ("XNYS", "1989-01-03", ["03 14:00", "03 14:25", "03 14:30", "03 21:00", "03 21:05"]),
        # The break at noon was given up in 2000, and Chicago's futures begin on the evening before.
        ("XKRX", "2051-01-03", ["02 23:30", "02 23:55", "03 00:00", "03 06:30", "03 06:35"]),
        (
            "XKRX",
            "1989-01-04",
            ["04 00:10", "04 00:35", "04 00:40", "04 02:40", "04 04:20", "04 06:20", "04 06:25"],
        ),
        ("CMES", "2061-01-03", ["02 22:30", "02 22:55", "02 23:00", "03 23:00", "03 23:05"]),
        ("XONE", "9999-12-31", ["31 08:30", "31 08:55", "31 09:00", "31 17:30", "31 17:35"]),
        ("XSHG", "2027-01-02", []),
    ],
)
def test_where_no_calendar_tells_a_market_trades_monday_to_friday_at_its_regular_hours(
    market: str, date: str, expected: list[str]
) -> None:
    assert times(day(market, date)) == expected


@pytest.mark.parametrize("market", ["XSHG", "XBOM", "XSES"])
def test_trades_settle_on_days_that_the_timetable_has_over_a_calendars_end(market: str) -> None:
    traded = dt.date(2026, 12, 31)
    settles = settlement_date(market, traded, 1)
    sessions = {event.business_date for event in timetable(market, traded, traded + dt.timedelta(7))}
    assert settles == min(sessions - {traded})


@pytest.mark.parametrize("market", ["ASEX", "XBEL", "XBSE", "XCYS", "XTAE"])
def test_a_calendar_that_the_library_cannot_make_is_as_one_that_it_has_not(market: str) -> None:
    assert exchange_calendar(market) is None
    assert times(day(market, "2026-03-02")) == ["02 08:30", "02 08:55", "02 09:00", "02 17:30", "02 17:35"]
    assert settlement_date(market, dt.date(2026, 3, 6), 1) == dt.date(2026, 3, 9)


def test_every_market_that_the_library_lists_has_a_timetable_and_settles() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from exchange_calendars import get_calendar_names  # noqa: PLC0415 - warns when it is imported
    monday = dt.date(2026, 3, 2)
    for market in get_calendar_names(include_aliases=False):
        settles = settlement_date(market, monday, 1)
        assert monday < settles < monday + dt.timedelta(7), market
        events = [*timetable(market, monday, monday + dt.timedelta(6))]
        assert {event.kind for event in events} == set(KINDS), market
        assert all(before.event_time_ns <= after.event_time_ns for before, after in pairwise(events)), market
        exchange_calendar.cache_clear()


def test_a_market_follows_its_timetable() -> None:
    simulation = Simulation()
    phases = []
    for event in timetable("XMAD", dt.date(2019, 5, 24), dt.date(2019, 5, 27), tick_seconds=3_600):
        simulation.feed(SimEvent(Topic.SESSIONS, None, event))
        row = simulation.state.markets.get("XMAD")
        assert row is not None
        assert row.business_date == event.business_date
        phases.append(row.phase)
    assert list(dict.fromkeys(phases)) == KINDS
