"""A book as one would explain it to a newcomer, with the rules of docs/market-rules.md and no other knowledge.

It shares nothing with the books that the market runs. Messages come by `act`, session events by `announce`; what time has
brought about by then, `wake` does before them.
"""

from typing import Final

from bourse.audit.call import call_price
from bourse.audit.levels import LIMITED, Live
from bourse.audit.stops import STOPS, keep_distance
from bourse.audit.trading import AT_ONCE, CALLS, Fill, Trading
from bourse.schemas.records import ApprovedOrder, OrderAction, OrderType, SessionKind, TimeInForce

_DAY: Final = TimeInForce.DAY
_LIMIT: Final = OrderType.LIMIT
_NEW: Final = OrderAction.NEW
_CANCEL: Final = OrderAction.CANCEL
_AT_OPEN: Final = TimeInForce.AT_OPEN
_AT_CLOSE: Final = TimeInForce.AT_CLOSE
_OF_THE_DAY: Final = (_DAY, _AT_OPEN, _AT_CLOSE)
_OPEN: Final = SessionKind.OPEN
_CLOSED: Final = SessionKind.CLOSED
_CLOSING_AUCTION: Final = SessionKind.CLOSING_AUCTION
_NO_PHASE: Final = (SessionKind.RESUME, SessionKind.HALT, SessionKind.TICK)


class Impossible(Exception):  # noqa: N818 - it is the market's error, not the program's
    """A message that was accepted and cannot have been; the text says why."""


class WrongPhase(Impossible):
    """A message that was accepted in a phase that refuses it."""


class NaiveBook(Trading):
    """The orders of one symbol, resting and waiting, through the phases of its days."""

    def copy(self) -> "NaiveBook":
        """Return a book to try things on."""
        other = NaiveBook()
        self.copy_trading(other)
        other.is_extended, other.is_opening_due = self.is_extended, self.is_opening_due
        return other

    is_opening_due = False
    """Whether its session has opened it, and a halt has kept it from doing what that means."""
    is_extended = False
    """Whether its call was extended, which it is once."""

    @property
    def shown_phase(self) -> SessionKind | None:
        """The phase as updates show it: what keeps an open book from trading is a halt."""
        is_kept = self.is_halted and self.phase is not _CLOSED
        if is_kept or (self.phase is _OPEN and (self.is_paused or self.is_crossed())):
            return SessionKind.HALT
        return self.phase

    def filled(self, order_id: str) -> int | None:
        """Return how much of a live order is filled; None if it is not live."""
        order = self.find(order_id)
        return None if order is None else order.total - order.left

    def tell_of(self, order_id: str) -> tuple[int | None, ...] | None:
        """Return what a live order is like."""
        order = self.find(order_id)
        return None if order is None else (order.price, order.total, order.left, order.shown, order.stop)

    # -- what comes in -------------------------------------------------------------------------------------------------

    def act(self, order: ApprovedOrder) -> list[Fill]:
        """Let an accepted message act, and return its trades.

        Raises:
            Impossible: it cannot have been accepted.
        """
        self.begin()
        action = order.action
        if action is _NEW:
            self._new(order)
        elif action is _CANCEL:
            self.remove(self._target(order))
        elif action is OrderAction.REPLACE:
            self._replace(order)
        else:
            self._mass_cancel(order.account_id)
        if self._reached:
            self.cascade()
        return self._fills

    def refuse(self, order: ApprovedOrder, reason: str) -> str | None:
        """Let a refused message do the little that it does: an order that would leave the band begins a pause.

        Return the reason for which a new order must be refused now, None if none; where that is not the book's to say, the reason it had.
        """
        self.begin()
        due: str | None = reason
        if order.action is _NEW and order.side is not None and order.order_type not in STOPS:
            self.learn(order)
            due = self.refusal(Live(order, order.side)) if self.is_trading else reason
        if reason == "BAND_BREACHED":
            self.pause()
        return due

    def wake(self, time_ns: int, *, ends_pause: bool, opens: bool) -> list[Fill]:
        """Let orders expire whose time has come, a pause end, and a book open that a halt had kept from it."""
        self.begin()
        for order in self.all_live():
            if order.expires_ns is not None and order.expires_ns <= time_ns:
                self.end(order, "EXPIRED")
        if ends_pause:
            self._end_or_extend_pause()
        if (ends_pause or opens) and self.is_trading:
            self._open()
        return self._fills

    def announce(self, kind: SessionKind, *, is_halted: bool) -> list[Fill]:
        """Let a session event of this book act, and return the trades of an auction."""
        self.begin()
        self.is_halted = is_halted
        before = self.session
        if kind not in _NO_PHASE:
            self.session = kind
        if kind is SessionKind.HALT or kind is SessionKind.TICK:
            return self._fills
        if not (is_halted and (self.session is _OPEN or self.session is None)):
            self.is_paused = self.is_collecting = self.is_extended = False
        self.is_opening_due = self.session is _OPEN and (self.is_opening_due or before is not _OPEN)
        if self.session is _OPEN or self.session is None:
            if not is_halted:
                self._open()
        elif self.session is _CLOSING_AUCTION:
            self._enter_the_close()
        elif self.session is _CLOSED:
            self._close(has_auction=before is _CLOSING_AUCTION and not is_halted)
        return self._fills

    def delist(self) -> None:
        """End everything, and a pause."""
        self.end_all("SYMBOL_DELISTED")
        self.is_paused = self.is_collecting = self.is_extended = False

    def end_all(self, what: str) -> None:
        """End everything: the last day of the instrument is over."""
        for order in self.all_live():
            self.end(order, what)

    # -- what messages do ----------------------------------------------------------------------------------------------

    def _new(self, order: ApprovedOrder) -> None:
        if order.side is None or order.order_id in self.orders or order.order_id in self.waiting:
            message = "it was accepted, though it has no side, or its id is live already"
            raise Impossible(message)
        self._require_phase(order)
        self.learn(order)
        entering = Live(order, order.side)
        if entering.kind is not _LIMIT and entering.kind in STOPS:
            self.wait_for_price(entering)
        elif entering.until is _AT_CLOSE and self.phase is not _CLOSING_AUCTION:
            self.wait(entering)
        else:
            self._enter(entering)

    def _replace(self, order: ApprovedOrder) -> None:
        """Change an order: it keeps its place for no more at the same prices, and else goes to the end, trading first."""
        target = self._target(order)
        self._require_phase(order)
        less = target.total - order.quantity
        if less >= target.left:
            self.remove(target)
            return
        asked = {
            "price": order.price if target.kind in LIMITED else order.protective_price,
            "display": order.display_quantity,
            "stop": order.stop_price,
            "trail": order.trail_amount,
        }
        changes = {name: value for name, value in asked.items() if value not in {None, getattr(target, name)}}
        if not changes and less >= 0:
            self.lessen(target, less)
            return
        waits = target.order_id in self.waiting
        self.remove(target)
        if "trail" in changes and order.stop_price is None:
            keep_distance(target, changes["trail"] or 0)
        for name, value in changes.items():
            setattr(target, name, value)
        target.total -= less
        target.left -= less
        if target.kind in STOPS and waits:
            self.wait_for_price(target)
        elif waits:
            self.wait(target)
        else:
            self._enter(target)

    def _enter(self, entering: Live) -> None:
        if (self.session is not _OPEN and self.phase in CALLS) or self.is_collecting:
            self.rest(entering)
            return
        reason = self.refusal(entering)
        if reason is not None:
            message = f"it was accepted, though {reason}"
            raise Impossible(message)
        self.enter(entering)

    def _mass_cancel(self, account_id: str) -> None:
        own = [order for order in self.all_live() if order.account_id == account_id]
        if not own:
            message = "a mass cancel of nothing was accepted"
            raise Impossible(message)
        for order in own:
            self.remove(order)

    def _target(self, order: ApprovedOrder) -> Live:
        target = self.find(order.target_order_id or "")
        if target is None or target.account_id != order.account_id:
            message = f"it was accepted, but {order.target_order_id} is not live"
            raise Impossible(message)
        return target

    def _require_phase(self, order: ApprovedOrder) -> None:
        """Refuse what no book takes in its phase, or in that of its session."""
        lasts, phase = order.time_in_force, self.phase
        if phase is _OPEN and lasts is _DAY and not self.is_paused:
            return
        is_wrong = phase is _CLOSED or (self.is_paused and not self.is_collecting)
        if order.action is _NEW and phase is not None:
            if phase in CALLS:
                is_wrong |= lasts in AT_ONCE or order.post_only
            if phase is _CLOSING_AUCTION or self.session is _OPEN:
                is_wrong |= lasts is _AT_OPEN
        if is_wrong:
            message = f"a {lasts} {order.action} was accepted in phase {self.shown_phase}"
            raise WrongPhase(message)

    # -- auctions and phases -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Begin continuous trading, or go on with it."""
        self.is_opening_due = False
        self.reach(self.last_price)
        self._uncross()
        self._end_auction_orders()
        self.reach(self.last_price)
        self.cascade()

    def _close(self, *, has_auction: bool) -> None:
        if has_auction:
            self._uncross()
        for order in self.all_live():
            if order.until in _OF_THE_DAY:
                self.end(order, "EXPIRED")
        self._end_auction_orders()
        self.cascade()

    def _enter_the_close(self) -> None:
        for order in list(self.orders.values()):
            if order.until is _AT_OPEN:
                self.end(order, "EXPIRED")
        entering = [order for order in self.waiting.values() if order.until is _AT_CLOSE]
        for order in sorted(entering, key=lambda order: order.place):
            self.remove(order)
            self.rest(order)

    def _end_or_extend_pause(self) -> None:
        """End a pause whose time is over, or extend a call once whose price would be outside of the band."""
        if self.is_collecting and not self.is_extended and self.session is _OPEN:
            call, (lowest, highest) = call_price(self, self.reference), self.band()
            if call is not None and not lowest <= call.price <= highest:
                self.is_extended = True
                return
        self.is_paused = self.is_collecting = self.is_extended = False

    def _end_auction_orders(self) -> None:
        for order in list(self.orders.values()):
            if order.until is _AT_OPEN or order.until is _AT_CLOSE:
                self.end(order, "EXPIRED")
            elif order.kind is OrderType.MARKET:
                self.remove(order)

    def _uncross(self) -> None:
        """Trade at one price, oldest first on both sides, until the book is not crossed any more."""
        while (call := call_price(self, self.reference)) is not None:
            while (pair := self._next_pair(call.price)) is not None:
                self._meet_in_auction(*pair, call.price)
            self._before = self.last_price

    def _next_pair(self, price: int) -> tuple[Live, Live] | None:
        """Return the two orders that meet next in an auction, the newer one, which counts as the taker, first."""
        buy, sell = self.bids.first(), self.asks.first()
        if buy is None or sell is None or not buy.reaches(price) or not sell.reaches(price):
            return None
        return (buy, sell) if buy.place > sell.place else (sell, buy)

    def _meet_in_auction(self, newer: Live, older: Live, price: int) -> None:
        if newer.is_kept_from(older):
            self.prevent(newer, older)
        elif older.is_kept_from(newer):
            self.prevent(older, newer)
        elif newer.is_sibling_of(older):
            self.end(older, "OCO_SIBLING_FILLED")
        else:
            self.trade(newer, older, price, min(newer.left, older.left), in_auction=True)
