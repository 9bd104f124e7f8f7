"""A3, A4, A10 and the limits of A5: what is known of each order that is not over, and forgotten when it is.

An order's own events come in one partition, in the order of its life. Its trades and its approved terms come in other
topics, sooner or later: a fill waits for its trade (or the trade for its fill), and an order is kept until all have met.
"""

from typing import Final

from bourse.audit.entries import Entry, Way
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import (
    ApprovedOrder,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    Trade,
)

S = OrderStatus

_BASIS_POINTS: Final = 10_000
_WORKING: Final = (S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.REPLACED, S.CANCELLED, S.EXPIRED)
_NEXT: Final = {
    # The order life cycle: FIX 4.4, appendix D, without the states that only a broker has.
    S.VALIDATED: frozenset((S.RISK_APPROVED, S.REJECTED)),
    S.RISK_APPROVED: frozenset((S.OPEN, S.REJECTED, *_WORKING)),
    S.OPEN: frozenset(_WORKING),
    S.TRIGGERED: frozenset((S.OPEN, S.REJECTED, *_WORKING)),
    S.PARTIALLY_FILLED: frozenset(_WORKING),
    S.REPLACED: frozenset((S.OPEN, *_WORKING)),
}
_BEGINS: Final = {
    # What an order's life may begin with, by the stage at which it came in.
    "v": frozenset((S.VALIDATED, S.REJECTED)),
    "r": frozenset((S.RISK_APPROVED, S.REJECTED)),
    "m": frozenset((S.OPEN, S.REJECTED, *_WORKING)),
    # An expiry, an uncrossing or a settlement begins none; of an id without a position nothing can be said.
    "a": frozenset[OrderStatus](),
    "": frozenset(S),
}
_TERMINAL: Final = frozenset((S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED))
_REFUSED_REQUESTS: Final = frozenset((S.CANCEL_REJECTED, S.REPLACE_REJECTED))
_LIMITED: Final = frozenset((OrderType.LIMIT, OrderType.STOP_LIMIT))
_FILLS: Final = frozenset((S.PARTIALLY_FILLED, S.FILLED))
_CLOCKS_DIFFER_MS: Final = 5_000
LIVE: Final = frozenset((S.OPEN, S.TRIGGERED, S.PARTIALLY_FILLED, S.REPLACED))


class Life:
    """What is known of one order."""

    __slots__ = (
        "account_id",
        "before",
        "began_ms",
        "cum",
        "entry",
        "fills",
        "is_outside",
        "limits",
        "name",
        "status",
        "symbol",
        "terms",
        "total",
        "traded",
    )

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        """The last record that told something of it."""
        self.status: OrderStatus | None = None
        self.account_id = ""
        self.symbol = ""
        self.name = ""
        """Client order id of the request that its price is from."""
        self.total = 0
        self.cum = 0
        self.traded = 0
        """Sum of the quantities of its trade legs."""
        self.fills: dict[int, tuple[int, int, Entry]] = {}
        """By cum: price, quantity and record of a fill without its trade, or of a trade without its fill."""
        self.terms: ApprovedOrder | None = None
        self.limits: dict[str, int | None] = {}
        """Price by client order id, of the order itself and of each replace that was asked for."""
        self.before: dict[str, str] = {}
        """By client order id of a replace: the one whose price held before, and holds on where it names none."""
        self.began_ms = 0
        """When Kafka got the first event that it was in the book."""
        self.is_outside = False
        """Whether it came in behind risk, so that nothing is held for it."""

    def limit(self, name: str | None) -> int | None:
        """Return the price that held when it had this client order id."""
        while name is not None:
            price = self.limits.get(name)
            if price is not None:
                return price
            name = self.before.get(name)
        return None


class Lives:
    """Every order that is not over."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.open: dict[str, Life] = {}
        self._events = 0
        self._fills = 0
        self._legs = 0
        self._validations = 0
        self._approvals = 0
        self._closed_ms: dict[tuple[str, str | None], int] = {}
        """By market, and by market and symbol: when Kafka got its last close."""

    # -- the order's own events --------------------------------------------------------------------------------

    def event(self, entry: Entry, event: OrderEvent, way: Way) -> None:
        """Take in a step of an order's life, or the refusal of a request."""
        self._events += 1
        status = event.status
        if status in _REFUSED_REQUESTS:
            self._refused_request(entry, event, way)
            return
        life = self.open.get(event.order_id)
        if life is None or life.status is None:
            life = self._begin(entry, event, way, life)
        elif status not in _NEXT.get(life.status, ()):
            self._ledger.fail(Equation.A3, entry, f"order {event.order_id} was {life.status}, is {status}")
        if life is None:
            return
        self._quantities(entry, event, life)
        life.status, life.entry, life.total, life.cum = (
            status,
            entry,
            event.order_quantity,
            event.cum_quantity,
        )
        if not life.began_ms and status in LIVE:
            life.began_ms = entry.timestamp_ms
        if status is S.REPLACED:
            self._replaced(event, life)
        if status in _FILLS:
            self._fills += 1
            self._meet(event.order_id, life, entry, event.last_price or 0, event.last_quantity or 0)
        if status is S.REJECTED and way.stage in {"v", "r"}:
            del self.open[event.order_id]  # It never got as far as having terms.
        elif status in _TERMINAL:
            self._forget(event.order_id, life)

    def _refused_request(self, entry: Entry, event: OrderEvent, way: Way) -> None:
        if event.reason is None:
            self._ledger.fail(Equation.A3, entry, "it refuses without a reason")
        if way.stage in {"v", "r"}:
            return  # It was never approved; a repeat has the client order id of one that may have been.
        target = None if event.target_order_id is None else self.open.get(event.target_order_id)
        if target is not None and event.client_order_id != target.name:
            target.limits.pop(event.client_order_id, None)

    def _begin(self, entry: Entry, event: OrderEvent, way: Way, life: Life | None) -> Life | None:
        """Begin a life; an order that was put aside as a repeat never has one."""
        status = event.status
        self._validations += status is S.VALIDATED
        # An id from outside may tell of stages that the order never passed here: then no order here did.
        entered = way.path[:1] if self._validations or way.path[:2] == "am" else way.stage
        if status not in _BEGINS[entered]:
            over = f"order {event.order_id} is {status}, but is over or never began"
            self._ledger.fail(Equation.A3, entry, over)
            return None
        if status is S.REJECTED and event.reason is None:
            self._ledger.fail(Equation.A3, entry, "it refuses without a reason")
        if status is S.REJECTED and event.target_order_id is not None:
            return None
        if life is None:
            life = self.open[event.order_id] = Life(entry)
        life.account_id, life.symbol, life.name = event.account_id, event.symbol or "", event.client_order_id
        life.total, life.is_outside = event.order_quantity, entered not in {"v", "r"}
        return life

    def _quantities(self, entry: Entry, event: OrderEvent, life: Life) -> None:
        status, total, cum = event.status, event.order_quantity, event.cum_quantity
        leaves = 0 if status in _TERMINAL else total - cum
        if event.leaves_quantity != leaves:
            self._ledger.fail(
                Equation.A4, entry, f"{event.leaves_quantity} of {event.order_id} are left, not {leaves}"
            )
        filled = (event.last_quantity or 0) if status in _FILLS else 0
        if cum != life.cum + filled:
            self._ledger.fail(
                Equation.A4, entry, f"{cum} of {event.order_id} are filled, not {life.cum} + {filled}"
            )
        if (status is S.FILLED) is not (cum == total) and status in _FILLS:
            self._ledger.fail(Equation.A4, entry, f"{event.order_id} is {status} with {cum} of {total}")
        if total != life.total and status is not S.REPLACED:
            self._ledger.fail(
                Equation.A4, entry, f"the total of {event.order_id} is {total}, was {life.total}"
            )

    def _replaced(self, event: OrderEvent, life: Life) -> None:
        """Let the replace's price hold; one without a price keeps the order's own."""
        if life.name == event.client_order_id:
            return
        life.before[event.client_order_id] = life.name
        life.name = event.client_order_id
        name: str | None = life.name if life.limits.get(life.name) is not None else None
        while name is not None:
            # What held before the last price that a replace named will not be asked for again.
            name = life.before.pop(name, None)
            life.limits.pop(name or "", None)

    def session(self, entry: Entry, session: SessionEvent) -> None:
        """Take in the close of a market or symbol, which no order of the day outlives."""
        if session.kind is SessionKind.CLOSED:
            whose = (session.market, session.symbol)
            self._closed_ms[whose] = max(self._closed_ms.get(whose, 0), entry.timestamp_ms)

    # -- what comes in other topics ----------------------------------------------------------------------------

    def approved(self, entry: Entry, order: ApprovedOrder) -> None:
        """Take in an order's terms, or those that a replace asks for."""
        self._approvals += 1
        if order.action is OrderAction.NEW:
            life = self.open.get(order.order_id)
            if life is None:
                life = self.open[order.order_id] = Life(entry)
            elif life.terms is not None:
                return  # A repeat of the id: the book says no, and the first one's terms hold.
            life.terms = order
            life.limits[order.client_order_id] = _worst_price(order, order.order_type)
            if life.status in _TERMINAL:
                self._forget(order.order_id, life)
        elif order.action is OrderAction.REPLACE and order.target_order_id is not None:
            life = self.open.get(order.target_order_id)
            if life is not None:
                kind = order.order_type if life.terms is None else life.terms.order_type
                life.limits[order.client_order_id] = _worst_price(order, kind)

    def trade(self, entry: Entry, trade: Trade) -> None:
        """Take in a leg: the order's fill must say the same, and its limit must allow it."""
        self._legs += 1
        life = self.open.get(trade.order_id)
        if life is None:
            life = self.open[trade.order_id] = Life(entry)
        life.traded += trade.quantity
        limit = life.limit(trade.client_order_id)
        if limit is not None and (trade.price > limit if trade.side is Side.BUY else trade.price < limit):
            self._ledger.fail(
                Equation.A5, entry, f"a {trade.side} at {trade.price} is beyond its limit {limit}"
            )
        self._meet(trade.order_id, life, entry, trade.price, trade.quantity, trade.cum_quantity)
        if life.status in _TERMINAL:
            self._forget(trade.order_id, life)

    def _meet(
        self, order_id: str, life: Life, entry: Entry, price: int, quantity: int, traded: int | None = None
    ) -> None:
        """Match a fill with its trade, or let it wait for it."""
        cum = life.cum if traded is None else traded
        other = life.fills.pop(cum, None)
        if other is None:
            life.fills[cum] = (price, quantity, entry)
        elif other[2].topic == entry.topic:
            life.fills[cum] = other
            self._ledger.fail(Equation.A4, entry, f"{order_id} was filled up to {cum} twice")
        elif other[:2] != (price, quantity):
            cause = f"{quantity} at {price} of {order_id}, but {other[1]} at {other[0]} in {other[2].place}"
            self._ledger.fail(Equation.A4, entry, cause)

    def _forget(self, order_id: str, life: Life) -> None:
        """Forget an order that is over, once its trades and its terms have come."""
        if not life.fills and life.traded == life.cum and life.terms is not None:
            del self.open[order_id]

    # -- at the end ----------------------------------------------------------------------------------------------

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge the orders that are left: each rests, waits for its trigger, or has lost something."""
        ledger.looked_at[Equation.A3] += self._events
        ledger.looked_at[Equation.A4] += self._events + self._legs
        if not at_rest:
            return
        for order_id, life in self.open.items():
            if life.status is None:
                if life.terms is None:
                    over = f"order {order_id} traded, but is over or never began"
                    ledger.fail(Equation.A4, life.entry, over)
            elif life.status not in LIVE and life.status not in _TERMINAL:
                ledger.fail(Equation.A3, life.entry, f"order {order_id} is {life.status}, and no more")
            elif life.terms is None and self._approvals:
                ledger.fail(Equation.A3, life.entry, f"order {order_id} went on, but was never approved")
            elif life.status in LIVE and self._outlives_its_day(life):
                ledger.fail(Equation.A3, life.entry, f"order {order_id} was for the day, and lives on")
            for price, quantity, entry in life.fills.values():
                lacks = "trade" if entry.topic == "order-events" else "event"
                ledger.fail(Equation.A4, entry, f"{quantity} at {price} of {order_id} have no {lacks}")

    def _outlives_its_day(self, life: Life) -> bool:
        """Say whether an order for a day lives though its market was closed well after it was in the book."""
        terms = life.terms
        if terms is None or terms.time_in_force is not TimeInForce.DAY or not life.began_ms:
            return False
        closed_ms = max(
            self._closed_ms.get((terms.market, None), 0), self._closed_ms.get((terms.market, terms.symbol), 0)
        )
        return closed_ms > life.began_ms + _CLOCKS_DIFFER_MS


def _worst_price(order: ApprovedOrder, kind: OrderType) -> int | None:
    """Return the worst price at which an order of a kind may trade by what a message says, if it says one."""
    return order.price if kind in _LIMITED else order.protective_price


def reserve(life: Life) -> tuple[str, int]:
    """Return the asset and the amount that a live order must reserve: what is left of it, with the highest fee."""
    terms = life.terms
    if terms is None:
        return "", 0
    left = life.total - life.cum
    if terms.side is not Side.BUY:
        return terms.symbol, left
    value = left * (life.limit(life.name) or 0) * terms.multiplier
    fee_bps = max(terms.maker_fee_bps, terms.taker_fee_bps)
    return terms.currency, value + value * fee_bps // _BASIS_POINTS
