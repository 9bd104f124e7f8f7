"""The fast book and the naive book, held to the same sentences; then what only the fast one can get wrong."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from msgspec.structs import replace

from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.matching.book import FEW, Book
from bourse.pipeline.matching.naive import NaiveBook
from bourse.pipeline.matching.waiting import trailed
from bourse.schemas.records import OrderType, RestingOrder, Side, TimeInForce
from bourse.schemas.units import Price, Quantity
from tests.strategies import SYMBOL, prices, quantities, sides

AnyBook: TypeAlias = Book | NaiveBook
BUY, SELL = Side.BUY, Side.SELL


def resting(number: int, side: Side, quantity: int, price: int) -> RestingOrder:
    return RestingOrder(
        f"0-{number}",
        f"C{number}",
        "A1",
        SYMBOL,
        side,
        Price(price),
        Quantity(quantity),
        Quantity(0),
        Quantity(quantity),
        TimeInForce.GTC,
        number,
        0,
        0,
        "XMAD",
        "EUR",
        1,
    )


def smaller(order: RestingOrder, quantity: int) -> RestingOrder:
    return replace(order, order_quantity=quantity, leaves_quantity=quantity - order.cum_quantity)


def sweep(book: AnyBook, side: Side, price: int, quantity: int) -> list[tuple[RestingOrder, int]]:
    """Fill an aggressor of a side as far as its price goes; return each order as it was then, and its fill."""
    against, sign = (SELL, 1) if side is BUY else (BUY, -1)
    fills: list[tuple[RestingOrder, int]] = []
    while quantity and (first := book.first(against)) is not None and first.price * sign <= price * sign:
        taken = min(quantity, first.leaves_quantity - first.hidden_quantity)
        fills.append((book.fill(first, Quantity(taken), 1_000 + len(fills)), taken))
        quantity -= taken
    return fills


def ids(orders: list[RestingOrder]) -> list[str]:
    return [order.order_id for order in orders]


@pytest.mark.parametrize("make", [Book, NaiveBook])
class TestAnyBook:
    def test_an_empty_book_has_nothing(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        assert len(book) == 0
        assert list(book) == []
        assert book.best(BUY) is None
        assert book.depth(SELL) == []
        assert book.level(BUY, Price(100)) == (0, 0)
        assert book.queue(BUY, Price(100)) == []
        assert book.get("0-1") is None
        assert sweep(book, BUY, 100, 5) == []

    def test_the_best_bid_is_the_highest_and_the_best_ask_the_lowest(
        self, make: Callable[[], AnyBook]
    ) -> None:
        book = make()
        for number, (side, price) in enumerate([(BUY, 98), (BUY, 99), (BUY, 97), (SELL, 102), (SELL, 101)]):
            book.rest(resting(number, side, 10, price))
        assert book.best(BUY) == (99, 10)
        assert book.best(SELL) == (101, 10)
        assert [price for price, _, _ in book.depth(BUY)] == [99, 98, 97]
        assert [price for price, _, _ in book.depth(SELL)] == [101, 102]

    def test_a_level_adds_up_its_orders_and_keeps_their_order(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        for number, quantity in enumerate([5, 7, 9]):
            book.rest(resting(number, BUY, quantity, 100))
        assert book.level(BUY, Price(100)) == (21, 3)
        assert ids(book.queue(BUY, Price(100))) == ["0-0", "0-1", "0-2"]
        assert ids(list(book)) == ["0-0", "0-1", "0-2"]

    def test_price_comes_before_time(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        book.rest(resting(1, SELL, 5, 101))
        book.rest(resting(2, SELL, 5, 100))
        book.rest(resting(3, SELL, 5, 100))
        fills = sweep(book, BUY, 101, 12)
        assert [(order.order_id, taken, order.leaves_quantity) for order, taken in fills] == [
            ("0-2", 5, 0),
            ("0-3", 5, 0),
            ("0-1", 2, 3),
        ]
        assert ids(list(book)) == ["0-1"]

    def test_nothing_trades_beyond_the_limit(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        book.rest(resting(1, BUY, 5, 99))
        assert sweep(book, SELL, 100, 5) == []
        assert book.level(BUY, Price(99)) == (5, 1)

    def test_the_limit_itself_is_within_it(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        for number, (side, price) in enumerate([(BUY, 99), (SELL, 101)]):
            book.rest(resting(number, side, 5, price))
        for side, price, beyond in ((BUY, 99, 100), (SELL, 101, 100)):
            first = book.first(side)
            assert first is not None
            assert book.first_within(side, Price(price)) == first
            assert book.first_within(side, Price(beyond)) is None
            book.remove(first.order_id)
            assert book.first(side) is book.first_within(side, Price(price)) is None

    def test_a_partly_filled_order_keeps_its_place(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        book.rest(resting(1, BUY, 5, 99))
        book.rest(resting(2, BUY, 5, 99))
        sweep(book, SELL, 99, 2)
        first = book.queue(BUY, Price(99))[0]
        assert (first.order_id, first.cum_quantity, first.leaves_quantity) == ("0-1", 2, 3)
        assert book.best(BUY) == (99, 8)

    def test_a_removed_order_is_skipped(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        orders = [resting(number, BUY, 5, 99) for number in range(3)]
        for order in orders:
            book.rest(order)
        assert book.remove("0-0") == orders[0]
        assert book.remove("0-1") == orders[1]
        assert book.get("0-1") is None
        assert [order.order_id for order, _ in sweep(book, SELL, 99, 9)] == ["0-2"]

    def test_the_next_level_is_best_when_the_best_one_empties(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        for number, price in enumerate([100, 99, 98]):
            book.rest(resting(number, BUY, 5, price))
        book.remove("0-1")
        book.remove("0-0")
        assert book.best(BUY) == (98, 5)
        book.rest(resting(3, BUY, 1, 99))
        assert book.best(BUY) == (99, 1)
        book.remove("0-3")
        book.remove("0-2")
        assert book.best(BUY) is None

    def test_an_amended_order_keeps_its_place(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        first, second = resting(1, BUY, 5, 99), resting(2, BUY, 5, 99)
        book.rest(first)
        book.rest(second)
        book.amend(smaller(first, 2))
        assert book.get("0-1") == smaller(first, 2)
        assert ids(book.queue(BUY, Price(99))) == ["0-1", "0-2"]
        assert book.best(BUY) == (99, 7)

    def test_an_order_that_returns_goes_to_the_end(self, make: Callable[[], AnyBook]) -> None:
        book = make()
        book.rest(resting(1, BUY, 5, 99))
        book.rest(resting(2, BUY, 5, 99))
        book.rest(book.remove("0-1"))
        assert ids(book.queue(BUY, Price(99))) == ["0-2", "0-1"]
        assert [order.order_id for order, _ in sweep(book, SELL, 99, 10)] == ["0-2", "0-1"]


@pytest.mark.parametrize(
    "impossible",
    [
        resting(2, BUY, 0, 99),
        resting(2, BUY, -1, 99),
        replace(resting(2, BUY, 5, 99), cum_quantity=1),
        resting(1, BUY, 5, 98),
    ],
)
def test_what_cannot_rest_stops_the_worker(impossible: RestingOrder) -> None:
    book = Book()
    book.rest(resting(1, BUY, 5, 99))
    with pytest.raises(InvariantBroken, match="cannot come to rest"):
        book.rest(impossible)


@pytest.mark.parametrize(
    "impossible", [resting(1, BUY, 5, 98), resting(1, BUY, 6, 99), resting(1, BUY, 0, 99)]
)
def test_what_cannot_keep_its_place_stops_the_worker(impossible: RestingOrder) -> None:
    book = Book()
    book.rest(resting(1, BUY, 5, 99))
    with pytest.raises(InvariantBroken, match="cannot keep the place"):
        book.amend(impossible)


def test_empty_places_are_swept_when_they_are_the_most() -> None:
    book = Book()
    book.rest(resting(0, BUY, 1, 99))
    for number in range(1, 10 * FEW):
        book.rest(resting(number, BUY, 1, 99))
        book.remove(f"0-{number}")
    assert len(book.bids.levels[99].queue) <= FEW + 3
    assert ids(book.queue(BUY, Price(99))) == ["0-0"]


def test_empty_levels_are_swept_when_they_are_the_most() -> None:
    book = Book()
    book.rest(resting(0, SELL, 1, 1))
    for price in range(2, 10 * FEW):
        book.rest(resting(price, SELL, 1, price))
        book.remove(f"0-{price}")
    assert len(book.asks.heap) == len(book.asks.levels) <= FEW + 3
    assert book.asks.empty == len(book.asks.heap) - 1
    assert book.depth(SELL) == [(1, 1, 1)]


def test_an_empty_level_that_is_still_kept_is_used_again() -> None:
    book = Book()
    book.rest(resting(1, BUY, 5, 100))
    book.rest(resting(2, BUY, 5, 99))
    book.remove("0-2")
    assert (book.bids.empty, len(book.bids.heap)) == (1, 2)
    book.rest(resting(3, BUY, 7, 99))
    assert (book.bids.empty, len(book.bids.heap)) == (0, 2)
    assert book.depth(BUY) == [(100, 5, 1), (99, 7, 1)]


class BothBooks(RuleBasedStateMachine):
    """Whatever is done to both books, they look the same."""

    resting_ids = Bundle("resting_ids")

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.naive = Book(), NaiveBook()
        self.number = 0

    @rule(target=resting_ids, side=sides, price=prices, quantity=quantities)
    def rest(self, side: Side, price: int, quantity: int) -> str:
        self.number += 1
        order = resting(self.number, side, quantity, price)
        self.fast.rest(order)
        self.naive.rest(order)
        return order.order_id

    @rule(order_id=consumes(resting_ids))
    def remove(self, order_id: str) -> None:
        if self.naive.get(order_id) is not None:
            assert self.fast.remove(order_id) == self.naive.remove(order_id)

    @rule(order_id=resting_ids, less=quantities)
    def amend(self, order_id: str, less: int) -> None:
        order = self.naive.get(order_id)
        if order is not None and order.leaves_quantity > less:
            changed = smaller(order, order.order_quantity - less)
            self.fast.amend(changed)
            self.naive.amend(changed)

    @rule(side=sides, price=prices, quantity=st.integers(1, 60))
    def match(self, side: Side, price: Price, quantity: Quantity) -> None:
        assert sweep(self.fast, side, price, quantity) == sweep(self.naive, side, price, quantity)

    @rule(side=sides, limit=prices)
    def take(self, side: Side, limit: Price) -> None:
        first = self.naive.first_within(side, limit)
        assert self.fast.first_within(side, limit) == first
        if first is not None:
            self.fast.remove(first.order_id)
            self.naive.remove(first.order_id)

    @invariant()
    def look_the_same(self) -> None:
        assert len(self.fast) == len(self.naive)
        assert {order.order_id: order for order in self.fast} == {
            order.order_id: order for order in self.naive
        }
        assert self.fast.is_crossed() == self.naive.is_crossed()
        for side in Side:
            assert self.fast.best(side) == self.naive.best(side)
            assert self.fast.first(side) == self.naive.first(side)
            assert self.fast.depth(side) == self.naive.depth(side)
            for price, _, _ in self.naive.depth(side):
                assert self.fast.queue(side, price) == self.naive.queue(side, price)

    @invariant()
    def what_is_left_lying_is_counted(self) -> None:
        for side in (self.fast.bids, self.fast.asks):
            empty = [level for level in side.levels.values() if not level.orders]
            assert side.empty == len(empty)
            assert sorted(side.heap) == sorted(price * side.sign for price in side.levels)
            assert not any(level.queue for level in empty)


BothBooks.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
TestBothBooks = BothBooks.TestCase


@given(st.lists(st.tuples(prices, quantities), max_size=30))
def test_a_sweep_takes_everything_in_price_time_order(orders: list[tuple[int, int]]) -> None:
    book = Book()
    for number, (price, quantity) in enumerate(orders):
        book.rest(resting(number, SELL, quantity, price))
    fills = sweep(book, BUY, 1000, 10**6)
    expected = sorted(range(len(orders)), key=lambda number: orders[number][0])
    assert [order.order_id for order, _ in fills] == [f"0-{number}" for number in expected]
    assert len(book) == 0
    assert book.best(SELL) is None


def test_a_trailing_stop_never_moves_away_from_the_market() -> None:
    sell = replace(resting(1, SELL, 5, 0), order_type=OrderType.TRAILING_STOP, stop_price=90, trail_amount=10)
    buy = replace(sell, side=BUY, stop_price=110)
    assert [trailed(sell, Price(price)).stop_price for price in (95, 100, 105)] == [90, 90, 95]
    assert [trailed(buy, Price(price)).stop_price for price in (105, 100, 95)] == [110, 110, 105]
