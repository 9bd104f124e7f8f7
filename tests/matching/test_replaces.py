"""What a replace does to an order, its place and its hold."""

import pytest

from bourse.schemas.records import (
    BookLevel,
    Release,
    ReleaseReason,
    Side,
)
from bourse.schemas.units import INT64_MAX
from tests.matching.exchange import Exchange
from tests.strategies import SYMBOL

BUY, SELL = Side.BUY, Side.SELL


class TestReplaces:
    def test_less_at_the_same_price_keeps_its_place(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        exchange.buy("A2", 10, 100)
        heard = exchange.replace("A1", "0-0", 6)
        assert heard.topics == ["order-events", "releases", "book-updates"]
        (event,) = heard.events
        assert (event.order_id, event.client_order_id, event.status) == ("0-0", "C2", "REPLACED")
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (6, 0, 6)
        assert exchange.queue(BUY) == [(100, "0-0", 6), (100, "0-1", 10)]
        assert heard.updates[0].changes == (BookLevel(BUY, 100, 16, 2),)

    def test_the_answer_has_the_new_total_price_and_what_was_filled(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        exchange.sell("A2", 3, 100)
        (release,) = exchange.replace("A1", "0-0", 6, 100).releases
        assert release == Release(
            "orders/0/2/v0/r0/m1",
            "0-0",
            "A1",
            SYMBOL,
            BUY,
            4,
            ReleaseReason.REPLACED,
            release.event_time_ns,
            "0-2",
            6,
            100,
            3,
        )

    def test_the_same_again_is_answered_and_changes_no_level(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        heard = exchange.replace("A1", "0-0", 10, 100)
        assert heard.statuses == [("0-0", "REPLACED")]
        assert heard.released == [("0-0", 0, "REPLACED")]
        assert not heard.updates
        row = exchange.resting("0-0")
        assert row is not None
        assert row.client_order_id == "C1"

    def test_more_goes_to_the_end_of_the_queue(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        exchange.buy("A2", 10, 100)
        heard = exchange.replace("A1", "0-0", 11)
        assert heard.released == [("0-0", 0, "REPLACED")]
        assert exchange.queue(BUY) == [(100, "0-1", 10), (100, "0-0", 11)]
        exchange.restart()
        assert exchange.sell("A3", 1, 100).fills == [("0-3", "0-1", 100, 1)]

    def test_another_price_moves_the_order(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        heard = exchange.replace("A1", "0-0", 4, 99)
        assert exchange.queue(BUY) == [(99, "0-0", 4)]
        assert heard.released == [("0-0", 6, "REPLACED")]
        assert heard.updates[0].changes == (BookLevel(BUY, 100, 0, 0), BookLevel(BUY, 99, 4, 1))

    def test_a_replace_that_crosses_takes_at_the_resting_price(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        exchange.buy("A2", 10, 90)
        heard = exchange.replace("A2", "0-1", 10, 105)
        assert heard.topics[:4] == ["order-events", "releases", "trades", "trades"]
        assert heard.statuses == [("0-1", "REPLACED"), ("0-1", "PARTIALLY_FILLED"), ("0-0", "FILLED")]
        assert heard.fills == [("0-1", "0-0", 100, 4)]
        taker = heard.trades[0]
        assert (taker.trade_id, taker.client_order_id, taker.fee) == ("0-2-0", "C2", 400 * 25 // 10_000)
        assert exchange.queue(BUY) == [(105, "0-1", 6)]

    def test_a_replace_may_fill_the_order_to_the_end(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        exchange.buy("A2", 10, 90)
        heard = exchange.replace("A2", "0-1", 10, 100)
        assert heard.statuses == [("0-1", "REPLACED"), ("0-1", "FILLED"), ("0-0", "FILLED")]
        assert not exchange.state.order_books[SYMBOL]

    @pytest.mark.parametrize("total", [0, 3, 4])
    def test_a_total_at_or_below_what_is_filled_cancels_the_rest(
        self, exchange: Exchange, total: int
    ) -> None:
        exchange.buy("A1", 10, 100)
        exchange.sell("A2", 4, 100)
        heard = exchange.replace("A1", "0-0", total)
        (event,) = heard.events
        assert (event.order_id, event.client_order_id, event.status) == ("0-0", "C2", "CANCELLED")
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 4, 0)
        (release,) = heard.releases
        assert (release.quantity, release.reason, release.replace_order_id) == (6, "REPLACED", "0-2")
        assert (release.order_quantity, release.cum_quantity) == (4, 4)
        assert exchange.queue(BUY) == []

    @pytest.mark.parametrize(("account", "target"), [("A1", "0-9"), ("A2", "0-0")])
    def test_what_does_not_rest_for_the_account_cannot_be_replaced(
        self, exchange: Exchange, account: str, target: str
    ) -> None:
        exchange.buy("A1", 10, 100)
        heard = exchange.replace(account, target, 5)
        assert heard.topics == ["order-events", "releases"]
        (event,), (release,) = heard.events, heard.releases
        assert (event.status, event.reason) == ("REPLACE_REJECTED", "ORDER_FINISHED")
        assert (event.order_id, event.target_order_id) == ("0-1", target)
        assert (release.order_id, release.quantity) == (target, 0)
        assert (release.reason, release.replace_order_id) == ("REPLACE_REJECTED", "0-1")

    @pytest.mark.parametrize("missing", [{"target_order_id": None}, {"side": None}])
    def test_what_risk_cannot_have_let_through_holds_nothing_to_release(
        self, exchange: Exchange, missing: dict[str, object]
    ) -> None:
        heard = exchange.replace("A1", "0-9", 5, **missing)
        assert heard.events[0].reason == "ORDER_FINISHED"
        assert not heard.releases

    @pytest.mark.parametrize(
        ("total", "price", "reason"),
        [(-1, 100, "INVALID_QUANTITY"), (5, 0, "INVALID_PRICE"), (INT64_MAX, 100, "VALUE_OVERFLOW")],
    )
    def test_what_cannot_be_is_refused_and_the_order_stays(
        self, exchange: Exchange, total: int, price: int, reason: str
    ) -> None:
        exchange.buy("A1", 10, 100)
        heard = exchange.replace("A1", "0-0", total, price)
        assert heard.events[0].reason == reason
        assert heard.released == [("0-0", 0, "REPLACE_REJECTED")]
        assert exchange.queue(BUY) == [(100, "0-0", 10)]
