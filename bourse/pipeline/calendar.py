"""When trades settle: sessions of a market's exchange calendar, and the date of a time.

The calendars are those of exchange-calendars, by MIC; a market that it does not have, or whose calendar it cannot make, and a
date outside of a calendar's range, count Monday to Friday. Refuses to know what today is: the range of each calendar is fixed here.
"""

import datetime as dt
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from bourse.schemas.units import TimeNs

FIRST: Final = dt.date(1990, 1, 1)
LAST: Final = dt.date(2060, 12, 31)
_EPOCH: Final = dt.date(1970, 1, 1)
_DAY_NS: Final = 86_400 * 10**9
_FRIDAY: Final = 4
_SATURDAY: Final = 5
_MOST_KNOWN: Final = 256
_known: Final[dict[str, Sequence[dt.date]]] = {}


@lru_cache(maxsize=4096)
def settlement_date(market: str, trade_date: dt.date, settlement_days: int) -> dt.date:
    """Return the session that is `settlement_days` sessions after a trade date; 0, or less, is the first one from that date on.

    Where there is no such date any more it is the last of all dates, which nobody lives to see.
    """
    settlement_days = max(0, settlement_days)
    sessions = _known.get(market)
    if sessions is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        sessions = _known[market] = _sessions(market)
    if sessions and trade_date >= sessions[0]:
        place = (
            bisect_right(sessions, trade_date) + settlement_days - 1
            if settlement_days
            else bisect_left(sessions, trade_date)
        )
        if place < len(sessions):
            return sessions[place]
    return _weekday_after(trade_date, settlement_days)


@lru_cache(maxsize=64)
def utc_date(time_ns: TimeNs) -> dt.date:
    """Return the UTC date of a time."""
    return _EPOCH + dt.timedelta(days=time_ns // _DAY_NS)


def known() -> Mapping[str, Sequence[dt.date]]:
    """Return the sessions of the markets that were asked for so far."""
    return dict(_known)


def remember(sessions: Mapping[str, Sequence[dt.date]]) -> None:
    """Take what `known` gave before: what the library takes most of a second to be loaded for."""
    _known.update(sessions)


def _sessions(market: str) -> list[dt.date]:
    """Return every session that the market's calendar knows between FIRST and LAST; none for a market it has not."""
    calendar = exchange_calendar(market)
    return [] if calendar is None else [session.date() for session in calendar.sessions]


@lru_cache(maxsize=256)
def exchange_calendar(market: str) -> Any | None:  # noqa: ANN401 - the library has no types
    """Return the exchange's calendar as the library has it; None for a market it has not, or whose calendar it cannot make."""
    # Imported on first use: it brings pandas with it, which takes a second.
    from exchange_calendars import get_calendar  # noqa: PLC0415
    from exchange_calendars.errors import CalendarError  # noqa: PLC0415

    with warnings.catch_warnings():
        # Its own use of pandas deprecations is not for us to mend, and tests turn warnings into errors.
        warnings.simplefilter("ignore")
        try:
            # A year that every calendar has, just to ask the calendar for its bounds: the defaults would ask a clock.
            known = get_calendar(market, start="2022-01-03", end="2022-12-30")
            first, last = known.bound_min(), known.bound_max()
            return get_calendar(
                market,
                start=FIRST if first is None else max(FIRST, first.date()),
                end=LAST if last is None else min(LAST, last.date()),
            )
        except (CalendarError, NotImplementedError, ValueError):
            # It lists a few whose own rules it does not get through, and an instrument of theirs must not stop a worker.
            return None


def tells_of(market: str, date: dt.date) -> bool:
    """Say whether a market has a calendar that tells of a date; some end with the present year, whose holidays alone are known."""
    calendar = exchange_calendar(market)
    return calendar is not None and calendar.first_session.date() <= date <= calendar.last_session.date()


def _weekday_after(date: dt.date, weekdays: int) -> dt.date:
    if weekdays:
        date -= dt.timedelta(max(0, date.weekday() - _FRIDAY))
    weeks, days = divmod(weekdays, _SATURDAY)
    try:
        date += dt.timedelta(weeks=weeks)
        while days or date.weekday() >= _SATURDAY:
            date += dt.timedelta(days=1)
            days -= bool(days) and date.weekday() < _SATURDAY
    except OverflowError:
        return dt.date.max
    return date
