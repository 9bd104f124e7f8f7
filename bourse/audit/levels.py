"""What rests in a naive book: queues by price, the best price first, at a price the oldest first.

Nothing is decided here: orders are put at the end of a queue, filled, reduced and taken out, and what that changes of the
depth that everybody sees is noted.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Final, TypeAlias

from bourse.schemas.records import (
    ApprovedOrder,
    OrderType,
    SelfTradePrevention,
    Side,
)
from bourse.schemas.units import INT64_MAX

BUY: Final = Side.BUY
SELL: Final = Side.SELL
LIMITED: Final = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_ANY_PRICE: Final = (0, INT64_MAX)
"""Where sells and buys are shown that no price bounds."""
_NO_PREVENTION: Final = SelfTradePrevention.NONE


class Live:
    """An order that rests, waits to enter the book, or is entering it."""

    __slots__ = (
        "account_id",
        "display",
        "expires_ns",
        "group",
        "kind",
        "left",
        "order_id",
        "participant_id",
        "place",
        "post_only",
        "prevention",
        "price",
        "shown",
        "side",
        "stop",
        "total",
        "trail",
        "until",
    )

    def __init__(self, order: ApprovedOrder, side: Side) -> None:
        price = order.price if order.order_type in LIMITED else order.protective_price
        self.order_id = order.order_id
        self.account_id = order.account_id
        self.participant_id = order.participant_id
        self.side = side
        self.kind = order.order_type
        self.price: int = _ANY_PRICE[side is BUY] if price is None else price
        self.total: int = order.quantity
        self.left: int = order.quantity
        self.display: int | None = order.display_quantity
        self.shown = 0
        self.until = order.time_in_force
        self.stop: int | None = order.stop_price
        self.trail: int | None = order.trail_amount
        self.post_only = order.post_only
        self.prevention = order.self_trade_prevention
        self.expires_ns: int | None = order.expire_time_ns
        self.group = order.oco_group
        self.place = 0
        """Its place in time, which it gets anew wherever it goes to the end."""

    def reaches(self, price: int) -> bool:
        """Say whether it may trade at a price."""
        return price <= self.price if self.side is BUY else price >= self.price

    def show(self) -> None:
        """Show what is left, or the next part of an iceberg."""
        self.shown = self.left if self.display is None else min(self.left, self.display)

    def is_kept_from(self, other: "Live") -> bool:
        """Say whether it asks for no trade with another order, because both have one owner."""
        if self.prevention is _NO_PREVENTION:
            return False
        return self.account_id == other.account_id or (
            self.participant_id != "" and self.participant_id == other.participant_id
        )

    def is_sibling_of(self, other: "Live") -> bool:
        """Say whether two orders are of one OCO group."""
        return self.group is not None and (self.group, self.account_id) == (other.group, other.account_id)


Level: TypeAlias = tuple[int, int]
"""What is shown at a price: the quantity and the number of orders."""


class _Queue:
    """The orders at a price, the oldest first, and what they show together."""

    __slots__ = ("orders", "shown")

    def __init__(self) -> None:
        self.orders: dict[str, Live] = {}
        self.shown = 0


class Half:
    """One side of a book."""

    __slots__ = ("prices", "queues", "side", "touched")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.queues: dict[int, _Queue] = {}
        self.prices: list[int] = []
        """The lowest first."""
        self.touched: dict[int, Level] = {}
        """Levels that something happened to, each as it was before."""

    def best(self) -> int | None:
        """Return the best price."""
        if not self.prices:
            return None
        return self.prices[-1] if self.side is BUY else self.prices[0]

    def level(self, price: int) -> Level:
        """Return what is shown at a price."""
        queue = self.queues.get(price)
        return (0, 0) if queue is None else (queue.shown, len(queue.orders))

    def queue(self, price: int) -> Mapping[str, Live]:
        """Return the orders at a price by id, the oldest first."""
        queue = self.queues.get(price)
        return {} if queue is None else queue.orders

    def first(self) -> Live | None:
        """Return the order that trades next."""
        price = self.best()
        return None if price is None else next(iter(self.queues[price].orders.values()))

    def in_line(self) -> Iterator[Live]:
        """Iterate over the orders as they would trade."""
        for price in reversed(self.prices) if self.side is BUY else self.prices:
            yield from self.queues[price].orders.values()

    def totals(self) -> dict[int, int]:
        """Return what there is at each price, with what icebergs hide."""
        return {
            price: sum(order.left for order in queue.orders.values()) for price, queue in self.queues.items()
        }

    def has_limit(self, price: int) -> bool:
        """Say whether an order with this limit rests: what bounds a market order is none."""
        queue = self.queues.get(price)
        return queue is not None and any(
            order.kind is not OrderType.MARKET for order in queue.orders.values()
        )

    def changes(self) -> dict[int, Level]:
        """Return the levels that are not as they were, as they are now."""
        return {price: now for price, before in self.touched.items() if (now := self.level(price)) != before}

    def queue_at(self, price: int) -> _Queue:
        """Return the queue at a price that something is about to happen to, a new one if there is none."""
        if price not in self.touched:
            self.touched[price] = self.level(price)
        queue = self.queues.get(price)
        if queue is None:
            queue = self.queues[price] = _Queue()
            insort(self.prices, price)
        return queue

    def drop(self, price: int) -> None:
        """Drop an empty queue."""
        del self.queues[price]
        del self.prices[bisect_left(self.prices, price)]


class Levels:
    """The resting orders of one symbol."""

    def __init__(self) -> None:
        self.orders: dict[str, Live] = {}
        self.bids = Half(BUY)
        self.asks = Half(SELL)
        self.places = 0
        """How many places in time were given."""

    def half(self, side: Side) -> Half:
        """Return the side of the book on which orders of a side rest."""
        return self.bids if side is BUY else self.asks

    def against(self, side: Side) -> Half:
        """Return the side of the book that orders of a side trade with."""
        return self.asks if side is BUY else self.bids

    def is_crossed(self) -> bool:
        """Say whether the best bid is at the best ask or above."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def take_changes(self) -> bool:
        """Say whether some level is not as it was, and begin anew."""
        has_changes = bool(self.bids.changes() or self.asks.changes())
        self.bids.touched, self.asks.touched = {}, {}
        return has_changes

    def copy_levels(self, other: "Levels") -> None:
        """Make another book, an empty one, what this is, with orders of its own."""
        orders = other.orders
        for order_id, order in self.orders.items():
            orders[order_id] = copy(order)
        for mine, its in ((self.bids, other.bids), (self.asks, other.asks)):
            its.prices, its.touched = mine.prices.copy(), mine.touched.copy()
            for price, queue in mine.queues.items():
                its.queues[price] = _Queue()
                its.queues[price].orders = {order_id: orders[order_id] for order_id in queue.orders}
                its.queues[price].shown = queue.shown
        other.places = self.places

    def next_place(self) -> int:
        """Return the place in time of what goes to the end now."""
        self.places += 1
        return self.places

    def rest(self, order: Live) -> None:
        """Add an order at the end of its queue."""
        queue = self.half(order.side).queue_at(order.price)
        order.show()
        order.place = self.next_place()
        queue.orders[order.order_id] = self.orders[order.order_id] = order
        queue.shown += order.shown

    def take_out(self, order: Live) -> None:
        """Take a resting order out."""
        half = self.half(order.side)
        queue = half.queue_at(order.price)
        del queue.orders[order.order_id], self.orders[order.order_id]
        queue.shown -= order.shown
        if not queue.orders:
            half.drop(order.price)

    def fill(self, order: Live, quantity: int, *, in_auction: bool = False) -> None:
        """Fill a resting order; when what it shows is used up, the next part of an iceberg goes to the end.

        In an auction, where all of it takes part, it stays where it is and shows a fresh part.
        """
        if in_auction and quantity < order.left:
            queue = self.half(order.side).queue_at(order.price)
            queue.shown -= order.shown
            order.left -= quantity
            order.show()
            queue.shown += order.shown
            return
        if quantity >= order.shown:
            self.take_out(order)
            order.left -= quantity
            if order.left:
                self.rest(order)
            return
        self.half(order.side).queue_at(order.price).shown -= quantity
        order.left -= quantity
        order.shown -= quantity

    def reduce(self, order: Live, less: int) -> None:
        """Take a quantity off a resting order in its place; what it hides goes first."""
        hidden = max(0, order.left - order.shown - less)
        order.total -= less
        order.left -= less
        self.half(order.side).queue_at(order.price).shown += order.left - hidden - order.shown
        order.shown = order.left - hidden
