"""What an account holds, what it cost, what was earned on it, and when it settles."""

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.pipeline import positions
from bourse.pipeline.outputs import Record
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Instrument,
    Liquidity,
    PendingSettlement,
    Position,
    PositionCause,
    PositionUpdated,
    SessionKind,
    Side,
    Trade,
    TransactionKind,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX, INT64_MIN
from tests.account_strategies import MONDAY, announced, ready_state, session

TUESDAY, WEDNESDAY = MONDAY + dt.timedelta(days=1), MONDAY + dt.timedelta(days=2)


def trade(side: Side, quantity: int, price: int, **different: object) -> Trade:
    """Return one side of a trade of an order without a hold, for which positions alone count."""
    fields: dict[str, object] = {"venue": "XONE", "trade_date": MONDAY, "fee": 3, **different}
    return msgspec.structs.replace(
        Trade("e", "t1", "AAA", "ANN", side, "o", "c", "BEN", "p", price, quantity, Liquidity.TAKER), **fields
    )


def updates(state: State, record: Record) -> list[PositionUpdated]:
    outputs = positions.handle(state, "trades", "cause", record, 7)
    assert {(topic, key) for topic, key, _, _ in outputs} <= {("positions", "ANN")}
    return [record for _, _, record, _ in outputs if isinstance(record, PositionUpdated)]


def happens(
    state: State, kind: SessionKind, date: dt.date, market: str = "XONE", symbol: str | None = None
) -> list[PositionUpdated]:
    return updates(state, announced(session=session(kind, date, market, symbol)))


def moved(kind: TransactionKind, amount: int, asset: str = "AAA") -> WalletTransaction:
    return WalletTransaction("w", "ANN", asset, kind, amount, 0, 0, 0, 0, 0, 0)


def test_a_purchase_is_held_at_once_and_settles_later() -> None:
    state = ready_state()
    assert updates(state, trade(Side.BUY, 4, 290)) == [
        PositionUpdated(
            "cause/p0",
            "ANN",
            "AAA",
            PositionCause.TRADE,
            "t1",
            4,
            4,
            0,
            290,
            0,
            290,
            1_160,
            0,
            -1_163,
            3,
            MONDAY,
            TUESDAY,
            7,
            Side.BUY,
            290,
            "EUR",
            1_160,
            "XONE",
            0,
            held=False,
        )
    ]
    pending = (PendingSettlement(TUESDAY, 4, "XONE"),)
    assert state.positions.get("ANN/AAA") == Position(4, 0, 1_160, 0, 290, pending)


def test_a_sale_takes_its_share_of_the_cost_and_the_last_unit_the_rest() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 2, 10))
    updates(state, trade(Side.BUY, 1, 11))  # 3 units for 31
    (first,) = updates(state, trade(Side.SELL, 1, 20))
    assert (first.cost, first.realised_pnl, first.average_price) == (21, 10, 10)
    assert (first.market_price, first.market_value, first.unrealised_pnl) == (20, 40, 19)
    (last,) = updates(state, trade(Side.SELL, 2, 5))
    assert (last.cost, last.realised_pnl, last.average_price, last.quantity) == (0, -1, 0, 0)


def test_a_contract_is_worth_its_multiplier() -> None:
    state = ready_state()
    (bought,) = updates(state, trade(Side.BUY, 4, 10, multiplier=50))
    assert (bought.cost, bought.average_price, bought.cash_delta) == (2_000, 10, -2_003)
    (sold,) = updates(state, trade(Side.SELL, 1, 13, multiplier=50))
    assert (sold.realised_pnl, sold.cost, sold.market_value) == (150, 1_500, 1_950)
    (settled,) = happens(state, SessionKind.OPEN, TUESDAY)
    assert (settled.market_value, settled.average_price, settled.multiplier) == (1_950, 10, 50)
    # What comes in without a trade comes in at the reference price of so many units.
    state.instruments.put("AAA", Instrument("AAA", reference_price=20, multiplier=50))
    (deposited,) = updates(state, moved(TransactionKind.DEPOSIT, 1))
    assert deposited.cost == 1_500 + 1_000


def test_a_short_holding_is_valued_by_the_same_rule() -> None:
    # Only orders that entered behind risk can sell what is not there.
    state = ready_state()
    (short,) = updates(state, trade(Side.SELL, 4, 10))
    assert (short.quantity, short.cost, short.average_price, short.realised_pnl) == (-4, -40, 10, 0)
    (covered,) = updates(state, trade(Side.BUY, 1, 8))
    assert (covered.quantity, covered.cost, covered.realised_pnl) == (-3, -30, 2)
    (turned,) = updates(state, trade(Side.BUY, 5, 8))
    assert (turned.quantity, turned.cost, turned.realised_pnl) == (2, 16, 8)
    (back,) = updates(state, trade(Side.SELL, 3, 9))
    assert (back.quantity, back.cost, back.realised_pnl) == (-1, -9, 10)


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 9), st.integers(1, 50)), max_size=12))
def test_profit_and_value_add_up_to_the_cash_that_moved(trades: list[tuple[Side, int, int]]) -> None:
    state = ready_state()
    cash, quantity = 0, 0
    for side, size, price in trades:
        (update,) = updates(state, trade(side, size, price, fee=0))
        cash += update.cash_delta
        quantity += update.quantity_delta
        assert update.quantity == quantity
        assert update.realised_pnl == cash + update.cost
        assert (update.cost == 0) or (update.quantity != 0)


def test_a_deposit_comes_in_settled_at_the_reference_price() -> None:
    state = ready_state()
    (update,) = updates(state, moved(TransactionKind.DEPOSIT, 10))
    assert (update.cause, update.quantity_delta, update.settled_delta) == (PositionCause.DEPOSIT, 10, 10)
    assert (update.cost, update.average_price, update.realised_pnl) == (3_000, 300, 0)
    assert (update.market_price, update.venue, update.currency, update.cash_delta) == (0, "XONE", "EUR", 0)


def test_a_withdrawal_takes_its_share_of_the_cost() -> None:
    state = ready_state()
    state.positions.put("ANN/AAA", Position(3, 3, 31))
    (update,) = updates(state, moved(TransactionKind.WITHDRAWAL, 1))
    assert (update.cause, update.quantity_delta, update.cost) == (PositionCause.WITHDRAWAL, -1, 21)
    (last,) = updates(state, moved(TransactionKind.WITHDRAWAL, 2))
    assert (last.quantity, last.settled_quantity, last.cost) == (0, 0, 0)


@pytest.mark.parametrize(
    ("asset", "is_holding"),
    [("EUR", False), ("AAA", True), ("ZZZ", False), ("ZZZZ", True), ("Z1Z", True), ("zzz", True)],
)
def test_what_is_no_instrument_and_looks_like_a_currency_is_cash(asset: str, *, is_holding: bool) -> None:
    found = updates(ready_state(), moved(TransactionKind.DEPOSIT, 10, asset))
    assert bool(found) is is_holding
    assert all(update.cost == (3_000 if asset == "AAA" else 0) for update in found)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in TransactionKind if kind not in {TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL}],
)
def test_other_wallet_transactions_are_no_change_of_a_holding(kind: TransactionKind) -> None:
    assert updates(ready_state(), moved(kind, 10)) == []


def test_what_came_in_before_its_instrument_was_announced_is_a_holding_from_then_on() -> None:
    # A symbol of three letters looks like a currency until then; the account's sales would have made a short holding.
    state = ready_state()
    assert updates(state, moved(TransactionKind.DEPOSIT, 10, "NEW")) == []
    assert updates(state, moved(TransactionKind.WITHDRAWAL, 3, "NEW")) == []
    published = announced(instrument=Instrument("NEW", reference_price=300))
    state.instruments.put("NEW", Instrument("NEW", reference_price=300))
    (update,) = updates(state, published)
    assert (update.cause, update.quantity_delta, update.settled_quantity) == (PositionCause.DEPOSIT, 7, 7)
    assert update.cost == 2_100
    # Once: it may be published again.
    assert updates(state, published) == []
    (update,) = updates(state, moved(TransactionKind.DEPOSIT, 1, "NEW"))
    assert update.quantity == 8


def test_an_instrument_that_nobody_learnt_makes_no_holding_of_cash() -> None:
    # Given an instrument that validation refused, as its name is that of a currency
    state = ready_state()
    assert updates(state, moved(TransactionKind.DEPOSIT, 10, "USD")) == []
    assert updates(state, announced(instrument=Instrument("USD"))) == []
    assert updates(state, moved(TransactionKind.WITHDRAWAL, 10, "USD")) == []


def test_a_holding_without_a_reference_price_costs_nothing() -> None:
    (update,) = updates(ready_state(Instrument("AAA")), moved(TransactionKind.DEPOSIT, 10))
    assert update.cost == 0


def test_a_holding_settles_when_the_markets_date_reaches_it() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 4, 290))
    assert happens(state, SessionKind.TICK, MONDAY) == []
    (update,) = happens(state, SessionKind.TICK, TUESDAY)
    assert (update.cause, update.quantity_delta, update.settled_delta) == (PositionCause.SETTLEMENT, 0, 4)
    assert (update.quantity, update.settled_quantity, update.settlement_date) == (4, 4, TUESDAY)
    assert (update.venue, update.trade_id, update.cash_delta) == ("XONE", None, 0)
    assert happens(state, SessionKind.OPEN, TUESDAY) == []
    assert happens(state, SessionKind.OPEN, MONDAY) == []


def test_each_date_and_market_settles_by_itself() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 4, 290))
    updates(state, trade(Side.BUY, 1, 290, trade_date=TUESDAY))
    updates(state, trade(Side.SELL, 2, 290, venue="XTWO"))
    assert [update.settled_delta for update in happens(state, SessionKind.TICK, WEDNESDAY)] == [4, 1]
    assert [update.settled_delta for update in happens(state, SessionKind.TICK, WEDNESDAY, "XTWO")] == [-2]


def test_what_nets_to_nothing_on_a_date_needs_no_settlement() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 4, 290))
    updates(state, trade(Side.SELL, 4, 290))
    assert happens(state, SessionKind.TICK, TUESDAY) == []


def test_events_of_one_symbol_and_other_announcements_settle_nothing() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 4, 290))
    assert happens(state, SessionKind.HALT, TUESDAY, symbol="AAA") == []
    assert updates(state, announced(instrument=Instrument("AAA"))) == []


def test_a_trade_that_comes_home_after_its_settlement_date_settles_at_once() -> None:
    state = ready_state()
    happens(state, SessionKind.TICK, TUESDAY)
    traded, settled = updates(state, trade(Side.BUY, 4, 290))
    assert (traded.cause, traded.quantity, traded.settled_quantity) == (PositionCause.TRADE, 4, 0)
    assert (settled.cause, settled.settled_delta, settled.settled_quantity) == (
        PositionCause.SETTLEMENT,
        4,
        4,
    )
    assert settled.event_id == "cause/p1"


def test_a_holding_whose_instrument_is_gone_settles_too() -> None:
    state = ready_state()
    updates(state, trade(Side.BUY, 4, 290))
    state.instruments.delete("AAA")
    (update,) = happens(state, SessionKind.TICK, TUESDAY)
    assert (update.settled_quantity, update.venue) == (4, "")


def test_valuations_stop_at_what_a_record_can_say() -> None:
    state = ready_state(Instrument("AAA", reference_price=INT64_MAX))
    (update,) = updates(state, moved(TransactionKind.DEPOSIT, 10))
    assert update.cost == INT64_MAX
    (update,) = updates(state, trade(Side.BUY, 1, INT64_MAX, fee=0))
    assert (update.market_value, update.cost, update.unrealised_pnl) == (INT64_MAX, INT64_MAX, INT64_MAX)
    state.positions.put("BEN/AAA", Position(-2, 0, 0, INT64_MIN))
    outputs = positions.handle(state, "trades", "c", trade(Side.BUY, 1, 5, account_id="BEN"), 7)
    short = outputs[0][2]
    assert isinstance(short, PositionUpdated)
    assert short.realised_pnl == INT64_MIN
