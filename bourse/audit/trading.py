"""How orders meet in a naive book: what keeps them from it, who trades with whom, and what that sets off.

What happens is told as fills, as facts (what became of an order that did not ask for it), and as changes of the levels.
"""

from collections import deque
from typing import Final, NamedTuple

from bourse.audit.levels import BUY, Levels, Live
from bourse.audit.stops import Waiting, follow
from bourse.schemas.records import (
    ApprovedOrder,
    OrderType,
    SelfTradePrevention,
    SessionKind,
    TimeInForce,
)

CALLS: Final = (SessionKind.PRE_OPEN, SessionKind.OPENING_AUCTION, SessionKind.CLOSING_AUCTION)
AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
_OPEN: Final = SessionKind.OPEN
_FOK: Final = TimeInForce.FOK
_MARKET: Final = OrderType.MARKET
_BASIS_POINTS: Final = 10_000
_ANY: Final = (0, 2**63)


class Fill(NamedTuple):
    """One trade: the order that took, the one that made the price, the price and how much."""

    taker: str
    maker: str
    price: int
    quantity: int


class Fact(NamedTuple):
    """What became of an order that did not ask for it: `what` is TRIGGERED, EXPIRED or a reason; `left` is left of it."""

    order_id: str
    what: str
    left: int


class Terms(NamedTuple):
    """What new orders say of their instrument."""

    reference: int | None
    band_bps: int | None
    has_volatility_auction: bool


class Trading(Levels):
    """The orders of one symbol, resting and waiting, in continuous trading."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting()
        self.session: SessionKind | None = None
        """The phase of its session; None before anything told it, when it may be any."""
        self.is_paused = False
        self.is_collecting = False
        """Whether its pause is a call."""
        self.is_halted = False
        """Whether it was halted when its session or instrument was last told of."""
        self.pause_ends_ns: int | None = None
        """When its pause is due to end, as its last update told."""
        self.last_price: int | None = None
        self.facts: list[Fact] = []
        """What became of orders since this was cleared."""
        self.gone: set[str] = set()
        """Waiting orders that something ended which changed no level, so that nothing tells when."""
        self._fills: list[Fill] = []
        self._reached: deque[str] = deque()
        self.instrument = Terms(None, None, False)
        self._before: int | None = None
        """The last price before this message, from which the band is measured."""

    def copy_trading(self, other: "Trading") -> None:
        """Make another book, an empty one, what this is."""
        self.copy_levels(other)
        other.waiting = self.waiting.copied()
        other.session, other.last_price, other.gone = self.session, self.last_price, self.gone
        other.is_paused, other.is_collecting = self.is_paused, self.is_collecting
        other.is_halted, other.pause_ends_ns = self.is_halted, self.pause_ends_ns
        other.instrument = self.instrument

    @property
    def phase(self) -> SessionKind | None:
        """The phase that it is in: that of its session, or a call of its own meanwhile."""
        if self.is_collecting and (self.session is _OPEN or self.session is None):
            return SessionKind.OPENING_AUCTION
        return self.session

    @property
    def is_trading(self) -> bool:
        """Whether orders trade as they come."""
        return not self.is_paused and (self.session is _OPEN or self.session is None)

    @property
    def reference(self) -> int | None:
        """What an auction leans on: the last price, or the instrument's before the first trade."""
        return self.instrument.reference if self.last_price is None else self.last_price

    def begin(self) -> None:
        """Begin with another message: its trades are its own, and its band is measured from the price before it."""
        self._fills = []
        self._before = self.last_price

    def learn(self, order: ApprovedOrder) -> None:
        """Remember what a new order says of its instrument."""
        said = (order.reference_price or None, order.price_band_bps, order.volatility_auction)
        if said != self.instrument:
            self.instrument = Terms(*said)

    def band(self) -> tuple[int, int]:
        """Return the lowest and the highest price of a trade."""
        reference, band_bps, _ = self.instrument
        middle = reference if self._before is None else self._before
        if band_bps is None or middle is None:
            return _ANY
        reach = middle * band_bps // _BASIS_POINTS
        return middle - reach, middle + reach

    # -- how orders enter ----------------------------------------------------------------------------------------------

    def refusal(self, entering: Live) -> str | None:
        """Return why an order may not enter continuous trading as the book stands."""
        best = self.against(entering.side).best()
        meets = best is not None and entering.reaches(best)
        terms = self.instrument
        is_bounded = terms.band_bps is not None and not terms.has_volatility_auction
        if meets and is_bounded and entering.kind is OrderType.LIMIT:
            lowest, highest = self.band()
            if entering.price > highest if entering.side is BUY else entering.price < lowest:
                return "BAND_BREACHED"
        if meets and entering.post_only:
            return "POST_ONLY_WOULD_TAKE"
        if entering.until is _FOK and not self._is_there_for(entering):
            return "FOK_NOT_FILLABLE"
        return None

    def _is_there_for(self, entering: Live) -> bool:
        """Say whether an order can be filled at once: with what icebergs hide, without what prevention keeps from it."""
        wanted = entering.left
        lowest, highest = self.band()
        groups: set[tuple[str, str]] = set()
        for maker in self.against(entering.side).in_line():
            if not entering.reaches(maker.price) or not lowest <= maker.price <= highest:
                return False
            if entering.is_kept_from(maker):
                if entering.prevention is not SelfTradePrevention.CANCEL_OLDEST:
                    return False
            elif not entering.is_sibling_of(maker):
                if maker.group is not None:
                    if (maker.account_id, maker.group) in groups:
                        continue  # the fill of the first of its group cancels it
                    groups.add((maker.account_id, maker.group))
                wanted -= maker.left
                if wanted <= 0:
                    return True
        return False

    def enter(self, entering: Live) -> None:
        """Let an order trade as far as it goes, and rest or lapse with what is left."""
        breached = self._meet(entering)
        if not entering.left:
            return
        lapses = entering.until in AT_ONCE
        if breached:
            self.pause()
            if lapses or not self.is_collecting:
                self.tell(entering, "BAND_BREACHED")
            else:
                self.rest(entering)
        elif entering.kind is _MARKET:
            if self.against(entering.side).prices:
                self.tell(entering, "BEYOND_COLLAR")
        elif not lapses:
            self.rest(entering)

    def pause(self) -> None:
        """Pause because a trade would be outside of the band."""
        self.is_paused, self.is_collecting = True, self.instrument.has_volatility_auction

    def _meet(self, entering: Live) -> bool:
        """Let an order trade; return whether the band ended that."""
        against = self.against(entering.side)
        lowest, highest = self.band()
        while entering.left:
            maker = against.first()
            if maker is None or not entering.reaches(maker.price):
                return False
            if not lowest <= maker.price <= highest:
                return True
            if entering.is_kept_from(maker):
                self.prevent(entering, maker)
            elif entering.is_sibling_of(maker):
                self.end(maker, "OCO_SIBLING_FILLED")
            else:
                self.trade(entering, maker, maker.price, min(entering.left, maker.shown))
        return False

    def prevent(self, asking: Live, other: Live) -> None:
        """Do what an order asks for instead of trading with another one, as if it had come last."""
        why = "SELF_TRADE_PREVENTED"
        match asking.prevention:
            case SelfTradePrevention.CANCEL_NEWEST:
                self.end(asking, why)
            case SelfTradePrevention.CANCEL_OLDEST:
                self.end(other, why)
            case SelfTradePrevention.DECREMENT:
                quantity = min(asking.left, other.left)
                for order in (other, asking):
                    if quantity == order.left:
                        self.end(order, why)
                    else:
                        self.lessen(order, quantity)
                        self.tell(order, why, order.left)
            case _:
                self.end(other, why)
                self.end(asking, why)

    def trade(self, taker: Live, maker: Live, price: int, quantity: int, *, in_auction: bool = False) -> None:
        """Trade: it may set off stops, and ends what is of one group with either order."""
        self._fills.append(Fill(taker.order_id, maker.order_id, price, quantity))
        if taker.order_id in self.orders:
            self.fill(taker, quantity, in_auction=in_auction)
        else:
            taker.left -= quantity
        self.fill(maker, quantity, in_auction=in_auction)
        self.last_price = price
        if self.waiting:
            self.reach(price)
            self.waiting.trail(price)
        for order in (maker, taker):
            if order.group is not None:
                self._end_siblings(order)

    def _end_siblings(self, filled: Live) -> None:
        for order in self.all_live():
            if order.is_sibling_of(filled) and order is not filled:
                self.end(order, "OCO_SIBLING_FILLED")

    # -- stops ---------------------------------------------------------------------------------------------------------

    def wait(self, order: Live) -> None:
        """Let an order wait."""
        order.place = self.next_place()
        self.waiting[order.order_id] = order

    def wait_for_price(self, stop: Live) -> None:
        """Let a stop wait, unless the last price has reached it already."""
        if stop.trail is not None and stop.stop is None and self.reference is not None:
            follow(stop, self.reference)
        self.wait(stop)
        if self.is_trading:
            self.reach(self.last_price)

    def reach(self, price: int | None) -> None:
        """Take note of the stops that a price has reached."""
        if price is not None:
            self._reached.extend(stop.order_id for stop in self.waiting.reached(price, self.gone))

    def cascade(self) -> None:
        """Let the stops that were reached trade, one after the other; where nothing trades now they wait on."""
        reached = self._reached
        while reached:
            stop = self.waiting.get(reached.popleft())
            if stop is None or not self.is_trading:
                continue
            self.remove(stop)
            self.tell(stop, "TRIGGERED", stop.left)
            stop.kind = OrderType.LIMIT if stop.kind is OrderType.STOP_LIMIT else _MARKET
            stop.stop = stop.trail = None
            reason = self.refusal(stop)
            if reason is None:
                self.enter(stop)
                continue
            self.tell(stop, reason)
            if reason == "BAND_BREACHED":
                self.pause()

    # -- orders, wherever they are -------------------------------------------------------------------------------------

    def all_live(self) -> list[Live]:
        """Return every live order."""
        return [*self.orders.values(), *self.waiting.values()]

    def find(self, order_id: str) -> Live | None:
        """Return a live order, or None."""
        return self.orders.get(order_id) or self.waiting.get(order_id)

    def remove(self, order: Live) -> None:
        """Take an order out, wherever it is."""
        if order.order_id in self.orders:
            self.take_out(order)
        else:
            self.waiting.pop(order.order_id, None)

    def lessen(self, order: Live, less: int) -> None:
        """Take a quantity off an order in its place."""
        if order.order_id in self.orders:
            self.reduce(order, less)
        else:
            order.total -= less
            order.left -= less

    def end(self, order: Live, what: str) -> None:
        """End an order that did not ask for it."""
        self.remove(order)
        order.left = 0
        if order.order_id not in self.gone:
            self.tell(order, what)

    def tell(self, order: Live, what: str, left: int = 0) -> None:
        """Note a fact."""
        self.facts.append(Fact(order.order_id, what, left))
