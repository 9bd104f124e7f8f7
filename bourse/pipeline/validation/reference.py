"""What operators publish: accounts, instruments, phases, halts. Decides which of it replaces what was known before."""

import datetime as dt
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.forms import are_remarks, clipped, is_id, is_name
from bourse.pipeline.ids import pair_key
from bourse.pipeline.markets import LAST_LEVEL, breaker_end
from bourse.pipeline.purge import purge_client_orders
from bourse.pipeline.state import State
from bourse.pipeline.validation import rates
from bourse.pipeline.validation.checks import account_refusal
from bourse.schemas.records import (
    Account,
    Announcement,
    Halt,
    Instrument,
    MarketState,
    Participant,
    SessionEvent,
    SessionKind,
)
from bourse.schemas.units import TimeNs

NO_SESSION_YET: Final = TimeNs(-1)
"""Time of a market state that an order began, so that any session event may correct its date."""


def learn_account(state: State, account: Account) -> bool:
    """Keep an account as it is now; return whether it may no longer trade, so that its live orders must go."""
    if not is_name(account.account_id):
        message = f"malformed account_id {clipped(account.account_id)}"
        raise NotOurs(message)
    # A participant whose id could not key anything could not be suspended either.
    if account.participant_id and not is_id(account.participant_id):
        message = f"malformed participant_id {clipped(account.participant_id)}"
        raise NotOurs(message)
    if not are_remarks(account.name, account.currency):
        message = "name or currency is too long"
        raise NotOurs(message)
    _check_limits(account)
    before = state.accounts.get(account.account_id)
    state.accounts.put(account.account_id, account)
    if account.max_messages_per_second is None:
        rates.forget(state, account.account_id)
    return before is not None and _may_trade(state, before) and not _may_trade(state, account)


def _check_limits(account: Account) -> None:
    for name, limit in (
        ("max_open_orders", account.max_open_orders),
        ("max_position_value", account.max_position_value),
        ("max_concentration_bps", account.max_concentration_bps),
        ("max_order_value", account.max_order_value),
        ("max_messages_per_second", account.max_messages_per_second),
    ):
        if limit is not None and limit < 0:
            message = f"{name} {limit} is below 0: no limit is null"
            raise NotOurs(message)


def learn_participant(state: State, participant: Participant) -> list[Account]:
    """Keep a participant as it is now; return its accounts in this partition that may no longer trade because of that.

    Accounts that open later are found suspended by their participant when they send an order.
    """
    own = [row for _, row in state.accounts.scan("") if row.participant_id == participant.participant_id]
    could = [account for account in own if _may_trade(state, account)]
    state.participants.put(participant.participant_id, participant)
    return [account for account in could if not _may_trade(state, account)]


def _may_trade(state: State, account: Account) -> bool:
    return account_refusal(account, state.participants.get(account.participant_id)) is None


def learn(state: State, announcement: Announcement, cause: str, time_ns: TimeNs) -> None:
    """Keep what an announcement says about an instrument or a market; corporate actions concern holders, not orders.

    Raises:
        NotOurs: a known symbol is to have another market, currency or multiplier, a new one shares a name with a currency, or a
            market is to have a phase of before.
    """
    state.standings.clear()
    if announcement.instrument is not None:
        _learn_instrument(state, announcement.instrument)
    if announcement.session is not None:
        _learn_session(state, announcement.session, cause, time_ns)
        if announcement.session.symbol is None:
            purge_client_orders(state, announcement.session.business_date)


def _learn_instrument(state: State, instrument: Instrument) -> None:
    """Keep an instrument as it is now, unless what its orders and holdings are counted in would change under them."""
    known = state.instruments.get(instrument.symbol)
    if known is not None and _identity(known) != _identity(instrument):
        market, currency, multiplier = _identity(known)
        message = f"{instrument.symbol} trades on {market} in {currency} x {multiplier}: another needs another symbol"
        raise NotOurs(message)
    currencies = _currencies(state)
    if known is None and (
        instrument.symbol in currencies or state.instruments.get(instrument.currency) is not None
    ):
        # Wallets are kept by asset: shares and cash of one name would mix.
        message = f"{instrument.symbol} is a currency, or {instrument.currency} is traded itself"
        raise NotOurs(message)
    currencies.add(instrument.currency)
    state.instruments.put(instrument.symbol, instrument)


def _currencies(state: State) -> set[str]:
    """Return what instruments are paid in; the first time, all of them are looked through for it."""
    if state.currencies is None:
        state.currencies = {row.currency for _, row in state.instruments.scan("")}
    return state.currencies


def _identity(instrument: Instrument) -> tuple[str, str, int]:
    return instrument.market, instrument.currency, instrument.multiplier


def begin_market(state: State, market: str, date: dt.date) -> dt.date:
    """Return the business date of a market; its first order begins it, if no session event has."""
    row = state.markets.get(market)
    if row is None:
        row = MarketState(market, SessionKind.OPEN, date, NO_SESSION_YET)
        state.markets.put(market, row)
    return row.business_date


def _learn_session(state: State, session: SessionEvent, cause: str, time_ns: TimeNs) -> None:
    key = session.market if session.symbol is None else pair_key(session.market, session.symbol)
    if session.symbol is None:
        _lift_breaker(state, session, time_ns)
    match session.kind:
        case SessionKind.HALT:
            if not (
                _is_over_for_the_day(state, key, session) or _waits_for_its_operator(state, key, session)
            ):
                # Who calls it may still be at yesterday, and the market at today.
                date = _later(state.markets.get(session.market), session)
                state.halts.put(key, Halt(time_ns, session.level, date))
        case SessionKind.RESUME:
            if not _is_over_for_the_day(state, key, session):
                state.halts.delete(key)
        case SessionKind.TICK:
            pass
        case _:
            if session.symbol is not None:
                _enter_own_phase(state, session, key, time_ns)
            elif _is_new(state, session, time_ns):
                _enter_phase(state, session, cause, time_ns)
            return
    if session.symbol is None:
        _move_date(state, session, time_ns)


def _lift_breaker(state: State, session: SessionEvent, time_ns: TimeNs) -> None:
    """End a circuit breaker's halt when its time is over, or its day: the first event of the market after that does it."""
    halt = state.halts.get(session.market)
    if halt is None or halt.level is None or halt.business_date is None:
        return
    end = breaker_end(halt)
    if (end is not None and time_ns >= end) or session.business_date > halt.business_date:
        state.halts.delete(session.market)


def _is_over_for_the_day(state: State, key: str, session: SessionEvent) -> bool:
    """Say whether the circuit breaker's last level has ended the day: nobody resumes, or replaces, that halt."""
    halt = state.halts.get(key)
    return (
        halt is not None
        and halt.level == LAST_LEVEL
        and halt.business_date is not None
        and session.business_date <= halt.business_date
    )


def _waits_for_its_operator(state: State, key: str, session: SessionEvent) -> bool:
    """Say whether a circuit breaker meets a halt without an end, which it would give one."""
    halt = state.halts.get(key)
    return session.level is not None and halt is not None and halt.level is None


def _is_new(state: State, session: SessionEvent, time_ns: TimeNs) -> bool:
    """Say whether a market has not been in a phase before; a session clock that starts again may tell of such ones.

    Phases go forward by business date, and within one by time. An event without a time of its own counts as the latest.

    Raises:
        NotOurs: the phase is of before the one that the market is in, and no close of an earlier day.
    """
    known = state.markets.get(session.market)
    if known is None:
        return True
    date, phase_date = session.business_date, known.phase_date
    if session.kind is SessionKind.CLOSED and date < (phase_date or known.business_date):
        return False
    if phase_date is None:
        return True
    if 0 < time_ns == known.phase_time_ns and (session.kind, date) == (known.phase, phase_date):
        return False
    if date < phase_date or (date == phase_date and 0 < time_ns < known.phase_time_ns):
        message = (
            f"{session.market} is in {known.phase} of {phase_date} since {known.phase_time_ns}:"
            f" {session.kind} of {date}, {time_ns}, is of before that"
        )
        raise NotOurs(message)
    return True


def _enter_phase(state: State, session: SessionEvent, cause: str, time_ns: TimeNs) -> None:
    """Enter a phase of a market, with every symbol that had a phase of its own; its clock does not go back."""
    _move_date(state, session, time_ns)
    known = state.markets.get(session.market)
    assert known is not None  # or its date would not have moved
    state.markets.put(
        session.market,
        replace(
            known,
            phase=session.kind,
            phase_date=session.business_date,
            phase_time_ns=time_ns if time_ns > 0 else known.phase_time_ns,
            phase_event_id=cause,
        ),
    )
    for symbol_key, _ in state.markets.scan(f"{session.market}/"):
        state.markets.delete(symbol_key)


def _enter_own_phase(state: State, session: SessionEvent, key: str, time_ns: TimeNs) -> None:
    """Enter a phase of one symbol."""
    date = _later(state.markets.get(key), session)
    state.markets.put(key, MarketState(session.market, session.kind, date, time_ns))


def _move_date(state: State, session: SessionEvent, time_ns: TimeNs) -> None:
    """Move date and time, forward only, and leave the phase; a market nobody has opened or closed is OPEN."""
    known = state.markets.get(session.market)
    date = _later(known, session)
    if known is None:
        row = MarketState(session.market, SessionKind.OPEN, date, time_ns)
    else:
        row = replace(known, business_date=date, event_time_ns=TimeNs(max(known.event_time_ns, time_ns)))
    state.markets.put(session.market, row)


def _later(known: MarketState | None, session: SessionEvent) -> dt.date:
    """Return the date that holds after a session event: dates do not go back, as what is settled stays settled."""
    if known is None or known.event_time_ns == NO_SESSION_YET:
        return session.business_date
    return max(known.business_date, session.business_date)
