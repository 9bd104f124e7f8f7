"""Phases, auctions, halts and pauses, each rule as a sentence."""

import datetime as dt

import pytest

from bourse.pipeline.matching.auction import ANY_PRICE, uncrossing
from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    Instrument,
    InstrumentStatus,
    OrderType,
    SelfTradePrevention,
    SessionKind,
    Side,
    TimeInForce,
)
from tests.matching.exchange import GTC, IOC, Exchange, Heard
from tests.strategies import DAY, MARKET, SYMBOL

BUY, SELL = Side.BUY, Side.SELL
OPENING, CLOSING, OPEN, CLOSED = (
    SessionKind.OPENING_AUCTION,
    SessionKind.CLOSING_AUCTION,
    SessionKind.OPEN,
    SessionKind.CLOSED,
)
AT_OPEN, AT_CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE


def market(exchange: Exchange, account: str, side: Side, quantity: int, **fields: object) -> Heard:
    return exchange.new(account, side, quantity, 0, order_type=OrderType.MARKET, price=None, **fields)


def prints(heard: Heard) -> list[tuple[int, int]]:
    assert all(tape.auction for tape in heard.tape)
    return [(tape.price, tape.quantity) for tape in heard.tape]


def pairs(heard: Heard) -> list[tuple[str, str, int, int]]:
    """Buy, sell, price and quantity of each trade."""
    return [
        (trade.order_id, trade.contra_order_id, trade.price, trade.quantity)
        for trade in heard.trades
        if trade.side is BUY
    ]


def test_an_event_of_one_symbol_tells_its_book_the_time(exchange: Exchange) -> None:
    exchange.session(OPEN, time_ns=1)
    exchange.buy("A1", 5, 90, time_in_force=TimeInForce.GTD, expire_time_ns=50)
    assert not exchange.session(SessionKind.RESUME, SYMBOL, time_ns=49).events
    assert exchange.session(SessionKind.RESUME, SYMBOL, time_ns=50).statuses == [("0-1", "EXPIRED")]


class TestAuctions:
    def test_orders_are_collected_and_trade_at_one_price(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 101)
        exchange.sell("A2", 5, 99)
        exchange.buy("A3", 3, 100)
        assert not exchange.sell("A4", 2, 100).trades
        heard = exchange.session(OPEN)
        assert pairs(heard) == [("0-1", "0-2", 100, 5), ("0-3", "0-4", 100, 2)]
        assert prints(heard) == [(100, 5), (100, 2)]
        assert [trade.liquidity for trade in heard.trades] == ["TAKER", "MAKER"] * 2
        assert heard.trades[0].order_id == "0-2"  # the newer order
        assert heard.trades[0].trade_id == "sessions-0-5-a0-ANA-0"
        assert heard.trades[0].trade_date == DAY

    def test_the_indicative_price_is_published_meanwhile(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 101)
        update = exchange.sell("A2", 8, 100).updates[0]
        assert (update.phase, update.best_bid, update.best_ask) == (OPENING, 101, 100)
        assert (update.indicative_price, update.indicative_quantity, update.indicative_surplus) == (
            100,
            5,
            -3,
        )
        assert exchange.cancel("A1", "0-1").updates[0].indicative_price is None

    def test_an_order_may_be_changed_and_cancelled_and_none_executes(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.sell("A1", 5, 100)
        exchange.buy("A2", 5, 90)
        assert not exchange.replace("A2", "0-2", 5, 105).trades
        assert exchange.cancel("A1", "0-1").statuses == [("0-1", "CANCELLED")]

    @pytest.mark.parametrize("time_in_force", [IOC, TimeInForce.FOK])
    def test_what_must_execute_at_once_is_rejected(
        self, exchange: Exchange, time_in_force: TimeInForce
    ) -> None:
        exchange.session(SessionKind.PRE_OPEN)
        assert exchange.buy("A1", 5, 101, time_in_force=time_in_force).events[0].reason == "WRONG_PHASE"

    def test_market_orders_come_first_and_their_rest_is_cancelled(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.sell("A1", 3, 99)
        exchange.buy("A2", 2, 100)
        market(exchange, "A3", BUY, 4)
        heard = exchange.session(OPEN)
        assert pairs(heard) == [("0-3", "0-1", 100, 3)]
        assert heard.released == [("0-3", 1, "IOC_REST")]
        assert exchange.queue(BUY) == [(100, "0-2", 2)]

    def test_market_orders_alone_trade_at_the_reference_price(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        market(exchange, "A1", BUY, 3, reference_price=70)
        market(exchange, "A2", SELL, 3, reference_price=70)
        assert prints(exchange.session(OPEN)) == [(70, 3)]

    def test_market_orders_with_no_price_to_trade_at_are_cancelled(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        market(exchange, "A1", BUY, 3)
        market(exchange, "A2", SELL, 3)
        assert exchange.session(OPEN).statuses == [("0-1", "CANCELLED"), ("0-2", "CANCELLED")]

    def test_orders_for_the_opening_alone_expire_after_it(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100, time_in_force=AT_OPEN)
        exchange.sell("A2", 2, 100)
        heard = exchange.session(OPEN)
        assert pairs(heard) == [("0-1", "0-2", 100, 2)]
        assert heard.released == [("0-1", 3, "EXPIRED")]

    def test_orders_for_the_close_wait_for_the_closing_auction(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, time_in_force=AT_CLOSE)
        assert not exchange.buy("A2", 5, 100, time_in_force=GTC).trades
        exchange.restart()
        update = exchange.session(CLOSING).updates[0]
        assert (update.is_snapshot, update.indicative_price, update.indicative_quantity) == (True, 100, 5)
        heard = exchange.session(CLOSED)
        assert pairs(heard) == [("0-1", "0-0", 100, 5)]

    def test_orders_for_the_close_expire_with_the_day_if_there_is_none(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, time_in_force=AT_CLOSE)
        assert exchange.session(CLOSED).statuses == [("0-0", "EXPIRED")]

    def test_a_day_that_ends_before_its_opening_trades_nothing(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100, time_in_force=GTC)
        exchange.sell("A2", 5, 100)
        heard = exchange.session(CLOSED)
        assert not heard.trades
        assert heard.released == [("0-2", 5, "EXPIRED")]

    def test_the_hidden_part_of_an_iceberg_takes_part(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 10, 100, display_quantity=2)
        exchange.buy("A2", 5, 100)
        exchange.sell("A3", 11, 100)
        heard = exchange.session(OPEN)
        assert pairs(heard) == [("0-1", "0-3", 100, 10), ("0-2", "0-3", 100, 1)]

    def test_stops_wait_and_are_set_off_by_the_auction_price(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.new("A1", SELL, 1, 0, order_type=OrderType.STOP, price=None, stop_price=100)
        exchange.buy("A2", 5, 100)
        exchange.sell("A3", 2, 100)
        heard = exchange.session(OPEN)
        assert [status for _, status in heard.statuses].index("TRIGGERED") == 2
        assert heard.fills[-1] == ("0-1", "0-2", 100, 1)
        assert [tape.auction for tape in heard.tape] == [True, False]

    def test_a_closing_price_sets_stops_off_at_the_next_opening(self, exchange: Exchange) -> None:
        stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 100, "time_in_force": GTC}
        exchange.new("A1", SELL, 1, 0, **stop)
        exchange.session(CLOSING)
        exchange.buy("A2", 2, 100, time_in_force=GTC)
        exchange.sell("A3", 1, 100)
        assert [status for _, status in exchange.session(CLOSED).statuses] == ["FILLED", "PARTIALLY_FILLED"]
        exchange.restart()
        assert exchange.session(OPEN).statuses[0] == ("0-0", "TRIGGERED")

    @pytest.mark.parametrize(
        ("prevention", "released"),
        [
            ("CANCEL_NEWEST", [("0-2", 5)]),
            ("CANCEL_OLDEST", [("0-1", 3)]),
            ("CANCEL_BOTH", [("0-1", 3), ("0-2", 5)]),
            ("DECREMENT", [("0-1", 3), ("0-2", 3)]),
        ],
    )
    def test_prevention_holds_in_an_auction(
        self, exchange: Exchange, prevention: str, released: list[tuple[str, int]]
    ) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 3, 100)
        exchange.sell("A1", 5, 99, self_trade_prevention=SelfTradePrevention(prevention))
        heard = exchange.session(OPEN)
        assert not heard.trades
        assert [(order_id, quantity) for order_id, quantity, _ in heard.released] == released

    @pytest.mark.parametrize(
        ("prevention", "released"),
        [
            ("CANCEL_NEWEST", [("0-1", 3)]),
            ("CANCEL_OLDEST", [("0-2", 5)]),
            ("CANCEL_BOTH", [("0-2", 5), ("0-1", 3)]),
            ("DECREMENT", [("0-2", 3), ("0-1", 3)]),
        ],
    )
    def test_the_older_order_may_ask_for_it_as_nobody_is_the_aggressor(
        self, exchange: Exchange, prevention: str, released: list[tuple[str, int]]
    ) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 3, 100, self_trade_prevention=SelfTradePrevention(prevention))
        exchange.sell("A1", 5, 99)
        heard = exchange.session(OPEN)
        assert not heard.trades
        assert [(order_id, quantity) for order_id, quantity, _ in heard.released] == released

    @pytest.mark.parametrize("make_book", ["fast", "restarted"])
    def test_a_market_order_does_not_trade_at_the_price_that_protects_it(
        self, exchange: Exchange, make_book: str
    ) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 9, 0, order_type=OrderType.MARKET, price=None, protective_price=200)
        exchange.sell("A2", 5, 98)
        if make_book == "restarted":
            exchange.restart()
        assert prints(exchange.session(OPEN)) == [(98, 5)]

    def test_what_prevention_leaves_crossed_is_uncrossed_again(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 105, self_trade_prevention=SelfTradePrevention.CANCEL_NEWEST)
        exchange.sell("A1", 5, 99, self_trade_prevention=SelfTradePrevention.CANCEL_NEWEST)
        exchange.sell("A2", 5, 104)
        heard = exchange.session(OPEN)
        assert heard.released == [("0-2", 5, "PREVENTED")]
        assert pairs(heard)[0][:2] == ("0-1", "0-3")

    def test_a_fill_in_an_auction_cancels_the_group(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100, oco_group="G")
        exchange.buy("A1", 5, 99, oco_group="G")
        exchange.sell("A2", 10, 99)
        heard = exchange.session(OPEN)
        assert heard.released == [("0-2", 5, "OCO")]
        assert sum(quantity for _, quantity in prints(heard)) == 5

    def test_orders_of_one_group_do_not_trade_with_each_other(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100, oco_group="G")
        exchange.sell("A1", 5, 99, oco_group="G")
        assert exchange.session(OPEN).released == [("0-1", 5, "OCO")]

    def test_one_symbol_may_have_an_auction_of_its_own(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100)
        exchange.buy("A1", 5, 90, symbol="OTHER")
        exchange.session(OPENING, SYMBOL)
        assert not exchange.buy("A2", 5, 100).trades
        assert exchange.sell("A2", 5, 90, symbol="OTHER").trades
        assert pairs(exchange.session(OPEN, SYMBOL)) == [("0-3", "0-0", 100, 5)]

    def test_books_of_other_partitions_do_not_begin_with_a_session_event(self, exchange: Exchange) -> None:
        assert not exchange.session(OPENING, SYMBOL).outputs
        assert exchange.state.books.get(SYMBOL) is None


ANY = ANY_PRICE[BUY]


class Totals:
    def __init__(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        self.sides = {BUY: bids, SELL: asks}

    def totals(self, side: Side) -> list[tuple[int, int]]:
        return self.sides[side]

    def has_limit(self, price: int) -> bool:
        """Market orders are bounded by prices that end in 7 here."""
        return price > 0 and price % 10 != 7


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "expected"),
    [
        ([(99, 5)], [(100, 5)], 100, None),
        ([], [(100, 5)], 100, None),
        ([(101, 5), (100, 3)], [(99, 5), (100, 2)], None, (100, 7, 1)),  # the highest volume
        ([(102, 5)], [(98, 3), (100, 2), (101, 4)], None, (100, 5, 0)),  # the least surplus
        ([(102, 5)], [(98, 5)], 100, (100, 5, 0)),  # the reference price itself, within
        ([(102, 5)], [(98, 5)], 110, (102, 5, 0)),  # the nearest to it
        ([(102, 5)], [(98, 5)], 90, (98, 5, 0)),
        ([(102, 5)], [(98, 5)], None, (98, 5, 0)),
        ([(102, 9)], [(98, 5)], None, (102, 5, 4)),  # who has more to trade moves the price
        ([(102, 5)], [(98, 9)], None, (98, 5, -4)),
        ([(102, 9)], [(98, 5)], 99, (102, 5, 4)),  # whatever the last price was
        ([(102, 5)], [(98, 9)], 101, (98, 5, -4)),
        ([(197, 9)], [(98, 5)], 150, (98, 5, 4)),  # nobody asks for the price that only bounds a market order
        ([(102, 5)], [(57, 9)], 70, (102, 5, -4)),
        ([(197, 9)], [(57, 5)], 100, (100, 5, 4)),
        ([(197, 9)], [(57, 5)], None, None),  # nobody has named a price
        ([(197, 10)], [(0, 10)], 100, (100, 10, 0)),
        ([(197, 10), (101, 5)], [(100, 10)], 100, (101, 10, 5)),  # though 5 less would be left above 101
        ([(10_007, 10), (101, 5)], [(100, 10)], None, (101, 10, 5)),
        ([(100, 10)], [(87, 10), (99, 5)], 100, (99, 10, -5)),
        ([(107, 5), (101, 3)], [(101, 3)], 100, (101, 3, 5)),
        ([(107, 10), (97, 10)], [(87, 20), (104, 1)], 95, (95, 20, 0)),  # more than at any limit
        ([(107, 10), (97, 10)], [(87, 20), (104, 1)], 120, (97, 20, 0)),
        ([(107, 10), (97, 10)], [(87, 20), (104, 1)], None, (104, 10, -11)),
        # The examples of the Xetra Market Model for auctions, in its numbers.
        ([(202, 200), (201, 200), (200, 300)], [(196, 400), (198, 200), (200, 100)], 201, (200, 700, 0)),
        ([(202, 400), (201, 200)], [(198, 200), (199, 300)], 199, (201, 500, 100)),
        ([(202, 300), (201, 200)], [(198, 200), (199, 400)], 201, (199, 500, -100)),
        ([(ANY, 100), (199, 100)], [(0, 100), (202, 100)], 199, (199, 100, 100)),
        ([(ANY, 100), (199, 100)], [(0, 100), (202, 100)], 203, (202, 100, -100)),
        ([(202, 300), (201, 200)], [(198, 200), (199, 300)], 202, (201, 500, 0)),
        ([(202, 300), (201, 200)], [(198, 200), (199, 300)], 198, (199, 500, 0)),
        ([(ANY, 900)], [(0, 800)], 250, (250, 800, 100)),
        ([(200, 80), (199, 80)], [(201, 80)], 200, None),
    ],
)
def test_the_auction_price(
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    reference: int | None,
    expected: tuple[int, int, int] | None,
) -> None:
    assert uncrossing(Totals(bids, asks), reference) == expected  # type: ignore[arg-type]


class TestHalts:
    def test_nothing_trades_in_a_halt_and_a_resume_goes_on(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100)
        exchange.sell("A2", 5, 100)
        exchange.session(SessionKind.HALT)
        assert not exchange.session(OPEN).trades
        assert pairs(exchange.session(SessionKind.RESUME)) == [("0-1", "0-2", 100, 5)]

    def test_a_halt_stops_the_closing_auction(self, exchange: Exchange) -> None:
        exchange.session(CLOSING)
        exchange.buy("A1", 5, 100)
        exchange.sell("A2", 5, 100)
        exchange.session(SessionKind.HALT, SYMBOL)
        heard = exchange.session(CLOSED)
        assert not heard.trades
        assert heard.statuses == [("0-1", "EXPIRED"), ("0-2", "EXPIRED")]

    def test_a_halt_that_ends_by_itself_lets_the_next_message_uncross(self, exchange: Exchange) -> None:
        exchange.session(OPENING)
        exchange.buy("A1", 5, 100)
        exchange.sell("A2", 5, 100)
        exchange.session(SessionKind.HALT)
        exchange.session(OPEN)
        exchange.state.halts.delete(MARKET)
        heard = exchange.cancel("A1", "0-9")
        assert pairs(heard) == [("0-1", "0-2", 100, 5)]

    @pytest.mark.parametrize("is_market_wide", [True, False])
    def test_it_opens_such_a_book_though_nothing_is_there_to_uncross(
        self, exchange: Exchange, *, is_market_wide: bool
    ) -> None:
        """What was for the auction alone has no part in continuous trading, and stops that are due go off."""
        exchange.sell("A1", 1, 100, time_in_force=GTC)
        exchange.buy("A2", 1, 100)
        exchange.session(CLOSED)
        exchange.session(OPENING)
        market(exchange, "A1", SELL, 5)
        exchange.buy("A2", 5, 99, time_in_force=AT_OPEN)
        stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 100}
        exchange.new("A3", BUY, 1, 0, **stop)
        exchange.cancel("A2", "0-5")
        exchange.session(SessionKind.HALT, None if is_market_wide else SYMBOL)
        exchange.session(OPEN)
        assert exchange.buy("A2", 9, 90).events[0].reason in {"MARKET_HALTED", "SYMBOL_HALTED"}
        exchange.restart()
        if is_market_wide:
            exchange.state.halts.delete(MARKET)
            exchange.state.standings.clear()
            heard = exchange.buy("A2", 9, 90)
        else:
            heard = exchange.session(SessionKind.RESUME, SYMBOL)
        assert not heard.trades
        assert ("0-4", 5, "IOC_REST") in heard.released
        assert ("0-6", "TRIGGERED") in heard.statuses


BAND = {"price_band_bps": 500, "pause_time_ns": 1_000}


class TestPauses:
    def traded(self, exchange: Exchange) -> None:
        """Trade at 100, so that the band is 95 to 105."""
        exchange.sell("A1", 5, 100, **BAND, event_time_ns=1)
        exchange.buy("A2", 3, 100, **BAND, event_time_ns=1)

    def test_a_limit_beyond_the_band_that_would_trade_is_rejected_and_trading_pauses(
        self, exchange: Exchange
    ) -> None:
        self.traded(exchange)
        heard = exchange.buy("A2", 1, 106, **BAND, event_time_ns=2)
        assert (heard.events[0].status, heard.events[0].reason) == ("REJECTED", "BAND_BREACHED")
        assert heard.updates[0].phase is SessionKind.HALT
        again = exchange.buy("A2", 1, 100, **BAND, event_time_ns=1_001)
        assert again.events[0].reason == "SYMBOL_HALTED"
        exchange.restart()
        heard = exchange.buy("A2", 1, 100, **BAND, event_time_ns=1_002)
        assert heard.fills == [("0-4", "0-0", 100, 1)]
        assert heard.updates[0].phase is OPEN

    def test_a_limit_beyond_the_band_that_meets_nothing_rests(self, exchange: Exchange) -> None:
        self.traded(exchange)
        exchange.cancel("A1", "0-0")
        assert exchange.buy("A2", 1, 106, **BAND).statuses == [("0-3", "OPEN")]

    def test_the_edges_belong_to_the_band(self, exchange: Exchange) -> None:
        self.traded(exchange)
        assert exchange.buy("A2", 1, 105, **BAND).fills == [("0-2", "0-0", 100, 1)]

    def test_a_market_order_trades_up_to_the_band_and_its_rest_is_cancelled(self, exchange: Exchange) -> None:
        self.traded(exchange)
        exchange.sell("A1", 5, 106, **BAND)
        heard = market(exchange, "A2", BUY, 5, **BAND)
        assert heard.fills == [("0-3", "0-0", 100, 2)]
        assert heard.released == [("0-3", 3, "PAUSED")]
        assert heard.events[-1].reason == "BAND_BREACHED"

    def test_stops_that_a_pause_stops_wait_on(self, exchange: Exchange) -> None:
        self.traded(exchange)
        for _ in range(2):
            stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 98}
            exchange.new("A3", SELL, 1, 0, **stop, **BAND)
        exchange.buy("A2", 1, 98, **BAND)
        exchange.buy("A2", 9, 90, **BAND)
        heard = exchange.sell("A1", 1, 98, **BAND, event_time_ns=10)
        assert heard.statuses[2:] == [("0-2", "TRIGGERED"), ("0-2", "CANCELLED")]
        assert len([*exchange.state.waiting_orders.scan("")]) == 1

    def test_a_replace_beyond_the_band_is_rejected_and_pauses(self, exchange: Exchange) -> None:
        self.traded(exchange)
        exchange.buy("A2", 1, 99, **BAND)
        heard = exchange.replace("A2", "0-2", 1, 106)
        assert (heard.events[0].status, heard.events[0].reason) == ("REPLACE_REJECTED", "BAND_BREACHED")
        assert exchange.replace("A2", "0-2", 1, 98).events[0].reason == "SYMBOL_HALTED"
        assert exchange.cancel("A2", "0-2").statuses == [("0-2", "CANCELLED")]

    def test_a_resume_ends_it_and_so_does_a_tick_at_its_time(self, exchange: Exchange) -> None:
        exchange.session(OPEN, time_ns=100)
        self.traded(exchange)
        exchange.buy("A2", 1, 106, **BAND)
        assert not exchange.tick(1_000).outputs
        assert exchange.tick(1_100).updates[0].phase is OPEN
        exchange.buy("A2", 1, 106, **BAND)
        assert exchange.session(SessionKind.RESUME, SYMBOL, time_ns=1_200).updates[0].phase is OPEN
        assert exchange.buy("A2", 1, 100, **BAND).fills

    def test_a_reopening_auction_ends_it_and_finds_a_new_price(self, exchange: Exchange) -> None:
        self.traded(exchange)
        exchange.buy("A2", 1, 106, **BAND)
        exchange.session(OPENING, SYMBOL)
        exchange.cancel("A1", "0-0")
        exchange.sell("A1", 5, 120, **BAND)
        exchange.buy("A2", 4, 120, **BAND)
        assert prints(exchange.session(OPEN, SYMBOL)) == [(120, 4)]
        assert exchange.buy("A2", 1, 121, **BAND).fills

    def test_before_the_first_trade_the_band_is_around_the_reference_price(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, reference_price=90, **BAND)
        heard = exchange.buy("A2", 5, 100, reference_price=90, **BAND)
        assert heard.events[0].reason == "BAND_BREACHED"


class TestTheEndOfAnInstrument:
    def news(self, exchange: Exchange, **fields: object) -> Heard:
        instrument = Instrument(SYMBOL, market=MARKET, **fields)  # type: ignore[arg-type]
        return exchange.send(Announcement("instruments/0/0/a0", AnnouncementKind.INSTRUMENT, instrument))

    def with_orders(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 90, time_in_force=GTC)
        stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 80, "time_in_force": GTC}
        exchange.new("A1", SELL, 1, 0, **stop)

    def test_a_delisting_cancels_what_rests_and_what_waits(self, exchange: Exchange) -> None:
        self.with_orders(exchange)
        heard = self.news(exchange, status=InstrumentStatus.DELISTED)
        assert heard.released == [("0-0", 5, "DELISTED"), ("0-1", 1, "DELISTED")]
        assert {event.reason for event in heard.events} == {"SYMBOL_DELISTED"}
        assert exchange.buy("A1", 5, 90).events[0].reason == "SYMBOL_DELISTED"

    def test_other_news_and_news_of_other_partitions_change_nothing(self, exchange: Exchange) -> None:
        assert not self.news(exchange, status=InstrumentStatus.DELISTED).outputs
        assert exchange.state.books.get(SYMBOL) is None
        exchange.state.instruments.delete(SYMBOL)
        self.with_orders(exchange)
        assert not self.news(exchange, settlement_days=3).outputs

    def test_everything_expires_with_the_last_day_of_an_instrument(self, exchange: Exchange) -> None:
        self.news(exchange, expiry_date=DAY)
        self.with_orders(exchange)
        assert not exchange.session(OPEN).releases
        assert exchange.session(CLOSED).statuses == [("0-0", "EXPIRED"), ("0-1", "EXPIRED")]

    def test_a_last_day_that_is_past_expires_it_at_the_next_event(self, exchange: Exchange) -> None:
        self.with_orders(exchange)
        self.news(exchange, expiry_date=DAY - dt.timedelta(1))
        assert exchange.session(OPEN).statuses == [("0-0", "EXPIRED"), ("0-1", "EXPIRED")]
