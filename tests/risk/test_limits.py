"""Limits that look at more than one order: open orders, positions, concentration, OCO groups."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.pipeline import positions, risk
from bourse.pipeline.exposures import Exposure, exposure_of
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.reasons import Reason
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    OrderAction,
    OrderEvent,
    Position,
    Release,
    ReleaseReason,
    Side,
    ValidatedOrder,
    Wallet,
)
from tests.account_strategies import (
    ACCOUNTS,
    FlowWriter,
    next_event,
    opening_deposits,
    ready_state,
    reference_data,
)


def limited(**limits: int) -> State:
    state = ready_state()
    state.accounts.put("ANN", Account("ANN", **limits))
    state.wallets.put("ANN/EUR", Wallet(20_000))
    state.wallets.put("ANN/AAA", Wallet(10, 0, 5))
    return state


def answer(
    state: State,
    number: int,
    quantity: int = 10,
    price: int = 100,
    side: Side = Side.BUY,
    **different: object,
) -> str | None:
    """Send an order; return the reason if it is refused."""
    fields = {"action": OrderAction.NEW, "symbol": "AAA", **different}
    order = ValidatedOrder(
        "e",
        f"0-{number}",
        fields.pop("action"),
        f"c{number}",
        "ANN",
        fields.pop("symbol"),
        side=side,
        quantity=quantity,
        price=price,
        **fields,
    )
    first, *_ = risk.handle(state, "validated", "e", order, 0)
    return first[2].reason if isinstance(first[2], OrderEvent) else None


def cancelled(state: State, number: int, quantity: int = 10) -> list[Record]:
    release = Release("r", f"0-{number}", "ANN", "AAA", Side.BUY, quantity, ReleaseReason.CANCELLED)
    return [record for _, _, record, _ in positions.handle(state, "releases", "r", release, 0)]


def test_an_account_may_have_so_many_orders_open() -> None:
    state = limited(max_open_orders=2)
    assert [answer(state, number) for number in range(3)] == [None, None, Reason.TOO_MANY_OPEN_ORDERS]
    # An order that is over makes room, one that has only become smaller does not.
    cancelled(state, 0, 5)
    assert answer(state, 3) == Reason.TOO_MANY_OPEN_ORDERS
    cancelled(state, 0, 5)
    assert answer(state, 4) is None


def test_a_limit_that_comes_later_counts_what_is_open() -> None:
    state = limited()
    answer(state, 0)
    state.accounts.put("ANN", Account("ANN", max_open_orders=1))
    assert answer(state, 1) == Reason.TOO_MANY_OPEN_ORDERS


def test_a_position_counts_what_is_held_and_what_live_buys_may_add() -> None:
    # Given 15 held, settled or not, and 10 in the making: 5 more at 100 are 3,000 in all
    state = limited(max_position_value=3_000)
    assert answer(state, 0) is None
    assert answer(state, 1, 6) == Reason.ABOVE_MAX_POSITION
    assert answer(state, 2, 5, 101) == Reason.ABOVE_MAX_POSITION
    assert answer(state, 3, 5) is None
    # A sale adds nothing, and what is cancelled makes room.
    assert answer(state, 4, 10, 1_000, Side.SELL) is None
    cancelled(state, 0)
    assert answer(state, 5, 10) is None


def test_a_replace_may_make_a_position_smaller_but_not_too_big() -> None:
    state = limited(max_position_value=2_500)
    assert answer(state, 0) is None
    replace = {"action": OrderAction.REPLACE, "target_order_id": "0-0"}
    assert answer(state, 1, 11, **replace) == Reason.ABOVE_MAX_POSITION
    assert answer(state, 2, 10, 101, **replace) == Reason.ABOVE_MAX_POSITION
    state.accounts.put("ANN", Account("ANN", max_position_value=1))
    assert answer(state, 3, 9, **replace) is None


def test_a_part_of_the_account_is_measured_against_all_that_it_has_in_the_currency() -> None:
    # Given 20,000 EUR, 15 AAA at the order's 100, 10 CCC last traded at 150 (USD and a stranger do not count): 23,000
    state = limited(max_concentration_bps=1_000)
    state.wallets.put("ANN/CCC", Wallet(10))
    state.positions.put("ANN/CCC", Position(10, market_price=150))
    state.wallets.put("ANN/USD", Wallet(1_000_000))
    state.wallets.put("ANN/BBB", Wallet(1_000))
    state.wallets.put("ANN/ZZZ", Wallet(1_000))
    # When 8 are bought, they are 2,300, a tenth of it
    assert answer(state, 0, 9) == Reason.ABOVE_MAX_CONCENTRATION
    assert answer(state, 1, 8) is None
    assert answer(state, 2, 1) == Reason.ABOVE_MAX_CONCENTRATION


def test_what_was_never_traded_counts_at_its_reference_price() -> None:
    # Given 20,000 EUR, 10 AAA at 300: a tenth of 23,000 + the order's own 0 CCC
    state = limited(max_concentration_bps=1_000)
    state.wallets.put("ANN/AAA", Wallet(10))
    assert answer(state, 0, 24, symbol="CCC") == Reason.ABOVE_MAX_CONCENTRATION
    assert answer(state, 1, 23, symbol="CCC") is None


def test_a_group_is_in_one_symbol_while_it_has_live_orders() -> None:
    state = limited()
    assert answer(state, 0, oco_group="g") is None
    assert answer(state, 1, oco_group="g", symbol="CCC") == Reason.GROUP_SPANS_SYMBOLS
    assert answer(state, 2, oco_group="g") is None
    assert answer(state, 3, oco_group="h", symbol="CCC") is None
    cancelled(state, 0)
    assert answer(state, 4, oco_group="g", symbol="CCC") == Reason.GROUP_SPANS_SYMBOLS
    cancelled(state, 2)
    assert answer(state, 5, oco_group="g", symbol="CCC") is None


def summed(state: State, account_id: str) -> tuple[object, ...]:
    exposure = Exposure()
    for _, hold in state.holds.scan(f"{account_id}/"):
        exposure.add(hold, 1)
    return exposure.open_orders, exposure.buying, exposure.groups


@given(st.integers(0, 2**32).map(Random), st.integers(20, 120))
def test_an_exposure_stays_what_the_holds_add_up_to(dice: Random, length: int) -> None:
    simulation, writer = Simulation(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        simulation.feed(event)
    for account_id in ACCOUNTS:
        exposure_of(simulation.state, account_id)
        simulation.feed(SimEvent(Topic.ACCOUNTS, None, Account(account_id, max_open_orders=5)))
    for _ in range(length):
        simulation.feed(next_event(writer, dice))
    for account_id in ACCOUNTS:
        kept = simulation.state.exposures[account_id]
        assert (kept.open_orders, kept.buying, kept.groups) == summed(simulation.state, account_id)


@pytest.mark.parametrize("limit", ["max_open_orders", "max_position_value", "max_concentration_bps"])
def test_a_limit_of_nothing_lets_nothing_through(limit: str) -> None:
    assert answer(limited(**{limit: 0}), 0) in {
        Reason.TOO_MANY_OPEN_ORDERS,
        Reason.ABOVE_MAX_POSITION,
        Reason.ABOVE_MAX_CONCENTRATION,
    }
