"""Validation of order messages: what is accepted, what is refused and why, and that each id counts once."""

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.pipeline import validation
from bourse.pipeline.digests import order_digest
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Record
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.pipeline.validation import rates, reference
from bourse.schemas.records import (
    Account,
    AccountStatus,
    Announcement,
    AnnouncementKind,
    ClientOrder,
    Halt,
    Instrument,
    InstrumentStatus,
    MarketState,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    SessionEvent,
    SessionKind,
    Side,
    TickBand,
    TimeInForce,
    ValidatedOrder,
)
from bourse.schemas.units import INT64_MAX, TimeNs
from tests.account_strategies import MONDAY, NINE_O_CLOCK_NS, new_order, ready_state, request

LOTS = Instrument(
    "LOT",
    market="XONE",
    tick_size=5,
    lot_size=10,
    max_order_quantity=1_000,
    max_order_value=430_000,
    taker_fee_bps=1,
    reference_price=300,
    price_band_bps=4_800,
    tick_table=(TickBand(1_000, 10), TickBand(2_000, 20)),
)


def decide(state: State, order: Order, offset: int = 0) -> list[Record]:
    """Validate one order and return the records that come of it."""
    return [
        record
        for _, _, record, _ in validation.handle(
            state, "orders", f"orders/3/{offset}", order, order.sent_time_ns
        )
    ]


def refusal_of(state: State, order: Order, offset: int = 9) -> OrderEvent:
    """Validate one order that is refused, and return the refusal."""
    (event,) = decide(state, order, offset)
    assert isinstance(event, OrderEvent)
    return event


FORMS = [
    {"order_type": order_type, "price": price, "stop_price": stop, "trail_amount": trail}
    for order_type, price, stop, trail in (
        (OrderType.MARKET, None, None, None),
        (OrderType.LIMIT, 300, None, None),
        (OrderType.STOP, None, 310, None),
        (OrderType.STOP_LIMIT, 320, 310, None),
        (OrderType.STOP_LIMIT, 300, 310, None),
        (OrderType.TRAILING_STOP, None, None, 10),
        (OrderType.TRAILING_STOP, None, 310, 10),
    )
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lasts", [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC])
def test_every_type_of_order_goes_on_as_it_was_sent(form: dict[str, object], lasts: TimeInForce) -> None:
    expires = NINE_O_CLOCK_NS + 1 if lasts is TimeInForce.GTD else None
    order = new_order(**form, time_in_force=lasts, expire_time_ns=expires, oco_group="g")
    validated, _ = decide(ready_state(), order)
    assert isinstance(validated, ValidatedOrder)
    for field in (*form, "time_in_force", "expire_time_ns", "oco_group"):
        assert getattr(validated, field) == getattr(order, field)


def test_what_is_shown_and_what_never_takes_go_on_too() -> None:
    order = new_order(display_quantity=4, post_only=True, self_trade_prevention=SelfTradePrevention.DECREMENT)
    validated, _ = decide(ready_state(), order)
    assert isinstance(validated, ValidatedOrder)
    assert (validated.display_quantity, validated.post_only) == (4, True)
    assert validated.self_trade_prevention is SelfTradePrevention.DECREMENT


ORDERS_OF_PHASES = {
    "day": {},
    "at open": {"time_in_force": TimeInForce.AT_OPEN},
    "at close": {"time_in_force": TimeInForce.AT_CLOSE},
    "IOC": {"time_in_force": TimeInForce.IOC},
    "FOK": {"time_in_force": TimeInForce.FOK},
    "post-only": {"post_only": True},
}


@pytest.mark.parametrize(
    ("phase", "entering"),
    [
        (SessionKind.PRE_OPEN, {"day", "at open", "at close"}),
        (SessionKind.OPENING_AUCTION, {"day", "at open", "at close"}),
        (SessionKind.OPEN, {"day", "at close", "IOC", "FOK", "post-only"}),
        (SessionKind.CLOSING_AUCTION, {"day", "at close"}),
        (SessionKind.CLOSED, set()),
    ],
)
def test_what_may_enter_in_which_phase(phase: SessionKind, entering: set[str]) -> None:
    state = ready_state()
    state.markets.put("XONE", MarketState("XONE", phase, MONDAY))
    refused = Reason.MARKET_CLOSED if phase is SessionKind.CLOSED else Reason.WRONG_PHASE
    for name, different in ORDERS_OF_PHASES.items():
        first, *_ = decide(state, new_order(name.replace(" ", "-"), **different))
        if name in entering:
            assert isinstance(first, ValidatedOrder), (phase, name)
        else:
            assert isinstance(first, OrderEvent)
            assert first.reason == refused, (phase, name)


@pytest.mark.parametrize("phase", [SessionKind.PRE_OPEN, SessionKind.CLOSING_AUCTION])
def test_an_order_can_be_changed_while_orders_are_collected(phase: SessionKind) -> None:
    state = ready_state()
    decide(state, new_order("c1", post_only=True))
    state.markets.put("XONE", MarketState("XONE", phase, MONDAY))
    assert len(decide(state, request(OrderAction.REPLACE, "c2", "c1", quantity=5))) == 1


def test_an_instrument_trades_on_its_last_day_and_not_after() -> None:
    state = ready_state(Instrument("AAA", market="XONE", expiry_date=MONDAY))
    assert len(decide(state, new_order("c1"))) == 2
    state.markets.put("XONE", MarketState("XONE", SessionKind.OPEN, MONDAY + dt.timedelta(1)))
    assert refusal_of(state, new_order("c2")).reason == Reason.SYMBOL_EXPIRED
    assert len(decide(state, request(OrderAction.CANCEL, "c3", "c1"))) == 1


def test_an_account_may_send_so_many_messages_a_second() -> None:
    state = ready_state()
    state.accounts.put("ANN", Account("ANN", max_messages_per_second=2))

    def answer(name: str, time_ns: int) -> str | None:
        first, *_ = decide(state, new_order(name, sent_time_ns=time_ns))
        return first.reason if isinstance(first, OrderEvent) else None

    second = 10**9
    assert [answer("a", second), answer("b", 2 * second - 1), answer("c", 2 * second - 1)] == [
        None,
        None,
        Reason.TOO_MANY_MESSAGES,
    ]
    # A cancel is let through, an earlier time is no way round, and nothing is remembered of what was refused.
    assert len(decide(state, request(OrderAction.CANCEL, "x", "a", sent_time_ns=second))) == 1
    assert answer("d", 0) == Reason.TOO_MANY_MESSAGES
    assert answer("c", 2 * second) is None


def test_one_wrong_time_far_ahead_does_not_use_up_the_messages_of_all_times_before_it() -> None:
    state = ready_state()
    state.accounts.put("ANN", Account("ANN", max_messages_per_second=1))

    def is_taken(name: str, time_ns: int) -> bool:
        first, *_ = decide(state, new_order(name, sent_time_ns=time_ns))
        return not isinstance(first, OrderEvent)

    minute = rates.OUT_OF_ORDER_S * 10**9
    # Given a message of the year 2240
    assert is_taken("a", 5 * NINE_O_CLOCK_NS)
    # Then those within a minute before it wait for it, and the one before that shows what time it is
    assert not is_taken("b", 5 * NINE_O_CLOCK_NS - minute)
    assert is_taken("c", NINE_O_CLOCK_NS)
    assert not is_taken("d", NINE_O_CLOCK_NS)
    assert is_taken("e", NINE_O_CLOCK_NS + 10**9)


def test_what_an_account_has_sent_is_forgotten_with_its_limit() -> None:
    state = ready_state()
    validation.handle(state, "accounts", "c", Account("ANN", max_messages_per_second=1), 0)
    decide(state, new_order())
    assert state.message_rates.get("ANN") is not None
    validation.handle(state, "accounts", "c", Account("ANN"), 0)
    assert state.message_rates.get("ANN") is None


def test_an_account_without_a_limit_is_not_counted() -> None:
    state = ready_state()
    decide(state, new_order())
    assert state.message_rates.get("ANN") is None


def test_a_new_order_gets_its_id_from_its_position_and_goes_on_to_risk() -> None:
    state = ready_state()
    outputs = validation.handle(state, "orders", "orders/3/1234", new_order(), NINE_O_CLOCK_NS)
    assert [(topic, key) for topic, key, _, _ in outputs] == [("validated", "ANN"), ("order-events", "ANN")]
    validated, event = (record for _, _, record, _ in outputs)
    assert validated == ValidatedOrder(
        "orders/3/1234/v0",
        "3-1234",
        OrderAction.NEW,
        "c1",
        "ANN",
        "AAA",
        None,
        None,
        Side.BUY,
        quantity=10,
        price=300,
        participant_id="BROKER",
        event_time_ns=NINE_O_CLOCK_NS,
    )
    assert event == OrderEvent(
        "orders/3/1234/v1",
        "3-1234",
        "c1",
        "ANN",
        "AAA",
        OrderStatus.VALIDATED,
        order_quantity=10,
        leaves_quantity=10,
        event_time_ns=NINE_O_CLOCK_NS,
    )
    assert state.client_orders.get("ANN/c1") == ClientOrder(
        "3-1234", order_digest(new_order()), "AAA", Side.BUY, MONDAY
    )


def test_the_first_order_of_a_market_begins_its_business_date() -> None:
    state = ready_state()
    decide(state, new_order())
    market = state.markets.get("XONE")
    assert market is not None
    assert (market.phase, market.business_date) == (SessionKind.OPEN, MONDAY)


def test_a_client_order_id_belongs_to_the_markets_business_day() -> None:
    state = ready_state()
    state.markets.put("XONE", MarketState("XONE", SessionKind.OPEN, dt.date(2024, 2, 1)))
    decide(state, new_order())
    decide(state, request(OrderAction.REPLACE, quantity=5), 1)
    for name in ("c1", "c2"):
        row = state.client_orders.get(f"ANN/{name}")
        assert row is not None
        assert row.business_day == dt.date(2024, 2, 1)


def suspend(state: State) -> None:
    state.accounts.put("ANN", Account("ANN", status=AccountStatus.SUSPENDED))


def close_account(state: State) -> None:
    state.accounts.put("ANN", Account("ANN", status=AccountStatus.CLOSED))


def limit_account(state: State) -> None:
    state.accounts.put("ANN", Account("ANN", max_order_value=2_999))


def delist(state: State) -> None:
    state.instruments.put("AAA", Instrument("AAA", market="XONE", status=InstrumentStatus.DELISTED))


def expire_symbol(state: State) -> None:
    state.instruments.put("AAA", Instrument("AAA", market="XONE", expiry_date=MONDAY - dt.timedelta(1)))


def suspend_symbol(state: State) -> None:
    state.instruments.put("AAA", Instrument("AAA", market="XONE", status=InstrumentStatus.HALTED))


def announce(state: State, kind: SessionKind, symbol: str | None = None) -> None:
    session = SessionEvent("XONE", kind, symbol, MONDAY)
    announcement = Announcement("sessions/0/0/a0", AnnouncementKind.SESSION, session=session)
    reference.learn(state, announcement, announcement.event_id, TimeNs(1))


def halt_symbol(state: State) -> None:
    announce(state, SessionKind.HALT, "AAA")


def halt_market(state: State) -> None:
    announce(state, SessionKind.HALT)


def close_market(state: State) -> None:
    announce(state, SessionKind.CLOSED)


def close_symbol(state: State) -> None:
    announce(state, SessionKind.CLOSED, "AAA")


def nothing(_: State) -> None:
    pass


Change = Callable[[State], None]
LOT_ORDER = {"symbol": "LOT", "price": 305}
MARKET_ORDER = {"order_type": OrderType.MARKET, "price": None}
STOP_ORDER = {"order_type": OrderType.STOP, "price": None, "stop_price": 310}

FAULTS = [
    # reason, what is different about the state, what is different about the order
    (Reason.MALFORMED_ID, nothing, {"account_id": "AN/N"}),
    (Reason.MALFORMED_ID, nothing, {"client_order_id": ""}),
    (Reason.MALFORMED_ID, nothing, {"client_order_id": "x" * 65}),
    (Reason.MALFORMED_ID, nothing, {"client_order_id": "naïve"}),
    (Reason.MALFORMED_ID, nothing, {"symbol": "A A"}),
    (Reason.MALFORMED_ID, nothing, {"target_client_order_id": "a\nb"}),
    (Reason.MALFORMED_ID, nothing, {"oco_group": "a b"}),
    (Reason.UNKNOWN_ACCOUNT, nothing, {"account_id": "ZOE"}),
    (Reason.ACCOUNT_SUSPENDED, suspend, {}),
    (Reason.ACCOUNT_CLOSED, close_account, {}),
    (Reason.UNKNOWN_SYMBOL, nothing, {"symbol": "ZZZ"}),
    (Reason.UNKNOWN_SYMBOL, nothing, {"symbol": None}),
    (Reason.SYMBOL_DELISTED, delist, {}),
    (Reason.SYMBOL_HALTED, suspend_symbol, {}),
    (Reason.SYMBOL_HALTED, halt_symbol, {}),
    (Reason.MARKET_HALTED, halt_market, {}),
    (Reason.MARKET_CLOSED, close_market, {}),
    (Reason.MARKET_CLOSED, close_symbol, {}),
    (Reason.SYMBOL_EXPIRED, expire_symbol, {}),
    (Reason.WRONG_PHASE, nothing, {"time_in_force": TimeInForce.AT_OPEN}),
    (Reason.INVALID_INSTRUCTION, nothing, {"order_type": OrderType.MARKET, "price": 300}),
    (Reason.INVALID_INSTRUCTION, nothing, {"order_type": OrderType.STOP, "price": 300, "stop_price": 1}),
    (Reason.INVALID_INSTRUCTION, nothing, {"order_type": OrderType.LIMIT, "stop_price": 1}),
    (Reason.INVALID_INSTRUCTION, nothing, {"order_type": OrderType.LIMIT, "trail_amount": 1}),
    (Reason.INVALID_INSTRUCTION, nothing, {"display_quantity": 1, "time_in_force": TimeInForce.IOC}),
    (Reason.INVALID_INSTRUCTION, nothing, {**MARKET_ORDER, "display_quantity": 1}),
    (Reason.INVALID_INSTRUCTION, nothing, {"post_only": True, "time_in_force": TimeInForce.FOK}),
    (Reason.INVALID_INSTRUCTION, nothing, {"post_only": True, "time_in_force": TimeInForce.AT_CLOSE}),
    (Reason.INVALID_INSTRUCTION, nothing, {**MARKET_ORDER, "post_only": True}),
    (Reason.INVALID_INSTRUCTION, nothing, {**STOP_ORDER, "time_in_force": TimeInForce.AT_CLOSE}),
    (
        Reason.INVALID_INSTRUCTION,
        nothing,
        {"time_in_force": TimeInForce.DAY, "expire_time_ns": NINE_O_CLOCK_NS + 1},
    ),
    (Reason.INVALID_EXPIRE_TIME, nothing, {"time_in_force": TimeInForce.GTD, "expire_time_ns": None}),
    (
        Reason.INVALID_EXPIRE_TIME,
        nothing,
        {"time_in_force": TimeInForce.GTD, "expire_time_ns": NINE_O_CLOCK_NS},
    ),
    (Reason.INVALID_EXPIRE_TIME, nothing, {"time_in_force": TimeInForce.GTD, "expire_time_ns": -1}),
    (Reason.MISSING_SIDE, nothing, {"side": None}),
    (Reason.INVALID_QUANTITY, nothing, {"quantity": 0}),
    (Reason.INVALID_QUANTITY, nothing, {"quantity": -10}),
    (Reason.WRONG_LOT, nothing, {**LOT_ORDER, "quantity": 15}),
    (Reason.ABOVE_MAX_QUANTITY, nothing, {**LOT_ORDER, "quantity": 1_010}),
    (Reason.INVALID_DISPLAY_QUANTITY, nothing, {"display_quantity": 0}),
    (Reason.INVALID_DISPLAY_QUANTITY, nothing, {"quantity": 10, "display_quantity": 11}),
    (Reason.INVALID_DISPLAY_QUANTITY, nothing, {**LOT_ORDER, "quantity": 20, "display_quantity": 15}),
    (Reason.MISSING_PRICE, nothing, {"order_type": OrderType.LIMIT, "price": None}),
    (Reason.MISSING_PRICE, nothing, {**STOP_ORDER, "stop_price": None}),
    (Reason.MISSING_PRICE, nothing, {"order_type": OrderType.STOP_LIMIT, "price": 300, "stop_price": None}),
    (Reason.MISSING_PRICE, nothing, {"order_type": OrderType.STOP_LIMIT, "price": None, "stop_price": 1}),
    (
        Reason.MISSING_PRICE,
        nothing,
        {"order_type": OrderType.TRAILING_STOP, "price": None, "trail_amount": None},
    ),
    (Reason.INVALID_PRICE, nothing, {**STOP_ORDER, "stop_price": 0}),
    (
        Reason.INVALID_PRICE,
        nothing,
        {"order_type": OrderType.TRAILING_STOP, "price": None, "trail_amount": -1},
    ),
    (Reason.INVALID_PRICE, nothing, {"price": 0}),
    (Reason.INVALID_PRICE, nothing, {"price": -5}),
    (Reason.WRONG_TICK, nothing, {**LOT_ORDER, "price": 303}),
    (Reason.WRONG_TICK, nothing, {**STOP_ORDER, "symbol": "LOT", "stop_price": 303}),
    (Reason.WRONG_TICK, nothing, {**LOT_ORDER, "price": 2_005}),
    (Reason.OUTSIDE_BAND, nothing, {**LOT_ORDER, "price": 445}),
    (Reason.OUTSIDE_BAND, nothing, {**LOT_ORDER, "price": 155}),
    (Reason.VALUE_OVERFLOW, nothing, {"quantity": 2, "price": INT64_MAX}),
    (Reason.VALUE_OVERFLOW, nothing, {"quantity": 1, "price": INT64_MAX}),
    (Reason.ABOVE_MAX_VALUE, nothing, {**LOT_ORDER, "quantity": 1_000, "price": 440}),
    (Reason.ABOVE_MAX_VALUE, limit_account, {}),
]


@pytest.mark.parametrize(("reason", "change", "different"), FAULTS)
def test_what_is_wrong_with_an_order_is_told_by_its_reason(
    reason: Reason, change: Change, different: dict[str, object]
) -> None:
    state = ready_state(LOTS, Instrument("AAA", market="XONE", taker_fee_bps=1))
    change(state)
    order = new_order(**different)
    event = refusal_of(state, order)
    assert (event.status, event.reason) == (OrderStatus.REJECTED, reason)
    assert event.text
    assert (event.order_id, event.event_id) == ("3-9", "orders/3/9/v0")
    assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (order.quantity, 0, 0)


@given(st.lists(st.sampled_from([fault for fault in FAULTS if fault[1] is nothing]), min_size=2, max_size=4))
def test_of_several_faults_the_first_in_the_list_of_reasons_is_told(
    faults: list[tuple[Reason, Change, dict[str, object]]],
) -> None:
    different: dict[str, object] = {}
    for _, _, fields in faults:
        different = {**fields, **different}
    present = [reason for reason, _, fields in faults if fields.items() <= different.items()]
    event = refusal_of(
        ready_state(LOTS, Instrument("AAA", market="XONE", taker_fee_bps=1)), new_order(**different)
    )
    # Together they may make a fault that is none of them, which then comes before.
    precedence = list(Reason)
    assert precedence.index(Reason(str(event.reason))) <= min(map(precedence.index, present))


def test_the_longest_ids_are_fine_and_a_slash_is_too_in_a_client_order_id() -> None:
    state = ready_state()
    assert len(decide(state, new_order(client_order_id="/" * 64))) == 2


def test_ids_that_cannot_be_shown_are_clipped_in_the_refusal() -> None:
    event = refusal_of(ready_state(), new_order(client_order_id="\x00é" + "x" * 99, symbol="bad symbol"))
    assert event.client_order_id == "??" + "x" * 62
    assert event.symbol == "bad symbol"
    event = refusal_of(ready_state(), new_order(account_id="a\x7f" * 50))
    assert event.account_id == "a?" * 32


def test_refusals_before_the_duplicate_check_use_up_no_id() -> None:
    state = ready_state()
    refusal_of(state, new_order(account_id="ZOE"))
    state.accounts.put("ZOE", Account("ZOE"))
    assert len(decide(state, new_order(account_id="ZOE"))) == 2


def test_a_retry_is_told_apart_by_its_reason_and_names_the_first() -> None:
    state = ready_state()
    decide(state, new_order(), 0)
    event = refusal_of(state, new_order(sent_time_ns=NINE_O_CLOCK_NS + 1), 5)
    assert (event.status, event.reason) == (OrderStatus.REJECTED, Reason.RETRY)
    assert (event.order_id, event.target_order_id) == ("3-5", "3-0")


def test_a_retry_of_a_refused_order_is_a_retry_too() -> None:
    state = ready_state()
    refusal_of(state, new_order(quantity=0), 0)
    assert refusal_of(state, new_order(quantity=0), 1).reason == Reason.RETRY
    assert refusal_of(state, new_order(quantity=1), 2).reason == Reason.DUPLICATE_CLIENT_ORDER_ID


@pytest.mark.parametrize("action", [OrderAction.CANCEL, OrderAction.REPLACE, OrderAction.MASS_CANCEL])
def test_one_client_order_id_is_for_one_request_whatever_its_action(action: OrderAction) -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    event = refusal_of(state, request(action, "c1", "c1"))
    assert event.reason == Reason.DUPLICATE_CLIENT_ORDER_ID
    assert event.target_order_id is None


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (OrderAction.CANCEL, OrderStatus.CANCEL_REJECTED),
        (OrderAction.REPLACE, OrderStatus.REPLACE_REJECTED),
        (OrderAction.MASS_CANCEL, OrderStatus.CANCEL_REJECTED),
    ],
)
def test_a_repeated_request_is_answered_in_its_own_kind(action: OrderAction, status: OrderStatus) -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    target = None if action is OrderAction.MASS_CANCEL else "c1"
    decide(state, request(action, "c2", target, quantity=5), 1)
    event = refusal_of(state, request(action, "c2", target, quantity=5), 2)
    assert (event.status, event.reason) == (status, Reason.RETRY)


def test_the_same_client_order_id_of_another_account_is_another_order() -> None:
    state = ready_state()
    assert len(decide(state, new_order(account_id="ANN"), 0)) == 2
    assert len(decide(state, new_order(account_id="BEN"), 1)) == 2


@pytest.mark.parametrize("field", [name for name in Order.__struct_fields__ if name != "sent_time_ns"])
def test_every_field_but_the_sending_time_makes_it_another_request(field: str) -> None:
    order = new_order()
    other = {"action": OrderAction.CANCEL, "side": Side.SELL, "order_type": OrderType.STOP}.get(
        field, "other"
    )
    assert order_digest(msgspec.structs.replace(order, **{field: other})) != order_digest(order)
    assert order_digest(msgspec.structs.replace(order, sent_time_ns=1)) == order_digest(order)


def test_a_cancel_goes_on_with_the_order_that_it_means() -> None:
    state = ready_state()
    decide(state, new_order("c1", Side.SELL), 7)
    (validated,) = decide(state, request(OrderAction.CANCEL, "c2", "c1"), 8)
    assert isinstance(validated, ValidatedOrder)
    assert (validated.order_id, validated.target_order_id, validated.target_client_order_id) == (
        "3-8",
        "3-7",
        "c1",
    )
    assert (validated.symbol, validated.side) == ("AAA", Side.SELL)


def test_an_order_can_be_meant_by_the_id_of_its_replace() -> None:
    state = ready_state()
    decide(state, new_order("c1"), 7)
    decide(state, request(OrderAction.REPLACE, "c2", "c1", quantity=5), 8)
    (validated,) = decide(state, request(OrderAction.CANCEL, "c3", "c2"), 9)
    assert isinstance(validated, ValidatedOrder)
    assert validated.target_order_id == "3-7"


@pytest.mark.parametrize("target", [None, "c9", "refused", "cancel"])
@pytest.mark.parametrize("action", [OrderAction.CANCEL, OrderAction.REPLACE])
def test_a_request_must_mean_an_order(action: OrderAction, target: str | None) -> None:
    # Given an order, its cancel, and a refused order: neither of the latter is an order to mean
    state = ready_state()
    decide(state, new_order("c1"), 0)
    decide(state, request(OrderAction.CANCEL, "cancel", "c1"), 1)
    decide(state, new_order("refused", quantity=-1), 2)
    event = refusal_of(state, request(action, "c5", target, quantity=5))
    assert event.reason == Reason.UNKNOWN_ORDER
    assert (event.order_quantity, event.cum_quantity, event.leaves_quantity) == (0, 0, 0)


@pytest.mark.parametrize("different", [{"symbol": "CCC"}, {"side": Side.SELL}])
@pytest.mark.parametrize("action", [OrderAction.CANCEL, OrderAction.REPLACE])
def test_a_request_must_mean_the_order_that_it_describes(
    action: OrderAction, different: dict[str, object]
) -> None:
    state = ready_state()
    decide(state, new_order("c1"), 0)
    event = refusal_of(state, request(action, "c2", "c1", quantity=5, **different))
    assert (event.reason, event.target_order_id) == (Reason.TARGET_MISMATCH, "3-0")
    assert len(decide(state, request(action, "c3", "c1", quantity=5, symbol="AAA", side=Side.BUY))) == 1


REPLACE_FAULTS = [
    (Reason.ACCOUNT_SUSPENDED, suspend, {}),
    (Reason.SYMBOL_HALTED, halt_symbol, {}),
    (Reason.MARKET_CLOSED, close_market, {}),
    (Reason.INVALID_PRICE, nothing, {"trail_amount": 0}),
    (Reason.INVALID_DISPLAY_QUANTITY, nothing, {"display_quantity": 6}),
    (Reason.INVALID_INSTRUCTION, nothing, {"post_only": True}),
    (Reason.INVALID_INSTRUCTION, nothing, {"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH}),
    (Reason.INVALID_INSTRUCTION, nothing, {"expire_time_ns": 1}),
    (Reason.INVALID_INSTRUCTION, nothing, {"oco_group": "g"}),
    (Reason.INVALID_PRICE, nothing, {"stop_price": 0}),
    (Reason.INVALID_QUANTITY, nothing, {"quantity": -1}),
    (Reason.INVALID_PRICE, nothing, {"price": 0}),
    (Reason.VALUE_OVERFLOW, nothing, {"price": INT64_MAX}),
]


@pytest.mark.parametrize(("reason", "change", "different"), REPLACE_FAULTS)
def test_what_is_wrong_with_a_replace_is_told_by_its_reason(
    reason: Reason, change: Change, different: dict[str, object]
) -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    change(state)
    event = refusal_of(state, request(OrderAction.REPLACE, **{"quantity": 5, **different}))
    assert (event.status, event.reason) == (OrderStatus.REPLACE_REJECTED, reason)


def test_a_replace_keeps_to_lots_and_ticks() -> None:
    state = ready_state(LOTS)
    decide(state, new_order("c1", quantity=20, price=305, symbol="LOT"))
    assert refusal_of(state, request(OrderAction.REPLACE, "c2", quantity=15)).reason == Reason.WRONG_LOT
    wrong_tick = request(OrderAction.REPLACE, "c3", quantity=10, price=303)
    assert refusal_of(state, wrong_tick).reason == Reason.WRONG_TICK
    assert len(decide(state, request(OrderAction.REPLACE, "c4", quantity=0))) == 1


def test_a_replace_of_an_order_whose_instrument_is_gone_is_refused() -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    state.instruments.delete("AAA")
    event = refusal_of(state, request(OrderAction.REPLACE, quantity=5))
    assert event.reason == Reason.UNKNOWN_SYMBOL


@pytest.mark.parametrize("change", [suspend, close_account, halt_symbol, halt_market, close_market, delist])
def test_what_takes_orders_back_is_always_let_through(change: Change) -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    change(state)
    for place, order in enumerate(
        (
            request(OrderAction.CANCEL, "c2", "c1"),
            request(OrderAction.MASS_CANCEL, "c3", None),
            request(OrderAction.MASS_CANCEL, "c4", None, symbol="AAA"),
        )
    ):
        (validated,) = decide(state, order, place)
        assert isinstance(validated, ValidatedOrder)
        assert validated.symbol == (None if order.client_order_id == "c3" else "AAA")


def test_a_cancel_of_an_order_whose_instrument_is_gone_is_let_through() -> None:
    state = ready_state()
    decide(state, new_order("c1"))
    state.instruments.delete("AAA")
    assert len(decide(state, request(OrderAction.CANCEL))) == 1


def test_a_mass_cancel_of_an_unknown_symbol_is_refused() -> None:
    event = refusal_of(ready_state(), request(OrderAction.MASS_CANCEL, target=None, symbol="ZZZ"))
    assert (event.status, event.reason) == (OrderStatus.CANCEL_REJECTED, Reason.UNKNOWN_SYMBOL)


def test_what_is_no_order_is_not_ours() -> None:
    with pytest.raises(NotOurs, match="no use for a Halt"):
        validation.handle(ready_state(), "orders", "orders/0/0", Halt(), 0)
