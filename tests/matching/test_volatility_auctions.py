"""Pauses that collect orders and end with an auction, each rule as a sentence."""

import pytest

from bourse.schemas.records import (
    Announcement,
    AnnouncementKind,
    Instrument,
    InstrumentStatus,
    OrderType,
    SessionKind,
    Side,
    TimeInForce,
)
from tests.matching.exchange import GTC, IOC, Exchange, Heard
from tests.strategies import MARKET, SYMBOL

BUY, SELL = Side.BUY, Side.SELL
OPEN, CALL = SessionKind.OPEN, SessionKind.OPENING_AUCTION
BAND = {"price_band_bps": 500, "pause_time_ns": 1_000, "volatility_auction": True}
NINE = 100
"""The time of every market's opening here; a call that begins before the next tick ends 1,000 later."""


def market(exchange: Exchange, account: str, side: Side, quantity: int, **fields: object) -> Heard:
    return exchange.new(account, side, quantity, 0, order_type=OrderType.MARKET, price=None, **BAND, **fields)


def prints(heard: Heard) -> list[tuple[int, int, bool]]:
    return [(tape.price, tape.quantity, tape.auction) for tape in heard.tape]


def shown(heard: Heard) -> tuple[SessionKind, int | None]:
    """The phase, and when a pause is due to end, as the one update says."""
    (update,) = heard.updates
    return update.phase, update.paused_until_time_ns


@pytest.fixture
def traded(exchange: Exchange) -> Exchange:
    """A book that has traded at 100, so that its band is 95 to 105, and shows 2 at 100 and 5 at 110 (0-1 and 0-3)."""
    exchange.session(OPEN, time_ns=NINE)
    exchange.sell("A1", 5, 100, **BAND)
    exchange.buy("A2", 3, 100, **BAND)
    exchange.sell("A1", 5, 110, **BAND)
    return exchange


@pytest.fixture
def calling(traded: Exchange) -> Exchange:
    """The same after a buy of 4 at 110 (0-4), half of which was there within the band."""
    traded.buy("A2", 4, 110, time_in_force=GTC, **BAND)
    return traded


class TestTheBeginning:
    def test_the_order_trades_as_far_as_the_band_and_the_call_collects_its_rest(
        self, traded: Exchange
    ) -> None:
        heard = traded.buy("A2", 4, 110, **BAND)
        assert prints(heard) == [(100, 2, False)]
        assert [status for _, status in heard.statuses] == ["PARTIALLY_FILLED", "FILLED"]
        assert not heard.releases
        assert traded.queue(BUY) == [(110, "0-4", 2)]

    def test_the_public_sees_a_call_its_end_and_where_it_would_uncross(self, traded: Exchange) -> None:
        heard = traded.buy("A2", 4, 110, **BAND)
        assert shown(heard) == (CALL, 1_100)
        (update,) = heard.updates
        assert (update.is_snapshot, update.indicative_price, update.indicative_quantity) == (True, 110, 2)

    def test_an_order_that_finds_nothing_within_the_band_is_collected_whole(self, traded: Exchange) -> None:
        traded.cancel("A1", "0-1")
        assert traded.buy("A2", 4, 110, **BAND).statuses == [("0-5", "OPEN")]

    def test_a_market_order_is_collected_too_and_one_that_must_trade_at_once_is_not(
        self, traded: Exchange
    ) -> None:
        heard = traded.buy("A2", 4, 110, time_in_force=IOC, **BAND)
        assert heard.released == [("0-4", 2, "PAUSED")]
        assert heard.events[-1].reason == "BAND_BREACHED"
        assert shown(heard) == (CALL, 1_100)
        assert market(traded, "A2", BUY, 2, protective_price=120).statuses == [("0-5", "OPEN")]

    def test_what_may_not_trade_begins_no_call(self, traded: Exchange) -> None:
        fok = traded.buy("A2", 4, 110, time_in_force=TimeInForce.FOK, **BAND)
        post_only = traded.buy("A2", 4, 110, post_only=True, **BAND)
        assert [heard.events[0].reason for heard in (fok, post_only)] == [
            "FOK_NOT_FILLABLE",
            "POST_ONLY_WOULD_TAKE",
        ]
        assert traded.buy("A2", 2, 100, **BAND).trades

    def test_a_replace_begins_one_and_a_stop_that_was_set_off_too(self, traded: Exchange) -> None:
        traded.buy("A2", 4, 99, **BAND)
        heard = traded.replace("A2", "0-4", 4, 110)
        assert (prints(heard), shown(heard)) == ([(100, 2, False)], (CALL, 1_100))
        traded.session(OPEN, SYMBOL)
        stop = {"order_type": OrderType.STOP_LIMIT, "stop_price": 110, "price": 130}
        traded.sell("A1", 5, 120, **BAND)
        traded.new("A3", BUY, 9, 130, **stop, **BAND)
        assert [order_id for _, order_id, _ in traded.queue(BUY)] == ["0-8"]

    def test_stops_that_were_set_off_meanwhile_wait_for_its_end(self, traded: Exchange) -> None:
        stop = {"order_type": OrderType.STOP, "stop_price": 101, "price": None}
        traded.sell("A1", 1, 101, **BAND)
        traded.new("A3", BUY, 1, 0, **stop, **BAND)
        assert ("0-5", "TRIGGERED") not in traded.buy("A2", 5, 110, **BAND).statuses
        assert ("0-5", "TRIGGERED") in traded.session(OPEN, SYMBOL).statuses


class TestMeanwhile:
    def test_orders_are_collected_changed_and_taken_back_and_none_trades(self, calling: Exchange) -> None:
        heard = [
            calling.sell("A1", 3, 108, **BAND),
            calling.replace("A1", "0-5", 3, 104, side=SELL),
            calling.cancel("A2", "0-4"),
        ]
        assert not any(each.trades for each in heard)
        assert [each.updates[0].indicative_price for each in heard] == [108, 104, None]

    @pytest.mark.parametrize(
        "fields",
        [
            {"time_in_force": IOC},
            {"time_in_force": TimeInForce.FOK},
            {"time_in_force": TimeInForce.AT_OPEN},
            {"post_only": True},
        ],
    )
    def test_what_no_call_takes_is_refused_and_what_the_opening_alone_takes(
        self, calling: Exchange, fields: dict[str, object]
    ) -> None:
        assert calling.sell("A1", 3, 108, **BAND, **fields).events[0].reason == "WRONG_PHASE"

    def test_orders_for_the_close_wait_for_the_close(self, calling: Exchange) -> None:
        calling.sell("A1", 3, 90, time_in_force=TimeInForce.AT_CLOSE, **BAND)
        assert [*calling.state.waiting_orders.scan("")]
        assert ("0-5", "FILLED") not in calling.tick(1_100).statuses

    def test_an_instrument_that_is_published_anew_changes_the_next_pause_not_this_one(
        self, calling: Exchange
    ) -> None:
        other = BAND | {"volatility_auction": False}
        assert not calling.sell("A1", 2, 104, **other).trades
        assert prints(calling.tick(1_100)) == [(104, 2, True)]
        assert calling.buy("A2", 1, 110, **other).events[0].reason == "BAND_BREACHED"


class TestTheEnd:
    def test_the_clock_ends_it_with_an_auction_and_trading_goes_on(self, calling: Exchange) -> None:
        calling.sell("A1", 1, 104, **BAND)
        calling.sell("A1", 1, 105, **BAND)
        calling.restart()
        assert not calling.tick(1_099).outputs
        heard = calling.tick(1_100)
        assert prints(heard) == [(105, 1, True), (105, 1, True)]
        assert shown(heard) == (OPEN, None)
        assert calling.buy("A2", 1, 110, **BAND).fills == [("0-9", "0-3", 110, 1)]  # 105 is the new middle

    def test_without_a_clock_the_next_message_after_its_time_does(self, exchange: Exchange) -> None:
        exchange.sell("A1", 5, 100, **BAND, event_time_ns=1)
        exchange.buy("A2", 3, 100, **BAND, event_time_ns=1)
        exchange.sell("A1", 5, 110, **BAND, event_time_ns=1)
        exchange.buy("A2", 4, 110, **BAND, event_time_ns=2)
        exchange.sell("A1", 2, 100, **BAND, event_time_ns=3)
        heard = exchange.cancel("A1", "0-2", event_time_ns=1_002)
        assert prints(heard) == [(100, 2, True)]
        assert heard.statuses[-1] == ("0-2", "CANCELLED")

    def test_a_price_that_would_still_be_outside_extends_it_once(self, calling: Exchange) -> None:
        assert shown(calling.tick(1_100)) == (CALL, 2_100)
        calling.restart()
        assert not calling.tick(2_099).outputs
        heard = calling.tick(2_100)
        assert (prints(heard), shown(heard)) == ([(110, 2, True)], (OPEN, None))

    def test_the_next_pause_may_be_extended_again(self, calling: Exchange) -> None:
        calling.tick(1_100)
        calling.tick(2_100)
        calling.sell("A1", 5, 130, **BAND)
        assert shown(calling.buy("A2", 9, 130, **BAND)) == (CALL, 3_100)
        assert shown(calling.tick(3_100)) == (CALL, 4_100)

    def test_nothing_to_uncross_ends_it_without_a_trade(self, calling: Exchange) -> None:
        calling.cancel("A2", "0-4")
        heard = calling.tick(1_100)
        assert not heard.trades
        assert shown(heard) == (OPEN, None)

    def test_what_is_left_of_market_orders_is_cancelled(self, calling: Exchange) -> None:
        market(calling, "A3", BUY, 9, protective_price=105)
        calling.sell("A1", 3, 104, **BAND)
        calling.cancel("A2", "0-4")
        assert calling.tick(1_100).released == [("0-5", 6, "IOC_REST")]

    def test_its_price_sets_off_stops(self, calling: Exchange) -> None:
        stop = {"order_type": OrderType.STOP, "stop_price": 104, "price": None}
        calling.new("A3", BUY, 1, 0, **stop, **BAND)
        calling.sell("A1", 3, 104, **BAND)
        heard = calling.tick(1_100)
        assert prints(heard) == [(104, 2, True), (104, 1, False)]

    @pytest.mark.parametrize("kind", [SessionKind.RESUME, OPEN])
    def test_an_operator_ends_it_at_once_at_any_price(self, calling: Exchange, kind: SessionKind) -> None:
        heard = calling.session(kind, SYMBOL, time_ns=200)
        assert (prints(heard), shown(heard)) == ([(110, 2, True)], (OPEN, None))
        assert not calling.tick(1_100).outputs


class TestOtherEvents:
    def test_a_halt_holds_its_end_up(self, calling: Exchange) -> None:
        calling.session(SessionKind.HALT, SYMBOL, time_ns=500)
        assert calling.sell("A1", 1, 104, **BAND).events[0].reason == "SYMBOL_HALTED"
        assert not calling.tick(1_500).outputs
        assert calling.cancel("A1", "0-3").statuses == [("0-3", "CANCELLED")]

    def test_the_end_of_the_halt_ends_it_too(self, calling: Exchange) -> None:
        calling.session(SessionKind.HALT, SYMBOL, time_ns=500)
        heard = calling.session(SessionKind.RESUME, SYMBOL, time_ns=600)
        assert (prints(heard), shown(heard)) == ([(110, 2, True)], (OPEN, None))

    def test_a_halt_that_ends_by_itself_lets_the_clock_go_on(self, calling: Exchange) -> None:
        calling.cancel("A1", "0-3")
        market(calling, "A3", BUY, 9, protective_price=105)
        calling.session(SessionKind.HALT, time_ns=500)
        calling.tick(1_500)
        calling.state.halts.delete(MARKET)
        assert calling.tick(1_600).released == [("0-6", 9, "IOC_REST")]

    def test_the_closing_auction_takes_over_what_was_collected(self, calling: Exchange) -> None:
        heard = calling.session(SessionKind.CLOSING_AUCTION, time_ns=1_100)
        assert (prints(heard), shown(heard)) == ([], (SessionKind.CLOSING_AUCTION, None))
        assert prints(calling.session(SessionKind.CLOSED)) == [(110, 2, True)]

    def test_a_close_without_an_auction_trades_nothing_and_the_next_opening_does(
        self, calling: Exchange
    ) -> None:
        calling.sell("A1", 2, 104, time_in_force=GTC, **BAND)
        heard = calling.session(SessionKind.CLOSED, time_ns=1_100)
        assert (prints(heard), heard.released) == ([], [("0-3", 5, "EXPIRED")])
        assert shown(heard) == (SessionKind.CLOSED, None)
        assert prints(calling.session(OPEN)) == [(104, 2, True)]

    def test_a_session_that_opens_again_goes_on_to_its_own_opening(self, calling: Exchange) -> None:
        assert shown(calling.session(CALL, time_ns=200)) == (CALL, None)
        assert not calling.tick(1_100).outputs
        assert prints(calling.session(OPEN)) == [(110, 2, True)]

    def test_a_delisting_ends_it(self, calling: Exchange) -> None:
        gone = Instrument(SYMBOL, market=MARKET, status=InstrumentStatus.DELISTED)
        heard = calling.send(Announcement("instruments/0/0/a0", AnnouncementKind.INSTRUMENT, gone))
        assert shown(heard) == (OPEN, None)
        assert not calling.tick(1_100).outputs


def test_a_pause_that_the_opening_itself_begins_is_not_ended_by_it(exchange: Exchange) -> None:
    exchange.session(SessionKind.PRE_OPEN)
    exchange.buy("A1", 5, 100, **BAND)
    exchange.buy("A1", 5, 80, **BAND)
    exchange.sell("A2", 5, 100, **BAND)
    exchange.new(
        "A3", SELL, 5, 0, order_type=OrderType.STOP, price=None, stop_price=100, time_in_force=GTC, **BAND
    )
    heard = exchange.session(OPEN, time_ns=NINE)
    assert prints(heard) == [(100, 5, True)]
    assert shown(heard) == (CALL, 1_100)
    assert prints(exchange.tick(1_100)) == []
    assert prints(exchange.tick(2_100)) == [(80, 5, True)]


def test_a_mass_cancel_that_ends_the_calls_of_two_books_names_their_trades_apart(exchange: Exchange) -> None:
    exchange.session(OPEN, time_ns=NINE)
    at_once = {**BAND, "pause_time_ns": 0}
    for symbol in (SYMBOL, "OTHER"):
        exchange.sell("A1", 5, 100, **at_once, symbol=symbol)
        exchange.buy("A2", 3, 100, **at_once, symbol=symbol)
        exchange.sell("A1", 5, 110, **at_once, symbol=symbol)
        exchange.buy("A2", 4, 110, **at_once, symbol=symbol)
        # It would uncross outside of the band, so the next message extends the call instead of ending it.
        assert not exchange.mass_cancel("A3", symbol=symbol).trades
    names = [
        trade.trade_id
        for number, symbol in enumerate((SYMBOL, "OTHER"))
        for trade in exchange.mass_cancel("A3", symbol=symbol, event_id=f"orders/0/99/v0/r{number}").trades
    ]
    assert len(names) == 4
    assert len(set(names)) == 2
