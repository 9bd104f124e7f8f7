"""A23 of halts: while a market or symbol is halted no order is taken in and nothing trades.

What is halted follows from the announcements of a partition, in their order. Where a message lies among them, its updates tell
within bounds: after the last announcement that changed a book of the partition before it, before the next. Only what was halted all that
time is held against a message.
"""

import datetime as dt
from bisect import bisect_right
from collections import Counter, defaultdict
from typing import Final, NamedTuple

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import (
    Announcement,
    InstrumentStatus,
    SessionEvent,
    SessionKind,
)

# NYSE Rule 7.12: 15 minutes at levels 1 and 2, the day at level 3.
_LAST_LEVEL: Final = 3
_BREAKER_HALT_NS: Final = 15 * 60 * 10**9
_NEVER: Final = 2**63
_UNKNOWN: Final = "what was taken in next to a halt: announcements that changed no book do not tell on which side of them it was"


class _Halt(NamedTuple):
    """A halt of a market or symbol."""

    level: int | None
    date: dt.date
    time_ns: int

    def is_over_at(self, date: dt.date, time_ns: int) -> bool:
        """Say whether a circuit breaker's halt has ended by itself."""
        if self.level is None:
            return False
        return date > self.date or (self.level < _LAST_LEVEL and time_ns >= self.time_ns + _BREAKER_HALT_NS)


class _Suspect(NamedTuple):
    """A message that was taken in after an announcement that found its symbol halted."""

    entry: Entry
    partition: int
    after: int
    until: int
    """The announcement that ended the halt."""


class Halts:
    """What was halted when, for each partition of the announcements."""

    def __init__(self) -> None:
        self._on: dict[tuple[int, str], _Halt] = {}
        self._dates: dict[tuple[int, str], dt.date] = {}
        """By partition and market: its business date, which never goes back."""
        self._moves: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        """By partition and market, symbol of a market, or instrument: where a halt began, where it ended, and so on."""
        self._offsets: dict[str, int] = {}
        """By id of an announcement, but for ticks while nothing is halted: its offset."""
        self._halted: Counter[int] = Counter()
        """By partition: how many markets, symbols and instruments are halted there."""
        self._anchors: defaultdict[int, list[int]] = defaultdict(list)
        """By partition: the offsets of announcements that changed a book there."""
        self._suspects: list[_Suspect] = []

    def learn(self, entry: Entry, announcement: Announcement) -> None:
        """Take in an announcement, which has its place among those of its partition."""
        session, instrument = announcement.session, announcement.instrument
        if session is None or session.kind is not SessionKind.TICK or self._halted[entry.partition]:
            self._offsets[announcement.event_id] = entry.offset
        if instrument is not None:
            key = (entry.partition, f"instrument {instrument.symbol}")
            self._turn(key, entry.offset, on=instrument.status is InstrumentStatus.HALTED)
        if session is not None:
            self._follow(entry, session, announcement.event_time_ns)

    def _follow(self, entry: Entry, session: SessionEvent, time_ns: int) -> None:
        market = (entry.partition, session.market)
        key = market if session.symbol is None else (entry.partition, f"{session.market}/{session.symbol}")
        halt = self._on.get(market)
        if halt is not None and session.symbol is None and halt.is_over_at(session.business_date, time_ns):
            self._turn(market, entry.offset, on=False)
            del self._on[market]
        date = max(session.business_date, self._dates.get(market, session.business_date))
        if session.symbol is None:
            self._dates[market] = date
        if session.kind is not SessionKind.HALT and session.kind is not SessionKind.RESUME:
            return
        halt = self._on.get(key)
        if halt is not None and halt.level == _LAST_LEVEL and session.business_date <= halt.date:
            return  # It has ended the day.
        is_halt = session.kind is SessionKind.HALT
        if is_halt and halt is not None and halt.level is None and session.level is not None:
            return  # It waits for its operator, and a circuit breaker does not shorten it.
        self._turn(key, entry.offset, on=is_halt)
        if is_halt:
            self._on[key] = _Halt(session.level, date, time_ns)
        else:
            self._on.pop(key, None)

    def _turn(self, key: tuple[int, str], offset: int, *, on: bool) -> None:
        moves = self._moves[key]
        if (len(moves) % 2 == 1) is not on:
            moves.append(offset)
            self._halted[key[0]] += 1 if on else -1

    def anchor(self, partition: int, cause: str) -> None:
        """Take in that an announcement changed a book of a partition."""
        offset, anchors = self._offsets.get(cause), self._anchors[partition]
        if offset is not None and (not anchors or offset > anchors[-1]):
            anchors.append(offset)

    def last_anchor(self, partition: int) -> int:
        """Return the last announcement that changed a book of a partition so far; -1 for none."""
        anchors = self._anchors.get(partition)
        return anchors[-1] if anchors else -1

    def is_halted(self, partition: int, copy: str, market: str, symbol: str) -> bool:
        """Say whether a symbol was halted once an announcement was followed."""
        offset = self._offsets.get(copy)
        return offset is not None and self._end(partition, offset, market, symbol) is not None

    def _end(self, partition: int, offset: int, market: str, symbol: str) -> int | None:
        """Return where the halt ends that a symbol is in at an offset; None if it is in none."""
        ends = []
        for name in (market, f"{market}/{symbol}", f"instrument {symbol}"):
            moves = self._moves.get((partition, name), [])
            place = bisect_right(moves, offset)
            if place % 2:
                ends.append(moves[place] if place < len(moves) else _NEVER)
        return max(ends, default=None)

    def taken_in(self, entry: Entry, partition: int, after: int, market: str, symbol: str) -> None:
        """Take in that a message entered a book, or traded, after an announcement."""
        until = self._end(partition, after, market, symbol) if self._moves else None
        if until is not None:
            self._suspects.append(_Suspect(entry, partition, after, until))

    def conclude(self, ledger: Ledger) -> None:
        """Judge the messages that were taken in while all announcements around them left their symbol halted."""
        if any(self._moves.values()):
            ledger.leave_out(Equation.A23, _UNKNOWN)
        for entry, partition, after, until in self._suspects:
            anchors = self._anchors[partition]
            place = bisect_right(anchors, after)
            before = anchors[place] if place < len(anchors) else _NEVER
            if until >= before:
                ledger.fail(Equation.A23, entry, "it was taken in, or traded, in a halt")
