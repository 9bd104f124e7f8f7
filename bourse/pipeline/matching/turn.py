"""One message's turn at one book: keeps book and rows in step, and writes down at its end what the book remembers.

Decides nothing about the market; it is how the decisions of this room are written down.
"""

import datetime as dt
from collections import deque
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.calendar import utc_date
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.ids import pair_key
from bourse.pipeline.markets import (
    CALL_PHASES,
    business_date,
    clock,
    is_halted,
    next_look,
    phase_of,
    trading_refusal,
)
from bourse.pipeline.matching.auction import Uncrossing, uncrossing
from bourse.pipeline.matching.book import Book
from bourse.pipeline.matching.market_data import MarketData, Standing
from bourse.pipeline.matching.reports import Reports
from bourse.pipeline.money import BASIS_POINTS
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    BookState,
    OrderStatus,
    ReleaseReason,
    RestingOrder,
    SessionEvent,
    SessionKind,
    Side,
)
from bourse.schemas.units import INT64_MAX, Price, Quantity, TimeNs

# A member that is asked for with every order is looked up once: through its class it costs 0.1 us (CPython 3.11).
BUY: Final = Side.BUY
SELL: Final = Side.SELL
OPEN: Final = SessionKind.OPEN
_FEW_LEVELS: Final = 64
"""Books of more levels publish their indicative price the more rarely, the more levels there are."""
_EVERY_PRICE: Final = (Price(0), Price(INT64_MAX))


def book_of(state: State, symbol: str) -> Book:
    """Return the book of a symbol, built again from its rows if it is not in memory."""
    book = state.order_books.get(symbol)
    if book is None:
        book = state.order_books[symbol] = Book()
        prefix = pair_key(symbol, "")
        for row in sorted((row for _, row in state.resting_orders.scan(prefix)), key=_place):
            book.rest(row)
            book.index.add(row)
        for row in sorted((row for _, row in state.waiting_orders.scan(prefix)), key=_place):
            book.waiting.add(row)
            book.index.add(row)
    return book


def _place(order: RestingOrder) -> int:
    return order.sequence


def _unwritten(state: State, symbol: str, market: str) -> BookState:
    """Return the row of a book that has none yet."""
    instrument = state.instruments.get(symbol)
    return BookState(market=market, depth_by_order=instrument is not None and instrument.depth_by_order)


class Turn:
    """What one message does to one book.

    `elected` holds the ids of stops that a trade of this turn has set off, in their order; `has_opened` says that
    continuous trading has begun in it, or gone on. `session_phase` is the phase that session events have put the
    instrument in; `phase` is the one that the book is in, which may be a call of its own meanwhile.
    """

    trade_date: dt.date | None = None
    trades = 0
    elected: deque[str] | None = None
    has_opened = False
    _band: tuple[Price, Price] | None = None
    _session_time_ns: TimeNs | None = None

    def __init__(
        self, state: State, outputs: Outputs, cause: str, symbol: str, market: str, time_ns: TimeNs
    ) -> None:
        self.state = state
        self.outputs = outputs
        self.cause = cause
        self.symbol = symbol
        self.time_ns = time_ns
        self.book = book_of(state, symbol)
        self.memory = self._remembered = memory = state.books.get(symbol) or _unwritten(state, symbol, market)
        self.market = market = market or memory.market
        self.enter_phase(phase_of(state, market, symbol))
        self.place = memory.place
        self.last_price = memory.last_price
        self.reports = Reports(outputs, symbol, time_ns)
        self.market_data = MarketData(self.book, by_order=memory.depth_by_order)

    def follow(self, session: SessionEvent) -> None:
        """Take the clock as a session event says, and the date as its market has it then, where sessions have told one."""
        row = self.state.markets.get(self.market)
        self.trade_date, self._session_time_ns = session.business_date, self.time_ns
        if row is not None and row.event_time_ns >= 0:
            self.trade_date = row.business_date
            if session.symbol is None:
                # A phase may come after a later tick, and no clock goes back.
                self._session_time_ns = max(self.time_ns, row.event_time_ns)

    def enter_phase(self, session_phase: SessionKind) -> None:
        """Be in the phase that a session has put the instrument in, or in the call of a pause meanwhile."""
        self.session_phase = self.phase = session_phase
        if self.memory.is_collecting and session_phase is OPEN:
            self.phase = SessionKind.OPENING_AUCTION

    def clock_ns(self) -> TimeNs:
        """Return what the time is on the market."""
        if self._session_time_ns is not None:
            return self._session_time_ns
        return clock(self.state, self.market, self.time_ns)

    def learn(self, order: ApprovedOrder) -> None:
        """Remember what an order says of its instrument."""
        memory = self.memory
        # A price of 0 is how operators say that there is none.
        said = (
            order.market,
            order.reference_price or None,
            order.price_band_bps,
            order.pause_time_ns,
            order.volatility_auction,
        )
        known = (
            memory.market,
            memory.reference_price,
            memory.price_band_bps,
            memory.pause_time_ns,
            memory.volatility_auction,
        )
        if said != known:
            market, reference_price, band, pause_time_ns, volatility_auction = said
            self.memory = replace(
                memory,
                market=market,
                reference_price=reference_price,
                price_band_bps=band,
                pause_time_ns=pause_time_ns,
                volatility_auction=volatility_auction,
            )

    def date(self) -> dt.date:
        """Return the business date of this turn's trades.

        What the message says (risk fixed it when it let an order through); else the market's; else the UTC date of the
        first order that the book saw.
        """
        if self.trade_date is None:
            self.trade_date = business_date(self.state, self.market) or self.memory.business_date
        if self.trade_date is None:
            self.trade_date = utc_date(self.time_ns)
            self.memory = replace(self.memory, business_date=self.trade_date)
        return self.trade_date

    def band(self) -> tuple[Price, Price]:
        """Return the lowest and the highest price at which this turn may trade; its own trades do not move them."""
        if self._band is None:
            memory = self.memory
            if memory.price_band_bps is None:
                return _EVERY_PRICE
            middle = memory.reference_price if memory.last_price is None else memory.last_price
            if middle is None:
                self._band = _EVERY_PRICE
            else:
                reach = middle * max(0, memory.price_band_bps) // BASIS_POINTS
                self._band = (Price(middle - reach), Price(middle + reach))
        return self._band

    def reset_band(self) -> None:
        """Measure the band from the last price from here on: an auction has found it."""
        self.memory = replace(self.memory, last_price=self.last_price)
        self._band = None

    def is_paused(self) -> bool:
        """Say whether trading pauses because a trade would have been outside of the band."""
        return self.memory.paused_until_time_ns is not None

    def is_opening_due(self) -> bool:
        """Say whether sessions have opened the book, and it has not done yet what that means: a halt keeps it from it."""
        memory = self.memory
        is_due = memory.is_opening_due or memory.phase is not OPEN
        return is_due and self.session_phase is OPEN and not self.has_opened

    def is_trading(self) -> bool:
        """Say whether orders may trade as they come."""
        return self.phase is OPEN and self.refusal() is None

    def refusal(self) -> Refusal | None:
        """Return why orders can be neither entered nor changed, or None if they can."""
        refusal = self._halt(self.phase)
        if refusal is None and self.is_paused() and not self.memory.is_collecting:
            until = self.memory.paused_until_time_ns
            return Refusal(Reason.SYMBOL_HALTED, f"{self.symbol} is paused until {until}")
        return refusal

    def is_halted(self) -> bool:
        """Say whether nothing may trade, whatever the phase."""
        return self._halt(SessionKind.OPEN) is not None

    def _halt(self, phase: SessionKind) -> Refusal | None:
        return trading_refusal(self.state, self.market, self.symbol, phase, self.time_ns)

    def find(self, order_id: str | None) -> RestingOrder | None:
        """Return the live order with this id, resting or waiting, or None."""
        if order_id is None:
            return None
        return self.book.get(order_id) or self.book.waiting.get(order_id)

    def rest(self, order: RestingOrder) -> RestingOrder:
        """Add an order at the end of its price's queue, and return it with its place in time."""
        order = self._placed(order)
        self.market_data.touch(order)
        self.book.rest(order)
        self.book.index.add(order)
        self.state.resting_orders.put(pair_key(self.symbol, order.order_id), order)
        return order

    def wait(self, order: RestingOrder) -> None:
        """Let an order wait to enter the book."""
        order = self._placed(order)
        self.book.waiting.add(order)
        self.book.index.add(order)
        self.state.waiting_orders.put(pair_key(self.symbol, order.order_id), order)

    def amend(self, order: RestingOrder) -> None:
        """Put a changed order in the place of the one with its id."""
        key = pair_key(self.symbol, order.order_id)
        if self.book.waiting.get(order.order_id) is not None:
            self.book.waiting.add(order)
            self.state.waiting_orders.put(key, order)
            return
        self.market_data.touch(order)
        self.book.amend(order)
        self.state.resting_orders.put(key, order)

    def remove(self, order: RestingOrder) -> None:
        """Take a live order out."""
        self.book.index.discard(order)
        key = pair_key(self.symbol, order.order_id)
        if self.book.waiting.get(order.order_id) is not None:
            self.book.waiting.remove(order.order_id)
            self.state.waiting_orders.delete(key)
            return
        self.market_data.touch(order)
        self.book.remove(order.order_id)
        self.state.resting_orders.delete(key)

    def fill(self, order: RestingOrder, quantity: Quantity, *, keeps_place: bool = False) -> None:
        """Fill the first order of a side; an iceberg that keeps its place shows a fresh part there."""
        self.market_data.touch(order)
        key = pair_key(self.symbol, order.order_id)
        if quantity == order.leaves_quantity:
            self.book.remove(order.order_id)
            self.book.index.discard(order)
            self.state.resting_orders.delete(key)
            return
        after = self.book.fill(order, quantity, None if keeps_place else self.place + 1)
        if after.sequence != order.sequence:
            self.place += 1
        self.state.resting_orders.put(key, after)

    def print(self, price: Price) -> None:
        """Take note of a trade: it sets off stops, and trailing stops follow it."""
        self.last_price = price
        waiting = self.book.waiting
        if waiting:
            self.elect(waiting.set_off(price))
            for moved in waiting.follow(price):
                self.state.waiting_orders.put(pair_key(self.symbol, moved.order_id), moved)

    def elect(self, stops: list[RestingOrder]) -> None:
        """Let stops that were set off trade, after those that were before them."""
        if stops:
            self.elected = self.elected or deque()
            self.elected.extend([stop.order_id for stop in stops])

    def show_orders(self, *, are_shown: bool) -> None:
        """Tell of each order from now on, or of levels alone."""
        if are_shown is not self.memory.depth_by_order:
            self.memory = replace(self.memory, depth_by_order=are_shown)
            self.market_data.show_orders(are_shown=are_shown)

    def _placed(self, order: RestingOrder) -> RestingOrder:
        """Give an order the next place in time, which it may have been made with."""
        self.place += 1
        return order if order.sequence == self.place else replace(order, sequence=self.place)

    def end(
        self, order: RestingOrder, status: OrderStatus, reason: ReleaseReason, refusal: Refusal | None = None
    ) -> None:
        """Take a live order out for good, and tell it and the account side."""
        self.remove(order)
        self.reports.lapse(order, status, reason, refusal)

    def finish(self) -> None:
        """Publish the levels that changed, check the book and write down what it remembers."""
        memory, market_data = self.memory, self.market_data
        sequence, is_crossed = memory.sequence, self.book.is_crossed()
        levels, checksum = market_data.changes(memory.checksum)
        orders = market_data.orders()
        shown, last_shown = self._shown_phase(is_crossed), memory.shown_phase
        if shown is not last_shown is not None:
            market_data.is_full = True
        # A trade is told of even where an iceberg shows as much again: so every trade has a place among the updates.
        if levels or orders or market_data.is_full or self.trades:
            last_shown = shown
            market_data.complete_if_due(sequence + 1, levels, orders)
            standing = self._standing(sequence + 1, shown, is_crossed)
            sequence = market_data.publish(
                self.outputs, self.symbol, sequence + 1, levels, orders, checksum, standing
            )
        remembered = BookState(
            sequence,
            self.last_price,
            memory.business_date,
            self.place,
            memory.market,
            self.session_phase,
            memory.reference_price,
            memory.price_band_bps,
            memory.pause_time_ns,
            memory.paused_until_time_ns,
            self._wake_time(),
            checksum,
            is_crossed,
            memory.volatility_auction,
            memory.is_collecting,
            memory.pause_extensions,
            memory.depth_by_order,
            self.is_opening_due(),
            last_shown,
        )
        before = self._remembered
        if sequence != before.sequence or remembered != before:
            self.state.books.put(self.symbol, remembered)
            if remembered.wake_time_ns != before.wake_time_ns:
                self.state.wakes.learn(self.symbol, remembered.wake_time_ns)

    def _wake_time(self) -> TimeNs | None:
        expiry, pause_end = self.book.index.next_expiry(), self.memory.paused_until_time_ns
        lapse = next_look(self.state, self.market, self.symbol)
        if expiry is None and pause_end is None:
            return lapse
        return min(time_ns for time_ns in (expiry, pause_end, lapse) if time_ns is not None)

    def _shown_phase(self, is_crossed: bool) -> SessionKind:  # noqa: FBT001 - a fact of the book
        """Return the phase as the public sees it: what keeps a crossed book that is open from uncrossing is a halt."""
        phase = self.phase
        if phase is OPEN and (is_crossed or self.is_paused()):
            return SessionKind.HALT
        is_kept = phase is not SessionKind.CLOSED and is_halted(self.state, self.market, self.symbol)
        return SessionKind.HALT if is_kept else phase

    def _standing(self, sequence: int, shown: SessionKind, is_crossed: bool) -> Standing:  # noqa: FBT001 - a fact of the book
        """Return how the book stands for the update of this number; InvariantBroken if it is crossed while it trades."""
        if is_crossed and self.is_trading():
            best = self.book.best(BUY), self.book.best(SELL)
            message = f"the book of {self.symbol} is crossed: bid and ask {best} after {self.cause}"
            raise InvariantBroken(message)
        return Standing(
            self.time_ns,
            shown,
            self.memory.paused_until_time_ns,
            self._indicative(sequence) if is_crossed else None,
        )

    def _indicative(self, sequence: int) -> Uncrossing | None:
        """Return where the book would uncross now; deep books are not looked through at every update."""
        if self.phase not in CALL_PHASES:
            return None
        if not self.market_data.is_full and sequence % (1 + self.book.size() // _FEW_LEVELS):
            return None
        return uncrossing(self.book, self.reference_price())

    def reference_price(self) -> Price | None:
        """Return the last price, or the instrument's reference price before the first trade."""
        return self.memory.reference_price if self.last_price is None else self.last_price
