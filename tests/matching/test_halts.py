"""What a halt keeps from a book and who is told of it, each rule as a sentence."""

import datetime as dt

import pytest

from bourse.schemas.records import InstrumentStatus, OrderType, SessionKind, Side, TimeInForce
from tests.matching.exchange import GTC, Exchange, Heard
from tests.strategies import DAY, SYMBOL

BUY, SELL = Side.BUY, Side.SELL
PRE_OPEN, CALL, OPEN, CLOSING, CLOSED, HALT, RESUME = (
    SessionKind.PRE_OPEN,
    SessionKind.OPENING_AUCTION,
    SessionKind.OPEN,
    SessionKind.CLOSING_AUCTION,
    SessionKind.CLOSED,
    SessionKind.HALT,
    SessionKind.RESUME,
)
HALTED, ACTIVE = InstrumentStatus.HALTED, InstrumentStatus.ACTIVE
BAND = {"price_band_bps": 500, "pause_time_ns": 1_000, "volatility_auction": True}
QUARTER_NS = 15 * 60 * 10**9


def prints(heard: Heard) -> list[tuple[int, int]]:
    return [(tape.price, tape.quantity) for tape in heard.tape]


def phases(heard: Heard) -> list[SessionKind]:
    assert all(update.is_snapshot for update in heard.updates)
    return [update.phase for update in heard.updates]


@pytest.fixture
def calling(exchange: Exchange) -> Exchange:
    """A book that has traded at 100 and collects orders of a call: 4 would trade at 103."""
    exchange.session(OPEN, time_ns=10)
    exchange.sell("A1", 3, 100, **BAND)
    exchange.buy("A2", 3, 100, **BAND)
    exchange.sell("A1", 5, 110, **BAND)
    exchange.buy("A2", 4, 110, **BAND)
    exchange.sell("A3", 4, 103, **BAND)
    exchange.cancel("A1", "0-3")
    assert exchange.state.books.get(SYMBOL).is_collecting  # type: ignore[union-attr]
    return exchange


class TestACallInAHalt:
    """It is held up for as long as any halt lasts, whatever sessions say meanwhile, and uncrosses then."""

    @pytest.mark.parametrize(("kind", "symbol"), [(RESUME, SYMBOL), (OPEN, SYMBOL), (OPEN, None)])
    def test_a_circuit_breaker_lets_it_uncross_at_the_tick_that_ends_it(
        self, calling: Exchange, kind: SessionKind, symbol: str | None
    ) -> None:
        calling.session(HALT, time_ns=20, level=1)
        assert not calling.session(kind, symbol, time_ns=30).trades
        calling.restart()
        assert not calling.tick(19 + QUARTER_NS).outputs
        assert prints(calling.tick(20 + QUARTER_NS)) == [(103, 4)]
        assert calling.buy("A4", 1, 100, **BAND).statuses[0][1] == "OPEN"

    @pytest.mark.parametrize(("kind", "symbol"), [(RESUME, None), (OPEN, SYMBOL)])
    def test_an_instrument_that_is_published_as_active_again_does_when_its_time_is_over(
        self, calling: Exchange, kind: SessionKind, symbol: str | None
    ) -> None:
        calling.publish(status=HALTED)
        assert not calling.session(kind, symbol, time_ns=30).trades
        calling.publish(status=ACTIVE)
        assert prints(calling.tick(2_000)) == [(103, 4)]
        assert calling.buy("A4", 1, 100, **BAND).statuses[0][1] == "OPEN"

    def test_it_ends_with_the_halt_where_its_time_was_over_before(self, calling: Exchange) -> None:
        calling.publish(status=HALTED)
        assert not calling.tick(2_000).trades
        assert prints(calling.publish(status=ACTIVE)) == [(103, 4)]

    def test_another_phase_takes_over_what_it_has_collected(self, calling: Exchange) -> None:
        calling.session(HALT, time_ns=20)
        calling.session(CALL, SYMBOL, time_ns=30)
        calling.session(OPEN, SYMBOL, time_ns=40)
        assert prints(calling.session(RESUME, time_ns=50)) == [(103, 4)]


class TestAnOpeningInAHalt:
    @pytest.fixture
    def crossed(self, exchange: Exchange) -> Exchange:
        exchange.session(PRE_OPEN, time_ns=10)
        exchange.buy("A1", 5, 101, reference_price=100)
        exchange.sell("A2", 5, 99, reference_price=100)
        return exchange

    @pytest.mark.parametrize("shows_orders", [False, True])
    def test_an_instrument_that_is_active_again_opens_at_once(
        self, crossed: Exchange, *, shows_orders: bool
    ) -> None:
        crossed.publish(status=HALTED)
        assert not crossed.session(OPEN, time_ns=20).trades
        heard = crossed.publish(status=ACTIVE, depth_by_order=shows_orders)
        assert prints(heard) == [(100, 5)]
        assert phases(heard) == [OPEN]

    def test_a_circuit_breaker_lets_it_open_at_the_tick_that_ends_it(self, crossed: Exchange) -> None:
        crossed.session(HALT, time_ns=15, level=2)
        crossed.session(OPEN, time_ns=20)
        assert not crossed.publish(depth_by_order=True).trades
        assert prints(crossed.tick(15 + QUARTER_NS)) == [(100, 5)]
        assert crossed.publish(depth_by_order=False).updates

    @pytest.mark.parametrize("level", [1, 3])
    def test_every_level_does_with_the_first_tick_of_another_date(
        self, crossed: Exchange, level: int
    ) -> None:
        crossed.session(HALT, time_ns=15, level=level)
        crossed.session(OPEN, time_ns=20)
        assert not crossed.tick(14 + QUARTER_NS).outputs
        next_day = DAY + dt.timedelta(1)
        heard = crossed.session(SessionKind.TICK, time_ns=14 + QUARTER_NS, business_date=next_day)
        assert prints(heard) == [(100, 5)]


class TestWhoIsTold:
    """Every change between halted and not is a snapshot."""

    @pytest.mark.parametrize("symbol", [None, SYMBOL])
    def test_a_halt_and_its_end(self, exchange: Exchange, symbol: str | None) -> None:
        exchange.buy("A1", 5, 90)
        assert phases(exchange.session(HALT, symbol)) == [HALT]
        assert not exchange.session(HALT, symbol).outputs
        (update,) = exchange.cancel("A1", "0-0").updates
        assert update.phase is HALT
        assert phases(exchange.session(RESUME, symbol)) == [OPEN]

    def test_a_halt_of_the_instrument_and_its_end(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 90)
        assert phases(exchange.publish(status=HALTED)) == [HALT]
        assert phases(exchange.publish(status=ACTIVE)) == [OPEN]

    def test_a_circuit_breaker_that_ends_by_itself(self, exchange: Exchange) -> None:
        exchange.session(OPEN, time_ns=5)
        exchange.buy("A1", 5, 90)
        assert phases(exchange.session(HALT, time_ns=10, level=1)) == [HALT]
        assert not exchange.tick(9 + QUARTER_NS).outputs
        assert phases(exchange.tick(10 + QUARTER_NS)) == [OPEN]

    def test_a_halted_auction(self, exchange: Exchange) -> None:
        exchange.session(PRE_OPEN)
        exchange.buy("A1", 5, 90)
        assert phases(exchange.session(HALT)) == [HALT]
        assert phases(exchange.session(CALL)) == [HALT]
        assert phases(exchange.session(RESUME)) == [CALL]

    def test_phases_that_a_halt_keeps_from_the_book(self, exchange: Exchange) -> None:
        exchange.session(CALL)
        exchange.buy("A1", 5, 90)
        assert [phases(exchange.session(kind)) for kind in (HALT, OPEN, CALL)] == [[HALT]] * 3
        assert phases(exchange.session(RESUME)) == [CALL]

    def test_a_closed_market_is_closed_whether_halted_or_not(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 90, time_in_force=GTC)
        exchange.session(CLOSED)
        assert not exchange.session(HALT).outputs

    def test_an_order_that_only_waited_when_its_instrument_was_delisted(self, exchange: Exchange) -> None:
        exchange.buy("A1", 5, 90, time_in_force=TimeInForce.AT_CLOSE)
        heard = exchange.publish(status=InstrumentStatus.DELISTED)
        assert heard.statuses == [("0-0", "CANCELLED")]
        assert len(heard.updates) == 1


class TestDates:
    def test_trades_of_an_auction_have_the_date_of_the_market_and_not_of_a_stray_event(
        self, exchange: Exchange
    ) -> None:
        exchange.session(CALL)
        exchange.buy("A1", 5, 100)
        exchange.sell("A2", 5, 100)
        heard = exchange.session(OPEN, SYMBOL, business_date=DAY + dt.timedelta(900))
        assert {trade.trade_date for trade in heard.trades} == {DAY}


class TestTheClose:
    def test_what_was_for_an_opening_that_never_came_expires_when_the_closing_auction_begins(
        self, exchange: Exchange
    ) -> None:
        exchange.session(PRE_OPEN)
        exchange.buy("A1", 5, 100, time_in_force=TimeInForce.AT_OPEN)
        exchange.session(HALT)
        exchange.session(OPEN)
        assert exchange.session(CLOSING).statuses == [("0-1", "EXPIRED")]

    def test_a_stop_that_the_closing_price_reached_is_set_off_at_the_next_opening(
        self, exchange: Exchange
    ) -> None:
        exchange.session(OPEN)
        stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 105, "time_in_force": GTC}
        exchange.new("A3", BUY, 1, 0, **stop)
        exchange.session(CLOSING)
        exchange.buy("A1", 5, 106)
        exchange.sell("A2", 5, 106)
        assert prints(exchange.session(CLOSED)) == [(106, 5)]
        exchange.session(CALL)
        exchange.buy("A1", 5, 102)
        exchange.sell("A2", 6, 102)
        heard = exchange.session(OPEN)
        assert ("0-1", "TRIGGERED") in heard.statuses
        assert prints(heard) == [(102, 5), (102, 1)]


class TestClocks:
    def test_a_phase_that_comes_after_a_later_tick_does_not_take_the_clock_back(
        self, exchange: Exchange
    ) -> None:
        """Its stops begin a pause, which lasts from the market's time on."""
        band = BAND | {"volatility_auction": False}
        exchange.session(PRE_OPEN, time_ns=10)
        stop = {"order_type": OrderType.STOP, "price": None, "stop_price": 100, "time_in_force": GTC}
        exchange.new("A3", BUY, 1, 0, **stop, **band)
        exchange.buy("A1", 5, 100, **band)
        exchange.sell("A2", 5, 100, **band)
        exchange.sell("A2", 5, 120, **band)
        exchange.tick(5_000)
        (update,) = exchange.session(OPEN, time_ns=20).updates
        assert update.paused_until_time_ns == 6_000
