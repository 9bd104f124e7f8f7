"""What operators publish: the last word counts, dates go forward only, and a symbol's own phase ends with the market's."""

import datetime as dt

import msgspec
import pytest

from bourse.pipeline import validation
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.markets import business_date, phase_of
from bourse.pipeline.outputs import Record
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    AccountStatus,
    Announcement,
    AnnouncementKind,
    CorporateAction,
    CorporateActionType,
    Halt,
    Instrument,
    OrderAction,
    OrderEvent,
    Participant,
    SessionKind,
    ValidatedOrder,
)
from tests.account_strategies import MONDAY, announced, new_order, ready_state, session

TUESDAY = MONDAY + dt.timedelta(days=1)


def learn(state: State, record: Record, time_ns: int = 1) -> None:
    assert validation.handle(state, "announcements", "sessions/0/0/a0", record, time_ns) == []


def happens(state: State, kind: SessionKind, date: dt.date = MONDAY, symbol: str | None = None) -> None:
    learn(state, announced(session=session(kind, date, symbol=symbol)))


def test_accounts_are_as_they_were_last_told() -> None:
    state = State.in_memory()
    learn(state, Account("ANN"))
    learn(state, Account("ANN", max_open_orders=1))
    assert state.accounts.get("ANN") == Account("ANN", max_open_orders=1)


@pytest.mark.parametrize("status", [AccountStatus.SUSPENDED, AccountStatus.CLOSED])
def test_an_account_that_may_trade_no_more_has_its_orders_taken_back_once(status: AccountStatus) -> None:
    state = State.in_memory()
    stopped = Account("ANN", participant_id="P", status=status)
    learn(state, stopped)  # It has never traded.
    learn(state, Account("ANN", participant_id="P"))
    ((topic, key, mass_cancel, _),) = validation.handle(state, "accounts", "accounts/2/7", stopped, 5)
    assert (topic, key) == ("validated", "ANN")
    assert mass_cancel == ValidatedOrder(
        "accounts/2/7/v0",
        "accounts-2-7",
        OrderAction.MASS_CANCEL,
        "accounts-2-7",
        "ANN",
        participant_id="P",
        event_time_ns=5,
    )
    learn(state, stopped)


def publish(state: State, status: AccountStatus, participant_id: str = "P") -> list[ValidatedOrder]:
    """Announce a participant, and return the messages that this makes."""
    participant = Participant(participant_id, status)
    news = Announcement("participants/0/3/a1", AnnouncementKind.PARTICIPANT, participant=participant)
    outputs = validation.handle(state, "announcements", news.event_id, news, 5)
    return [record for _, _, record, _ in outputs if isinstance(record, ValidatedOrder)]


def refusals(state: State, *account_ids: str) -> list[str | None]:
    orders = [new_order("c", account_id=account_id) for account_id in account_ids]
    answers = [validation.handle(state, "orders", "orders/0/1", order, 5)[0][2] for order in orders]
    return [answer.reason if isinstance(answer, OrderEvent) else None for answer in answers]


def test_all_accounts_of_a_suspended_participant_have_their_orders_taken_back_once() -> None:
    state = ready_state()
    for account in (Account("P1", participant_id="P"), Account("P2", participant_id="P"), Account("Q1")):
        learn(state, account)
    learn(state, Account("P3", participant_id="P", status=AccountStatus.SUSPENDED))
    taken_back = publish(state, AccountStatus.SUSPENDED)
    assert [(order.action, order.account_id) for order in taken_back] == [
        (OrderAction.MASS_CANCEL, "P1"),
        (OrderAction.MASS_CANCEL, "P2"),
    ]
    assert len({order.order_id for order in taken_back}) == len({order.event_id for order in taken_back}) == 2
    assert publish(state, AccountStatus.SUSPENDED) == publish(state, AccountStatus.CLOSED) == []
    assert publish(state, AccountStatus.ACTIVE) == []


def test_an_account_trades_while_it_and_its_participant_are_active() -> None:
    state = ready_state()
    learn(state, Account("P1", participant_id="P"))
    publish(state, AccountStatus.SUSPENDED)
    learn(state, Account("P2", participant_id="P"))  # opened later
    learn(state, Account("Q1", participant_id="Q"))
    assert refusals(state, "P1", "P2", "Q1") == ["ACCOUNT_SUSPENDED", "ACCOUNT_SUSPENDED", None]
    learn(state, Account("P2", participant_id="P", status=AccountStatus.CLOSED))
    assert refusals(state, "P2") == ["ACCOUNT_SUSPENDED"]  # the first of two reasons
    publish(state, AccountStatus.ACTIVE)
    assert refusals(state, "P1", "P2") == [None, "ACCOUNT_CLOSED"]
    publish(state, AccountStatus.CLOSED)
    assert refusals(state, "P1") == ["ACCOUNT_CLOSED"]


def test_an_account_that_goes_over_to_a_suspended_participant_has_its_orders_taken_back() -> None:
    state = ready_state()
    publish(state, AccountStatus.SUSPENDED)
    learn(state, Account("Q1", participant_id="Q"))
    moved = Account("Q1", participant_id="P")
    ((_, key, _, _),) = validation.handle(state, "accounts", "accounts/2/7", moved, 5)
    assert key == "Q1"


@pytest.mark.parametrize("account_id", ["", "a/b", "a b", "x" * 65])
def test_an_account_whose_id_cannot_key_anything_is_not_ours(account_id: str) -> None:
    with pytest.raises(NotOurs, match="malformed account_id"):
        learn(State.in_memory(), Account(account_id))


@pytest.mark.parametrize("participant_id", ["a firm", "x" * 65, "\t"])
def test_an_account_of_a_participant_that_nobody_could_suspend_is_not_ours(participant_id: str) -> None:
    with pytest.raises(NotOurs, match="malformed participant_id"):
        learn(State.in_memory(), Account("ANN", participant_id=participant_id))


@pytest.mark.parametrize("field", ["name", "currency"])
def test_an_account_of_which_too_much_would_be_kept_is_not_ours(field: str) -> None:
    learn(State.in_memory(), Account("ANN", **{field: "n" * 200}))
    with pytest.raises(NotOurs, match="too long"):
        learn(State.in_memory(), Account("ANN", **{field: "n" * 201}))


@pytest.mark.parametrize(
    "limit",
    [
        "max_open_orders",
        "max_position_value",
        "max_concentration_bps",
        "max_order_value",
        "max_messages_per_second",
    ],
)
def test_an_account_with_a_limit_below_nothing_is_not_ours(limit: str) -> None:
    validation.handle(State.in_memory(), "accounts", "c", Account("ANN", **{limit: 0}), 0)
    with pytest.raises(NotOurs, match=limit):
        validation.handle(State.in_memory(), "accounts", "c", Account("ANN", **{limit: -1}), 0)


def test_instruments_are_as_they_were_last_told() -> None:
    state = State.in_memory()
    learn(state, announced(instrument=Instrument("AAA")))
    learn(state, announced(instrument=Instrument("AAA", tick_size=5)))
    assert state.instruments.get("AAA") == Instrument("AAA", tick_size=5)


@pytest.mark.parametrize("changed", [{"market": "XTWO"}, {"currency": "USD"}, {"multiplier": 2}])
def test_what_orders_and_holdings_are_counted_in_does_not_change(changed: dict[str, object]) -> None:
    state, known = State.in_memory(), Instrument("AAA", market="XONE")
    learn(state, announced(instrument=known))
    with pytest.raises(NotOurs, match="AAA trades on XONE in EUR x 1"):
        learn(state, announced(instrument=msgspec.structs.replace(known, **changed)))
    assert state.instruments.get("AAA") == known


def test_no_name_is_that_of_a_currency_and_of_shares() -> None:
    # Given an instrument in EUR that was there before the state was read
    state = ready_state(Instrument("AAA", market="XONE", currency="EUR"))
    learn(state, announced(instrument=Instrument("BBB", currency="USD")))
    # Then no shares are called like what others are paid in, and nothing is paid in what is shares
    for wrong in (Instrument("EUR", currency="USD"), Instrument("USD"), Instrument("CCC", currency="AAA")):
        with pytest.raises(NotOurs, match="is a currency, or"):
            learn(state, announced(instrument=wrong))
        assert state.instruments.get(wrong.symbol) is None
    learn(state, announced(instrument=Instrument("CCC", currency="USD")))
    learn(state, announced(instrument=Instrument("CCC", currency="USD", reference_price=1)))


def test_corporate_actions_are_not_for_validation() -> None:
    action = CorporateAction("x1", "AAA", CorporateActionType.DIVIDEND, MONDAY)
    learn(State.in_memory(), Announcement("e", AnnouncementKind.CORPORATE_ACTION, None, action))


def test_a_market_nobody_spoke_of_is_open() -> None:
    state = State.in_memory()
    assert phase_of(state, "XONE", "AAA") is SessionKind.OPEN
    assert business_date(state, "XONE") is None


def test_a_market_is_in_the_phase_that_it_was_told_to_be_in() -> None:
    state = State.in_memory()
    for kind in (SessionKind.PRE_OPEN, SessionKind.OPENING_AUCTION, SessionKind.OPEN, SessionKind.CLOSED):
        happens(state, kind)
        assert phase_of(state, "XONE", "AAA") is kind
    assert phase_of(state, "XTWO", "BBB") is SessionKind.OPEN


def test_a_tick_moves_the_date_forward_only_and_leaves_the_phase() -> None:
    state = State.in_memory()
    happens(state, SessionKind.TICK, MONDAY)
    assert (phase_of(state, "XONE", "AAA"), business_date(state, "XONE")) == (SessionKind.OPEN, MONDAY)
    happens(state, SessionKind.CLOSED, MONDAY)
    happens(state, SessionKind.TICK, TUESDAY)
    happens(state, SessionKind.TICK, MONDAY)
    assert (phase_of(state, "XONE", "AAA"), business_date(state, "XONE")) == (SessionKind.CLOSED, TUESDAY)


def test_the_time_of_a_market_goes_forward_only() -> None:
    state = State.in_memory()
    for time_ns in (5, 3):
        learn(state, announced(session=session(SessionKind.TICK)), time_ns)
    market = state.markets.get("XONE")
    assert market is not None
    assert market.event_time_ns == 5


@pytest.mark.parametrize("kind", [SessionKind.TICK, SessionKind.RESUME, SessionKind.CLOSED])
def test_an_event_of_an_earlier_date_takes_neither_the_date_back_nor_the_phase(kind: SessionKind) -> None:
    state = State.in_memory()
    happens(state, SessionKind.OPEN, TUESDAY)
    happens(state, kind, MONDAY)
    assert (phase_of(state, "XONE", "AAA"), business_date(state, "XONE")) == (SessionKind.OPEN, TUESDAY)


def test_a_phase_of_an_earlier_date_is_not_ours() -> None:
    state = State.in_memory()
    happens(state, SessionKind.CLOSED, TUESDAY)
    with pytest.raises(
        NotOurs, match="XONE is in CLOSED of 2024-01-09 since 1: OPEN of 2024-01-08, 1, is of before"
    ):
        happens(state, SessionKind.OPEN, MONDAY)
    assert phase_of(state, "XONE", "AAA") is SessionKind.CLOSED


@pytest.mark.parametrize("kind", [SessionKind.OPEN, SessionKind.TICK])
def test_any_session_event_corrects_the_date_that_an_order_began(kind: SessionKind) -> None:
    # Given a client whose clock is a day ahead
    state = ready_state()
    order = new_order(sent_time_ns=new_order().sent_time_ns + 86_400 * 10**9)
    validation.handle(state, "orders", "orders/0/0", order, order.sent_time_ns)
    assert business_date(state, "XONE") == TUESDAY
    # When the market speaks, it has the last word
    happens(state, kind, MONDAY)
    assert business_date(state, "XONE") == MONDAY


def test_a_halt_lasts_until_it_is_lifted_where_it_was_called() -> None:
    state = State.in_memory()
    happens(state, SessionKind.HALT)
    happens(state, SessionKind.HALT, symbol="AAA")
    happens(state, SessionKind.RESUME)
    assert state.halts.get("XONE") is None
    assert state.halts.get("XONE/AAA") is not None
    happens(state, SessionKind.RESUME, symbol="AAA")
    assert state.halts.get("XONE/AAA") is None
    assert business_date(state, "XONE") == MONDAY


QUARTER_NS = 15 * 60 * 10**9


def breaks(state: State, level: int, time_ns: int = 0, date: dt.date = MONDAY) -> None:
    halt = msgspec.structs.replace(session(SessionKind.HALT, date), level=level)
    learn(state, announced(session=halt), time_ns)


def ticks(state: State, time_ns: int, date: dt.date = MONDAY) -> None:
    learn(state, announced(session=session(SessionKind.TICK, date)), time_ns)


@pytest.mark.parametrize("level", [1, 2])
def test_a_circuit_breaker_halts_a_market_for_a_quarter_of_an_hour(level: int) -> None:
    state = State.in_memory()
    breaks(state, level)
    ticks(state, QUARTER_NS - 1)
    assert state.halts.get("XONE") is not None
    ticks(state, QUARTER_NS)
    assert state.halts.get("XONE") is None


def test_operators_may_end_a_breaker_early_and_their_own_halts_wait_for_them() -> None:
    state = State.in_memory()
    breaks(state, 1)
    happens(state, SessionKind.RESUME)
    assert state.halts.get("XONE") is None
    happens(state, SessionKind.HALT)
    ticks(state, QUARTER_NS * 9, TUESDAY)
    assert state.halts.get("XONE") is not None


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_breaker_does_not_shorten_a_halt_that_waits_for_its_operator(level: int) -> None:
    state = State.in_memory()
    happens(state, SessionKind.HALT)
    breaks(state, level, 2)
    ticks(state, QUARTER_NS * 9, TUESDAY)
    assert state.halts.get("XONE") == Halt(1, None, MONDAY)
    happens(state, SessionKind.RESUME, TUESDAY)
    assert state.halts.get("XONE") is None


def test_a_breaker_may_follow_another() -> None:
    state = State.in_memory()
    breaks(state, 1)
    breaks(state, 2, QUARTER_NS - 1)
    ticks(state, QUARTER_NS)
    assert state.halts.get("XONE") == Halt(QUARTER_NS - 1, 2, MONDAY)


def test_the_last_level_ends_the_day() -> None:
    # Given level 3: neither time, nor an operator, nor another level ends it
    state = State.in_memory()
    breaks(state, 3)
    ticks(state, QUARTER_NS * 9)
    happens(state, SessionKind.RESUME)
    breaks(state, 1)
    happens(state, SessionKind.HALT)
    assert state.halts.get("XONE") == Halt(0, 3, MONDAY)
    # When the next day begins, it is over
    happens(state, SessionKind.PRE_OPEN, TUESDAY)
    assert state.halts.get("XONE") is None


def test_the_last_level_ends_the_day_that_the_market_is_in_whatever_the_date_of_the_halt() -> None:
    # Given a halt by somebody for whom it is still yesterday
    state = State.in_memory()
    happens(state, SessionKind.OPEN, TUESDAY)
    breaks(state, 3, date=MONDAY)
    # When the day goes on, the market stays halted, and an operator of the same mind does not end that
    ticks(state, 1, TUESDAY)
    happens(state, SessionKind.RESUME, MONDAY)
    assert state.halts.get("XONE") == Halt(0, 3, TUESDAY)
    ticks(state, 2, TUESDAY + dt.timedelta(days=1))
    assert state.halts.get("XONE") is None


def test_a_halt_has_its_own_date_where_only_an_order_has_begun_the_market() -> None:
    state = ready_state()
    order = new_order(sent_time_ns=new_order().sent_time_ns + 86_400 * 10**9)
    validation.handle(state, "orders", "orders/0/0", order, order.sent_time_ns)
    breaks(state, 3, date=MONDAY)
    assert state.halts.get("XONE") == Halt(0, 3, MONDAY)


def test_a_phase_of_one_symbol_is_its_own_until_the_market_enters_the_next() -> None:
    state = State.in_memory()
    happens(state, SessionKind.OPEN)
    happens(state, SessionKind.CLOSED, symbol="AAA")
    assert phase_of(state, "XONE", "AAA") is SessionKind.CLOSED
    assert phase_of(state, "XONE", "CCC") is SessionKind.OPEN
    happens(state, SessionKind.OPEN, TUESDAY)
    assert phase_of(state, "XONE", "AAA") is SessionKind.OPEN
    assert state.markets.get("XONE/AAA") is None
