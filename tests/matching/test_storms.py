"""Much of one thing at once: it ends, within Python's recursion limit, and costs about the same for each order.

Work is counted, not timed: reads and writes of rows, and what the heaps still hold.
"""

import pytest

from bourse.pipeline.matching.ranked import FEW, Ranked
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import OrderType, SessionKind, Side, TimeInForce
from bourse.schemas.units import INT64_MAX
from tests.matching.exchange import GTC, Exchange
from tests.strategies import SYMBOL

BUY, SELL = Side.BUY, Side.SELL
MANY = 100_000


def stop(exchange: Exchange, side: Side, at: int, **fields: object) -> None:
    fields = {"order_type": OrderType.STOP, "price": None, "stop_price": at} | fields
    exchange.new(f"A{exchange.sent % 7}", side, 1, 0, **fields)


def test_100_000_stops_at_one_price_go_off_in_one_message(exchange: Exchange) -> None:
    for _ in range(MANY):
        stop(exchange, SELL, 100)
    exchange.buy("B", 2 * MANY, 100)
    heard = exchange.sell("S", 1, 100)
    triggered = [order_id for order_id, status in heard.statuses if status == "TRIGGERED"]
    assert triggered == [f"0-{number}" for number in range(MANY)]
    assert len(heard.fills) == MANY + 1
    assert len(heard.updates) == 1
    assert not [*exchange.state.waiting_orders.scan("")]


def test_a_cascade_through_10_000_prices_ends(exchange: Exchange) -> None:
    for price in range(10_000, 0, -1):
        exchange.buy("B", 1, price)
        stop(exchange, SELL, price)
    heard = exchange.sell("S", 1, 1, time_in_force=TimeInForce.IOC)
    assert [fill[2] for fill in heard.fills] == list(range(10_000, 0, -1))
    assert heard.statuses[-2:] == [("0-19999", "TRIGGERED"), ("0-19999", "CANCELLED")]


def test_stops_that_are_cancelled_leave_nothing_behind(exchange: Exchange) -> None:
    stop(exchange, SELL, 50, time_in_force=GTC)
    for _ in range(5_000):
        stop(exchange, SELL, 60, time_in_force=TimeInForce.GTD, expire_time_ns=INT64_MAX)
        number = exchange.sent - 1
        exchange.cancel(f"A{number % 7}", f"0-{number}")
    book = exchange.state.order_books[SYMBOL]
    stops = book.waiting._stops[SELL]  # noqa: SLF001 - what the heap holds is the point
    assert len(stops._heap) <= FEW + 2  # noqa: SLF001
    assert len(book.index._expiries._heap) <= FEW + 2  # noqa: SLF001


def test_ids_that_move_are_found_where_they_are_now() -> None:
    ranked = Ranked()
    ranked.put("a", 5, 1)
    ranked.put("b", 5, 2)
    ranked.put("a", 7, 1)
    ranked.drop("c")
    assert (ranked.lowest(), ranked.take(6), ranked.take(7), ranked.lowest()) == (5, ["b"], ["a"], None)


def test_mass_cancels_look_at_the_accounts_own_orders_alone(exchange: Exchange) -> None:
    for number in range(20_000):
        exchange.buy(f"A{number}", 1, 1 + number % 100)
    book = exchange.state.order_books[SYMBOL]
    assert book.index.of_account("A77") == ["0-77"]
    for number in range(20_000):
        assert len(exchange.mass_cancel(f"A{number}").releases) == 1
    assert len(book) == 0


def test_the_parts_of_an_iceberg_are_bounded(exchange: Exchange) -> None:
    assert (
        exchange.sell("A1", 10**6, 100, display_quantity=999).events[0].reason == "INVALID_DISPLAY_QUANTITY"
    )
    exchange.sell("A1", 10**6, 100, display_quantity=1_000)
    assert len(exchange.buy("A2", 10**6, 100).fills) == 1_000


def test_an_auction_of_20_000_orders_uncrosses_in_one_message(exchange: Exchange) -> None:
    exchange.session(SessionKind.OPENING_AUCTION)
    for number in range(10_000):
        exchange.buy("A1", 1, 1_000 + number % 500)
        exchange.sell("A2", 1, 1_000 + number % 500)
    heard = exchange.session(SessionKind.OPEN)
    assert {tape.price for tape in heard.tape} == {1_249}
    assert sum(tape.quantity for tape in heard.tape) == 5_000
    assert len(heard.updates) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"order_type": OrderType.TRAILING_STOP, "price": None, "trail_amount": INT64_MAX},
        {"order_type": OrderType.STOP, "price": None, "stop_price": INT64_MAX},
        {"order_type": OrderType.MARKET, "price": None, "time_in_force": TimeInForce.AT_CLOSE},
        {"pause_time_ns": INT64_MAX, "price_band_bps": 0},
        {"price_band_bps": INT64_MAX},
        {"price_band_bps": -1},
        {"reference_price": 0, "price_band_bps": 100},
        {"time_in_force": TimeInForce.GTD, "expire_time_ns": INT64_MAX},
    ],
)
@pytest.mark.parametrize("side", Side)
def test_amounts_at_the_edge_of_what_a_record_holds_stop_nothing(
    exchange: Exchange, side: Side, fields: dict[str, object]
) -> None:
    codec = Codec(LocalIds())
    heard = [
        exchange.sell("S", 9, 100),
        exchange.buy("B", 1, 100),
        exchange.new("A1", side, 1, 100, **fields),
        exchange.replace("A1", "0-2", 2, trail_amount=fields.get("trail_amount"), side=side),
        exchange.buy("B", 1, 300),
        exchange.sell("S", 1, 1),
        exchange.session(SessionKind.CLOSING_AUCTION, time_ns=INT64_MAX - 1),
        exchange.session(SessionKind.CLOSED, time_ns=INT64_MAX),
    ]
    state = exchange.state
    tables = (state.resting_orders, state.waiting_orders, state.books)
    rows = [row for table in tables for _, row in table.scan("")]
    records = [record for step in heard for _, _, record, _ in step.outputs]
    assert all(codec.encoder(type(record))(record) for record in [*rows, *records])
