"""Risk of order messages: what is set aside, what is refused for lack of it, and what the book is told."""

import datetime as dt

import msgspec
import pytest

from bourse.pipeline import risk
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Output
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    ApprovedOrder,
    Halt,
    Hold,
    Instrument,
    MarketState,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    SessionKind,
    Side,
    TransactionKind,
    ValidatedOrder,
    Wallet,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX
from tests.account_strategies import MONDAY, announced, ready_state, session

# 10 at 300 with 13 bps: 3000 and a fee of 3.9, of which 3 can be charged at most.
NEEDED = 3_003


def validated(action: OrderAction = OrderAction.NEW, place: int = 0, **different: object) -> ValidatedOrder:
    """Return a message as validation lets it through, but for what a test says otherwise."""
    order = ValidatedOrder(
        f"orders/3/{place}/v0",
        f"3-{place}",
        action,
        f"c{place}",
        "ANN",
        "AAA",
        side=Side.BUY,
        quantity=10,
        price=300,
        participant_id="BROKER",
        event_time_ns=7,
    )
    return msgspec.structs.replace(order, **different)


def funded(**wallets: int) -> State:
    """Return a state in which ANN has so much of each asset available."""
    state = ready_state()
    for asset, available in wallets.items():
        state.wallets.put(f"ANN/{asset}", Wallet(available))
    return state


def decide(state: State, order: ValidatedOrder) -> list[Output]:
    return risk.handle(state, "validated", order.event_id, order, 7)


def refusal_of(state: State, order: ValidatedOrder) -> OrderEvent:
    ((topic, key, event, _),) = decide(state, order)
    assert (topic, key) == ("order-events", "ANN")
    assert isinstance(event, OrderEvent)
    return event


def test_a_buy_blocks_its_value_and_the_highest_fee() -> None:
    state = funded(EUR=5_000)
    state.markets.put("XONE", MarketState("XONE", SessionKind.OPEN, MONDAY))
    outputs = decide(state, validated())
    assert [(topic, key) for topic, key, _, _ in outputs] == [
        ("risk-approved", "AAA"),
        ("order-events", "ANN"),
        ("wallet-transactions", "ANN"),
    ]
    assert [record for _, _, record, _ in outputs] == [
        ApprovedOrder(
            "orders/3/0/v0/r0",
            "3-0",
            OrderAction.NEW,
            "c0",
            "ANN",
            "AAA",
            side=Side.BUY,
            quantity=10,
            price=300,
            participant_id="BROKER",
            event_time_ns=7,
            market="XONE",
            currency="EUR",
            maker_fee_bps=7,
            taker_fee_bps=13,
            settlement_days=1,
            business_date=MONDAY,
            reference_price=300,
        ),
        OrderEvent(
            "orders/3/0/v0/r1",
            "3-0",
            "c0",
            "ANN",
            "AAA",
            OrderStatus.RISK_APPROVED,
            order_quantity=10,
            leaves_quantity=10,
            event_time_ns=7,
        ),
        WalletTransaction(
            "orders/3/0/v0/r2",
            "ANN",
            "EUR",
            TransactionKind.BLOCK,
            NEEDED,
            -NEEDED,
            NEEDED,
            0,
            5_000 - NEEDED,
            NEEDED,
            0,
            "3-0",
            event_time_ns=7,
        ),
    ]
    assert state.holds.get("ANN/3-0") == Hold("ANN", "AAA", Side.BUY, "EUR", 10, 0, 300, 13, NEEDED)
    assert state.wallets.get("ANN/EUR") == Wallet(5_000 - NEEDED, NEEDED)


def test_a_sale_blocks_its_shares_and_no_fee() -> None:
    state = funded(AAA=10)
    decide(state, validated(side=Side.SELL))
    assert state.wallets.get("ANN/AAA") == Wallet(0, 10)
    assert state.holds.get("ANN/3-0") == Hold("ANN", "AAA", Side.SELL, "AAA", 10, 0, 300, 13, 10)


def test_an_instrument_without_fees_needs_its_value_alone() -> None:
    state = funded(USD=3_000)
    decide(state, validated(symbol="BBB"))
    assert state.wallets.get("ANN/USD") == Wallet(0, 3_000)


@pytest.mark.parametrize(
    ("side", "wallets", "reason"),
    [
        (Side.BUY, {"EUR": NEEDED - 1}, Reason.INSUFFICIENT_CASH),
        (Side.BUY, {"USD": 9_999}, Reason.INSUFFICIENT_CASH),
        (Side.BUY, {}, Reason.INSUFFICIENT_CASH),
        (Side.SELL, {"AAA": 9}, Reason.INSUFFICIENT_SHARES),
        (Side.SELL, {"EUR": 9_999}, Reason.INSUFFICIENT_SHARES),
    ],
)
def test_one_unit_short_is_refused_and_blocks_nothing(
    side: Side, wallets: dict[str, int], reason: Reason
) -> None:
    state = funded(**wallets)
    event = refusal_of(state, validated(side=side))
    assert (event.status, event.reason) == (OrderStatus.REJECTED, reason)
    assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (10, 0, 0)
    assert event.text
    assert all(state.wallets.get(f"ANN/{asset}") == Wallet(amount) for asset, amount in wallets.items())
    assert state.holds.get("ANN/3-0") is None


def test_what_is_blocked_or_unsettled_pays_for_nothing() -> None:
    state = ready_state()
    state.wallets.put("ANN/EUR", Wallet(NEEDED - 1, 9_999, 9_999))
    assert refusal_of(state, validated()).reason == Reason.INSUFFICIENT_CASH


def test_an_order_whose_instrument_is_gone_is_refused() -> None:
    assert refusal_of(funded(EUR=5_000), validated(symbol="ZZZ")).reason == Reason.UNKNOWN_SYMBOL


def test_an_order_id_holds_once() -> None:
    state = funded(EUR=50_000)
    decide(state, validated())
    assert refusal_of(state, validated()).reason == Reason.DUPLICATE_ORDER_ID
    assert state.wallets.get("ANN/EUR") == Wallet(50_000 - NEEDED, NEEDED)


def test_a_cancel_goes_on_to_its_book_and_moves_nothing() -> None:
    state = funded(EUR=1)
    cancel = validated(OrderAction.CANCEL, 1, target_order_id="3-0", quantity=0, price=None)
    ((topic, key, approved, _),) = decide(state, cancel)
    assert (topic, key) == ("risk-approved", "AAA")
    assert isinstance(approved, ApprovedOrder)
    assert (approved.order_id, approved.target_order_id, approved.price) == ("3-1", "3-0", None)


def test_a_cancel_of_an_order_whose_instrument_is_gone_goes_on_too() -> None:
    cancel = validated(OrderAction.CANCEL, 1, target_order_id="3-0", symbol="ZZZ")
    ((_, key, approved, _),) = decide(ready_state(), cancel)
    assert isinstance(approved, ApprovedOrder)
    assert (key, approved.market, approved.business_date) == ("ZZZ", "", None)


def test_a_replace_for_more_blocks_the_difference() -> None:
    state = funded(EUR=10_000)
    decide(state, validated())
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=20)
    outputs = decide(state, replace)
    assert [topic for topic, _, _, _ in outputs] == ["risk-approved", "wallet-transactions"]
    more = 6_007 - NEEDED  # 20 at 300 with 13 bps
    transaction = outputs[1][2]
    assert isinstance(transaction, WalletTransaction)
    assert (transaction.kind, transaction.amount) == (TransactionKind.BLOCK, more)
    assert transaction.order_id == "3-0"
    assert state.wallets.get("ANN/EUR") == Wallet(10_000 - 6_007, 6_007)


@pytest.mark.parametrize("quantity", [0, 5, 10])
def test_a_replace_for_no_more_blocks_nothing_and_frees_nothing_yet(quantity: int) -> None:
    state = funded(EUR=10_000)
    decide(state, validated())
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=quantity)
    ((topic, _, _, _),) = decide(state, replace)
    assert topic == "risk-approved"
    assert state.wallets.get("ANN/EUR") == Wallet(10_000 - NEEDED, NEEDED)


def test_a_replace_of_a_sale_holds_the_larger_of_both() -> None:
    state = funded(AAA=25)
    decide(state, validated(side=Side.SELL))
    decide(state, validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=25, side=Side.SELL))
    assert state.wallets.get("ANN/AAA") == Wallet(0, 25)


def test_a_replace_that_cannot_be_paid_is_refused_and_leaves_the_order_as_it_was() -> None:
    state = funded(EUR=6_006)
    decide(state, validated())
    before = state.holds.get("ANN/3-0")
    event = refusal_of(state, validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=20))
    assert (event.status, event.reason) == (OrderStatus.REPLACE_REJECTED, Reason.INSUFFICIENT_CASH)
    assert (event.order_id, event.target_order_id) == ("3-1", "3-0")
    assert (event.order_quantity, event.leaves_quantity) == (0, 0)
    assert state.holds.get("ANN/3-0") == before


def test_a_replace_of_a_finished_order_is_refused() -> None:
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0")
    event = refusal_of(ready_state(), replace)
    assert (event.status, event.reason) == (OrderStatus.REPLACE_REJECTED, Reason.ORDER_FINISHED)


@pytest.mark.parametrize(
    ("account", "quantity", "reason"),
    [
        (Account("ANN"), INT64_MAX, Reason.VALUE_OVERFLOW),
        (Account("ANN", max_order_value=5_999), 20, Reason.ABOVE_MAX_VALUE),
        (None, 1_000, Reason.INSUFFICIENT_CASH),
    ],
)
def test_a_replace_that_keeps_its_price_is_held_to_the_limits_here(
    account: Account | None, quantity: int, reason: Reason
) -> None:
    state = funded(EUR=50_000)
    decide(state, validated())
    state.accounts.delete("ANN")
    if account is not None:
        state.accounts.put("ANN", account)
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=quantity, price=None)
    assert refusal_of(state, replace).reason == reason


def test_the_book_is_not_told_a_price_that_a_replace_does_not_name() -> None:
    state = funded(EUR=50_000)
    decide(state, validated())
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=5, price=None)
    ((_, _, approved, _),) = decide(state, replace)
    assert isinstance(approved, ApprovedOrder)
    assert approved.price is None


def test_fees_of_a_live_order_do_not_rise_above_what_it_holds() -> None:
    state = funded(EUR=50_000)
    decide(state, validated())
    state.instruments.put("AAA", Instrument("AAA", market="XONE", maker_fee_bps=20, taker_fee_bps=5))
    replace = validated(OrderAction.REPLACE, 1, target_order_id="3-0", quantity=5)
    ((_, _, approved, _),) = decide(state, replace)
    assert isinstance(approved, ApprovedOrder)
    assert (approved.maker_fee_bps, approved.taker_fee_bps) == (13, 5)


def test_a_mass_cancel_of_one_symbol_goes_to_its_book() -> None:
    ((_, key, _, _),) = decide(ready_state(), validated(OrderAction.MASS_CANCEL, 1, side=None))
    assert key == "AAA"


def test_a_mass_cancel_of_all_goes_to_each_book_with_live_orders_once() -> None:
    state = funded(EUR=50_000, USD=50_000, CCC=5)
    for place, symbol, side in ((0, "CCC", Side.SELL), (1, "AAA", Side.BUY), (2, "AAA", Side.BUY)):
        decide(state, validated(place=place, symbol=symbol, side=side, quantity=5))
    state.holds.put("ANNE/9-9", Hold("ANNE", "BBB", Side.BUY, "USD", 1, 0, 1, 0, 1))
    outputs = decide(state, validated(OrderAction.MASS_CANCEL, 5, symbol=None))
    assert [key for _, key, _, _ in outputs] == ["AAA", "CCC"]
    assert [record.event_id for _, _, record, _ in outputs] == ["orders/3/5/v0/r0", "orders/3/5/v0/r1"]


def test_a_mass_cancel_of_nothing_is_refused() -> None:
    event = refusal_of(ready_state(), validated(OrderAction.MASS_CANCEL, 5, symbol=None))
    assert (event.status, event.reason) == (OrderStatus.CANCEL_REJECTED, Reason.NOTHING_TO_CANCEL)


@pytest.mark.parametrize(
    ("action", "different"),
    [
        (OrderAction.NEW, {"symbol": None}),
        (OrderAction.NEW, {"side": None}),
        (OrderAction.NEW, {"price": None}),
        (OrderAction.NEW, {"price": 0}),
        (OrderAction.NEW, {"order_type": OrderType.STOP, "price": None, "stop_price": -1}),
        (OrderAction.NEW, {"quantity": 0}),
        (OrderAction.CANCEL, {"symbol": None}),
        (OrderAction.REPLACE, {"target_order_id": None}),
    ],
)
def test_what_validation_never_lets_through_is_not_ours(
    action: OrderAction, different: dict[str, object]
) -> None:
    with pytest.raises(NotOurs, match="without"):
        decide(funded(EUR=5_000), validated(action, **different))


def test_announcements_change_nothing_here_and_other_records_are_not_ours() -> None:
    day = announced(session=session(SessionKind.OPEN, dt.date(2024, 1, 9)))
    assert risk.handle(ready_state(), "announcements", "e", day, 0) == []
    with pytest.raises(NotOurs, match="no use for a Halt"):
        risk.handle(ready_state(), "validated", "e", Halt(), 0)
