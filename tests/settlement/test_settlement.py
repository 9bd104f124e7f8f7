"""Obligations: netted for each account, instrument and trade date, and settled once, when they are due."""

import datetime as dt

import msgspec
import pytest

from bourse.pipeline import settlement
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Record
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Halt,
    Instrument,
    PositionCause,
    PositionUpdated,
    SessionKind,
    SettlementStatus,
    SettlementUpdated,
    Side,
    TransactionKind,
    Wallet,
    WalletTransaction,
)
from tests.account_strategies import MONDAY, announced, ready_state, session

TUESDAY, WEDNESDAY = MONDAY + dt.timedelta(days=1), MONDAY + dt.timedelta(days=2)
PENDING, SETTLED = SettlementStatus.PENDING, SettlementStatus.SETTLED


def side_of(
    side: Side, quantity: int, value: int, trade_id: str = "t1", **different: object
) -> PositionUpdated:
    """Return what positions tells of one side of a trade, with a fee of 3."""
    sign = 1 if side is Side.BUY else -1
    update = PositionUpdated(
        "e",
        "ANN",
        "AAA",
        PositionCause.TRADE,
        trade_id,
        sign * quantity,
        0,
        0,
        cash_delta=-sign * value - 3,
        fee=3,
        trade_date=MONDAY,
        settlement_date=TUESDAY,
        side=side,
        venue="XONE",
    )
    return msgspec.structs.replace(update, **different)


def handle(state: State, record: Record) -> list[Record]:
    outputs = settlement.handle(state, "positions", "cause", record, 7)
    assert {key for _, key, _, _ in outputs} <= {"ANN"}
    return [record for _, _, record, _ in outputs]


def happens(
    state: State, kind: SessionKind, date: dt.date, market: str = "XONE", symbol: str | None = None
) -> list[Record]:
    return handle(state, announced(session=session(kind, date, market, symbol)))


def unsettled(state: State, **wallets: int) -> None:
    for asset, amount in wallets.items():
        state.wallets.put(f"ANN/{asset}", Wallet(0, 0, amount))


def statuses(records: list[Record]) -> list[tuple[str, SettlementStatus]]:
    return [(r.settlement_id, r.status) for r in records if isinstance(r, SettlementUpdated)]


def test_each_trade_side_is_netted_into_its_obligation() -> None:
    state = ready_state()
    (first,) = handle(state, side_of(Side.BUY, 10, 3_000))
    assert first == SettlementUpdated(
        "cause/s0",
        "ANN/AAA/2024-01-08/2024-01-09",
        "ANN",
        "AAA",
        MONDAY,
        TUESDAY,
        PENDING,
        10,
        -3_003,
        0,
        0,
        1,
        None,
        7,
        3,
        "EUR",
        "t1",
    )
    (second,) = handle(state, side_of(Side.SELL, 4, 1_300, "t2"))
    assert isinstance(second, SettlementUpdated)
    assert (second.net_quantity, second.net_cash, second.fees, second.trades, second.trade_id) == (
        6,
        -1_706,
        6,
        2,
        "t2",
    )


def test_on_its_date_what_was_unsettled_becomes_available_once() -> None:
    state = ready_state()
    handle(state, side_of(Side.BUY, 10, 3_000))
    handle(state, side_of(Side.SELL, 4, 1_300))
    unsettled(state, AAA=10, EUR=1_297)
    assert happens(state, SessionKind.OPEN, MONDAY) == []
    cash, shares, done = happens(state, SessionKind.TICK, TUESDAY)
    assert cash == WalletTransaction(
        "cause/s0",
        "ANN",
        "EUR",
        TransactionKind.SETTLEMENT,
        1_297,
        1_297,
        0,
        -1_297,
        1_297,
        0,
        0,
        event_time_ns=7,
    )
    assert isinstance(shares, WalletTransaction)
    assert (shares.asset, shares.amount, shares.available, shares.unsettled) == ("AAA", 10, 10, 0)
    assert isinstance(done, SettlementUpdated)
    assert (done.status, done.settled_quantity, done.settled_cash) == (SETTLED, 6, -1_706)
    assert (done.net_quantity, done.net_cash, done.trades, done.trade_id) == (6, -1_706, 2, None)
    assert happens(state, SessionKind.OPEN, TUESDAY) == []
    assert happens(state, SessionKind.OPEN, WEDNESDAY) == []


def test_a_purchase_alone_settles_no_cash_and_a_sale_alone_no_shares() -> None:
    state = ready_state()
    handle(state, side_of(Side.BUY, 10, 3_000))
    handle(state, side_of(Side.SELL, 4, 1_300, symbol="CCC"))
    unsettled(state, AAA=10, EUR=1_297)
    records = happens(state, SessionKind.TICK, TUESDAY)
    moved = [(r.asset, r.amount) for r in records if isinstance(r, WalletTransaction)]
    assert moved == [("AAA", 10), ("EUR", 1_297)]


def test_obligations_settle_by_date_and_market_in_the_order_of_their_dates() -> None:
    state = ready_state()
    later = {"trade_date": TUESDAY, "settlement_date": WEDNESDAY}
    handle(state, side_of(Side.SELL, 1, 3, **later))
    handle(state, side_of(Side.SELL, 1, 3))
    handle(state, side_of(Side.SELL, 1, 3, symbol="BBB", venue="XTWO"))
    assert statuses(happens(state, SessionKind.OPEN, WEDNESDAY)) == [
        ("ANN/AAA/2024-01-08/2024-01-09", SETTLED),
        ("ANN/AAA/2024-01-09/2024-01-10", SETTLED),
    ]
    assert statuses(happens(state, SessionKind.OPEN, WEDNESDAY, "XTWO")) == [
        ("ANN/BBB/2024-01-08/2024-01-09", SETTLED)
    ]


@pytest.mark.parametrize("days", [1, 2, 5, settlement.MOST_DAYS, settlement.MOST_DAYS + 1, 2_900_000])
def test_all_that_fell_due_since_the_last_date_settles_however_long_ago_that_was(days: int) -> None:
    state = ready_state()
    happens(state, SessionKind.OPEN, MONDAY)
    date = MONDAY + dt.timedelta(days)
    for number, due in enumerate((TUESDAY, date, date - dt.timedelta(days // 2))):
        handle(state, side_of(Side.SELL, 1, 3, symbol=f"S{number}", settlement_date=max(due, TUESDAY)))
    assert len(happens(state, SessionKind.OPEN, date)) == 3
    assert [key for key, _ in state.obligations.scan("")] == ["/XONE"]


def test_trades_of_a_day_that_settle_on_other_dates_are_other_obligations() -> None:
    # Given an instrument whose settlement days were changed within the day
    state = ready_state()
    handle(state, side_of(Side.SELL, 10, 3_000))
    handle(state, side_of(Side.SELL, 4, 1_200, settlement_date=WEDNESDAY))
    unsettled(state, EUR=4_194)
    # Then each has its name and its day
    for date in (TUESDAY, WEDNESDAY):
        assert statuses(happens(state, SessionKind.TICK, date)) == [(f"ANN/AAA/2024-01-08/{date}", SETTLED)]


def test_a_trade_after_its_settlement_date_is_an_obligation_of_its_own_settled_at_once() -> None:
    state = ready_state()
    handle(state, side_of(Side.BUY, 10, 3_000))
    unsettled(state, AAA=14)
    happens(state, SessionKind.TICK, TUESDAY)
    late = handle(state, side_of(Side.BUY, 4, 1_200, "t2"))
    assert statuses(late) == [
        ("ANN/AAA/2024-01-08/2024-01-09/t2/BUY", PENDING),
        ("ANN/AAA/2024-01-08/2024-01-09/t2/BUY", SETTLED),
    ]
    assert state.wallets.get("ANN/AAA") == Wallet(14)


def test_both_sides_of_a_late_trade_with_oneself_are_obligations_of_their_own() -> None:
    state = ready_state()
    happens(state, SessionKind.TICK, TUESDAY)
    unsettled(state, AAA=4, EUR=1_197)
    ids = {
        settlement_id
        for side in Side
        for settlement_id, _ in statuses(handle(state, side_of(side, 4, 1_200)))
    }
    assert len(ids) == 2


def test_a_trade_of_an_order_behind_risk_settles_without_moving_a_wallet() -> None:
    state = ready_state()
    for side in Side:
        handle(state, side_of(side, 4, 1_200, held=False))
    (done,) = happens(state, SessionKind.TICK, TUESDAY)
    assert isinstance(done, SettlementUpdated)
    assert (done.settled_quantity, done.settled_cash) == (0, -6)


@pytest.mark.parametrize("cause", [cause for cause in PositionCause if cause is not PositionCause.TRADE])
def test_changes_of_holdings_that_are_no_trades_oblige_nobody(cause: PositionCause) -> None:
    assert handle(ready_state(), side_of(Side.BUY, 10, 3_000, cause=cause)) == []


def test_events_of_one_symbol_and_other_announcements_settle_nothing() -> None:
    state = ready_state()
    handle(state, side_of(Side.SELL, 1, 3))
    assert happens(state, SessionKind.HALT, TUESDAY, symbol="AAA") == []
    assert handle(state, announced(instrument=Instrument("AAA"))) == []


@pytest.mark.parametrize("missing", ["trade_date", "settlement_date"])
def test_a_trade_without_its_dates_is_not_ours(missing: str) -> None:
    with pytest.raises(NotOurs, match="without trade_date"):
        handle(ready_state(), side_of(Side.BUY, 1, 3, **{missing: None}))


def test_other_records_are_not_ours() -> None:
    with pytest.raises(NotOurs, match="no use for a Halt"):
        handle(ready_state(), Halt())
