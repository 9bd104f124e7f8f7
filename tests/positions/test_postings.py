"""What a fill or release does to wallets, to the unit: price improvement, fees, and the last unit of a hold."""

import msgspec
import pytest

from bourse.pipeline import positions
from bourse.pipeline.errors import InvariantBroken, NotOurs
from bourse.pipeline.outputs import Record
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Halt,
    Hold,
    Liquidity,
    PositionUpdated,
    Release,
    ReleaseReason,
    Side,
    Trade,
    Wallet,
    WalletTransaction,
)
from tests.account_strategies import MONDAY, ready_state

BUY = Trade(
    "orders/3/9/v0/r0/m0",
    "3-9-0",
    "AAA",
    "ANN",
    Side.BUY,
    "3-1",
    "c1",
    "BEN",
    "3-9",
    290,
    4,
    Liquidity.MAKER,
    1,
    venue="XONE",
    trade_date=MONDAY,
    event_time_ns=7,
)
SALE = msgspec.structs.replace(BUY, side=Side.SELL)
# 10 at 300 with 13 bps hold 3003; the 6 that remain after a fill of 4 hold 1800 + 2.
BUY_HOLD = Hold("ANN", "AAA", Side.BUY, "EUR", 10, 0, 300, 13, 3_003)
SALE_HOLD = Hold("ANN", "AAA", Side.SELL, "AAA", 10, 0, 280, 13, 10)


def holding(hold: Hold, asset: str) -> State:
    state = ready_state()
    state.holds.put("ANN/3-1", hold)
    state.wallets.put(f"ANN/{asset}", Wallet(100, hold.blocked))
    return state


def post(state: State, record: Record) -> list[Record]:
    return [record for _, _, record, _ in positions.handle(state, "trades", "cause", record, 7)]


def moves(records: list[Record]) -> list[tuple[str, str, int, int, int, int]]:
    return [
        (r.asset, r.kind, r.amount, r.available_delta, r.blocked_delta, r.unsettled_delta)
        for r in records
        if isinstance(r, WalletTransaction)
    ]


def test_a_buyer_pays_out_of_its_hold_and_gets_back_what_the_fill_saved() -> None:
    state = holding(BUY_HOLD, "EUR")
    records = post(state, BUY)
    assert moves(records) == [
        ("EUR", "BUY", 1_160, 0, -1_160, 0),
        ("EUR", "FEE", 1, 0, -1, 0),
        ("EUR", "RELEASE", 40, 40, -40, 0),
        ("AAA", "BUY", 4, 0, 0, 4),
    ]
    assert isinstance(records[-1], PositionUpdated)
    assert records[-1].held
    assert state.wallets.get("ANN/EUR") == Wallet(140, 1_802)
    assert state.holds.get("ANN/3-1") == msgspec.structs.replace(BUY_HOLD, cum_quantity=4, blocked=1_802)
    first = records[0]
    assert isinstance(first, WalletTransaction)
    assert (first.event_id, first.order_id, first.trade_id, first.event_time_ns) == (
        "cause/p0",
        "3-1",
        "3-9-0",
        7,
    )


def test_a_fill_at_the_limit_without_fee_moves_exactly_its_value() -> None:
    hold = msgspec.structs.replace(BUY_HOLD, fee_bps=0, blocked=3_000)
    state = holding(hold, "EUR")
    records = post(state, msgspec.structs.replace(BUY, price=300, fee=0))
    assert moves(records) == [("EUR", "BUY", 1_200, 0, -1_200, 0), ("AAA", "BUY", 4, 0, 0, 4)]


def test_the_last_fill_gives_back_the_hold_to_the_last_unit() -> None:
    state = holding(BUY_HOLD, "EUR")
    records = post(state, msgspec.structs.replace(BUY, quantity=10, price=300, fee=2))
    assert moves(records)[2] == ("EUR", "RELEASE", 1, 1, -1, 0)
    assert state.holds.get("ANN/3-1") is None
    assert state.wallets.get("ANN/EUR") == Wallet(101, 0)


def test_a_seller_delivers_out_of_its_hold_and_earns_what_settles_later() -> None:
    state = holding(SALE_HOLD, "AAA")
    assert moves(post(state, SALE)) == [
        ("AAA", "SELL", 4, 0, -4, 0),
        ("EUR", "SELL", 1_160, 0, 0, 1_160),
        ("EUR", "FEE", 1, 0, 0, -1),
    ]
    assert state.wallets.get("ANN/EUR") == Wallet(0, 0, 1_159)
    assert state.holds.get("ANN/3-1") == msgspec.structs.replace(SALE_HOLD, cum_quantity=4, blocked=6)


def test_a_seller_without_a_fee_earns_the_value() -> None:
    state = holding(SALE_HOLD, "AAA")
    moved = moves(post(state, msgspec.structs.replace(SALE, fee=0)))
    assert moved[-1] == ("EUR", "SELL", 1_160, 0, 0, 1_160)


def test_a_sale_whose_replace_came_true_gives_back_shares() -> None:
    # Given a hold for more shares than the order still has: its other state is over
    state = holding(msgspec.structs.replace(SALE_HOLD, blocked=12), "AAA")
    assert moves(post(state, SALE))[1] == ("AAA", "RELEASE", 2, 2, -2, 0)


def test_a_fill_that_costs_more_than_its_hold_has_stops_the_worker() -> None:
    state = holding(BUY_HOLD, "EUR")
    with pytest.raises(InvariantBroken, match="3-9-0"):
        post(state, msgspec.structs.replace(BUY, quantity=11, price=300))


def test_a_fill_of_an_order_that_entered_behind_risk_moves_no_wallet() -> None:
    state = ready_state()
    (update,) = post(state, BUY)
    assert isinstance(update, PositionUpdated)
    assert not update.held
    assert (update.quantity, update.cash_delta) == (4, -1_161)


RELEASE = Release("", "3-1", "ANN", "AAA", Side.BUY, 4, ReleaseReason.CANCELLED, 7)


@pytest.mark.parametrize(
    "reason",
    [
        reason
        for reason in ReleaseReason
        if reason not in {ReleaseReason.REPLACED, ReleaseReason.REPLACE_REJECTED}
    ],
)
def test_a_released_quantity_frees_what_it_held(reason: ReleaseReason) -> None:
    state = holding(BUY_HOLD, "EUR")
    assert moves(post(state, msgspec.structs.replace(RELEASE, reason=reason))) == [
        ("EUR", "RELEASE", 1_201, 1_201, -1_201, 0)
    ]
    assert state.holds.get("ANN/3-1") == msgspec.structs.replace(BUY_HOLD, order_quantity=6, blocked=1_802)


def test_a_release_of_everything_ends_the_hold() -> None:
    state = holding(BUY_HOLD, "EUR")
    post(state, msgspec.structs.replace(RELEASE, quantity=10))
    assert state.holds.get("ANN/3-1") is None
    assert state.wallets.get("ANN/EUR") == Wallet(3_103, 0)


def test_a_release_that_overtakes_a_fill_keeps_what_the_fill_costs() -> None:
    state = holding(BUY_HOLD, "EUR")
    post(state, msgspec.structs.replace(RELEASE, quantity=6))
    assert state.wallets.get("ANN/EUR") == Wallet(100 + 3_003 - 1_201, 1_201)
    post(state, msgspec.structs.replace(BUY, price=300))
    assert state.holds.get("ANN/3-1") is None
    assert state.wallets.get("ANN/EUR") == Wallet(100 + 3_003 - 1_201, 0)


def test_a_release_that_frees_nothing_says_nothing() -> None:
    state = holding(msgspec.structs.replace(BUY_HOLD, blocked=1_000), "EUR")
    assert post(state, msgspec.structs.replace(RELEASE, quantity=1)) == []


def test_a_release_of_an_order_without_a_hold_does_nothing() -> None:
    assert post(ready_state(), RELEASE) == []


def test_other_records_are_not_ours() -> None:
    with pytest.raises(NotOurs, match="no use for a Halt"):
        post(ready_state(), Halt())
