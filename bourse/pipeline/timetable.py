"""A market's day as its session events: what the session clock publishes, and when.

Hours, holidays, early closes and lunch breaks are those of exchange-calendars, by MIC. Outside of the dates that a calendar
tells of, its market trades Monday to Friday at its regular hours; a market without a calendar does so from `OPENS` to `CLOSES`
(UTC). So trades settle too: see `calendar.settlement_date`. The calendar's open is the end of the opening auction, its close the beginning
of the closing auction. Refuses to know what time it is.
"""

import datetime as dt
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, Final

from bourse.pipeline.calendar import exchange_calendar, tells_of
from bourse.schemas.records import SessionEvent, SessionKind
from bourse.schemas.units import TimeNs

PRE_OPEN: Final = dt.timedelta(minutes=30)
OPENING_AUCTION: Final = dt.timedelta(minutes=5)
CLOSING_AUCTION: Final = dt.timedelta(minutes=5)
"""How long before the open orders are collected, and are in auction; and how long the auction after the close lasts."""

OPENS: Final = dt.timedelta(hours=9)
CLOSES: Final = dt.timedelta(hours=17, minutes=30)
_SATURDAY: Final = 5
_MIDNIGHT: Final = dt.time(tzinfo=dt.UTC)
_SECOND_NS: Final = 10**9


def timetable(market: str, first: dt.date, last: dt.date, tick_seconds: int = 0) -> Iterator[SessionEvent]:
    """Yield the session events of a market's days from `first` to `last`, in the order of their times.

    With `tick_seconds` above 0 a TICK follows so many seconds after each event, until the next: what expires by time, pauses
    and halts of the circuit breaker end with it. Between a day's close and the next there are none.
    """
    reached = TimeNs(0)
    for date in map(dt.date.fromordinal, range(first.toordinal(), last.toordinal() + 1)):
        phases = [
            SessionEvent(market, kind, None, date, max(reached, _time_ns(time)))
            for kind, time in _phases(market, date)
        ]
        yield from _ticking(phases, tick_seconds) if tick_seconds else phases
        reached = phases[-1].event_time_ns if phases else reached


def _phases(market: str, date: dt.date) -> list[tuple[SessionKind, dt.datetime]]:
    """Return the phases of a day and when they begin; none for a day without a session."""
    hours = _hours(market, date)
    if hours is None:
        return []
    opens, closes, pause = hours
    return [
        (SessionKind.PRE_OPEN, opens - PRE_OPEN),
        (SessionKind.OPENING_AUCTION, opens - OPENING_AUCTION),
        (SessionKind.OPEN, opens),
        *(() if pause is None else ((SessionKind.PRE_OPEN, pause[0]), (SessionKind.OPEN, pause[1]))),
        (SessionKind.CLOSING_AUCTION, closes),
        (SessionKind.CLOSED, closes + CLOSING_AUCTION),
    ]


_Hours = tuple[dt.datetime, dt.datetime, tuple[dt.datetime, dt.datetime] | None]


def _hours(market: str, date: dt.date) -> _Hours | None:
    """Return when a day's trading begins and ends, and its lunch break if it has one."""
    calendar = exchange_calendar(market)
    if not tells_of(market, date):
        return None if date.weekday() >= _SATURDAY else _regular_hours(calendar, date)
    assert calendar is not None  # or it would not tell
    day = date.isoformat()
    if not calendar.is_session(day):
        return None
    pause = None
    if calendar.session_has_break(day):
        pause = _moment(calendar.session_break_start(day)), _moment(calendar.session_break_end(day))
    return _moment(calendar.session_open(day)), _moment(calendar.session_close(day)), pause


def _regular_hours(calendar: Any | None, date: dt.date) -> _Hours:  # noqa: ANN401 - the library has no types
    """Return the hours of a day that no calendar tells of, as if it were like other days."""
    if calendar is None:
        midnight = dt.datetime.combine(date, _MIDNIGHT)
        return midnight + OPENS, midnight + CLOSES, None
    opens, closes, begins, ends = (
        None if time is None else dt.datetime.combine(date + dt.timedelta(days), time, calendar.tz)
        for time, days in (
            (_time_on(date, calendar.open_times), calendar.open_offset),
            (_time_on(date, calendar.close_times), calendar.close_offset),
            (_time_on(date, calendar.break_start_times), 0),
            (_time_on(date, calendar.break_end_times), 0),
        )
    )
    assert opens is not None, calendar.name
    assert closes is not None, calendar.name
    return opens, closes, None if begins is None or ends is None else (begins, ends)


def _time_on(date: dt.date, times: Any) -> dt.time | None:  # noqa: ANN401 - the library has no types
    """Return the time of a day that holds on a date: each comes with its first date, None for the first of them."""
    time: dt.time | None = None
    for since, local_time in times or ():
        if since is None or since.date() <= date:
            time = local_time
    return time


def _moment(timestamp: Any) -> dt.datetime:  # noqa: ANN401 - pandas' own, which has no types here
    moment: dt.datetime = timestamp.to_pydatetime()
    return moment


def _time_ns(moment: dt.datetime) -> TimeNs:
    return TimeNs((moment - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1) * 1_000)


def _ticking(phases: list[SessionEvent], tick_seconds: int) -> Iterator[SessionEvent]:
    """Yield phases with ticks between them."""
    yield from chain.from_iterable(_until(*pair, tick_seconds) for pair in pairwise(phases))
    yield from phases[-1:]


def _until(phase: SessionEvent, following: SessionEvent, tick_seconds: int) -> Iterator[SessionEvent]:
    yield phase
    step = tick_seconds * _SECOND_NS
    for time_ns in range(phase.event_time_ns + step, following.event_time_ns, step):
        yield SessionEvent(phase.market, SessionKind.TICK, None, phase.business_date, TimeNs(time_ns))
