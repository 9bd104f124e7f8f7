"""What holds for every sequence of messages to a book."""

from collections import Counter, defaultdict

from hypothesis import given, settings

from bourse.pipeline.depth import Depth
from bourse.pipeline.matching.naive import NaiveBook
from bourse.pipeline.outputs import Output
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Announcement,
    ApprovedOrder,
    OrderAction,
    OrderEvent,
    OrderStatus,
    Release,
    ReleaseReason,
    RestingOrder,
    SessionKind,
    Side,
    TapePrint,
    Trade,
)
from tests.matching.exchange import Exchange
from tests.strategies import SYMBOL, BookMessage, book_messages, examples

thorough = settings(
    max_examples=60, deadline=None
)  # the deep search is for the fast book against the naive one
TERMINAL = {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
LIVE = {OrderStatus.OPEN, OrderStatus.TRIGGERED, OrderStatus.PARTIALLY_FILLED, OrderStatus.REPLACED}


def run(messages: list[BookMessage], state: State | None = None) -> tuple[Exchange, list[Output]]:
    exchange = Exchange(state)
    return exchange, [output for message in messages for output in exchange.send(message).outputs]


def live_rows(exchange: Exchange) -> list[RestingOrder]:
    state = exchange.state
    return [row for table in (state.resting_orders, state.waiting_orders) for _, row in table.scan("")]


@thorough
@given(book_messages)
def test_the_book_is_never_crossed_while_it_trades(messages: list[BookMessage]) -> None:
    exchange = Exchange()
    for message in messages:
        for update in exchange.send(message).updates:
            both = update.best_bid is not None and update.best_ask is not None
            if both and update.phase is SessionKind.OPEN:
                assert update.best_bid < update.best_ask


@examples(60)
@given(book_messages)
def test_the_fast_book_says_what_the_naive_book_says(messages: list[BookMessage]) -> None:
    state = State.in_memory()
    state.order_books[SYMBOL] = NaiveBook()  # type: ignore[assignment]
    assert run(messages)[1] == run(messages, state)[1]


@thorough
@given(book_messages)
def test_nothing_but_an_auction_trades_outside_of_the_band(messages: list[BookMessage]) -> None:
    exchange, last_price = Exchange(), None
    for message in messages:
        middle, heard = last_price, exchange.send(message)
        memory = exchange.state.books.get(SYMBOL)
        for tape in heard.tape:
            last_price = tape.price
            if tape.auction:
                middle = tape.price
            elif memory is not None and memory.price_band_bps is not None and middle is not None:
                assert abs(tape.price - middle) * 10_000 <= middle * memory.price_band_bps


@thorough
@given(book_messages)
def test_the_same_input_gives_the_same_outputs(messages: list[BookMessage]) -> None:
    assert run(messages)[1] == run(messages)[1]


@thorough
@given(book_messages)
def test_a_restart_between_any_two_messages_changes_nothing(messages: list[BookMessage]) -> None:
    steady, restarted = Exchange(), Exchange()
    for message in messages:
        restarted.restart()
        assert steady.send(message).outputs == restarted.send(message).outputs


@thorough
@given(book_messages)
def test_rows_say_what_the_book_says(messages: list[BookMessage]) -> None:
    exchange, _ = run(messages)
    book = exchange.state.order_books.get(SYMBOL)
    live = [] if book is None else [*book, *book.waiting]
    by_place = sorted(live_rows(exchange), key=lambda row: row.sequence)
    assert by_place == sorted(live, key=lambda row: row.sequence)
    assert len({row.sequence for row in by_place}) == len(by_place)


@thorough
@given(book_messages)
def test_while_live_order_is_cum_plus_leaves_and_after_the_end_nothing_follows(
    messages: list[BookMessage],
) -> None:
    _, outputs = run(messages)
    ended: set[str] = set()
    cum: Counter[str] = Counter()
    for _, _, record, _ in outputs:
        if isinstance(record, Trade):
            cum[record.order_id] += record.quantity
        if isinstance(record, OrderEvent):
            assert record.order_id not in ended
            if record.status in LIVE:
                assert record.order_quantity == record.cum_quantity + record.leaves_quantity
                assert record.leaves_quantity > 0
            else:
                assert record.leaves_quantity == 0
            if record.status in LIVE | TERMINAL:
                assert record.cum_quantity == cum[record.order_id]
                filled = record.cum_quantity == record.order_quantity
                assert (record.status is OrderStatus.FILLED) == (filled and record.order_quantity > 0)
            ended |= {record.order_id} if record.status in TERMINAL else set()


@thorough
@given(book_messages)
def test_what_was_ordered_is_filled_released_or_rests(messages: list[BookMessage]) -> None:
    """The account side's view: totals as confirmed by releases, less fills, are what rests."""
    exchange, outputs = run(messages)
    total = {
        message.order_id: max(0, message.quantity)
        for message in messages
        if isinstance(message, ApprovedOrder) and message.action is OrderAction.NEW
    }
    for _, _, record, _ in outputs:
        if isinstance(record, Trade):
            total[record.order_id] -= record.quantity
        elif isinstance(record, Release) and record.reason is ReleaseReason.REPLACED:
            assert record.order_quantity is not None
            assert record.cum_quantity is not None
            total[record.order_id] = record.order_quantity - record.cum_quantity
        elif isinstance(record, Release):
            total[record.order_id] -= record.quantity
    rests = {row.order_id: row.leaves_quantity for row in live_rows(exchange)}
    assert {order_id: left for order_id, left in total.items() if left} == rests


@thorough
@given(book_messages)
def test_each_trade_has_a_buyer_a_seller_and_the_resting_price(messages: list[BookMessage]) -> None:
    limits = {m.order_id: m.price for m in messages if isinstance(m, ApprovedOrder)}
    sides: dict[str, list[Trade]] = defaultdict(list)
    prints: list[TapePrint] = []
    for _, _, record, _ in run(messages)[1]:
        if isinstance(record, Trade):
            sides[record.trade_id].append(record)
        if isinstance(record, TapePrint):
            prints.append(record)
    assert [record.trade_id for record in prints] == list(sides)
    for public, (taker, maker) in zip(prints, sides.values(), strict=True):
        assert {taker.side, maker.side} == {Side.BUY, Side.SELL}
        assert taker.side is public.aggressor_side
        assert taker.quantity == maker.quantity == public.quantity > 0
        assert taker.price == maker.price == public.price
        assert (taker.contra_order_id, maker.contra_order_id) == (maker.order_id, taker.order_id)
    assert limits.keys() >= {trade.order_id for pair in sides.values() for trade in pair}


@thorough
@given(book_messages)
def test_event_ids_are_unique_and_keys_are_the_records_own(messages: list[BookMessage]) -> None:
    _, outputs = run(messages)
    ids = Counter(record.event_id for _, _, record, _ in outputs)  # type: ignore[attr-defined]
    assert set(ids.values()) <= {1}
    for topic, key, record, partition in outputs:
        field = "symbol" if topic in {"tape", "book-updates"} else "account_id"
        assert key == getattr(record, field)
        assert partition == -1


@thorough
@given(book_messages)
def test_book_updates_add_up_to_the_book(messages: list[BookMessage]) -> None:
    exchange = Exchange()
    depth = Depth()
    for message in messages:
        for update in exchange.send(message).updates:
            depth.fold(update)
        book = exchange.state.order_books.get(SYMBOL)
        for side in () if book is None else Side:
            assert depth.side(side) == book.depth(side)


@thorough
@given(book_messages)
def test_a_command_again_changes_nothing_more(messages: list[BookMessage]) -> None:
    """An order that ended at once is not remembered here: its client order id is, in validation."""
    exchange = Exchange()
    for message in messages:
        exchange.send(message)
        if isinstance(message, Announcement) or _ended_at_once(exchange, message):
            continue
        before = live_rows(exchange)
        exchange.restart()
        again = exchange.send(message)
        assert live_rows(exchange) == before
        assert not again.trades
        assert not again.updates
        assert sum(release.quantity for release in again.releases) == 0


def _ended_at_once(exchange: Exchange, message: ApprovedOrder) -> bool:
    live = {row.order_id for row in live_rows(exchange)}
    return message.action is OrderAction.NEW and message.order_id not in live
