"""One message's turn at one book: keeps book and rows in step, words the events, and sums up what changed.

Decides nothing about the market; it is how the decisions of this room are written down.
"""

import datetime as dt
from collections import deque
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.calendar import utc_date
from bourse.pipeline.depth import CHECKSUM_MASK, level_checksum
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.ids import pair_key
from bourse.pipeline.markets import CALL_PHASES, business_date, clock, phase_of, trading_refusal
from bourse.pipeline.matching import by_order
from bourse.pipeline.matching.auction import Uncrossing, uncrossing
from bourse.pipeline.matching.book import Book
from bourse.pipeline.money import BASIS_POINTS, saturated
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    BookLevel,
    BookOrder,
    BookState,
    BookUpdate,
    OrderEvent,
    OrderStatus,
    Release,
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
_ORDER_EVENTS: Final = Topic.ORDER_EVENTS
_RELEASES: Final = Topic.RELEASES
_BOOK_UPDATES: Final = Topic.BOOK_UPDATES

NOTHING: Final = Quantity(0)
SNAPSHOT_EVERY: Final = 1_000
"""Updates from one snapshot of a book to the next, phase changes apart."""
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

    `elected` holds the ids of stops that a trade of this turn has set off, in their order; `wants_snapshot` asks for an
    update that has all levels; `has_opened` says that continuous trading has begun in it, or gone on. `session_phase` is the phase that session events have put the instrument in; `phase` is the
    one that the book is in, which may be a call of its own meanwhile.
    """

    trade_date: dt.date | None = None
    trades = 0
    elected: deque[str] | None = None
    wants_snapshot = False
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
        self.touched: dict[tuple[Side, Price], tuple[int, int]] = {}  # each level as it was before
        self._orders_before: dict[str, RestingOrder | None] | None = {} if memory.depth_by_order else None

    def follow(self, session: SessionEvent) -> None:
        """Take date and clock as a session event says, which may be for one symbol and so not move its market's."""
        self.trade_date, self._session_time_ns = session.business_date, self.time_ns

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
        return self.session_phase is OPEN is not self.memory.phase and not self.has_opened

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
        self.touch(order)
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
        self.touch(order)
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
        self.touch(order)
        self.book.remove(order.order_id)
        self.state.resting_orders.delete(key)

    def fill(self, order: RestingOrder, quantity: Quantity) -> None:
        """Fill the first order of a side."""
        self.touch(order)
        key = pair_key(self.symbol, order.order_id)
        if quantity == order.leaves_quantity:
            self.book.take(order)
            self.book.index.discard(order)
            self.state.resting_orders.delete(key)
            return
        after = self.book.fill(order, quantity, self.place + 1)
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

    def touch(self, order: RestingOrder) -> None:
        """Take note of the level of an order that is about to come, change or go, and of the order where it is shown."""
        side, price = key = (order.side, order.price)
        if key not in self.touched:
            self.touched[key] = self.book.level(side, price)
        if self._orders_before is not None and order.order_id not in self._orders_before:
            self._orders_before[order.order_id] = self.book.get(order.order_id)

    def show_orders(self, *, are_shown: bool) -> None:
        """Tell of each order from now on, or of levels alone."""
        if are_shown is not self.memory.depth_by_order:
            self.memory = replace(self.memory, depth_by_order=are_shown)
            self._orders_before = {} if are_shown else None
            self.wants_snapshot = True

    def _placed(self, order: RestingOrder) -> RestingOrder:
        """Give an order the next place in time, which it may have been made with."""
        self.place += 1
        return order if order.sequence == self.place else replace(order, sequence=self.place)

    def tell(
        self, order: RestingOrder, status: OrderStatus, leaves: Quantity, refusal: Refusal | None = None
    ) -> None:
        """Publish a step in the life of an order."""
        outputs = self.outputs
        reason, text = (None, None) if refusal is None else refusal
        outputs.put(
            _ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order.order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                status,
                reason,
                text,
                order.order_quantity,
                order.cum_quantity,
                leaves,
                None,
                None,
                self.time_ns,
            ),
        )

    def refuse(
        self,
        order: ApprovedOrder,
        status: OrderStatus,
        refusal: Refusal,
        order_id: str,
        quantity: Quantity = NOTHING,
        target_order_id: str | None = None,
    ) -> None:
        """Publish that a message was refused."""
        outputs = self.outputs
        outputs.put(
            _ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                status,
                refusal.reason,
                refusal.text,
                quantity,
                NOTHING,
                NOTHING,
                None,
                None,
                self.time_ns,
                target_order_id,
            ),
        )

    def release(
        self,
        order: RestingOrder | ApprovedOrder,
        side: Side,
        quantity: Quantity,
        reason: ReleaseReason,
    ) -> None:
        """Tell the account side that a quantity of an order will not trade any more."""
        outputs = self.outputs
        outputs.put(
            _RELEASES,
            order.account_id,
            Release(
                outputs.next_id(),
                order.order_id,
                order.account_id,
                self.symbol,
                side,
                quantity,
                reason,
                self.time_ns,
            ),
        )

    def end(
        self, order: RestingOrder, status: OrderStatus, reason: ReleaseReason, refusal: Refusal | None = None
    ) -> None:
        """Take a live order out for good, and tell it and the account side."""
        self.remove(order)
        self.lapse(order, status, reason, refusal)

    def lapse(
        self, order: RestingOrder, status: OrderStatus, reason: ReleaseReason, refusal: Refusal | None = None
    ) -> None:
        """Tell that what is left of an order will not trade any more; it is in the book no more, or never was."""
        self.tell(order, status, NOTHING, refusal)
        self.release(order, order.side, order.leaves_quantity, reason)

    def finish(self) -> None:
        """Publish the levels that changed, check the book and write down what it remembers."""
        memory, book = self.memory, self.book
        sequence, checksum = memory.sequence, memory.checksum
        bid, ask = book.best(BUY), book.best(SELL)
        is_crossed = bid is not None and ask is not None and bid[0] >= ask[0]
        changes: list[BookLevel] = []
        for (side, price), (quantity, orders) in self.touched.items():
            quantity_now, orders_now = book.level(side, price)
            if quantity_now != quantity or orders_now != orders:
                changes.append(BookLevel(side, price, Quantity(quantity_now), orders_now))
                checksum += level_checksum(side, price, quantity_now - quantity, orders_now - orders)
        changed = [] if self._orders_before is None else by_order.changes(book, self._orders_before)
        if changes or changed or self.wants_snapshot:
            checksum &= CHECKSUM_MASK
            sequence = self._publish(sequence + 1, changes, changed, checksum, bid, ask, is_crossed)
        remembered = BookState(
            sequence,
            self.last_price,
            memory.business_date,
            self.place,
            memory.market,
            memory.phase if self.is_opening_due() else self.session_phase,
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
        )
        before = self._remembered
        if sequence != before.sequence or remembered != before:
            self.state.books.put(self.symbol, remembered)
            if remembered.wake_time_ns != before.wake_time_ns:
                self.state.wakes.learn(self.symbol, remembered.wake_time_ns)

    def _wake_time(self) -> TimeNs | None:
        expiry, pause_end = self.book.index.next_expiry(), self.memory.paused_until_time_ns
        if expiry is None or pause_end is None:
            return pause_end if expiry is None else expiry
        return min(expiry, pause_end)

    def _publish(
        self,
        sequence: int,
        changes: list[BookLevel],
        changed: list[BookOrder],
        checksum: int,
        bid: tuple[Price, int] | None,
        ask: tuple[Price, int] | None,
        is_crossed: bool,  # noqa: FBT001 - a fact of the book
    ) -> int:
        """Publish an update of a book that has this checksum now, or several if many orders changed; return its last number."""
        if is_crossed and self.is_trading():
            message = f"the book of {self.symbol} is crossed: bid {bid}, ask {ask} after {self.cause}"
            raise InvariantBroken(message)
        outputs = self.outputs
        # What keeps an open book from uncrossing is a halt.
        is_halted = self.phase is OPEN and (is_crossed or self.is_paused())
        is_snapshot = self.wants_snapshot or sequence % SNAPSHOT_EVERY == 0
        if is_snapshot:
            changes = self._all_levels(changes)
            if self._orders_before is not None:
                changed = by_order.everything(self.book, changed)
        uncross = self._indicative(sequence, is_snapshot) if is_crossed else None
        update = BookUpdate(
            outputs.next_id(),
            self.symbol,
            sequence,
            tuple(changes),
            None if bid is None else bid[0],
            None if bid is None else Quantity(bid[1]),
            None if ask is None else ask[0],
            None if ask is None else Quantity(ask[1]),
            self.time_ns,
            is_snapshot,
            checksum,
            SessionKind.HALT if is_halted else self.phase,
            None if uncross is None else uncross.price,
            NOTHING if uncross is None else Quantity(saturated(uncross.quantity)),
            NOTHING if uncross is None else Quantity(saturated(uncross.surplus)),
            self.memory.paused_until_time_ns,
        )
        if not changed:
            outputs.put(_BOOK_UPDATES, self.symbol, update)
            return sequence
        for part in by_order.spread(update, changed):
            outputs.put(_BOOK_UPDATES, self.symbol, replace(part, event_id=outputs.next_id()))
            sequence = part.sequence
        return sequence

    def _all_levels(self, changes: list[BookLevel]) -> list[BookLevel]:
        """Return every level, and the changed ones that are gone, so that an update is right with or without the flag."""
        gone = [change for change in changes if not change.orders]
        return gone + [BookLevel(side, *level) for side in Side for level in self.book.depth(side)]

    def _indicative(self, sequence: int, is_snapshot: bool) -> Uncrossing | None:  # noqa: FBT001 - a fact of the update
        """Return where the book would uncross now; deep books are not looked through at every update."""
        if self.phase not in CALL_PHASES:
            return None
        if not is_snapshot and sequence % (1 + self.book.size() // _FEW_LEVELS):
            return None
        return uncrossing(self.book, self.reference_price())

    def reference_price(self) -> Price | None:
        """Return the last price, or the instrument's reference price before the first trade."""
        return self.memory.reference_price if self.last_price is None else self.last_price
