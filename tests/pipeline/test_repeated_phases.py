"""A session clock that starts again, or comes late, tells of phases that markets have been in: nothing happens twice, or backwards."""

import datetime as dt

import pytest

from bourse.pipeline.markets import phase_of
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import (
    Account,
    BookUpdate,
    DeadLetter,
    Instrument,
    MarketState,
    Order,
    OrderAction,
    OrderEvent,
    SessionEvent,
    SessionKind,
    Side,
    TapePrint,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Price, Quantity, TimeNs

MONDAY = dt.date(2026, 3, 2)
TUESDAY = dt.date(2026, 3, 3)
SECOND_NS = 10**9
NIGHT_NS = 86_400 * SECOND_NS
NINE_NS = 1_772_442_000 * SECOND_NS
"""Monday, 09:00 UTC."""
FIVE_NS = NINE_NS + 8 * 3_600 * SECOND_NS
OPENING, OPEN, CLOSED = SessionKind.OPENING_AUCTION, SessionKind.OPEN, SessionKind.CLOSED


class Market:
    """One instrument, which pauses in volatility auctions, and two accounts that can trade it."""

    def __init__(self) -> None:
        self.simulation = Simulation()
        self.sent = 0
        self.time_ns = NINE_NS
        terms = {"price_band_bps": 500, "volatility_auction": True, "pause_time_ns": 300 * SECOND_NS}
        self.feed(Topic.INSTRUMENTS, Instrument("S", market="XONE", **terms))
        for account_id in "AB":
            self.feed(Topic.ACCOUNTS, Account(account_id))
            for asset in ("EUR", "S"):
                deposit = WalletCommand(WalletAction.DEPOSIT, asset, account_id, asset, 10**9)
                self.feed(Topic.WALLET_COMMANDS, deposit)

    def feed(self, topic: Topic, record: Record) -> list[Record]:
        return [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]

    def enter(
        self, kind: SessionKind, time_ns: int = NINE_NS, date: dt.date = MONDAY, symbol: str | None = None
    ) -> list[Record]:
        heard = self.feed(Topic.SESSIONS, SessionEvent("XONE", kind, symbol, date, TimeNs(time_ns)))
        return [
            record for record in heard if isinstance(record, OrderEvent | TapePrint | BookUpdate | DeadLetter)
        ]

    def order(self, account_id: str, side: Side, price: int, quantity: int = 5) -> list[Record]:
        self.sent += 1
        return self.feed(
            Topic.ORDERS,
            Order(
                OrderAction.NEW,
                f"c{self.sent}",
                account_id,
                symbol="S",
                side=side,
                quantity=Quantity(quantity),
                price=Price(price),
                sent_time_ns=TimeNs(self.time_ns),
            ),
        )

    def row(self) -> MarketState:
        row = self.simulation.state.markets.get("XONE")
        assert row is not None
        return row

    def phase(self) -> SessionKind:
        return phase_of(self.simulation.state, "XONE", "S")

    def live_orders(self) -> int:
        return sum(1 for _ in self.simulation.state.resting_orders.scan(""))


@pytest.fixture
def market() -> Market:
    return Market()


def errors(heard: list[Record]) -> list[str]:
    return [record.error for record in heard if isinstance(record, DeadLetter)]


def test_a_phase_that_is_told_again_leaves_a_call_and_a_symbols_own_phase_as_they_are(market: Market) -> None:
    # Given a call of volatility, and later another symbol's own phase
    market.enter(OPEN)
    market.order("A", Side.SELL, 1_000_000)
    market.order("B", Side.BUY, 1_000_000)
    market.order("A", Side.SELL, 1_080_000)
    market.order("B", Side.BUY, 1_080_000)
    paused = market.simulation.state.books.get("S")
    assert paused is not None
    assert paused.is_collecting
    market.enter(CLOSED, NINE_NS + SECOND_NS, symbol="T")
    # When the clock starts again and tells of the phase that it found
    assert market.enter(OPEN) == []
    # Then nothing has ended
    assert market.simulation.state.books.get("S") == paused
    assert phase_of(market.simulation.state, "XONE", "T") is CLOSED
    # When an operator opens the market now, everything has
    assert any(isinstance(record, TapePrint) for record in market.enter(OPEN, NINE_NS + 2 * SECOND_NS))
    assert phase_of(market.simulation.state, "XONE", "T") is OPEN


def test_a_phase_of_before_changes_nothing_and_is_a_dead_letter(market: Market) -> None:
    market.enter(OPENING, NINE_NS)
    market.enter(OPEN, NINE_NS + SECOND_NS)
    market.order("A", Side.SELL, 1_000_000)
    before = market.row()
    (error,) = errors(market.enter(OPENING, NINE_NS))
    assert error == (
        f"XONE is in OPEN of 2026-03-02 since {NINE_NS + SECOND_NS}: OPENING_AUCTION of 2026-03-02, {NINE_NS}, is of before that"
    )
    assert (market.row(), market.phase(), market.live_orders()) == (before, OPEN, 1)


def test_the_close_of_an_earlier_day_changes_nothing(market: Market) -> None:
    market.enter(OPEN, NINE_NS + NIGHT_NS, TUESDAY)
    market.order("A", Side.SELL, 1_000_000)
    assert market.enter(CLOSED, FIVE_NS, MONDAY) == []
    assert (market.phase(), market.live_orders()) == (OPEN, 1)
    assert len(errors(market.enter(OPEN, FIVE_NS, MONDAY))) == 1


def test_a_market_that_its_first_order_began_is_not_closed_for_an_earlier_day(market: Market) -> None:
    market.order("A", Side.SELL, 1_000_000)
    assert market.enter(CLOSED, FIVE_NS - NIGHT_NS, MONDAY - dt.timedelta(3)) == []
    assert (market.phase(), market.live_orders()) == (OPEN, 1)
    market.enter(CLOSED, FIVE_NS, MONDAY)
    assert (market.phase(), market.live_orders()) == (CLOSED, 0)


def test_the_close_that_nobody_told_of_ends_its_day_the_next_morning(market: Market) -> None:
    market.enter(OPEN)
    market.order("A", Side.SELL, 1_000_000)
    market.enter(SessionKind.TICK, NINE_NS + SECOND_NS)
    expired = [record for record in market.enter(CLOSED, FIVE_NS) if isinstance(record, OrderEvent)]
    assert [(event.status, event.event_time_ns) for event in expired] == [("EXPIRED", FIVE_NS)]
    market.enter(OPEN, NINE_NS + NIGHT_NS, TUESDAY)
    assert (market.phase(), market.live_orders()) == (OPEN, 0)


def test_a_phase_that_comes_after_a_later_tick_is_entered_and_the_clock_stays(market: Market) -> None:
    market.enter(OPENING)
    market.enter(SessionKind.TICK, NINE_NS + 9 * SECOND_NS)
    market.enter(OPEN, NINE_NS + 5 * SECOND_NS)
    assert (market.phase(), market.row().event_time_ns) == (OPEN, NINE_NS + 9 * SECOND_NS)


def test_operators_close_and_open_again_and_a_clock_that_starts_again_does_not_undo_it(
    market: Market,
) -> None:
    market.enter(OPEN)
    noon_ns = NINE_NS + 3 * 3_600 * SECOND_NS
    assert errors(market.enter(CLOSED, noon_ns)) == []
    assert len(errors(market.enter(OPEN))) == 1
    assert market.phase() is CLOSED
    assert errors(market.enter(OPEN, noon_ns + SECOND_NS)) == []
    assert market.phase() is OPEN


def test_a_phase_without_a_time_is_the_latest(market: Market) -> None:
    for kind in (OPEN, CLOSED, OPEN, OPEN):
        assert errors(market.enter(kind, 0)) == []
        assert market.phase() is kind
    market.enter(CLOSED)
    assert errors(market.enter(OPEN, 0)) == []
    assert (market.phase(), market.row().phase_time_ns) == (OPEN, NINE_NS)


def test_a_halt_that_is_dated_too_late_does_not_keep_the_market_from_its_phases(market: Market) -> None:
    market.enter(OPEN)
    market.enter(SessionKind.HALT, NINE_NS, TUESDAY)
    market.enter(SessionKind.RESUME, NINE_NS, TUESDAY)
    assert errors(market.enter(CLOSED, FIVE_NS)) == []
    assert (market.phase(), market.row().business_date) == (CLOSED, TUESDAY)
