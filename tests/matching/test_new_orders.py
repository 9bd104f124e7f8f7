"""What a new order does to the book, each rule as a sentence."""

import datetime as dt

from bourse.pipeline import matching
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    BookLevel,
    MarketState,
    OrderAction,
    SessionKind,
    Side,
    TapePrint,
)
from bourse.schemas.units import TimeNs
from tests.matching.exchange import IOC, Exchange, Heard
from tests.strategies import DAY, SYMBOL

BUY, SELL = Side.BUY, Side.SELL


class TestNewOrders:
    def test_an_order_that_meets_nothing_rests_and_is_open(self, exchange: Exchange) -> None:
        heard = exchange.buy("A1", 10, 99)
        assert heard.topics == ["order-events", "book-updates"]
        assert heard.statuses == [("0-0", "OPEN")]
        event = heard.events[0]
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 0, 10)
        assert exchange.queue(BUY) == [(99, "0-0", 10)]

    def test_a_trade_is_told_to_both_sides_and_the_public(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        heard = exchange.buy("A2", 10, 100)
        assert heard.topics == ["trades", "trades", "tape", "order-events", "order-events", "book-updates"]
        taker, maker = heard.trades
        assert (taker.account_id, taker.side, taker.order_id, taker.liquidity) == ("A2", BUY, "0-1", "TAKER")
        assert (maker.account_id, maker.side, maker.order_id, maker.liquidity) == ("A1", SELL, "0-0", "MAKER")
        assert (taker.contra_account_id, taker.contra_order_id) == ("A1", "0-0")
        assert heard.statuses == [("0-1", "FILLED"), ("0-0", "FILLED")]
        assert heard.tape == [
            TapePrint("orders/0/1/v0/r0/m2", SYMBOL, "0-1-0", 100, 10, BUY, DAY, taker.event_time_ns, "XMAD")
        ]
        assert not heard.releases
        assert exchange.queue(SELL) == []

    def test_event_ids_count_the_outputs_and_trade_ids_the_trades(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.sell("A1", 5, 100)
        heard = exchange.buy("A2", 10, 100)
        ids = [record.event_id for _, _, record, _ in heard.outputs]  # type: ignore[attr-defined]
        assert ids == [f"orders/0/2/v0/r0/m{place}" for place in range(11)]
        assert [trade.trade_id for trade in heard.trades] == ["0-2-0", "0-2-0", "0-2-1", "0-2-1"]

    def test_a_message_from_outside_the_flow_names_its_trades_by_its_position_and_symbol(self) -> None:
        exchange = Exchange()
        exchange.sell("A1", 5, 100)
        order = exchange.order(OrderAction.NEW, "A2", event_id="", side=BUY, quantity=5, price=100)
        outputs = matching.handle(exchange.state, "risk-approved", "risk-approved/0/7", order, TimeNs(0))
        assert Heard(outputs).trades[0].trade_id == f"risk-approved-0-7-{SYMBOL}-0"
        assert Heard(outputs).trades[0].event_id == "risk-approved/0/7/m0"

    def test_the_price_is_the_resting_orders(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        assert exchange.buy("A2", 10, 105).fills == [("0-1", "0-0", 100, 10)]
        exchange.buy("A1", 10, 200)
        assert exchange.sell("A2", 10, 195).fills == [("0-3", "0-2", 200, 10)]

    def test_maker_and_taker_pay_their_own_fee_rounded_down(self, exchange: Exchange) -> None:
        exchange.sell("A1", 7, 1_000)
        taker, maker = exchange.buy("A2", 7, 1_000).trades
        assert (taker.fee, maker.fee) == (7_000 * 25 // 10_000, 7)
        assert (taker.currency, taker.settlement_days, taker.venue) == ("EUR", 1, "XMAD")

    def test_both_sides_settle_by_the_terms_of_the_newer_order(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, settlement_days=2)
        taker, maker = exchange.buy("A2", 5, 100, settlement_days=1).trades
        assert taker.settlement_days == maker.settlement_days == 1

    def test_a_partly_filled_order_rests_with_what_is_left(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        heard = exchange.buy("A2", 10, 100)
        assert heard.statuses == [("0-1", "PARTIALLY_FILLED"), ("0-0", "FILLED")]
        event = heard.events[0]
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 4, 6)
        assert (event.last_price, event.last_quantity) == (100, 4)
        assert exchange.queue(BUY) == [(100, "0-1", 6)]

    def test_a_resting_order_is_filled_step_by_step(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        first = exchange.buy("A2", 4, 100)
        second = exchange.buy("A2", 6, 100)
        assert first.statuses == [("0-1", "FILLED"), ("0-0", "PARTIALLY_FILLED")]
        assert second.statuses == [("0-2", "FILLED"), ("0-0", "FILLED")]
        makers = [first.trades[1], second.trades[1]]
        assert [(trade.cum_quantity, trade.leaves_quantity) for trade in makers] == [(4, 6), (10, 0)]
        row = exchange.resting("0-0")
        assert row is None

    def test_an_ioc_order_takes_what_is_there_and_its_rest_lapses(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        heard = exchange.buy("A2", 10, 100, time_in_force=IOC)
        assert heard.statuses == [("0-1", "PARTIALLY_FILLED"), ("0-0", "FILLED"), ("0-1", "CANCELLED")]
        last = heard.events[-1]
        assert (last.order_quantity, last.cum_quantity, last.leaves_quantity) == (10, 4, 0)
        assert heard.released == [("0-1", 6, "IOC_REST")]
        assert exchange.queue(BUY) == []

    def test_an_ioc_order_that_meets_nothing_leaves_the_book_as_it_was(self, exchange: Exchange) -> None:
        heard = exchange.buy("A2", 10, 100, time_in_force=IOC)
        assert heard.topics == ["order-events", "releases"]
        assert heard.released == [("0-0", 10, "IOC_REST")]
        book = exchange.state.books.get(SYMBOL)
        assert book is not None
        assert (book.sequence, book.place) == (0, 0)

    def test_an_account_may_trade_with_itself(self, exchange: Exchange) -> None:
        exchange.sell("A1", 4, 100)
        assert exchange.buy("A1", 4, 100).fills == [("0-1", "0-0", 100, 4)]


class TestBookUpdates:
    def test_an_update_has_each_changed_level_as_it_is_now(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.sell("A1", 5, 101)
        exchange.sell("A1", 5, 102)
        (update,) = exchange.buy("A2", 12, 101).updates
        assert update.changes == (
            BookLevel(SELL, 100, 0, 0),
            BookLevel(SELL, 101, 0, 0),
            BookLevel(BUY, 101, 2, 1),
        )
        assert (update.best_bid, update.best_bid_quantity) == (101, 2)
        assert (update.best_ask, update.best_ask_quantity) == (102, 5)

    def test_updates_are_numbered_without_gaps(self, exchange: Exchange) -> None:
        first = exchange.sell("A1", 5, 100)
        idle = exchange.cancel("A1", "0-9")
        second = exchange.cancel("A1", "0-0")
        assert [update.sequence for update in first.updates + second.updates] == [1, 2]
        assert not idle.updates

    def test_an_empty_side_has_no_best(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        (update,) = exchange.cancel("A1", "0-0").updates
        assert (update.best_bid, update.best_bid_quantity) == (None, None)
        assert (update.best_ask, update.best_ask_quantity) == (None, None)

    def test_the_book_remembers_its_last_price(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.sell("A1", 5, 101)
        exchange.buy("A2", 10, 101)
        book = exchange.state.books.get(SYMBOL)
        assert book is not None
        assert (book.sequence, book.last_price, book.business_date) == (3, 101, None)


class TestTradeDates:
    def trade_date(self, exchange: Exchange, **fields: object) -> dt.date:
        exchange.sell("A1", 1, 100, **fields)
        return exchange.buy("A2", 1, 100, **fields).trades[0].trade_date

    def test_it_is_what_risk_fixed(self, exchange: Exchange) -> None:
        exchange.state.markets.put("XMAD", MarketState("XMAD", SessionKind.OPEN, dt.date(2020, 1, 1)))
        assert self.trade_date(exchange) == DAY

    def test_else_the_markets(self, exchange: Exchange) -> None:
        exchange.state.markets.put("XMAD", MarketState("XMAD", SessionKind.OPEN, dt.date(2020, 1, 1)))
        assert self.trade_date(exchange, business_date=None) == dt.date(2020, 1, 1)

    def test_else_that_of_the_first_order_that_the_book_saw(self, exchange: Exchange) -> None:
        evening, morning = 1_558_655_999 * 10**9, 1_558_656_000 * 10**9
        exchange.buy("A1", 1, 50, business_date=None, event_time_ns=TimeNs(evening), time_in_force=IOC)
        book = exchange.state.books.get(SYMBOL)
        assert book is not None
        assert book.business_date == dt.date(2019, 5, 23)
        late = {"business_date": None, "event_time_ns": TimeNs(morning)}
        assert self.trade_date(exchange, **late) == dt.date(2019, 5, 23)


def test_an_approved_order_needs_no_more_than_its_essentials() -> None:
    order = ApprovedOrder("", "1", OrderAction.NEW, "C", "A", "S", side=BUY, quantity=1, price=1)  # type: ignore[arg-type]
    heard = Heard(matching.handle(State.in_memory(), "risk-approved", "risk-approved/0/0", order, TimeNs(0)))
    assert heard.statuses == [("1", "OPEN")]
