"""What sessions do to books: auctions begin and end, trading goes on after a halt or a pause, orders expire.

Decides what each change of phase means for what rests and waits. Phases and halts themselves are read from the tables
that validation keeps.
"""

from typing import Final

from bourse.pipeline.markets import is_halted
from bourse.pipeline.matching import pauses, uncross
from bourse.pipeline.matching.admission import AUCTION_ONLY
from bourse.pipeline.matching.stops import fire, set_off
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    InstrumentStatus,
    OrderStatus,
    OrderType,
    ReleaseReason,
    RestingOrder,
    SessionEvent,
    SessionKind,
    TimeInForce,
)
from bourse.schemas.units import TimeNs

_ENDS_WITH_THE_DAY: Final = frozenset({TimeInForce.DAY, *AUCTION_ONLY})


def follow(state: State, outputs: Outputs, cause: str, session: SessionEvent, time_ns: TimeNs) -> None:
    """Let every book that a session event concerns act on it, one after the other."""
    for symbol in _concerned(state, session, time_ns):
        turn = Turn(state, outputs, cause, symbol, session.market, time_ns)
        if turn.memory.market == session.market:
            turn.follow(session)
            if session.kind is SessionKind.TICK or session.kind is SessionKind.HALT:
                wake(turn)
            else:
                # It ends what was before it: a pause that it begins itself, by the stops it sets off, goes on.
                _expire_in_time(turn)
                _act(turn)
            fire(turn)
            _expire_with_its_instrument(turn, session)
            turn.finish()


def _concerned(state: State, session: SessionEvent, time_ns: TimeNs) -> list[str]:
    if session.kind is SessionKind.TICK:
        return state.wakes.due(time_ns)
    if session.symbol is not None:
        # Every partition hears of it; the book is in one of them, if it has begun.
        return [] if state.books.get(session.symbol) is None else [session.symbol]
    return [symbol for symbol, row in state.books.scan("") if row.market == session.market]


def _act(turn: Turn) -> None:
    """Enter a phase, or go on in it after a halt."""
    if not (turn.session_phase is SessionKind.OPEN and is_halted(turn.state, turn.market, turn.symbol)):
        # In a halt that lasts on it has to wait: what a call has collected could not trade at its end.
        pauses.end(turn)
    before = turn.memory.phase
    match turn.phase:
        case SessionKind.OPEN:
            open_book(turn)
        case SessionKind.CLOSING_AUCTION:
            _enter_the_close(turn)
        case SessionKind.CLOSED:
            _close(turn, before)
        case _:
            pass
    if turn.session_phase is not before or turn.trades:
        turn.market_data.is_full = True


def wake(turn: Turn) -> None:
    """Do what is due since the last message: orders expire, a pause ends, and a halt that has ended lets the book open."""
    if turn.memory.wake_time_ns is not None:
        _expire_in_time(turn)
        _end_pause_in_time(turn)
    if turn.is_opening_due() and turn.is_trading():
        # A circuit breaker ends by itself: no event says so.
        open_book(turn)
        fire(turn)


def _expire_in_time(turn: Turn) -> None:
    wake_time_ns = turn.memory.wake_time_ns
    if wake_time_ns is None or (now := turn.clock_ns()) < wake_time_ns:
        return
    for order_id in turn.book.index.take_expired(now):
        order = turn.find(order_id)
        assert order is not None, order_id
        turn.end(order, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)


def _end_pause_in_time(turn: Turn) -> None:
    until = turn.memory.paused_until_time_ns
    if until is not None and until <= turn.clock_ns() and not turn.is_halted():
        pauses.end_or_extend(turn)
        open_book(turn)
        fire(turn)


def open_book(turn: Turn) -> None:
    """Begin continuous trading, or go on with it: uncross, drop what was for an auction alone, look at the stops."""
    if not turn.is_trading():
        return
    turn.has_opened = True
    set_off(turn)  # what the last trade before this reached, wherever the auction goes
    uncross.uncross(turn)
    _end_auction_orders(turn)
    set_off(turn)


def _end_auction_orders(turn: Turn) -> None:
    """End what an auction has left of orders that were for it alone, and of market orders."""
    for order in _resting(turn):
        if order.time_in_force in AUCTION_ONLY:
            turn.end(order, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)
        elif order.order_type is OrderType.MARKET:
            turn.end(order, OrderStatus.CANCELLED, ReleaseReason.IOC_REST)


def _enter_the_close(turn: Turn) -> None:
    """Let the orders that wait for the closing auction rest, in the order of their arrival; an opening that was not is over."""
    for order in _resting(turn):
        if order.time_in_force is TimeInForce.AT_OPEN:
            turn.end(order, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)
    for order in sorted(turn.book.waiting, key=_arrival):
        if order.time_in_force is TimeInForce.AT_CLOSE:
            turn.remove(order)
            turn.rest(order)


def _close(turn: Turn, before: SessionKind) -> None:
    """End the day: uncross if it ends with a closing auction that no halt stopped, and expire what ends with the day."""
    if before is SessionKind.CLOSING_AUCTION and not turn.is_halted():
        uncross.uncross(turn)
    ending = [
        order for order in (*turn.book, *turn.book.waiting) if order.time_in_force in _ENDS_WITH_THE_DAY
    ]
    for order in sorted(ending, key=_arrival):
        turn.end(order, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)
    _end_auction_orders(turn)


def _expire_with_its_instrument(turn: Turn, session: SessionEvent) -> None:
    """Expire everything when the last day of an instrument is over."""
    instrument = turn.state.instruments.get(turn.symbol)
    if instrument is None or instrument.expiry_date is None:
        return
    days_left = (instrument.expiry_date - session.business_date).days
    if days_left < 0 or (days_left == 0 and turn.phase is SessionKind.CLOSED):
        for order in sorted((*turn.book, *turn.book.waiting), key=_arrival):
            turn.end(order, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)


def learn(state: State, outputs: Outputs, cause: str, symbol: str, time_ns: TimeNs) -> None:
    """Show a book as its instrument asks now, let it go on if a halt is over, and cancel everything in it if it is delisted."""
    memory, instrument = state.books.get(symbol), state.instruments.get(symbol)
    if memory is None or instrument is None:
        return
    turn = Turn(state, outputs, cause, symbol, memory.market, time_ns)
    wake(turn)
    turn.show_orders(are_shown=instrument.depth_by_order)
    if instrument.status is InstrumentStatus.DELISTED:
        refusal = Refusal(Reason.SYMBOL_DELISTED, f"{symbol} is delisted")
        for order in sorted((*turn.book, *turn.book.waiting), key=_arrival):
            turn.end(order, OrderStatus.CANCELLED, ReleaseReason.DELISTED, refusal)
            turn.market_data.is_full = True  # told of, though it may only have waited
        pauses.end(turn)
    turn.finish()


def _resting(turn: Turn) -> list[RestingOrder]:
    return sorted(turn.book, key=_arrival)


def _arrival(order: RestingOrder) -> int:
    return order.sequence
