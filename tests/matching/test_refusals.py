"""What the book does not take, and when it takes nothing."""

import pytest

from bourse.pipeline import matching
from bourse.pipeline.errors import InvariantBroken, NotOurs
from bourse.pipeline.state import State
from bourse.schemas.records import (
    BookState,
    Instrument,
    InstrumentStatus,
    OrderStatus,
    OrderType,
    SessionKind,
    Side,
    TimeInForce,
)
from bourse.schemas.units import INT64_MAX, TimeNs
from tests.matching.exchange import GTC, IOC, Exchange
from tests.strategies import SYMBOL

BUY, SELL = Side.BUY, Side.SELL


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"order_type": OrderType.STOP}, "INVALID_PRICE"),
            ({"order_type": OrderType.STOP_LIMIT, "stop_price": 0}, "INVALID_PRICE"),
            ({"order_type": OrderType.TRAILING_STOP}, "INVALID_PRICE"),
            ({"order_type": OrderType.TRAILING_STOP, "trail_amount": -1}, "INVALID_PRICE"),
            ({"order_type": OrderType.STOP, "stop_price": 90, "trail_amount": 1}, "INVALID_INSTRUCTION"),
            (
                {"order_type": OrderType.STOP, "stop_price": 90, "time_in_force": TimeInForce.AT_CLOSE},
                "INVALID_INSTRUCTION",
            ),
            ({"stop_price": 90}, "INVALID_INSTRUCTION"),
            ({"trail_amount": 9}, "INVALID_INSTRUCTION"),
            ({"display_quantity": 0}, "INVALID_DISPLAY_QUANTITY"),
            ({"display_quantity": 11}, "INVALID_DISPLAY_QUANTITY"),
            ({"display_quantity": 1, "quantity": 1_001}, "INVALID_DISPLAY_QUANTITY"),
            ({"display_quantity": 1, "time_in_force": IOC}, "INVALID_INSTRUCTION"),
            ({"display_quantity": 1, "order_type": OrderType.MARKET}, "INVALID_INSTRUCTION"),
            ({"post_only": True, "time_in_force": IOC}, "INVALID_INSTRUCTION"),
            ({"post_only": True, "order_type": OrderType.MARKET}, "INVALID_INSTRUCTION"),
            ({"expire_time_ns": 2 * 10**18}, "INVALID_INSTRUCTION"),
            ({"time_in_force": TimeInForce.GTD}, "INVALID_INSTRUCTION"),
            ({"time_in_force": TimeInForce.GTD, "expire_time_ns": 1}, "INVALID_EXPIRE_TIME"),
            ({"time_in_force": TimeInForce.AT_OPEN}, "WRONG_PHASE"),
            ({"time_in_force": TimeInForce.FOK}, "FOK_NOT_FILLABLE"),
            ({"multiplier": 0}, "INVALID_INSTRUCTION"),
            ({"maker_fee_bps": -1}, "INVALID_INSTRUCTION"),
            ({"taker_fee_bps": 10_001}, "INVALID_INSTRUCTION"),
            ({"price": None}, "MISSING_PRICE"),
            ({"price": 0}, "INVALID_PRICE"),
            ({"price": -1}, "INVALID_PRICE"),
            ({"price": INT64_MAX}, "VALUE_OVERFLOW"),
            (
                {"price": INT64_MAX // 10_020 * 1_000},
                "VALUE_OVERFLOW",
            ),  # fits alone, not with the taker's fee
        ],
    )
    def test_what_the_book_does_not_offer_is_rejected_and_released(
        self, exchange: Exchange, fields: dict[str, object], reason: str
    ) -> None:
        heard = exchange.buy("A1", 10, 100, **fields)
        assert heard.topics == ["order-events", "releases"]
        (event,) = heard.events
        assert (event.status, event.reason, event.order_id) == (OrderStatus.REJECTED, reason, "0-0")
        quantity = fields.get("quantity", 10)
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (quantity, 0, 0)
        assert event.text
        assert heard.released == [("0-0", quantity, "REJECTED")]
        assert len(exchange.state.order_books[SYMBOL]) == 0

    @pytest.mark.parametrize("quantity", [0, -5])
    def test_a_quantity_that_is_none_is_rejected_and_releases_nothing(
        self, exchange: Exchange, quantity: int
    ) -> None:
        heard = exchange.buy("A1", quantity, 100)
        assert heard.events[0].reason == "INVALID_QUANTITY"
        assert heard.events[0].order_quantity == quantity
        assert heard.released == [("0-0", 0, "REJECTED")]

    def test_an_order_without_a_side_is_rejected_and_nothing_can_be_held_for_it(
        self, exchange: Exchange
    ) -> None:
        heard = exchange.buy("A1", 10, 100, side=None)
        assert heard.events[0].reason == "MISSING_SIDE"
        assert not heard.releases

    def test_a_level_never_outgrows_its_record(self, exchange: Exchange) -> None:
        exchange.buy("A1", INT64_MAX, 1, maker_fee_bps=0, taker_fee_bps=0)
        assert exchange.buy("A2", 1, 1).events[0].reason == "VALUE_OVERFLOW"
        assert exchange.buy("A2", 1, 2).statuses == [("0-2", "OPEN")]

    def test_an_id_that_rests_already_is_refused_and_the_first_order_lives_on(
        self, exchange: Exchange
    ) -> None:
        exchange.sell("A1", 5, 100)
        heard = exchange.sell("A1", 5, 101, order_id="0-0")
        (event,) = heard.events
        assert (event.status, event.reason) == (OrderStatus.REJECTED, "DUPLICATE_ORDER_ID")
        assert (event.order_id, event.target_order_id) == ("0-1-v0-r0", "0-0")
        assert not heard.releases
        assert exchange.queue(SELL) == [(100, "0-0", 5)]

    def test_a_record_that_is_none_of_ours_is_a_dead_letter(self) -> None:
        with pytest.raises(NotOurs, match="no use for a BookState"):
            matching.handle(State.in_memory(), "risk-approved", "x/0/0", BookState(), TimeNs(0))

    @pytest.mark.parametrize("symbol", ["", "A/B"])
    def test_a_symbol_that_could_not_key_a_book_is_a_dead_letter(
        self, exchange: Exchange, symbol: str
    ) -> None:
        with pytest.raises(NotOurs, match="cannot be a symbol"):
            exchange.buy("A1", 1, 1, symbol=symbol)

    def test_a_crossed_book_stops_the_worker(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 100)
        row = exchange.resting("0-0")
        assert row is not None
        exchange.state.resting_orders.put(
            f"{SYMBOL}/0-9", type(row)("0-9", *_after_id(row, side=SELL, price=90))
        )
        exchange.restart()
        with pytest.raises(InvariantBroken, match="crossed"):
            exchange.buy("A1", 5, 1)


def _after_id(row: object, **changes: object) -> list[object]:
    fields = row.__struct_fields__[1:]  # type: ignore[attr-defined]
    return [changes.get(field, getattr(row, field)) for field in fields]


class TestPhases:
    def test_a_market_that_nobody_opened_is_open(self, exchange: Exchange) -> None:
        assert exchange.buy("A1", 1, 1).statuses == [("0-0", "OPEN")]

    def test_what_arrives_when_the_market_is_closed_is_rejected(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.CLOSED)
        heard = exchange.buy("A1", 10, 100)
        assert heard.events[0].reason == "MARKET_CLOSED"
        assert heard.released == [("0-1", 10, "REJECTED")]

    def test_a_symbol_may_have_a_phase_of_its_own(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.CLOSED, SYMBOL)
        assert exchange.buy("A1", 10, 100).events[0].reason == "MARKET_CLOSED"
        assert exchange.buy("A1", 10, 100, symbol="BBVA").statuses == [("0-2", "OPEN")]

    def test_nothing_trades_in_a_halt_until_it_is_over(self, exchange: Exchange) -> None:
        exchange.session(SessionKind.HALT)
        assert exchange.buy("A1", 10, 100).events[0].reason == "MARKET_HALTED"
        exchange.session(SessionKind.HALT, SYMBOL)
        assert exchange.buy("A1", 10, 100).events[0].reason == "SYMBOL_HALTED"
        exchange.session(SessionKind.RESUME)
        exchange.session(SessionKind.RESUME, SYMBOL)
        assert exchange.buy("A1", 10, 100).statuses == [("0-6", "OPEN")]

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (InstrumentStatus.HALTED, "SYMBOL_HALTED"),
            (InstrumentStatus.DELISTED, "SYMBOL_DELISTED"),
            (InstrumentStatus.ACTIVE, None),
        ],
    )
    def test_the_instruments_own_status_counts(
        self, exchange: Exchange, status: InstrumentStatus, reason: str | None
    ) -> None:
        exchange.state.instruments.put(SYMBOL, Instrument(SYMBOL, status=status))
        assert exchange.buy("A1", 10, 100).events[0].reason == reason

    def test_cancels_are_let_through_when_nothing_else_is(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100, time_in_force=GTC)
        exchange.session(SessionKind.CLOSED)
        exchange.session(SessionKind.HALT)
        assert exchange.cancel("A1", "0-0").statuses == [("0-0", "CANCELLED")]

    def test_a_replace_needs_an_open_market(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100, time_in_force=GTC)
        exchange.session(SessionKind.CLOSED)
        heard = exchange.replace("A1", "0-0", 5, side=None)
        assert (heard.events[0].status, heard.events[0].reason) == ("REPLACE_REJECTED", "MARKET_CLOSED")
        assert [(r.side, r.reason, r.replace_order_id) for r in heard.releases] == [
            (SELL, "REPLACE_REJECTED", "0-2")
        ]
