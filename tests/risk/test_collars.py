"""Orders without a limit: how far they may reach, and what is blocked for them."""

import pytest

from bourse.pipeline import positions, risk
from bourse.pipeline.outputs import Record
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    ApprovedOrder,
    Hold,
    Instrument,
    OrderAction,
    OrderEvent,
    OrderType,
    Release,
    ReleaseReason,
    Side,
    ValidatedOrder,
    Wallet,
)
from bourse.schemas.units import INT64_MAX
from tests.account_strategies import ready_state

CASH = 1_000_000


def given(cash: int = CASH, **terms: object) -> State:
    state = ready_state(Instrument("AAA", market="XONE", **terms))
    state.wallets.put("ANN/EUR", Wallet(cash))
    state.wallets.put("ANN/AAA", Wallet(1_000))
    return state


def sent(
    state: State, order_type: OrderType, side: Side = Side.BUY, number: int = 0, **different: object
) -> Record:
    """Send an order, and return what the book or the account is told of it."""
    fields = {"action": OrderAction.NEW, "quantity": 10, **different}
    action = fields.pop("action")
    order = ValidatedOrder(
        "e", f"0-{number}", action, f"c{number}", "ANN", "AAA", side=side, order_type=order_type, **fields
    )
    first, *_ = risk.handle(state, "validated", "e", order, 0)
    return first[2]


def worst_price(
    state: State, order_type: OrderType, side: Side = Side.BUY, **different: object
) -> int | None:
    approved = sent(state, order_type, side, **different)
    assert isinstance(approved, ApprovedOrder), approved
    assert approved.price is None
    return approved.protective_price


def hold_of(state: State) -> Hold:
    hold = state.holds.get("ANN/0-0")
    assert hold is not None
    return hold


COLLARED = {"reference_price": 1_000, "collar_bps": 333, "tick_size": 5}


@pytest.mark.parametrize(
    ("order_type", "side", "prices", "worst"),
    [
        (OrderType.MARKET, Side.BUY, {}, 1_030),  # 1,033.3, in ticks inwards
        (OrderType.MARKET, Side.SELL, {}, 970),  # 966.7
        (OrderType.STOP, Side.BUY, {"stop_price": 2_000}, 2_065),  # 2,066.6
        (OrderType.STOP, Side.SELL, {"stop_price": 2_000}, 1_935),  # 1,933.4
        (OrderType.TRAILING_STOP, Side.BUY, {"trail_amount": 100}, 1_135),  # 1,136.63
        (OrderType.TRAILING_STOP, Side.SELL, {"trail_amount": 100, "stop_price": 2_000}, 1_935),
        # It starts where the market is, which may be far below the reference price, and costs no cash.
        (OrderType.TRAILING_STOP, Side.SELL, {"trail_amount": 100}, None),
        (OrderType.TRAILING_STOP, Side.BUY, {"trail_amount": 100, "stop_price": 2_000}, 2_065),
    ],
)
def test_an_order_reaches_as_far_as_the_collar_from_where_it_starts(
    order_type: OrderType, side: Side, prices: dict[str, int], worst: int | None
) -> None:
    assert worst_price(given(**COLLARED), order_type, side, **prices) == worst


def test_a_market_order_stays_within_the_static_band_and_a_stop_need_not() -> None:
    state = given(**COLLARED, price_band_bps=100)
    assert worst_price(state, OrderType.MARKET) == 1_010
    assert worst_price(state, OrderType.STOP, number=1, stop_price=2_000) == 2_065
    only_band = given(reference_price=1_000, price_band_bps=100)
    assert worst_price(only_band, OrderType.MARKET, Side.SELL) == 990


@pytest.mark.parametrize(
    ("order_type", "prices"),
    [
        (OrderType.MARKET, {}),
        (OrderType.STOP, {"stop_price": 50}),
        (OrderType.TRAILING_STOP, {"trail_amount": 5}),
    ],
)
def test_a_sell_without_a_collar_trades_at_any_price(order_type: OrderType, prices: dict[str, int]) -> None:
    state = given(reference_price=1_000)
    assert worst_price(state, order_type, Side.SELL, **prices) is None
    assert (hold_of(state).blocked, hold_of(state).asset) == (10, "AAA")


@pytest.mark.parametrize(
    ("reference", "told"), [(1_000, 1_000), (1_004, 1_000), (3, 5), (0, 0), (None, None)]
)
def test_the_book_is_told_a_reference_price_in_ticks_as_an_auction_may_trade_at_it(
    reference: int | None, told: int | None
) -> None:
    approved = sent(given(reference_price=reference, tick_size=5), OrderType.LIMIT, Side.SELL, price=1_000)
    assert isinstance(approved, ApprovedOrder)
    assert approved.reference_price == told


def test_a_sell_without_a_reference_price_has_no_collar_to_keep_to() -> None:
    assert worst_price(given(collar_bps=100), OrderType.MARKET, Side.SELL) is None


def test_a_buy_is_blocked_for_at_its_worst_price_with_its_fee() -> None:
    state = given(**COLLARED, taker_fee_bps=100)
    worst_price(state, OrderType.MARKET)
    assert hold_of(state).blocked == 10_300 + 103
    assert state.wallets.get("ANN/EUR") == Wallet(CASH - 10_403, 10_403)


@pytest.mark.parametrize(
    ("cash", "worst"),
    [
        (CASH, 2_000),  # at most twice the reference price
        (15_000, 1_485),  # or what the account has: 15,000 / 1.01 for 10
        (10_100, 1_000),
    ],
)
def test_a_market_buy_without_a_collar_reaches_as_far_as_the_account_can_pay(cash: int, worst: int) -> None:
    state = given(cash, reference_price=1_000, taker_fee_bps=100)
    assert worst_price(state, OrderType.MARKET) == worst


def test_a_market_buy_that_cannot_be_paid_at_the_reference_price_is_refused() -> None:
    refused = sent(given(10_099, reference_price=1_000, taker_fee_bps=100), OrderType.MARKET)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == Reason.INSUFFICIENT_CASH


def test_without_a_reference_price_all_that_the_account_can_pay_is_blocked_for_a_moment() -> None:
    state = given(12_345, tick_size=5)
    assert worst_price(state, OrderType.MARKET) == 1_230
    assert state.wallets.get("ANN/EUR") == Wallet(45, 12_300)
    broke = sent(given(0), OrderType.MARKET)
    assert isinstance(broke, OrderEvent)
    assert broke.reason == Reason.INSUFFICIENT_CASH


def test_what_a_buy_may_cost_at_most_is_within_the_limits_of_value() -> None:
    assert worst_price(given(max_order_value=4_000), OrderType.MARKET) == 400
    too_much = sent(given(max_order_value=4_000, reference_price=500), OrderType.MARKET)
    assert isinstance(too_much, OrderEvent)
    assert too_much.reason == Reason.ABOVE_MAX_VALUE
    too_much = sent(given(max_order_value=4_000, reference_price=500), OrderType.MARKET, Side.SELL)
    assert isinstance(too_much, OrderEvent)
    assert too_much.reason == Reason.ABOVE_MAX_VALUE


def test_a_limit_below_nothing_leaves_nothing_to_pay_with() -> None:
    # Given a limit that was learnt before such limits were refused
    refused = sent(given(max_order_value=-1), OrderType.MARKET, quantity=1)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == Reason.ABOVE_MAX_VALUE


def test_a_stop_to_buy_without_a_collar_has_a_small_one_as_its_block_lasts() -> None:
    assert worst_price(given(), OrderType.STOP, stop_price=1_000) == 1_100


def test_a_trailing_stop_to_buy_has_to_start_somewhere() -> None:
    refused = sent(given(), OrderType.TRAILING_STOP, trail_amount=5)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == Reason.NO_REFERENCE_PRICE
    assert worst_price(given(), OrderType.TRAILING_STOP, trail_amount=5, stop_price=1_000) == 1_100


def test_a_stop_limit_is_blocked_for_at_its_limit() -> None:
    state = given(**COLLARED)
    approved = sent(state, OrderType.STOP_LIMIT, price=1_200, stop_price=1_100)
    assert isinstance(approved, ApprovedOrder)
    assert (approved.price, approved.protective_price, approved.stop_price) == (1_200, None, 1_100)
    assert hold_of(state).blocked == 12_000


def test_a_contract_is_worth_its_multiplier() -> None:
    state = given(reference_price=100, collar_bps=0, multiplier=50, taker_fee_bps=100)
    approved = sent(state, OrderType.MARKET)
    assert isinstance(approved, ApprovedOrder)
    assert (approved.protective_price, approved.multiplier) == (100, 50)
    assert hold_of(state).blocked == 50_000 + 500


def replaced(state: State, **different: object) -> Record:
    fields = {"action": OrderAction.REPLACE, "target_order_id": "0-0", "number": 1, **different}
    order_type = fields.pop("order_type", OrderType.LIMIT)
    return sent(state, order_type, **fields)


def answered(state: State, release: Release) -> None:
    positions.handle(state, "releases", "e", release, 0)


def test_a_replace_of_a_stop_moves_its_worst_price_with_its_stop_price() -> None:
    state = given(**COLLARED)
    worst_price(state, OrderType.STOP, stop_price=2_000)
    asked = replaced(state, stop_price=3_000)
    assert isinstance(asked, ApprovedOrder)
    assert (asked.price, asked.protective_price, asked.stop_price) == (None, 3_095, 3_000)
    assert hold_of(state).blocked == 30_950


def test_a_replace_of_a_trailing_stop_moves_its_worst_price_with_its_distance() -> None:
    state = given(**COLLARED)
    worst_price(state, OrderType.TRAILING_STOP, trail_amount=100)
    asked = replaced(state, trail_amount=200)
    assert isinstance(asked, ApprovedOrder)
    assert (asked.protective_price, asked.trail_amount) == (1_235, 200)  # 1,135 and 100 more
    assert hold_of(state).blocked == 12_350


@pytest.mark.parametrize(("side", "moved"), [(Side.BUY, 2_065 + 50), (Side.SELL, 1_935 - 50)])
def test_a_worst_price_moves_as_far_as_a_distance_changes_wherever_it_began(side: Side, moved: int) -> None:
    # Given a stop that began far from the reference price
    state = given(**COLLARED)
    worst = worst_price(state, OrderType.TRAILING_STOP, side, trail_amount=100, stop_price=2_000)
    asked = replaced(state, side=side, trail_amount=150)
    assert isinstance(asked, ApprovedOrder)
    assert asked.protective_price == moved
    # When that is answered, the next one moves it back
    price = asked.protective_price
    answered(state, Release("", "0-0", "ANN", "AAA", side, 0, ReleaseReason.REPLACED, 0, "0-1", 10, price, 0))
    back = replaced(state, side=side, number=2, trail_amount=100)
    assert isinstance(back, ApprovedOrder)
    assert back.protective_price == worst


def test_a_worst_price_moves_from_the_dearest_that_the_order_may_have() -> None:
    # Given two replaces under way, of the distance and of where it starts
    state = given(**COLLARED)
    worst_price(state, OrderType.TRAILING_STOP, trail_amount=100, stop_price=1_000)
    replaced(state, trail_amount=50)
    replaced(state, number=2, stop_price=2_000)
    # Then a third must do for the second with the distance of the first
    asked = replaced(state, number=3, trail_amount=80)
    assert isinstance(asked, ApprovedOrder)
    assert asked.protective_price == 2_065 + 30
    assert hold_of(state).blocked == 10 * (2_065 + 30)


def test_a_sell_that_has_no_worst_price_gets_none_from_its_distance() -> None:
    state = given(**COLLARED)
    assert worst_price(state, OrderType.TRAILING_STOP, Side.SELL, trail_amount=100) is None
    asked = replaced(state, side=Side.SELL, trail_amount=50)
    assert isinstance(asked, ApprovedOrder)
    assert asked.protective_price is None


@pytest.mark.parametrize("order_type", [OrderType.STOP, OrderType.TRAILING_STOP])
def test_a_sell_whose_collar_is_gone_trades_at_any_price_once_its_stop_is_replaced(
    order_type: OrderType,
) -> None:
    state = given(**COLLARED)
    trail = 100 if order_type is OrderType.TRAILING_STOP else None
    worst_price(state, order_type, Side.SELL, stop_price=2_000, trail_amount=trail)
    state.instruments.put("AAA", Instrument("AAA", market="XONE"))
    asked = replaced(state, side=Side.SELL, stop_price=1_500)
    assert isinstance(asked, ApprovedOrder)
    assert asked.protective_price == 0
    answered(
        state, Release("", "0-0", "ANN", "AAA", Side.SELL, 0, ReleaseReason.REPLACED, 0, "0-1", 10, None, 0)
    )
    assert hold_of(state).price == 0


@pytest.mark.parametrize(
    ("order_type", "prices", "extreme"),
    [
        (OrderType.STOP, {"stop_price": 1_000}, {"stop_price": INT64_MAX}),
        (OrderType.TRAILING_STOP, {"trail_amount": 5}, {"trail_amount": INT64_MAX}),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_a_price_too_big_to_be_written_is_refused_even_for_a_quantity_of_nothing(
    order_type: OrderType, prices: dict[str, int], extreme: dict[str, int], side: Side
) -> None:
    state = given(reference_price=1_000)
    sent(state, order_type, side, **prices)
    before = hold_of(state)
    answer = replaced(state, quantity=0, side=side, **extreme)
    if side is Side.BUY:
        assert isinstance(answer, OrderEvent)
        assert answer.reason == Reason.VALUE_OVERFLOW
        assert hold_of(state) == before
    else:
        assert isinstance(answer, ApprovedOrder)


def test_a_worst_price_that_rounds_up_beyond_what_can_be_written_is_refused() -> None:
    # Given a tick size that changed after validation let the order through
    state = given(collar_bps=0, tick_size=10)
    refused = sent(state, OrderType.STOP, Side.SELL, quantity=1, stop_price=INT64_MAX)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == Reason.VALUE_OVERFLOW


@pytest.mark.parametrize("order_type", [OrderType.MARKET, OrderType.TRAILING_STOP])
def test_a_replace_without_prices_keeps_the_worst_price(order_type: OrderType) -> None:
    state = given(**COLLARED)
    trail = 100 if order_type is OrderType.TRAILING_STOP else None
    worst = worst_price(state, order_type, trail_amount=trail)
    asked = replaced(state, quantity=20)
    assert isinstance(asked, ApprovedOrder)
    assert (asked.price, asked.protective_price) == (None, None)
    assert hold_of(state).blocked == 20 * worst


@pytest.mark.parametrize(
    ("order_type", "prices", "different", "reason"),
    [
        (OrderType.LIMIT, {"price": 1_000}, {"order_type": OrderType.MARKET}, Reason.TARGET_MISMATCH),
        (OrderType.STOP, {"stop_price": 1_000}, {"order_type": OrderType.STOP_LIMIT}, Reason.TARGET_MISMATCH),
        (OrderType.STOP, {"stop_price": 1_000}, {"price": 1_000}, Reason.INVALID_INSTRUCTION),
        (OrderType.MARKET, {}, {"price": 1_000}, Reason.INVALID_INSTRUCTION),
        (OrderType.LIMIT, {"price": 1_000}, {"stop_price": 1_000}, Reason.INVALID_INSTRUCTION),
        (OrderType.STOP, {"stop_price": 1_000}, {"trail_amount": 5}, Reason.INVALID_INSTRUCTION),
        (OrderType.STOP, {"stop_price": 1_000}, {"display_quantity": 5}, Reason.INVALID_INSTRUCTION),
    ],
)
def test_a_replace_changes_only_what_the_order_has(
    order_type: OrderType, prices: dict[str, int], different: dict[str, object], reason: Reason
) -> None:
    state = given(**COLLARED)
    sent(state, order_type, **prices)
    before = hold_of(state)
    refused = replaced(state, **different)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == reason
    assert hold_of(state) == before


def test_a_replace_may_name_the_type_of_its_order() -> None:
    state = given(**COLLARED)
    sent(state, OrderType.STOP, stop_price=1_000)
    assert isinstance(replaced(state, order_type=OrderType.STOP, quantity=5), ApprovedOrder)


def test_an_account_that_nobody_told_of_has_no_limits() -> None:
    state = given(**COLLARED)
    state.accounts.delete("ANN")
    assert worst_price(state, OrderType.MARKET) == 1_030
    state.accounts.put("ANN", Account("ANN", max_order_value=1))
    refused = sent(state, OrderType.MARKET, number=1)
    assert isinstance(refused, OrderEvent)
    assert refused.reason == Reason.ABOVE_MAX_VALUE
