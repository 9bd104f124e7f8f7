"""How many messages a second the order book alone takes, and how that changes with what rests in it.

A seeded stream of new, cancel, modify and immediate-or-cancel messages is made first, against a book of its own, so
that every cancel and modify means an order that rests at that moment and the number of resting orders stays what it is.
Cancels and modifies pick any resting order with equal chance, which is harder on the processor's caches than a market is.

    python -m bench.book [--messages N] [--resting N ...] [--seed N] [--repeats N]
"""

import argparse
import gc
import random
import time
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec.structs import replace

from bourse.pipeline.matching.book import Book, Fill
from bourse.schemas.records import RestingOrder, Side, TimeInForce
from bourse.schemas.units import Price, Quantity

MIDDLE = 1_000_000
Message: TypeAlias = tuple[str, RestingOrder]


@dataclass
class Stream:
    """A seeded source of messages around a fixed middle price, over about `levels` price levels a side."""

    seed: int
    resting: int
    levels: int = 200
    book: Book = field(default_factory=Book)
    ids: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def order(self) -> RestingOrder:
        """Return a fresh order that does not cross."""
        self.count += 1
        side = Side.BUY if self.random.random() < 0.5 else Side.SELL
        away = 1 + min(int(self.random.expovariate(4 / self.levels)), 50 * self.levels)
        quantity = Quantity(self.random.randrange(1, 100))
        return RestingOrder(
            f"0-{self.count}",
            f"client-{self.count}",
            f"ACC-{self.count % 1000}",
            "ANA",
            side,
            Price(MIDDLE - away if side is Side.BUY else MIDDLE + away),
            quantity,
            Quantity(0),
            quantity,
            TimeInForce.GTC,
            self.count,
            1,
            2,
            "XMAD",
            "EUR",
            1,
        )

    def initial(self) -> list[RestingOrder]:
        """Return the orders that rest before the first message."""
        orders = [self.order() for _ in range(self.resting)]
        for order in orders:
            self._rest(order)
        return orders

    def message(self) -> Message:
        """Return the next message, and apply it to the stream's own book."""
        draw = self.random.random()
        if len(self.ids) < self.resting or (draw < 0.45 and len(self.ids) < 1.1 * self.resting):
            order = self.order()
            self._rest(order)
            return "new", order
        if draw < 0.80:
            return "cancel", self._fresh(self._remove(self.random.choice(self.ids)))
        if draw < 0.90:
            return self._modify(self._resting(self.random.choice(self.ids)))
        return self._immediate()

    def _modify(self, order: RestingOrder) -> Message:
        if order.leaves_quantity == 1:
            return "cancel", self._fresh(self._remove(order.order_id))
        less = replace(
            order, order_quantity=order.order_quantity - 1, leaves_quantity=order.leaves_quantity - 1
        )
        self.book.amend(less)
        return "modify", self._fresh(less)

    def _immediate(self) -> Message:
        order = self.order()
        away = self.levels if order.side is Side.BUY else -self.levels
        order = replace(order, price=MIDDLE + away)
        for fill in self.book.match(order.side, order.price, order.leaves_quantity):
            if not fill[0].leaves_quantity:
                self._forget(fill[0].order_id)
        return "immediate", order

    def _resting(self, order_id: str) -> RestingOrder:
        order = self.book.get(order_id)
        assert order is not None
        return order

    def _rest(self, order: RestingOrder) -> None:
        self.book.rest(order)
        self.places[order.order_id] = len(self.ids)
        self.ids.append(order.order_id)

    def _remove(self, order_id: str) -> RestingOrder:
        self._forget(order_id)
        return self.book.remove(order_id)

    def _forget(self, order_id: str) -> None:
        place, last = self.places.pop(order_id), self.ids.pop()
        if last != order_id:
            self.ids[place] = last
            self.places[last] = place

    def _fresh(self, order: RestingOrder) -> RestingOrder:
        """Return an equal order with an id that is a new string, as a decoder would make it."""
        return replace(order, order_id="".join(order.order_id))


def run(book: Book, messages: list[Message]) -> int:
    """Apply the messages to the book; return how many fills they made."""
    fills: list[Fill] = []
    for kind, order in messages:
        if kind == "new":
            fills += book.match(order.side, order.price, order.leaves_quantity)
            book.rest(order)
        elif kind == "cancel":
            if book.get(order.order_id) is not None:
                book.remove(order.order_id)
        elif kind == "modify":
            if book.get(order.order_id) is not None:
                book.amend(order)
        else:
            fills += book.match(order.side, order.price, order.leaves_quantity)
    return len(fills)


def measure(resting: int, count: int, seed: int, repeats: int) -> tuple[float, int]:
    """Return messages a second (processor time, the best of all repeats) for a book of that size, and the fills."""
    stream = Stream(seed, resting)
    initial = stream.initial()
    messages = [stream.message() for _ in range(count)]
    best, fills = float("inf"), 0
    for _ in range(repeats):
        book = Book()
        for order in initial:
            book.rest(order)
        gc.collect()
        began = time.process_time()
        fills = run(book, messages)
        best = min(best, time.process_time() - began)
        assert [*book] == [*stream.book]
    return count / best, fills


def main(_arguments: list[str] | None = None) -> None:
    """Measure books of several sizes and print one line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--resting", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for resting in given.resting:
        rate, fills = measure(resting, given.messages, given.seed, given.repeats)
        print(f"{resting:>9} resting: {rate:>9,.0f} messages/s, {1e6 / rate:.2f} us each, {fills} fills")


if __name__ == "__main__":
    main()
