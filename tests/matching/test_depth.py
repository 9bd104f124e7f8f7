"""The book as the public builds it again from `book-updates`."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bourse.pipeline.depth import Depth, OutOfStep
from bourse.pipeline.matching.market_data import SNAPSHOT_EVERY
from bourse.schemas.records import BookUpdate, SessionKind, Side
from tests.matching.exchange import Exchange
from tests.strategies import SYMBOL, BookMessage, book_messages


def depths(exchange: Exchange) -> dict[Side, list[tuple[int, int, int]]]:
    book = exchange.state.order_books[SYMBOL]
    return {side: book.depth(side) for side in Side}  # type: ignore[misc]


def folded(updates: Iterable[BookUpdate]) -> Depth:
    depth = Depth()
    for update in updates:
        depth.fold(update)
    return depth


def some_updates(exchange: Exchange) -> list[BookUpdate]:
    heard = [exchange.buy("A1", 5, 99), exchange.sell("A2", 5, 101), exchange.sell("A2", 5, 102)]
    heard += [exchange.buy("A1", 7, 101), exchange.cancel("A1", "0-0")]
    return [update for step in heard for update in step.updates]


def test_the_depth_is_the_books(exchange: Exchange) -> None:
    depth = folded(some_updates(exchange))
    assert {side: depth.side(side) for side in Side} == depths(exchange)
    assert depth.side(Side.BUY) == [(101, 2, 1)]


def test_a_trade_is_told_of_even_where_an_iceberg_shows_as_much_again(exchange: Exchange) -> None:
    exchange.sell("A1", 10, 100, display_quantity=4)
    heard = exchange.buy("A2", 4, 100)
    assert [(update.sequence, update.changes) for update in heard.updates] == [(2, ())]
    assert exchange.queue(Side.SELL) == [(100, "0-0", 6)]


def test_a_lost_update_is_noticed_and_the_next_snapshot_mends_it(exchange: Exchange) -> None:
    updates = some_updates(exchange)
    depth = folded(updates[:2])
    with pytest.raises(OutOfStep, match="update 4 follows 2"):
        depth.fold(updates[3])
    depth.fold(updates[4])
    assert depth.sequence is None
    depth.fold(exchange.session(SessionKind.CLOSING_AUCTION).updates[0])
    assert (depth.sequence, depth.phase) == (6, SessionKind.CLOSING_AUCTION)
    assert {side: depth.side(side) for side in Side} == depths(exchange)


def test_a_level_that_was_altered_is_noticed(exchange: Exchange) -> None:
    updates = some_updates(exchange)
    (level,) = updates[1].changes
    altered = replace(updates[1], changes=(replace(level, quantity=6),))
    with pytest.raises(OutOfStep, match="update 2 has checksum"):
        folded([updates[0], altered])


def test_a_late_reader_waits_for_a_snapshot_which_comes_after_so_many_updates(exchange: Exchange) -> None:
    updates = [
        update for n in range(SNAPSHOT_EVERY + 1) for update in exchange.buy("A1", 1, 1 + n % 7).updates
    ]
    snapshots = [update.sequence for update in updates if update.is_snapshot]
    assert snapshots == [SNAPSHOT_EVERY]
    late = folded(updates[1:])
    assert {side: late.side(side) for side in Side} == depths(exchange)
    assert folded(updates[1:900]).sequence is None


@settings(max_examples=60, deadline=None)
@given(messages=book_messages, start=st.integers(1, 40))
def test_whoever_begins_at_any_update_ends_up_with_the_same_book(
    messages: list[BookMessage], start: int
) -> None:
    exchange = Exchange()
    updates = [update for message in messages for update in exchange.send(message).updates]
    late = folded(updates[start:])
    if late.sequence is not None:
        assert {side: late.side(side) for side in Side} == depths(exchange)
