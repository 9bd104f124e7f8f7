"""Each rule of the book, as a sentence."""

import datetime as dt

import pytest

from bourse.pipeline import matching
from bourse.pipeline.errors import InvariantBroken, NotOurs
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    ApprovedOrder,
    BookLevel,
    BookState,
    Instrument,
    InstrumentStatus,
    MarketState,
    OrderAction,
    OrderStatus,
    OrderType,
    Release,
    ReleaseReason,
    SelfTradePrevention,
    SessionKind,
    Side,
    TapePrint,
    TimeInForce,
)
from bourse.schemas.units import INT64_MAX, TimeNs
from tests.matching.exchange import GTC, IOC, Exchange, Heard
from tests.strategies import DAY, SYMBOL

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def released(heard: Heard) -> list[tuple[str, int, str]]:
    return [(release.order_id, release.quantity, release.reason.value) for release in heard.releases]


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

    def test_a_message_from_outside_the_flow_names_its_trades_by_its_position(self) -> None:
        exchange = Exchange()
        exchange.sell("A1", 5, 100)
        order = exchange.order(OrderAction.NEW, "A2", event_id="", side=BUY, quantity=5, price=100)
        outputs = matching.handle(exchange.state, "risk-approved", "risk-approved/0/7", order, TimeNs(0))
        assert Heard(outputs).trades[0].trade_id == "risk-approved-0-7-0"
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
        assert released(heard) == [("0-1", 6, "IOC_REST")]
        assert exchange.queue(BUY) == []

    def test_an_ioc_order_that_meets_nothing_leaves_the_book_as_it_was(self, exchange: Exchange) -> None:
        heard = exchange.buy("A2", 10, 100, time_in_force=IOC)
        assert heard.topics == ["order-events", "releases"]
        assert released(heard) == [("0-0", 10, "IOC_REST")]
        assert exchange.state.books.get(SYMBOL) is None

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
        assert exchange.state.books.get(SYMBOL) == BookState(3, 101, None)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"order_type": OrderType.MARKET, "price": None}, "UNSUPPORTED_ORDER_TYPE"),
            ({"order_type": OrderType.STOP}, "UNSUPPORTED_ORDER_TYPE"),
            ({"time_in_force": TimeInForce.FOK}, "UNSUPPORTED_TIME_IN_FORCE"),
            ({"time_in_force": TimeInForce.GTD}, "UNSUPPORTED_TIME_IN_FORCE"),
            ({"stop_price": 90}, "UNSUPPORTED_INSTRUCTION"),
            ({"trail_amount": 9}, "UNSUPPORTED_INSTRUCTION"),
            ({"display_quantity": 1}, "UNSUPPORTED_INSTRUCTION"),
            ({"post_only": True}, "UNSUPPORTED_INSTRUCTION"),
            ({"self_trade_prevention": SelfTradePrevention.DECREMENT}, "UNSUPPORTED_INSTRUCTION"),
            ({"expire_time_ns": 1}, "UNSUPPORTED_INSTRUCTION"),
            ({"oco_group": "G"}, "UNSUPPORTED_INSTRUCTION"),
            ({"price": None}, "MISSING_PRICE"),
            ({"price": 0}, "INVALID_PRICE"),
            ({"price": -1}, "INVALID_PRICE"),
            ({"price": INT64_MAX}, "VALUE_OVERFLOW"),
            ({"price": INT64_MAX // 10}, "VALUE_OVERFLOW"),  # fits alone, not with its fee
        ],
    )
    def test_what_the_book_does_not_offer_is_rejected_and_released(
        self, exchange: Exchange, fields: dict[str, object], reason: str
    ) -> None:
        heard = exchange.buy("A1", 10, 100, **fields)
        assert heard.topics == ["order-events", "releases"]
        (event,) = heard.events
        assert (event.status, event.reason, event.order_id) == (OrderStatus.REJECTED, reason, "0-0")
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 0, 0)
        assert event.text
        assert released(heard) == [("0-0", 10, "REJECTED")]
        assert len(exchange.state.order_books[SYMBOL]) == 0

    @pytest.mark.parametrize("quantity", [0, -5])
    def test_a_quantity_that_is_none_is_rejected_and_releases_nothing(
        self, exchange: Exchange, quantity: int
    ) -> None:
        heard = exchange.buy("A1", quantity, 100)
        assert heard.events[0].reason == "INVALID_QUANTITY"
        assert heard.events[0].order_quantity == quantity
        assert released(heard) == [("0-0", 0, "REJECTED")]

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

    @pytest.mark.parametrize("phase", [SessionKind.CLOSED, SessionKind.PRE_OPEN, SessionKind.OPENING_AUCTION])
    def test_what_arrives_when_the_market_is_not_open_is_rejected(
        self, exchange: Exchange, phase: SessionKind
    ) -> None:
        exchange.session(phase)
        heard = exchange.buy("A1", 10, 100)
        assert heard.events[0].reason == "MARKET_CLOSED"
        assert released(heard) == [("0-1", 10, "REJECTED")]

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


class TestTheClose:
    def test_day_orders_expire_in_the_order_of_their_arrival(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.buy("A2", 3, 100)
        exchange.buy("A2", 7, 99, time_in_force=GTC)
        exchange.buy("A3", 4, 98)
        heard = exchange.session(SessionKind.CLOSED)
        assert heard.statuses == [("0-0", "EXPIRED"), ("0-3", "EXPIRED")]
        assert released(heard) == [("0-0", 2, "EXPIRED"), ("0-3", 4, "EXPIRED")]
        first = heard.events[0]
        assert (first.order_quantity, first.cum_quantity, first.leaves_quantity) == (5, 3, 0)
        (update,) = heard.updates
        assert update.changes == (BookLevel(SELL, 100, 0, 0), BookLevel(BUY, 98, 0, 0))
        assert exchange.queue(BUY) == [(99, "0-2", 7)]

    def test_an_order_that_lost_its_place_expires_after_those_before_it(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 99)
        exchange.buy("A2", 5, 99)
        exchange.replace("A1", "0-0", 6)
        heard = exchange.session(SessionKind.CLOSED)
        assert heard.statuses == [("0-1", "EXPIRED"), ("0-0", "EXPIRED")]

    def test_every_book_of_the_market_closes_after_a_restart_too(self, exchange: Exchange) -> None:
        exchange.buy("A1", 1, 10, symbol="ZZZ")
        exchange.buy("A1", 1, 10, symbol="AAA")
        exchange.buy("A1", 1, 10, symbol="OTHER", market="XPAR")
        exchange.restart()
        heard = exchange.session(SessionKind.CLOSED)
        assert [event.symbol for event in heard.events] == ["AAA", "ZZZ"]
        assert [update.symbol for update in heard.updates] == ["AAA", "ZZZ"]
        ids = [record.event_id for _, _, record, _ in heard.outputs]  # type: ignore[attr-defined]
        assert ids == [f"sessions/0/3/a0/m{place}" for place in range(6)]
        assert exchange.resting("0-2", "OTHER") is not None

    def test_one_symbol_may_close_alone(self, exchange: Exchange) -> None:
        exchange.buy("A1", 1, 10, symbol="AAA")
        exchange.buy("A1", 1, 10, symbol="BBB")
        assert [event.symbol for event in exchange.session(SessionKind.CLOSED, "BBB").events] == ["BBB"]

    @pytest.mark.parametrize("kind", [SessionKind.OPEN, SessionKind.TICK, SessionKind.HALT])
    def test_other_session_events_expire_nothing(self, exchange: Exchange, kind: SessionKind) -> None:
        exchange.buy("A1", 1, 10)
        assert not exchange.session(kind).outputs

    def test_other_announcements_mean_nothing_to_the_book(self, exchange: Exchange) -> None:
        news = Announcement("instruments/0/0/a0", AnnouncementKind.INSTRUMENT, Instrument(SYMBOL))
        assert not exchange.send(news).outputs


class TestCancels:
    def test_a_cancel_releases_what_rests(self, exchange: Exchange) -> None:
        exchange.sell("A1", 10, 100)
        exchange.buy("A2", 4, 100)
        heard = exchange.cancel("A1", "0-0")
        assert heard.topics == ["order-events", "releases", "book-updates"]
        (event,) = heard.events
        assert (event.order_id, event.client_order_id, event.status) == ("0-0", "C0", "CANCELLED")
        assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 4, 0)
        assert released(heard) == [("0-0", 6, "CANCELLED")]
        assert exchange.resting("0-0") is None

    @pytest.mark.parametrize(("account", "target"), [("A1", "0-9"), ("A2", "0-0"), ("A1", None)])
    def test_what_does_not_rest_for_the_account_cannot_be_cancelled(
        self, exchange: Exchange, account: str, target: str | None
    ) -> None:
        exchange.sell("A1", 10, 100)
        heard = exchange.cancel(account, target)
        (event,) = heard.events
        assert (event.status, event.reason) == ("CANCEL_REJECTED", "ORDER_FINISHED")
        assert (event.order_id, event.client_order_id, event.target_order_id) == ("0-1", "C1", target)
        assert not heard.releases
        assert exchange.queue(SELL) == [(100, "0-0", 10)]

    def test_a_mass_cancel_takes_all_of_the_accounts_orders_as_they_were_accepted(
        self, exchange: Exchange
    ) -> None:
        exchange.sent = 8
        for price in (90, 92, 91):
            exchange.buy("A1", 1, price)
        exchange.buy("A2", 1, 93)
        exchange.replace("A1", "0-8", 1, 94)  # to the end of the queue, but accepted first
        heard = exchange.mass_cancel("A1")
        assert heard.statuses == [("0-8", "CANCELLED"), ("0-9", "CANCELLED"), ("0-10", "CANCELLED")]
        assert released(heard) == [
            ("0-8", 1, "CANCELLED"),
            ("0-9", 1, "CANCELLED"),
            ("0-10", 1, "CANCELLED"),
        ]
        assert len(heard.updates) == 1
        assert exchange.queue(BUY) == [(93, "0-11", 1)]

    def test_a_mass_cancel_that_finds_nothing_is_refused(self, exchange: Exchange) -> None:
        exchange.buy("A2", 1, 93)
        heard = exchange.mass_cancel("A1")
        (event,) = heard.events
        assert (event.status, event.reason) == ("CANCEL_REJECTED", "NOTHING_TO_CANCEL")
        assert not heard.updates


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
        assert released(heard) == [("0-0", 0, "REPLACED")]
        assert not heard.updates
        row = exchange.resting("0-0")
        assert row is not None
        assert row.client_order_id == "C1"

    def test_more_goes_to_the_end_of_the_queue(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        exchange.buy("A2", 10, 100)
        heard = exchange.replace("A1", "0-0", 11)
        assert released(heard) == [("0-0", 0, "REPLACED")]
        assert exchange.queue(BUY) == [(100, "0-1", 10), (100, "0-0", 11)]
        exchange.restart()
        assert exchange.sell("A3", 1, 100).fills == [("0-3", "0-1", 100, 1)]

    def test_another_price_moves_the_order(self, exchange: Exchange) -> None:
        exchange.buy("A1", 10, 100)
        heard = exchange.replace("A1", "0-0", 4, 99)
        assert exchange.queue(BUY) == [(99, "0-0", 4)]
        assert released(heard) == [("0-0", 6, "REPLACED")]
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
        assert released(heard) == [("0-0", 0, "REPLACE_REJECTED")]
        assert exchange.queue(BUY) == [(100, "0-0", 10)]


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
        assert exchange.state.books.get(SYMBOL) == BookState(0, None, dt.date(2019, 5, 23))
        late = {"business_date": None, "event_time_ns": TimeNs(morning)}
        assert self.trade_date(exchange, **late) == dt.date(2019, 5, 23)


def test_an_approved_order_needs_no_more_than_its_essentials() -> None:
    order = ApprovedOrder("", "1", OrderAction.NEW, "C", "A", "S", side=BUY, quantity=1, price=1)  # type: ignore[arg-type]
    heard = Heard(matching.handle(State.in_memory(), "risk-approved", "risk-approved/0/0", order, TimeNs(0)))
    assert heard.statuses == [("1", "OPEN")]
