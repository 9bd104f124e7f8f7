"""The order book of one symbol: who rests where, and who trades next. Price first, then time of arrival.

Decides the order of execution, and nothing else: it knows no fees, no events and no rules of the market. Orders are the
frozen rows of `resting_orders`, so the book can be built again from them at any time. Beside the two sides it holds the
orders that wait to enter (`waiting`), and finds all of them by account, group and time of expiry (`index`).

What leaves is not searched for: an order that leaves empties its place in its level's queue, an empty level stays in its
side's heap, and both are passed over when they come to the front, or swept when they are the most of what is there. That
makes each message cost about the same whatever rests in the book. What a big book costs on top of that is memory that is
in no cache: so a place knows of its order what the book asks for, in one line of that memory where it is translated to C,
and the order's own, four lines and the numbers that they point to, are left for those who decide.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace
from mypy_extensions import mypyc_attr

from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.matching.index import Index
from bourse.pipeline.matching.waiting import Waiting
from bourse.schemas.records import OrderType, RestingOrder, Side
from bourse.schemas.units import INT64_MAX, Price, Quantity

BUY: Final = Side.BUY
_WORST: Final = {Side.BUY: Price(0), Side.SELL: Price(INT64_MAX)}
FEW: Final = 32
"""As many empty places or levels as nobody minds to keep."""


@mypyc_attr(acyclic=True)
class Place:
    """A place in the queue of a level, empty once its order has left; and what the book asks of that order.

    In C, unknown to Python's cyclic collector, as it holds nothing that could refer back: a million of them cost no pause.
    """

    __slots__ = ("hidden", "is_buy", "order", "price", "shown")

    def __init__(self, order: RestingOrder, is_buy: bool, shown: int) -> None:  # noqa: FBT001 - the order's own side
        self.order: RestingOrder | None = order
        self.is_buy = is_buy
        self.price: int = order.price
        self.shown = shown
        self.hidden: int = order.hidden_quantity


class Level:
    """All orders of one side at one price, the oldest first, with cached totals: what is shown, and what icebergs hide."""

    __slots__ = ("head", "hidden", "orders", "price", "quantity", "queue")

    def __init__(self, price: Price) -> None:
        self.price = price
        self.quantity = 0
        self.hidden = 0
        self.orders = 0
        self.queue: list[Place] = []
        self.head = 0  # as many places at least are empty before the first order

    def __iter__(self) -> Iterator[RestingOrder]:
        return (place.order for place in self.queue if place.order is not None)

    def first(self) -> Place:
        """Return the place of the order that trades next, of a level that has one."""
        queue, head = self.queue, self.head
        while (place := queue[head]).order is None:
            head += 1
        self.head = head
        return place

    def join(self, place: Place) -> None:
        """Add an order's place at the end of the queue."""
        self.queue.append(place)
        self.orders += 1
        self.quantity += place.shown
        self.hidden += place.hidden

    def leave(self, place: Place) -> None:
        """Empty an order's place."""
        place.order = None
        self.orders -= 1
        self.quantity -= place.shown
        self.hidden -= place.hidden
        if len(self.queue) > 2 * self.orders + FEW:
            self.queue = [place for place in self.queue if place.order is not None]
            self.head = 0

    def change(self, place: Place, order: RestingOrder, shown: int) -> None:
        """Put a changed order in a place."""
        hidden = order.hidden_quantity
        self.quantity += shown - place.shown
        self.hidden += hidden - place.hidden
        place.order, place.shown, place.hidden = order, shown, hidden


class BookSide:
    """The levels of one side; `rank` is the price with the sign that makes lower better."""

    __slots__ = ("best", "empty", "heap", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}  # every price that is in the heap, empty ones too
        self.heap: list[int] = []  # ranks
        self.empty = 0  # levels without an order
        self.best: Level | None = None

    def level_for(self, price: Price) -> Level:
        """Return the level of a price that has no order, and that one is about to join."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            heapq.heappush(self.heap, price * self.sign)
        else:
            self.empty -= 1
        if self.best is None or price * self.sign < self.best.price * self.sign:
            self.best = level
        return level

    def emptied(self, level: Level) -> None:
        """Take note that the last order of a level has left."""
        self.empty += 1
        level.queue.clear()
        level.head = 0
        if level is self.best:
            self._find_best()
        elif 2 * self.empty > len(self.heap) + FEW:
            self._sweep()

    def walk(self) -> Iterator[Level]:
        """Iterate over the levels that hold orders, the best first."""
        for rank in sorted(self.heap):
            level = self.levels[rank * self.sign]
            if level.orders:
                yield level

    def _find_best(self) -> None:
        heap = self.heap
        while heap:
            level = self.levels[heap[0] * self.sign]
            if level.orders:
                self.best = level
                return
            del self.levels[level.price]
            heapq.heappop(heap)
            self.empty -= 1
        self.best = None

    def _sweep(self) -> None:
        self.levels = {price: level for price, level in self.levels.items() if level.orders}
        self.heap = sorted(price * self.sign for price in self.levels)
        self.empty = 0


class Book:
    """Both sides of a symbol's book, and its orders by id."""

    __slots__ = ("asks", "bids", "index", "places", "waiting")

    def __init__(self) -> None:
        self.bids = BookSide(-1)
        self.asks = BookSide(1)
        self.places: dict[str, Place] = {}
        self.waiting = Waiting()
        self.index = Index()

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[RestingOrder]:
        return (place.order for place in self.places.values() if place.order is not None)

    def side(self, side: Side) -> BookSide:
        """Return one side of the book."""
        return self.bids if side is BUY else self.asks

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the resting order with this id, or None."""
        place = self.places.get(order_id)
        return None if place is None else place.order

    def best(self, side: Side) -> tuple[Price, int] | None:
        """Return the best price of a side and the quantity shown there, or None where nothing rests."""
        level = (self.bids if side is BUY else self.asks).best
        return None if level is None else (level.price, level.quantity)

    def is_crossed(self) -> bool:
        """Say whether the best bid is at or above the best ask, which no book is that trades."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid.price >= ask.price

    def level(self, side: Side, price: Price) -> tuple[int, int]:
        """Return the quantity shown and the number of orders at a price."""
        level = (self.bids if side is BUY else self.asks).levels.get(price)
        return (0, 0) if level is None else (level.quantity, level.orders)

    def total(self, side: Side, price: Price) -> int:
        """Return the quantity at a price, what icebergs hide included."""
        level = (self.bids if side is BUY else self.asks).levels.get(price)
        return 0 if level is None else level.quantity + level.hidden

    def depth(self, side: Side) -> list[tuple[Price, Quantity, int]]:
        """Return price, quantity shown and number of orders of each level of a side, the best first."""
        return [(level.price, Quantity(level.quantity), level.orders) for level in self.side(side).walk()]

    def totals(self, side: Side) -> list[tuple[Price, int]]:
        """Return price and quantity of each level of a side, what icebergs hide included, the best first."""
        return [(level.price, level.quantity + level.hidden) for level in self.side(side).walk()]

    def has_limit(self, price: Price) -> bool:
        """Say whether an order with this limit rests, and not only market orders that it protects."""
        levels = (self.bids.levels.get(price), self.asks.levels.get(price))
        return any(
            order.order_type is not OrderType.MARKET
            for level in levels
            if level is not None
            for order in level
        )

    def size(self) -> int:
        """Return how many levels hold orders."""
        return len(self.bids.heap) - self.bids.empty + len(self.asks.heap) - self.asks.empty

    def queue(self, side: Side, price: Price) -> list[RestingOrder]:
        """Return the orders at a price, the oldest first."""
        level = self.side(side).levels.get(price)
        return [] if level is None else [*level]

    def in_line(self, side: Side) -> Iterator[RestingOrder]:
        """Iterate over the orders of a side as they would trade, while the book stays as it is."""
        return (order for level in self.side(side).walk() for order in level)

    def rest(self, order: RestingOrder) -> None:
        """Add an order at the end of its price's queue."""
        leaves = order.leaves_quantity
        shown, is_buy = leaves - order.hidden_quantity, order.side is BUY
        place = Place(order, is_buy, shown)
        if (
            shown <= 0
            or order.order_quantity != order.cum_quantity + leaves
            or self.places.setdefault(order.order_id, place) is not place
        ):
            message = f"{order} cannot come to rest"
            raise InvariantBroken(message)
        side, price = self.bids if is_buy else self.asks, order.price
        level = side.levels.get(price)
        if level is None or not level.orders:
            level = side.level_for(price)
        level.join(place)

    def remove(self, order_id: str) -> RestingOrder:
        """Take an order out of the book and return it; KeyError if it does not rest here."""
        place = self.places.pop(order_id)
        order = place.order
        assert order is not None, order_id
        side = self.bids if place.is_buy else self.asks
        level = side.levels[place.price]
        level.leave(place)
        if not level.orders:
            side.emptied(level)
        return order

    def amend(self, order: RestingOrder) -> None:
        """Put a changed order in the place of the one with its id, at the same price and not larger."""
        place = self.places[order.order_id]
        shown = order.leaves_quantity - order.hidden_quantity
        if (
            order.price != place.price
            or not 0 < shown <= place.shown
            or not 0 <= order.hidden_quantity <= place.hidden
        ):
            message = f"{order} cannot keep the place of {place.order}"
            raise InvariantBroken(message)
        side = self.bids if place.is_buy else self.asks
        side.levels[place.price].change(place, order, shown)

    def first(self, side: Side) -> RestingOrder | None:
        """Return the order of a side that trades next, or None where nothing rests."""
        return self.first_within(side, _WORST[side])

    def first_within(self, side: Side, limit: Price) -> RestingOrder | None:
        """Return the order of a side that trades next with one of the other side that has this limit, or None."""
        level = (self.bids if side is BUY else self.asks).best
        if level is None or (level.price < limit if side is BUY else level.price > limit):
            return None
        return level.first().order

    def fill(self, order: RestingOrder, quantity: Quantity, place: int | None) -> RestingOrder:
        """Fill the first order of a side, and return it as it is then; with no `leaves_quantity` it has left the book.

        An iceberg whose shown part is used up shows the next one at the end of the queue, with `place` as its time; with
        none it stays where it is, and shows a fresh part of what is left.
        """
        leaves = order.leaves_quantity - quantity
        after = replace(order, cum_quantity=order.cum_quantity + quantity, leaves_quantity=leaves)
        if not leaves:
            self.remove(order.order_id)
            return replace(after, hidden_quantity=0)
        level = (self.bids if order.side is BUY else self.asks).best
        assert level is not None, order
        front, hidden = level.first(), order.hidden_quantity
        if leaves > hidden and (place is not None or not hidden):
            level.change(front, after, leaves - hidden)
            return after
        shown = min(leaves, after.display_quantity or leaves)
        after = replace(after, hidden_quantity=Quantity(leaves - shown))
        if place is None:
            level.change(front, after, shown)
            return after
        after = replace(after, sequence=place)
        level.leave(front)
        front = self.places[order.order_id] = Place(after, front.is_buy, shown)
        level.join(front)
        return after
