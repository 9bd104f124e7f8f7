"""The orders behind the levels, as the public builds them again from `book-updates`."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bourse.pipeline.depth import OrderDepth, OutOfStep
from bourse.pipeline.matching import parts
from bourse.pipeline.matching.market_data import SNAPSHOT_EVERY
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    BookUpdate,
    Instrument,
    OrderType,
    SessionKind,
    Side,
)
from tests.matching.exchange import Exchange, Heard
from tests.strategies import MARKET, SYMBOL, BookMessage, book_messages, examples

BUY, SELL = Side.BUY, Side.SELL


def publish(exchange: Exchange, *, depth_by_order: bool = True) -> Heard:
    instrument = Instrument(SYMBOL, market=MARKET, depth_by_order=depth_by_order)
    return exchange.send(Announcement("instruments/0/0/a0", AnnouncementKind.INSTRUMENT, instrument))


@pytest.fixture
def by_order_book(exchange: Exchange) -> Exchange:
    publish(exchange)
    return exchange


def shown(heard: Heard) -> list[tuple[str, str, int, int]]:
    """Action, order, price and displayed quantity of each order that the one update tells of."""
    (update,) = heard.updates
    return [(order.action.value, order.order_id, order.price, order.quantity) for order in update.orders]


def folded(updates: Iterable[BookUpdate]) -> OrderDepth:
    depth = OrderDepth()
    for update in updates:
        depth.fold(update)
    return depth


def in_line(exchange: Exchange, side: Side) -> list[tuple[int, str, int]]:
    """What the book has to show, in order of execution."""
    book = exchange.state.order_books.get(SYMBOL)
    return [
        (order.price, order.order_id, order.leaves_quantity - order.hidden_quantity)
        for order in (() if book is None else book.in_line(side))
    ]


def assert_same(depth: OrderDepth, exchange: Exchange) -> None:
    for side in Side:
        assert depth.queue(side) == in_line(exchange, side)


class TestWhatIsTold:
    def test_nothing_of_orders_by_default(self, exchange: Exchange) -> None:
        assert shown(exchange.buy("A1", 5, 99)) == []
        assert shown(publish(exchange, depth_by_order=True)) == [("ADD", "0-0", 99, 5)]
        assert shown(publish(exchange, depth_by_order=False)) == []
        assert shown(exchange.buy("A1", 5, 98)) == []

    def test_an_order_comes_is_changed_and_goes(self, by_order_book: Exchange) -> None:
        exchange = by_order_book
        assert shown(exchange.sell("A1", 5, 101)) == [("ADD", "0-0", 101, 5)]
        assert shown(exchange.buy("A2", 2, 101)) == [("MODIFY", "0-0", 101, 3)]
        assert shown(exchange.replace("A1", "0-0", 4, 103, side=SELL)) == [("MODIFY", "0-0", 103, 2)]
        assert shown(exchange.buy("A2", 5, 103)) == [("DELETE", "0-0", 103, 0), ("ADD", "0-3", 103, 3)]
        assert shown(exchange.cancel("A2", "0-3")) == [("DELETE", "0-3", 103, 0)]

    def test_who_is_in_and_out_within_one_message_was_never_there(self, by_order_book: Exchange) -> None:
        stop = {"order_type": OrderType.STOP_LIMIT, "stop_price": 100, "price": 101}
        by_order_book.new("A3", BUY, 1, 101, **stop)
        by_order_book.sell("A1", 2, 100)
        assert shown(by_order_book.buy("A2", 1, 100)) == [("DELETE", "0-1", 100, 0)]

    def test_an_iceberg_never_shows_its_reserve_and_goes_to_the_end_of_the_queue(
        self, by_order_book: Exchange
    ) -> None:
        exchange = by_order_book
        assert shown(exchange.sell("A1", 9, 100, display_quantity=2)) == [("ADD", "0-0", 100, 2)]
        exchange.sell("A1", 2, 100)
        heard = exchange.buy("A2", 2, 100)
        assert shown(heard) == [("MODIFY", "0-0", 100, 2)]
        assert heard.updates[0].changes == ()  # the level shows as much as before
        assert in_line(exchange, SELL) == [(100, "0-1", 2), (100, "0-0", 2)]

    def test_what_waits_is_not_shown(self, by_order_book: Exchange) -> None:
        stop = {"order_type": OrderType.STOP, "stop_price": 110, "price": None}
        assert not by_order_book.new("A3", BUY, 1, 0, **stop).updates


class TestReaders:
    def test_an_order_that_was_altered_is_noticed(self, by_order_book: Exchange) -> None:
        (update,) = by_order_book.buy("A1", 5, 99).updates
        (order,) = update.orders
        for altered in (replace(order, quantity=6), replace(order, price=98), replace(order, side=SELL)):
            with pytest.raises(OutOfStep, match="do not add up"):
                folded([replace(update, orders=(altered,))])

    def test_of_a_book_that_does_not_tell_there_are_the_levels(self, exchange: Exchange) -> None:
        depth = folded(exchange.buy("A1", 5, 99).updates)
        assert (depth.sequence, depth.is_by_order, depth.queue(BUY)) == (1, False, [])
        assert depth.side(BUY) == [(99, 5, 1)]

    def test_a_book_that_stops_to_tell_goes_on_with_its_levels_until_it_tells_again(
        self, by_order_book: Exchange
    ) -> None:
        exchange = by_order_book
        depth = folded(exchange.buy("A1", 5, 99).updates)
        assert depth.is_by_order
        for heard in (publish(exchange, depth_by_order=False), exchange.buy("A1", 5, 98)):
            depth.fold(heard.updates[0])
            assert (depth.is_by_order, depth.queue(BUY)) == (False, [])
        assert depth.side(BUY) == [(99, 5, 1), (98, 5, 1)]
        depth.fold(publish(exchange).updates[0])
        assert depth.is_by_order
        assert_same(depth, exchange)

    def test_an_order_that_a_book_leaves_out_is_noticed(self, by_order_book: Exchange) -> None:
        first, second = (by_order_book.buy("A1", 5, price).updates[0] for price in (99, 98))
        with pytest.raises(OutOfStep, match="do not add up"):
            folded([first, replace(second, orders=())])
        with pytest.raises(OutOfStep, match="do not add up"):
            folded([replace(first, orders=()), second])

    def test_a_late_reader_begins_with_a_snapshot(self, by_order_book: Exchange) -> None:
        updates = [
            update
            for n in range(SNAPSHOT_EVERY + 1)
            for update in by_order_book.buy("A1", 1, 1 + n % 7).updates
        ]
        assert_same(folded(updates[900:]), by_order_book)
        late = folded(updates[1:900])
        assert late.sequence is None
        assert late.queue(BUY) == []

    def test_many_orders_are_spread_over_several_updates(
        self, by_order_book: Exchange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "MOST", 3)
        exchange = by_order_book
        updates = [update for n in range(7) for update in exchange.buy("A1", 1, 90 + n).updates]
        snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
        assert [(u.part, u.parts, u.is_snapshot, len(u.orders)) for u in snapshot] == [
            (0, 3, True, 3),
            (1, 3, False, 3),
            (2, 3, False, 1),
        ]
        assert [update.sequence for update in snapshot] == [8, 9, 10]
        exchange.session(SessionKind.OPEN)
        swept = exchange.sell("A2", 7, 90).updates
        assert [len(update.orders) for update in swept] == [3, 3, 1]
        late = folded(snapshot)
        assert [order_id for _, order_id, _ in late.queue(BUY)] == [f"0-{n}" for n in range(6, -1, -1)]
        with pytest.raises(OutOfStep, match="follows 8"):
            folded([*updates, snapshot[0], snapshot[2]])


@examples(60)
@given(
    messages=book_messages,
    start=st.integers(0, 40),
    switch=st.integers(0, 60),
    most=st.sampled_from((1, 2, 3, parts.MOST)),
)
def test_whoever_begins_at_any_update_ends_up_with_the_books_own_orders(
    messages: list[BookMessage], start: int, switch: int, most: int
) -> None:
    """Whenever it begins to tell of orders, and through every restart: the orders of the book, in its own order."""
    exchange, updates = Exchange(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MOST", most)
        for number, message in enumerate(messages):
            if number == switch:
                updates = publish(exchange).updates
            exchange.restart()
            updates += exchange.send(message).updates
        if switch >= len(messages):
            updates = publish(exchange).updates
    late = folded(updates[start:])
    if late.sequence is not None:
        assert_same(late, exchange)
    if updates:
        assert_same(folded(updates), exchange)


@examples(60)
@given(book_messages)
def test_nothing_but_what_is_told_of_orders_is_different(messages: list[BookMessage]) -> None:
    silent, telling = Exchange(), Exchange()
    publish(telling)
    for message in messages:
        one, other = silent.send(message), telling.send(message)
        assert one.trades == other.trades
        assert one.statuses == other.statuses
        assert one.released == other.released
        levels = [update.changes for update in one.updates]
        told = [update.changes for update in other.updates if update.changes]
        assert [changes for changes in levels if changes] == told
