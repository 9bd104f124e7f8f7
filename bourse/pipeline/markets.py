"""Where a market or one of its instruments stands, and which orders may enter then. Changes nothing.

Rows are kept by market, and by `market/symbol` where a session event named a symbol. The symbol's own row comes first.
Validation asks when a message comes in, matching again when it reaches the book: the market may have moved on meanwhile.
"""

import datetime as dt
from typing import Final, NamedTuple

from bourse.pipeline.calendar import utc_date
from bourse.pipeline.ids import pair_key
from bourse.pipeline.money import saturated
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import Halt, Instrument, InstrumentStatus, SessionEvent, SessionKind, TimeInForce
from bourse.schemas.units import TimeNs

CALL_PHASES: Final = frozenset(
    {SessionKind.PRE_OPEN, SessionKind.OPENING_AUCTION, SessionKind.CLOSING_AUCTION}
)
"""Phases in which the book collects orders and nothing trades until it uncrosses."""

# NYSE Rule 7.12, Trading Halts Due to Extraordinary Market Volatility: 15 minutes at levels 1 and 2, the day at level 3.
LAST_LEVEL: Final = 3
BREAKER_HALT_NS: Final = 15 * 60 * 10**9

# A member that is asked for with every order is looked up once: through its class it costs 0.1 us (CPython 3.11).
_OPEN: Final = SessionKind.OPEN
_CLOSED: Final = SessionKind.CLOSED
_AT_OPEN: Final = TimeInForce.AT_OPEN
_OF_NO_PHASE: Final = frozenset({SessionKind.HALT, SessionKind.RESUME, SessionKind.TICK})
_AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Standing(NamedTuple):
    """Where an instrument stands, until an announcement changes it: what every order asks for is looked up once.

    `is_free` says that its market and it are not halted, that it is not delisted and that it cannot expire.
    """

    phase: SessionKind
    is_free: bool


def _standing(state: State, market: str, symbol: str) -> Standing:
    found = state.standings.get((market, symbol))
    if found is None:
        row = state.markets.get(pair_key(market, symbol)) or state.markets.get(market)
        is_free = (
            _instrument_is_free(state.instruments.get(symbol))
            and state.halts.get(pair_key(market, symbol)) is None
            and state.halts.get(market) is None
        )
        found = Standing(_OPEN if row is None else row.phase, is_free)
        state.standings[market, symbol] = found
    return found


def _instrument_is_free(instrument: Instrument | None) -> bool:
    return instrument is None or (
        instrument.status is InstrumentStatus.ACTIVE and instrument.expiry_date is None
    )


def phase_of(state: State, market: str, symbol: str) -> SessionKind:
    """Return the phase that an instrument is in; a market with no session event yet is OPEN."""
    return _standing(state, market, symbol).phase


def is_followed(state: State, session: SessionEvent, cause: str) -> bool:
    """Say whether a session event is to be acted on, after validation has seen it: not where it tells of a phase of before.

    `cause` is the id of its announcement: the market's row says which one began the phase.
    """
    if session.symbol is not None or session.kind in _OF_NO_PHASE:
        return True
    row = state.markets.get(session.market)
    return row is None or row.phase_event_id == cause


def business_date(state: State, market: str) -> dt.date | None:
    """Return the business date of a market, or None before its first order and session event."""
    row = state.markets.get(market)
    return None if row is None else row.business_date


def latest_date(state: State, time_ns: TimeNs) -> dt.date:
    """Return the date of what belongs to no market: no earlier than any market's, whatever a client's clock says."""
    return max([utc_date(time_ns), *(row.business_date for _, row in state.markets.scan(""))])


def trading_refusal(
    state: State, market: str, symbol: str, phase: SessionKind, time_ns: TimeNs
) -> Refusal | None:
    """Refuse new orders and changes while a symbol cannot be traded; what is not known to be closed or halted is open."""
    if phase is not _CLOSED and _standing(state, market, symbol).is_free:
        return None
    return _trading_refusal(state, market, symbol, phase, time_ns)


def _trading_refusal(
    state: State, market: str, symbol: str, phase: SessionKind, time_ns: TimeNs
) -> Refusal | None:
    instrument = state.instruments.get(symbol)
    if instrument is not None:
        if instrument.status is InstrumentStatus.DELISTED:
            return Refusal(Reason.SYMBOL_DELISTED, f"{symbol} is delisted")
        if has_expired(state, instrument, time_ns):
            return Refusal(Reason.SYMBOL_EXPIRED, f"{symbol} expired on {instrument.expiry_date}")
    halted = instrument is not None and instrument.status is InstrumentStatus.HALTED
    if halted or state.halts.get(pair_key(market, symbol)) is not None:
        return Refusal(Reason.SYMBOL_HALTED, f"{symbol} is halted")
    if state.halts.get(market) is not None:
        return Refusal(Reason.MARKET_HALTED, f"{market} is halted")
    if phase is _CLOSED:
        return Refusal(Reason.MARKET_CLOSED, f"{market} is closed")
    return None


def is_halted(state: State, market: str, symbol: str) -> bool:
    """Say whether an instrument, or its market, is halted, whatever its phase."""
    if _standing(state, market, symbol).is_free:
        return False
    instrument = state.instruments.get(symbol)
    return (
        (instrument is not None and instrument.status is InstrumentStatus.HALTED)
        or state.halts.get(pair_key(market, symbol)) is not None
        or state.halts.get(market) is not None
    )


def breaker_end(halt: Halt) -> TimeNs | None:
    """Return when a circuit breaker's halt ends by itself, or None if it does not within its day."""
    if halt.level is None or halt.level >= LAST_LEVEL:
        return None
    return TimeNs(saturated(halt.event_time_ns + BREAKER_HALT_NS))


def next_look(state: State, market: str, symbol: str) -> TimeNs | None:
    """Return from when on a market's halt may have ended by itself, or None if it is not halted or an event has to end it."""
    if _standing(state, market, symbol).is_free:
        return None
    halt = state.halts.get(market)
    # Any tick may end a circuit breaker's: with its time, or with another business date.
    return None if halt is None or halt.level is None else halt.event_time_ns


def has_expired(state: State, instrument: Instrument, time_ns: TimeNs) -> bool:
    """Say whether an instrument's last business date is over: that of the market, or the date of a time before it has one."""
    if instrument.expiry_date is None:
        return False
    return (business_date(state, instrument.market) or utc_date(time_ns)) > instrument.expiry_date


def entry_refusal(phase: SessionKind, time_in_force: TimeInForce, *, post_only: bool) -> Refusal | None:
    """Refuse a new order that has no meaning in the phase: see docs/market-rules.md for the table."""
    if phase is _OPEN:
        wrong = time_in_force is _AT_OPEN
    else:
        wrong = post_only or time_in_force in _AT_ONCE
        wrong |= phase is SessionKind.CLOSING_AUCTION and time_in_force is _AT_OPEN
    if not wrong:
        return None
    order = "a post-only order" if post_only else f"a {time_in_force} order"
    return Refusal(Reason.WRONG_PHASE, f"{order} cannot enter in phase {phase}")


def clock(state: State, market: str, time_ns: TimeNs) -> TimeNs:
    """Return what the time is on a market: what its sessions said last, or a message's own time where there are none.

    The times of orders are their producers' word, which must not end the orders of others where there is a clock.
    """
    row = state.markets.get(market)
    return time_ns if row is None or row.event_time_ns <= 0 else row.event_time_ns
