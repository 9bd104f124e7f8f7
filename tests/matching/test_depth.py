"""The book as the public builds it again from `book-updates`."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bourse.pipeline.depth import Depth, OutOfStep
from bourse.pipeline.matching import market_data, parts
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


def test_a_repeat_changes_nothing(exchange: Exchange) -> None:
    updates = some_updates(exchange)
    again = [update for n, update in enumerate(updates) for update in (update, *updates[: n + 1])]
    assert folded(again).levels == folded(updates).levels
    snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates[0]
    later = exchange.buy("A1", 1, 90).updates[0]
    depth = folded([*updates, snapshot, later, snapshot])
    assert depth.sequence == later.sequence
    assert {side: depth.side(side) for side in Side} == depths(exchange)


def test_a_swapped_pair_is_noticed(exchange: Exchange) -> None:
    updates = some_updates(exchange)
    depth = folded(updates[:1])
    with pytest.raises(OutOfStep, match="update 3 follows 1"):
        depth.fold(updates[2])
    depth.fold(updates[1])
    assert depth.sequence is None


def test_no_update_has_more_levels_than_one_record_takes(exchange: Exchange) -> None:
    """A book of any number of levels, which a snapshot has all of, and one message may take all of."""
    levels = 2 * parts.MOST + 1
    for price in range(1, levels + 1):
        exchange.buy("A1", 1, price)
    snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
    gone = exchange.mass_cancel("A1").updates
    for updates in (snapshot, gone):
        assert [len(update.changes) for update in updates] == [parts.MOST, parts.MOST, 1]
    assert folded(snapshot).side(Side.BUY) == [(price, 1, 1) for price in range(levels, 0, -1)]
    assert folded([*snapshot, *gone]).side(Side.BUY) == []


class TestSpreadLevels:
    @pytest.fixture(autouse=True)
    def three_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parts, "MOST", 3)

    @pytest.fixture
    def updates(self, exchange: Exchange) -> list[BookUpdate]:
        """Seven levels, one after the other."""
        return [update for n in range(7) for update in exchange.buy("A1", 1, 90 + n).updates]

    def test_a_snapshot_has_a_number_for_each_part(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
        assert [(u.sequence, u.part, u.parts, u.is_snapshot, len(u.changes)) for u in snapshot] == [
            (8, 0, 3, True, 3),
            (9, 1, 3, False, 3),
            (10, 2, 3, False, 1),
        ]
        assert len({update.event_id for update in snapshot}) == 3
        late = folded(snapshot)
        assert (late.sequence, late.phase) == (10, SessionKind.CLOSING_AUCTION)
        assert {side: late.side(side) for side in Side} == depths(exchange)
        assert folded([*updates, *snapshot]).levels == late.levels

    def test_what_one_message_changes(self, exchange: Exchange, updates: list[BookUpdate]) -> None:
        swept = exchange.sell("A2", 6, 90).updates
        assert [(u.part, u.parts, u.is_snapshot, len(u.changes)) for u in swept] == [
            (0, 2, False, 3),
            (1, 2, False, 3),
        ]
        assert folded([*updates, *swept]).side(Side.BUY) == [(90, 1, 1)]

    def test_until_the_last_part_is_there_the_book_is_as_before(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        swept = exchange.sell("A2", 6, 90).updates
        depth = folded([*updates, swept[0], *updates, swept[0]])
        assert (depth.sequence, len(depth.side(Side.BUY))) == (7, 7)
        depth.fold(swept[1])
        assert (depth.sequence, len(depth.side(Side.BUY))) == (9, 1)

    @pytest.mark.usefixtures("updates")
    def test_a_reader_that_comes_in_between_waits_for_the_next_snapshot(self, exchange: Exchange) -> None:
        snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
        later = exchange.buy("A1", 1, 80).updates
        late = folded([*snapshot[1:], *later])
        assert (late.sequence, late.side(Side.BUY)) == (None, [])
        late = folded([*snapshot[:1], *snapshot[:2]])
        assert (late.sequence, late.side(Side.BUY)) == (None, [])
        late = folded([*snapshot[1:], *later, *exchange.session(SessionKind.CLOSED).updates])
        assert {side: late.side(side) for side in Side} == depths(exchange)

    def test_a_lost_part_is_noticed_and_the_next_snapshot_mends_it(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        swept = exchange.sell("A2", 6, 90).updates
        depth = folded([*updates, swept[0]])
        with pytest.raises(OutOfStep, match="update 10 follows 8"):
            depth.fold(exchange.buy("A1", 1, 80).updates[0])
        snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
        for update in (swept[1], *snapshot):
            depth.fold(update)
        assert {side: depth.side(side) for side in Side} == depths(exchange)

    def test_a_snapshot_may_come_before_the_last_part(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        swept = exchange.sell("A2", 6, 90).updates
        snapshot = exchange.session(SessionKind.CLOSING_AUCTION).updates
        depth = folded([*updates, swept[0], *snapshot])
        assert {side: depth.side(side) for side in Side} == depths(exchange)

    def test_a_level_that_is_left_out_is_noticed_with_the_last_part(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        first, last = exchange.sell("A2", 6, 90).updates
        depth = folded([*updates, replace(first, changes=first.changes[1:])])
        with pytest.raises(OutOfStep, match="update 9 has checksum"):
            depth.fold(last)

    def test_an_update_does_not_step_over_a_snapshot_that_is_due(
        self, exchange: Exchange, updates: list[BookUpdate]
    ) -> None:
        # Of the changes of one message the first has number 999, and another one 1,000.
        while exchange.state.books.get(SYMBOL).sequence < SNAPSHOT_EVERY - 2:  # type: ignore[union-attr]
            updates += exchange.buy("A1", 1, 90).updates
        swept = exchange.mass_cancel("A1").updates
        assert [(update.sequence, update.is_snapshot) for update in swept] == [
            (999, True),
            (1000, False),
            (1001, False),
        ]
        assert folded(swept).side(Side.BUY) == []


@settings(max_examples=60, deadline=None)
@given(messages=book_messages, start=st.integers(1, 40), most=st.integers(1, 3), every=st.integers(2, 9))
def test_however_updates_are_spread_no_snapshot_is_left_out_and_every_reader_has_the_same_book(
    messages: list[BookMessage], start: int, most: int, every: int
) -> None:
    exchange = Exchange()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MOST", most)
        patch.setattr(market_data, "SNAPSHOT_EVERY", every)
        heard = [exchange.send(message).updates for message in messages]
    updates = [update for updates in heard for update in updates]
    assert [update.sequence for update in updates] == list(range(1, len(updates) + 1))
    for spread in filter(None, heard):
        assert all(len(update.changes) <= most for update in spread)
        assert [(update.part, update.parts) for update in spread] == [
            (part, len(spread)) for part in range(len(spread))
        ]
        is_due = any(update.sequence % every == 0 for update in spread)
        assert spread[0].is_snapshot or not is_due
    for late in (folded(updates), folded(updates[start:])):
        if late.sequence is not None:
            assert late.sequence == len(updates)
            assert {side: late.side(side) for side in Side} == depths(exchange)


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
