"""Ids of finished requests are forgotten a month later, a bounded number at a time; live orders keep theirs."""

import datetime as dt

from bourse.pipeline.outputs import Topic
from bourse.pipeline.purge import KEPT, ROWS_AT_A_TIME, purge_client_orders
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ClientOrder,
    OrderAction,
    OrderEvent,
    SessionKind,
    Side,
    TimeInForce,
    WalletTransaction,
)
from tests.account_strategies import MONDAY, command, new_order, reference_data, request, session

NEXT_DAY = dt.timedelta(days=1)


def market() -> Simulation:
    simulation = Simulation()
    for event in reference_data():
        simulation.feed(event)
    simulation.feed(SimEvent(Topic.SESSIONS, None, session(SessionKind.OPEN)))
    simulation.feed(SimEvent(Topic.WALLET_COMMANDS, None, command(amount=100_000)))
    return simulation


def day_after(simulation: Simulation, days: dt.timedelta) -> None:
    """Let a day after another begin, up to that one."""
    for passed in range(days.days + 1):
        date = MONDAY + dt.timedelta(passed)
        simulation.feed(SimEvent(Topic.SESSIONS, None, session(SessionKind.TICK, date)))


def test_a_finished_request_is_a_retry_for_a_month_and_then_a_new_one() -> None:
    simulation = market()
    order = new_order(time_in_force=TimeInForce.IOC)

    def answers() -> list[str | None]:
        sent = (
            SimEvent(Topic.ORDERS, None, order),
            SimEvent(Topic.WALLET_COMMANDS, None, command(amount=100_000)),
        )
        outputs = [output.record for event in sent for output in simulation.feed(event)]
        return [r.reason for r in outputs if isinstance(r, OrderEvent | WalletTransaction) and r.reason]

    assert answers() == ["RETRY"]  # the deposit
    day_after(simulation, KEPT)
    assert answers() == ["RETRY", "RETRY"]
    day_after(simulation, KEPT + NEXT_DAY)
    assert answers() == []


def test_a_live_order_keeps_all_its_names_however_old_it_is() -> None:
    simulation = market()
    for order in (
        new_order("c1", time_in_force=TimeInForce.GTC),
        request(OrderAction.REPLACE, "c2", "c1", quantity=5),
        request(OrderAction.CANCEL, "c3", "c9"),
    ):
        simulation.feed(SimEvent(Topic.ORDERS, None, order))
    day_after(simulation, KEPT * 9)
    assert [key for key, _ in simulation.state.client_orders.scan("")] == ["ANN/c1", "ANN/c2"]
    # When it is over, they go with the next day.
    simulation.feed(SimEvent(Topic.ORDERS, None, request(OrderAction.CANCEL, "c4", "c2")))
    day_after(simulation, KEPT * 9 + NEXT_DAY)
    assert [key for key, _ in simulation.state.client_orders.scan("")] == ["ANN/c4"]


def test_each_event_takes_the_sweep_on_by_so_many_rows_and_a_day_has_one_sweep() -> None:
    state = State.in_memory()
    for number in range(2 * ROWS_AT_A_TIME + 1):
        row = ClientOrder(f"0-{number}", b"", "AAA", Side.BUY, MONDAY)
        state.client_orders.put(f"ANN/c{number}", row)

    def left(date: dt.date) -> int:
        purge_client_orders(state, date)
        return len(list(state.client_orders.scan("")))

    later = MONDAY + KEPT + NEXT_DAY
    assert [left(later) for _ in range(3)] == [ROWS_AT_A_TIME + 1, 1, 0]
    state.client_orders.put("ANN/c1", row)
    assert left(later) == 1
    assert left(later + NEXT_DAY) == 0


def test_one_wrong_date_makes_nobody_forget_and_stops_no_later_sweep() -> None:
    # Given a request of today and one of a month ago, and a date typed wrong, of a market that nobody knows or of one's own
    state = State.in_memory()
    month_ago = MONDAY - KEPT - NEXT_DAY
    for name, day in (("new", MONDAY), ("old", month_ago)):
        state.client_orders.put(f"ANN/{name}", ClientOrder("0-1", b"", "AAA", Side.BUY, day))
    purge_client_orders(state, month_ago)
    for _ in range(9):
        purge_client_orders(state, MONDAY)
    assert [key for key, _ in state.client_orders.scan("")] == ["ANN/new"]
    purge_client_orders(state, dt.date(9998, 1, 1))
    purge_client_orders(state, MONDAY)
    # Then what was made today is still known
    assert [key for key, _ in state.client_orders.scan("")] == ["ANN/new"]
    # And is forgotten in time
    for days in range(KEPT.days + 2):
        purge_client_orders(state, MONDAY + dt.timedelta(days))
    assert not list(state.client_orders.scan(""))


def test_a_wrong_date_that_is_the_first_of_all_is_taken_back() -> None:
    state = State.in_memory()
    purge_client_orders(state, dt.date(9998, 1, 1))
    state.client_orders.put("ANN/new", ClientOrder("0-1", b"", "AAA", Side.BUY, MONDAY))
    for days in range(KEPT.days + 2):
        assert list(state.client_orders.scan("")), days
        purge_client_orders(state, MONDAY + dt.timedelta(days))
    assert not list(state.client_orders.scan(""))


def test_the_dates_of_two_markets_begin_one_sweep() -> None:
    state = State.in_memory()
    for date in (MONDAY, MONDAY + NEXT_DAY, MONDAY, MONDAY + NEXT_DAY):
        purge_client_orders(state, date)
    old = ClientOrder("0-1", b"", "AAA", Side.BUY, MONDAY - KEPT * 2)
    state.client_orders.put("ANN/old", old)
    for date in (MONDAY, MONDAY + NEXT_DAY):
        purge_client_orders(state, date)
    assert list(state.client_orders.scan(""))
