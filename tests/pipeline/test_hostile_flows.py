"""Everything at once, from careless and hostile senders: no worker stops, nothing is lost, and what is held is what is live."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bourse.pipeline import holds
from bourse.pipeline.matching import parts
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.pipeline.state import State
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import (
    Account,
    ApprovedOrder,
    DeadLetter,
    Hold,
    Instrument,
    OrderAction,
    OrderEvent,
    RestingOrder,
    SessionEvent,
    SessionKind,
    Side,
    Trade,
)
from bourse.schemas.units import INT64_MAX
from tests.account_strategies import MONDAY, Workers, command, new_order
from tests.audit.logs import Log, audit, failures
from tests.hostile_strategies import ExtremeFlow, HostileFlow, ReplaceFlow, behind_risk

dice = st.integers(0, 2**32).map(Random)
lengths = st.integers(20, 250)


@cache
def on_the_wire(record_type: type[Record]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Record]]:
    codec = Codec(LocalIds())
    return codec.encoder(record_type), codec.decoder(record_type)


class Books:
    """What left the wallets as fees; all that is read can be written to Kafka."""

    def __init__(self) -> None:
        self.fees: Counter[str] = Counter()

    def read(self, events: Iterable[SimEvent]) -> None:
        for event in events:
            encode, decode = on_the_wire(type(event.record))
            assert decode(encode(event.record)) == event.record
            if isinstance(event.record, Trade):
                self.fees[event.record.currency] += event.record.fee

    def check(self, states: list[State]) -> None:
        """Check the states of all partitions together, at rest."""
        there, brought_in = Counter(self.fees), Counter()
        blocked: Counter[str] = Counter()
        for state in states:
            brought_in.update({asset: total.amount for asset, total in state.asset_totals.scan("")})
            for key, wallet in state.wallets.scan(""):
                assert min(wallet.available, wallet.blocked, wallet.unsettled) >= 0, key
                there[key.partition("/")[2]] += wallet.available + wallet.blocked + wallet.unsettled
                blocked[key] += wallet.blocked
        assert there - brought_in == brought_in - there == Counter(), "money and shares are conserved"
        live = {row.order_id: row for state in states for row in live_orders(state)}
        held = {key.partition("/")[2]: hold for state in states for key, hold in state.holds.scan("")}
        assert set(live) == set(held), "an order is held for as long as it lives"
        for order_id, hold in held.items():
            check_hold(hold, live[order_id])
            blocked[f"{hold.account_id}/{hold.asset}"] -= hold.blocked
        assert not any(blocked.values()), "what is blocked is what live orders hold"


def live_orders(state: State) -> list[RestingOrder]:
    return [row for table in (state.resting_orders, state.waiting_orders) for _, row in table.scan("")]


def check_hold(hold: Hold, order: RestingOrder) -> None:
    assert hold.blocked == holds.reserve(hold), hold
    assert not hold.pending
    assert (hold.account_id, hold.symbol, hold.side) == (order.account_id, order.symbol, order.side)
    assert hold.order_quantity - hold.cum_quantity == order.leaves_quantity, (hold, order)
    assert hold.side is Side.SELL or hold.price == order.price, (hold, order)


@given(dice, lengths)
def test_after_each_input_what_is_held_is_what_is_live(dice: Random, length: int) -> None:
    simulation, flow, books = Simulation(), HostileFlow(dice), Books()
    for event in flow.beginning():
        simulation.feed(event)
    for _ in range(length):
        books.read(simulation.feed(flow.next()))
        books.check([simulation.state])
    for event in flow.ending():
        books.read(simulation.feed(event))
        books.check([simulation.state])
    assert all(wallet.unsettled == 0 for _, wallet in simulation.state.wallets.scan(""))


# An instrument published in a pause; a trailing stop that asks for its own price and another distance; a stop that expired
# unseen before others were reached; a pause that ends with a message, whose time is after that of the market's clock.
@example(Random(2130), 61, 5)
@example(Random(6021), 120, 5)
@example(Random(11509), 200, 5)
@example(Random(11640), 120, 5000)
@given(dice, lengths, st.sampled_from((1, 2, parts.MOST)))
@settings(max_examples=30)
def test_the_auditor_finds_nothing_to_object_to(dice: Random, length: int, most: int) -> None:
    log, flow = Log(), HostileFlow(dice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MOST", most)  # of levels in an update
        for event in flow.beginning():
            log.feed(event)
        for _ in range(length):
            log.feed(flow.next())
        for event in flow.ending():
            log.feed(event)
    assert failures(audit(log.entries)) == {}


@given(
    dice=dice,
    length=lengths,
    partitions=st.integers(1, 3),
    hand_over=st.booleans(),
    haste=st.sampled_from([0, 2, 8]),
)
def test_whatever_overtakes_what_it_adds_up_at_rest(
    *, dice: Random, length: int, partitions: int, hand_over: bool, haste: int
) -> None:
    workers, flow, books = Workers(partitions, dice, hand_over=hand_over), HostileFlow(dice), Books()
    for event in flow.beginning():
        workers.send(event)
        workers.rest()
    for _ in range(length):
        workers.send(flow.next())
        for _ in range(dice.randint(0, haste)):
            workers.step()
    workers.rest()
    books.read(SimEvent(Topic(entry.topic), None, entry.record) for entry in workers.log)
    books.check(workers.states)


@given(dice, st.integers(1, 12))
@settings(max_examples=3 * settings.default.max_examples)
def test_replaces_that_race_with_what_the_book_refuses_are_held_for(dice: Random, bursts: int) -> None:
    workers, flow, books, read = Workers(1, dice, hand_over=True), ReplaceFlow(dice), Books(), 0
    for event in flow.beginning():
        workers.send(event)
        workers.rest()
    for _ in range(bursts):
        for _ in range(dice.randint(1, 6)):
            workers.send(flow.next())
        workers.rest()
        books.read(SimEvent(Topic(entry.topic), None, entry.record) for entry in workers.log[read:])
        read = len(workers.log)
        books.check(workers.states)
    assert failures(audit(workers.log)) == {}


@given(dice, lengths)
def test_a_file_of_approved_orders_stops_nobody_whatever_it_says(dice: Random, length: int) -> None:
    simulation, books = Simulation(), Books()
    for number in range(length):
        books.read(simulation.feed(SimEvent(Topic.RISK_APPROVED, None, behind_risk(dice, number))))
    closed = SessionEvent("XONE", SessionKind.CLOSED, None, MONDAY)
    books.read(simulation.feed(SimEvent(Topic.SESSIONS, None, closed)))
    assert not list(simulation.state.wallets.scan("")), "they move no wallet"


@given(dice, st.integers(1, 60))
def test_extreme_orders_and_replaces_stop_nobody(dice: Random, length: int) -> None:
    simulation, flow, books = Simulation(), ExtremeFlow(dice), Books()
    for event in flow.beginning():
        books.read(simulation.feed(event))
    for _ in range(length):
        books.read(simulation.feed(flow.next()))
        books.check([simulation.state])


@pytest.mark.parametrize(
    ("quantity", "price"), [(INT64_MAX, 1), (2, INT64_MAX // 2 - 1), (INT64_MAX // 4, 2), (1, INT64_MAX // 4)]
)
def test_trades_behind_risk_that_add_up_to_more_than_can_be_counted_are_dead_letters(
    quantity: int, price: int
) -> None:
    simulation, books = Simulation(), Books()
    letters = 0
    for number in range(10):
        order = ApprovedOrder(
            "",
            f"o{number}",
            OrderAction.NEW,
            f"c{number}",
            "ANN" if number % 2 else "BEN",
            "AAA",
            side=Side.SELL if number % 2 else Side.BUY,
            quantity=quantity,
            price=price,
            market="XONE",
        )
        outputs = simulation.feed(SimEvent(Topic.RISK_APPROVED, None, order))
        books.read(outputs)
        letters += sum(isinstance(output.record, DeadLetter) for output in outputs)
    settled = SessionEvent("XONE", SessionKind.TICK, None, MONDAY + dt.timedelta(30))
    books.read(simulation.feed(SimEvent(Topic.SESSIONS, None, settled)))
    assert letters


def test_an_account_may_trade_all_that_there_is_with_itself() -> None:
    simulation, books = Simulation(), Books()

    def send(topic: Topic, record: Record) -> None:
        books.read(simulation.feed(SimEvent(topic, None, record)))

    send(Topic.INSTRUMENTS, Instrument("AAA", market="XONE"))
    send(Topic.ACCOUNTS, Account("ANN"))
    for asset in ("EUR", "AAA"):
        for amount in (INT64_MAX, INT64_MAX // 2):
            money = command(asset=asset, amount=amount, request_id=f"{asset}{amount}")
            send(Topic.WALLET_COMMANDS, money)
    for side in reversed(Side):
        send(Topic.ORDERS, new_order(f"c{side}", side=side, quantity=INT64_MAX // 2, price=1))
    books.check([simulation.state])
    assert not list(simulation.state.holds.scan("")), "it has traded"


def test_the_flows_trade_and_are_refused_for_many_reasons() -> None:
    trades, reasons = 0, Counter[str]()
    for seed in range(40):
        simulation, flow = Simulation(), HostileFlow(Random(seed))
        events = [*flow.beginning(), *(flow.next() for _ in range(200))]
        for output in (output for event in events for output in simulation.feed(event)):
            trades += isinstance(output.record, Trade)
            if isinstance(output.record, OrderEvent) and output.record.reason:
                reasons[output.record.reason] += 1
    assert trades > 500
    assert len(reasons) > 25, reasons
