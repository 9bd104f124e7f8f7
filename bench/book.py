"""How many messages a second the order book alone takes, and how that changes with what rests in it and how it moves.

A seeded stream of new, cancel, modify and immediate-or-cancel messages is made first, against a book of its own, so
that every cancel and modify means an order that rests at that moment and the number of resting orders stays about what it
is. Cancels and modifies pick any resting order with equal chance, which is harder on the processor's caches than a market
is; with `--latest` they pick one of the latest, as many away as on the real day of `samples/`, which is easier on them. Each message's events (fills, and what came to rest, left or changed) are collected in memory, and Python's garbage collector is
set as it is in a worker. Each book has a process of its own: streams that are gone leave the heap in pieces to those that follow.

    python -m bench book [--compiled] [--messages N] [--resting N ...] [--markets NAME ...] [--latest]
                         [--seed N] [--repeats N]
"""

import argparse
import random
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

from msgspec.structs import replace

from bench.book_loop import BUY, SELL, Event, Message, by_id, run, trade
from bourse.cli.worker import calm_collector
from bourse.pipeline.matching.book import Book
from bourse.schemas.records import RestingOrder, Side, TimeInForce
from bourse.schemas.units import Price, Quantity

MIDDLE: Final = 1_000_000
LEVELS: Final = 200
"""Price levels a side within which most orders are."""
LATER: Final = 26
"""Mean number of resting orders that came after the one which is cancelled, on the real day (`bench cancels`), whose book has 121 orders.
That it is as many in a book of a million is an assumption: the other end from any order's being as likely to go."""


def normal(_done: float) -> int:
    """Return where the middle of a quiet market is."""
    return MIDDLE


def swinging(done: float) -> int:
    """Return where the middle of a market is that goes up and down by as much as most orders are away, five times."""
    phase = done * 5 % 1
    return MIDDLE + round(LEVELS * (4 * abs(phase - 0.5) - 1))


def crashing(done: float) -> int:
    """Return where the middle of a market is that falls through ten times that in the second half of the stream."""
    return MIDDLE - round(max(0.0, done - 0.5) * 2 * 10 * LEVELS)


MARKETS: Final[dict[str, Callable[[float], int]]] = {
    "normal": normal,
    "swinging": swinging,
    "crashing": crashing,
}


@dataclass
class Stream:
    """A seeded source of messages around the middle of a market."""

    seed: int
    resting: int
    middle: Callable[[float], int]
    picks_latest: bool = False
    book: Book = field(default_factory=Book)
    ids: list[str] = field(default_factory=list)
    arrivals: list[str] = field(default_factory=list)  # of all that have come to rest, the latest last
    places: dict[str, int] = field(default_factory=dict)
    count: int = 0
    done: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def order(self) -> RestingOrder:
        """Return a fresh order."""
        self.count += 1
        side = BUY if self.random.random() < 0.5 else SELL
        quantity = Quantity(self.random.randrange(1, 100))
        return RestingOrder(
            f"0-{self.count}",
            f"client-{self.count}",
            f"ACC-{self.count % 1000}",
            "ANA",
            side,
            self.price(side),
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

    def price(self, side: Side) -> Price:
        """Return a price on a side of the middle."""
        away = 1 + min(int(self.random.expovariate(4 / LEVELS)), 50 * LEVELS)
        middle = self.middle(self.done)
        return Price(middle - away if side is BUY else middle + away)

    def initial(self) -> list[RestingOrder]:
        """Return the orders that rest before the first message."""
        orders = [self.order() for _ in range(self.resting)]
        for order in orders:
            self._rest(order)
        return orders

    def messages(self, count: int) -> list[Message]:
        """Return the messages, each applied to the stream's own book."""
        messages: list[Message] = []
        for number in range(count):
            self.done = number / count
            messages.append(self._message())
        return messages

    def _message(self) -> Message:
        draw = self.random.random()
        # What trades and leaves is made up for, and no more than a tenth too many come.
        wanted = 0.65 if len(self.ids) < self.resting else 0.45
        if not self.ids or (draw < wanted and len(self.ids) < 1.1 * self.resting):
            order = self.order()
            self._enter(order)
            return "new", order
        if draw < 0.85:
            return "cancel", self._fresh(self._remove(self._pick()))
        if draw < 0.95:
            return self._modify(self._resting(self._pick()))
        order = self.order()
        reach = LEVELS if order.side is BUY else -LEVELS
        order = replace(order, price=self.middle(self.done) + reach)
        self._trade(order)
        return "immediate", order

    def _pick(self) -> str:
        """Return the order that a cancel or a modify means."""
        if not self.picks_latest:
            return self.random.choice(self.ids)
        wanted = 1 + min(int(self.random.expovariate(1 / LATER)), len(self.ids) - 1)
        latest: list[str] = []
        while len(latest) < wanted:
            if (order_id := self.arrivals.pop()) in self.places:
                latest.append(order_id)
        self.arrivals += reversed(latest)
        return latest[-1]

    def _modify(self, order: RestingOrder) -> Message:
        """Take one off, which keeps the order's place; or move its price, which does not."""
        if order.leaves_quantity > 1 and self.random.random() < 0.5:
            less = replace(
                order, order_quantity=order.order_quantity - 1, leaves_quantity=order.leaves_quantity - 1
            )
            self.book.amend(less)
            return "reduce", self._fresh(less)
        self._remove(order.order_id)
        moved = replace(order, price=self.price(order.side))
        self._enter(moved)
        return "move", self._fresh(moved)

    def _enter(self, order: RestingOrder) -> None:
        left = self._trade(order)
        if left.leaves_quantity:
            self._rest(left)

    def _trade(self, order: RestingOrder) -> RestingOrder:
        events: list[Event] = []
        left = trade(self.book, order, events)
        for event in events:
            if event.filled == event.order.leaves_quantity:
                self._forget(event.order.order_id)
        return left

    def _resting(self, order_id: str) -> RestingOrder:
        order = self.book.get(order_id)
        assert order is not None
        return order

    def _rest(self, order: RestingOrder) -> None:
        self.book.rest(order)
        self.places[order.order_id] = len(self.ids)
        self.ids.append(order.order_id)
        if self.picks_latest:
            self.arrivals.append(order.order_id)

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


@dataclass(frozen=True)
class Figures:
    """What a book of some size takes: processor time in seconds a message, the best of all repeats."""

    message: float
    by_id: float
    """Of a dict of the same orders by id that does nothing else: what no book does without."""
    fills: int


def lookups(messages: list[Message], events: list[Event]) -> list[Message]:
    """Return what a book looks up by id for the messages, given their events: orders that leave, come to rest or are amended."""
    made: list[Message] = []
    came = iter(events)
    for kind, order in messages:
        if kind in {"cancel", "move"}:
            made.append(("leave", order))
        elif kind == "reduce":
            made.append(("amend", order))
        while (event := next(came)).filled:
            if event.filled == event.order.leaves_quantity:
                made.append(("leave", event.order))
        if kind in {"new", "move"} and event.order.leaves_quantity:
            made.append(("come", event.order))
    return made


def measure(resting: int, market: str, given: argparse.Namespace) -> Figures:
    """Return the figures of such a book."""
    count = given.messages
    stream = Stream(given.seed, resting, MARKETS[market], given.latest)
    initial = stream.initial()
    messages = stream.messages(count)
    best, by_id_best, fills = float("inf"), float("inf"), 0
    for _ in range(given.repeats):
        book = Book()
        for order in initial:
            book.rest(order)
        calm_collector()
        began = time.process_time()
        events = run(book, messages)
        best = min(best, time.process_time() - began)
        fills = sum(1 for event in events if event.filled)
        assert [*book] == [*stream.book]
        orders, looked_up = {order.order_id: order for order in initial}, lookups(messages, events)
        began = time.process_time()
        by_id(orders, looked_up)
        by_id_best = min(by_id_best, time.process_time() - began)
        assert orders.keys() == {order.order_id for order in book}
    return Figures(best / count, by_id_best / count, fills)


def main(arguments: list[str] | None = None) -> None:
    """Measure books of several sizes and in several markets; print one line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--resting", type=int, nargs="+", default=[100, 10_000, 100_000, 1_000_000])
    parser.add_argument("--markets", nargs="+", default=[*MARKETS], choices=[*MARKETS])
    parser.add_argument("--latest", action="store_true", help="cancel and modify late orders")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    for market in given.markets:
        costs, steps = [], []
        for resting in given.resting:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                figures = process.submit(measure, resting, market, given).result()
            costs.append(figures.message)
            steps.append(figures.message / (1 + figures.fills / given.messages))
            print(
                f"{market:>8}, {resting:>9} resting: {1 / figures.message:>9,.0f} messages/s, {1e6 * figures.message:.2f} us each "
                f"(a dict of their ids alone {1e6 * figures.by_id:.2f}), {figures.fills} fills"
            )
        print(
            f"{market:>8}: a message costs at most {max(costs) / min(costs):.2f} times what it costs at least, "
            f"a message or fill {max(steps) / min(steps):.2f} times"
        )


if __name__ == "__main__":
    main()
