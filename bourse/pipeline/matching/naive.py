"""The order book as one would explain it: a list of orders, sorted when somebody asks.

It is the oracle that the fast book is held against; what it decides is what `book` decides, for small books only.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from bourse.pipeline.matching.book import Fill
from bourse.schemas.records import RestingOrder, Side
from bourse.schemas.units import Price, Quantity


class NaiveBook:
    """The resting orders of one symbol, in the order of their arrival."""

    def __init__(self) -> None:
        self.orders: list[RestingOrder] = []

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[RestingOrder]:
        return iter(self.orders)

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the resting order with this id, or None."""
        return next((order for order in self.orders if order.order_id == order_id), None)

    def best(self, side: Side) -> tuple[Price, Quantity] | None:
        """Return the best price of a side and the quantity there, or None where nothing rests."""
        levels = self.depth(side)
        return levels[0][:2] if levels else None

    def level(self, side: Side, price: Price) -> tuple[Quantity, int]:
        """Return the quantity and the number of orders at a price."""
        queue = self.queue(side, price)
        return Quantity(sum(order.leaves_quantity for order in queue)), len(queue)

    def depth(self, side: Side) -> list[tuple[Price, Quantity, int]]:
        """Return price, quantity and number of orders of each level of a side, the best first."""
        prices = {order.price for order in self.orders if order.side is side}
        return [(price, *self.level(side, price)) for price in sorted(prices, reverse=side is Side.BUY)]

    def queue(self, side: Side, price: Price) -> list[RestingOrder]:
        """Return the orders at a price, the oldest first."""
        return [order for order in self.orders if order.side is side and order.price == price]

    def rest(self, order: RestingOrder) -> None:
        """Add an order at the end of its price's queue."""
        self.orders.append(order)

    def remove(self, order_id: str) -> RestingOrder:
        """Take an order out of the book and return it."""
        return self.orders.pop(self._place(order_id))

    def amend(self, order: RestingOrder) -> None:
        """Put a changed order in the place of the one with its id."""
        self.orders[self._place(order.order_id)] = order

    def match(self, side: Side, price: Price, quantity: Quantity) -> list[Fill]:
        """Trade up to `quantity` for an aggressor of `side` at `price` or better; return the fills in their order."""
        fills: list[Fill] = []
        for order in self._executable(side, price):
            taken = Quantity(min(quantity - sum(fill[1] for fill in fills), order.leaves_quantity))
            if taken:
                fills.append((self._fill(order, taken), taken))
        return fills

    def _executable(self, side: Side, price: Price) -> list[RestingOrder]:
        """Return what an aggressor may trade with, the best price first and the oldest first at each price."""
        if side is Side.BUY:
            asks = [order for order in self.orders if order.side is Side.SELL and order.price <= price]
            return sorted(asks, key=lambda order: order.price)
        bids = [order for order in self.orders if order.side is Side.BUY and order.price >= price]
        return sorted(bids, key=lambda order: -order.price)

    def _fill(self, order: RestingOrder, taken: Quantity) -> RestingOrder:
        cum, leaves = order.cum_quantity + taken, order.leaves_quantity - taken
        after = replace(order, cum_quantity=cum, leaves_quantity=leaves)
        if leaves:
            self.amend(after)
        else:
            self.remove(order.order_id)
        return after

    def _place(self, order_id: str) -> int:
        return next(place for place, order in enumerate(self.orders) if order.order_id == order_id)
