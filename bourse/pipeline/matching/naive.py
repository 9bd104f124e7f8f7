"""The order book as one would explain it: lists of orders, looked through and sorted when somebody asks.

It is the oracle that the fast book is held against; what it decides is what `book` decides, for small books only.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from bourse.pipeline.matching.index import age
from bourse.schemas.records import OrderType, RestingOrder, Side
from bourse.schemas.units import Price, Quantity, TimeNs


class NaiveBook:
    """The resting orders of one symbol, in the order of their places in time."""

    def __init__(self) -> None:
        self.orders: list[RestingOrder] = []
        self.waiting = NaiveWaiting()
        self.index = NaiveIndex()

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[RestingOrder]:
        return iter(self.orders)

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the resting order with this id, or None."""
        return next((order for order in self.orders if order.order_id == order_id), None)

    def best(self, side: Side) -> tuple[Price, Quantity] | None:
        """Return the best price of a side and the quantity shown there, or None where nothing rests."""
        levels = self.depth(side)
        return levels[0][:2] if levels else None

    def is_crossed(self) -> bool:
        """Say whether the best bid is at or above the best ask."""
        bids, asks = self.depth(Side.BUY), self.depth(Side.SELL)
        return bool(bids and asks and bids[0][0] >= asks[0][0])

    def level(self, side: Side, price: Price) -> tuple[Quantity, int]:
        """Return the quantity shown and the number of orders at a price."""
        queue = self.queue(side, price)
        return Quantity(sum(_shown(order) for order in queue)), len(queue)

    def total(self, side: Side, price: Price) -> int:
        """Return the quantity at a price, what icebergs hide included."""
        return sum(order.leaves_quantity for order in self.queue(side, price))

    def depth(self, side: Side) -> list[tuple[Price, Quantity, int]]:
        """Return price, quantity shown and number of orders of each level of a side, the best first."""
        return [(price, *self.level(side, price)) for price in self._prices(side)]

    def totals(self, side: Side) -> list[tuple[Price, int]]:
        """Return price and quantity of each level of a side, what icebergs hide included, the best first."""
        return [(price, self.total(side, price)) for price in self._prices(side)]

    def has_limit(self, price: Price) -> bool:
        """Say whether an order with this limit rests, and not only market orders that it protects."""
        return any(
            order.order_type is not OrderType.MARKET for side in Side for order in self.queue(side, price)
        )

    def size(self) -> int:
        """Return how many levels there are."""
        return sum(len(self._prices(side)) for side in Side)

    def queue(self, side: Side, price: Price) -> list[RestingOrder]:
        """Return the orders at a price, the oldest first."""
        return [order for order in self.orders if order.side is side and order.price == price]

    def in_line(self, side: Side) -> Iterator[RestingOrder]:
        """Iterate over the orders of a side as they would trade."""
        return (order for price in self._prices(side) for order in self.queue(side, price))

    def first(self, side: Side) -> RestingOrder | None:
        """Return the order of a side that trades next, or None where nothing rests."""
        return next(self.in_line(side), None)

    def first_within(self, side: Side, limit: Price) -> RestingOrder | None:
        """Return the order of a side that trades next with one of the other side that has this limit, or None."""
        first = self.first(side)
        if first is None:
            return None
        return first if (first.price >= limit if side is Side.BUY else first.price <= limit) else None

    def rest(self, order: RestingOrder) -> None:
        """Add an order at the end of its price's queue."""
        self.orders.append(order)

    def remove(self, order_id: str) -> RestingOrder:
        """Take an order out of the book and return it."""
        return self.orders.pop(self._place(order_id))

    def amend(self, order: RestingOrder) -> None:
        """Put a changed order in the place of the one with its id."""
        self.orders[self._place(order.order_id)] = order

    def fill(self, order: RestingOrder, quantity: Quantity, place: int | None) -> RestingOrder:
        """Fill an order; a part of an iceberg that is used up is followed by the next, at the end of the queue if given a place."""
        cum, leaves = order.cum_quantity + quantity, order.leaves_quantity - quantity
        after = replace(order, cum_quantity=cum, leaves_quantity=leaves)
        if quantity < _shown(order) and place is not None:
            self.amend(after)
            return after
        after = replace(after, hidden_quantity=max(0, leaves - (order.display_quantity or leaves)))
        if leaves and place is None:
            self.amend(after)
            return after
        self.remove(order.order_id)
        if leaves:
            after = replace(after, sequence=place)
            self.rest(after)
        return after

    def _prices(self, side: Side) -> list[Price]:
        prices = {order.price for order in self.orders if order.side is side}
        return sorted(prices, reverse=side is Side.BUY)

    def _place(self, order_id: str) -> int:
        return next(place for place, order in enumerate(self.orders) if order.order_id == order_id)


class NaiveWaiting:
    """The orders that wait, in a list; those that were set off are told of once until they are added again."""

    def __init__(self) -> None:
        self.orders: list[RestingOrder] = []
        self.told: set[str] = set()

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[RestingOrder]:
        return iter(self.orders)

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the waiting order with this id, or None."""
        return next((order for order in self.orders if order.order_id == order_id), None)

    def add(self, order: RestingOrder) -> None:
        """Add an order, or put a changed one in the place of that with its id."""
        self.orders = [other for other in self.orders if other.order_id != order.order_id] + [order]
        self.told.discard(order.order_id)

    def remove(self, order_id: str) -> RestingOrder:
        """Take out an order and return it."""
        order = next(order for order in self.orders if order.order_id == order_id)
        self.orders.remove(order)
        self.told.discard(order_id)
        return order

    def set_off(self, price: Price) -> list[RestingOrder]:
        """Return the stops that a trade at this price sets off, in their order."""
        stops = [(order, order.stop_price) for order in self.orders if order.order_id not in self.told]
        buys = [(stop, order.sequence, order) for order, stop in stops if _is_reached(order, Side.BUY, price)]
        sells = [
            (-(stop or 0), order.sequence, order)
            for order, stop in stops
            if _is_reached(order, Side.SELL, price)
        ]
        queues = [[order for *_, order in sorted(found, key=_two)] for found in (buys, sells)]
        found: list[RestingOrder] = []
        while any(queues):
            oldest = min((queue for queue in queues if queue), key=lambda queue: queue[0].sequence)
            found.append(oldest.pop(0))
        self.told.update(order.order_id for order in found)
        return found

    def follow(self, price: Price) -> list[RestingOrder]:
        """Let the trailing stops follow a trade, and return those that moved."""
        moved = [after for order in self.orders if (after := _after(order, price)) is not order]
        for order in moved:
            self.add(order)
        return moved


def _two(found: tuple[int | None, int, RestingOrder]) -> tuple[int, int]:
    return found[0] or 0, found[1]


def _is_reached(order: RestingOrder, side: Side, price: Price) -> bool:
    if order.side is not side or order.stop_price is None:
        return False
    return order.stop_price <= price if side is Side.BUY else order.stop_price >= price


def _after(order: RestingOrder, price: Price) -> RestingOrder:
    if order.trail_amount is None:
        return order
    buys = order.side is Side.BUY
    stop = price + order.trail_amount if buys else price - order.trail_amount
    if order.stop_price is not None and (stop >= order.stop_price if buys else stop <= order.stop_price):
        return order
    return replace(order, stop_price=stop)


class NaiveIndex:
    """The live orders in a list."""

    def __init__(self) -> None:
        self.orders: list[RestingOrder] = []

    def add(self, order: RestingOrder) -> None:
        """Take in an order that has become live."""
        self.orders.append(order)

    def discard(self, order: RestingOrder) -> None:
        """Forget an order that is live no more."""
        self.orders = [other for other in self.orders if other.order_id != order.order_id]

    def of_account(self, account_id: str) -> list[str]:
        """Return the ids of an account's orders, the oldest first."""
        return sorted((order.order_id for order in self.orders if order.account_id == account_id), key=age)

    def siblings(self, order: RestingOrder) -> list[str]:
        """Return the ids of the other orders of an order's OCO group, the oldest first."""
        group = (order.account_id, order.oco_group)
        ids = [
            other.order_id
            for other in self.orders
            if (other.account_id, other.oco_group) == group and other.order_id != order.order_id
        ]
        return [] if order.oco_group is None else sorted(ids, key=age)

    def next_expiry(self) -> TimeNs | None:
        """Return when the first of the orders expires, or None if none does."""
        return min(
            (order.expire_time_ns for order in self.orders if order.expire_time_ns is not None), default=None
        )

    def take_expired(self, time_ns: TimeNs) -> list[str]:
        """Return the ids of the orders whose time is up, by their times."""
        due = [
            (order.expire_time_ns, age(order.order_id))
            for order in self.orders
            if order.expire_time_ns is not None
        ]
        return [order_id for expiry, (_, order_id) in sorted(due) if expiry <= time_ns]


def _shown(order: RestingOrder) -> int:
    return order.leaves_quantity - order.hidden_quantity
