"""The real trading day through running workers: its known truth, under kills, and equal to the simulation's."""

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from bourse.audit import Equation
from bourse.cli.trading_day import SYMBOL, trading_day
from bourse.pipeline.flow import TOPICS
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import simulate_lines
from bourse.schemas.jsonform import event_line, from_json
from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    Record,
    SessionEvent,
    SessionKind,
    Side,
    WalletAction,
    WalletCommand,
    WalletTransaction,
)
from bourse.schemas.units import Price, Quantity, TimeNs
from bourse.settings import Settings
from tests.agents.proof import prove
from tests.agents.workers import Workers


def key_of(topic: Topic, record: Record) -> str:
    field = TOPICS[topic].key_field
    assert field is not None
    return str(getattr(record, field))


def day(partitions: int) -> Iterator[tuple[str, str, Record]]:
    for topic, record in trading_day(partitions):
        yield topic, key_of(topic, record), record


def test_the_known_truth_holds_while_workers_are_killed(workers: Workers) -> None:
    chance = random.Random(5)
    events = list(day(workers.settings.partitions))
    first = next(n for n, event in enumerate(events) if event[0] == Topic.ORDERS)
    last = max(n for n, event in enumerate(events) if event[0] == Topic.ORDERS) + 1
    for name in ("w0", "w1"):
        workers.start(name)
    workers.publish(events[:first])
    for event in events[first:last]:
        workers.send(*event)
    workers.flush()
    for validated in sorted(chance.sample(range(25_000), 5)):
        workers.wait_for("validated", validated)
        name = chance.choice(["w0", "w1"])
        workers.kill(name)
        workers.start(name)
    workers.drain()
    workers.publish(events[last:])
    workers.assert_alive()
    prove(Equation.A21)
    trades = [t for t in workers.records("trades") if t.symbol == SYMBOL and t.side is Side.BUY]
    shares = sum(t.quantity for t in trades)
    assert (len(trades), shares) == (996, 54_378)
    assert round(sum(t.quantity * t.price for t in trades) / shares / 10_000, 4) == 95.4484
    # The book is empty at the end: each order has come to an end.
    assert all(left == 0 for left in leaves(workers).values())


def leaves(workers: Workers) -> dict[str, int]:
    left: dict[str, int] = {}
    for event in workers.records("order-events"):
        if event.symbol == SYMBOL and event.status not in {"CANCEL_REJECTED", "REPLACE_REJECTED"}:
            left[event.order_id] = min(left.get(event.order_id, event.leaves_quantity), event.leaves_quantity)
    return left


@pytest.fixture
def kafka(kafka: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same market, with what a test's parameters ask for in its environment."""
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setenv(name, value)
    return Settings.read() if hasattr(request, "param") else kafka


@pytest.mark.parametrize(
    "kafka",
    [
        pytest.param({"BOURSE_PARTITIONS": "1", "BOURSE_THROUGH_KAFKA": "0"}, id="handed over in memory"),
        pytest.param({"BOURSE_PARTITIONS": "1", "BOURSE_THROUGH_KAFKA": "1"}, id="every hop through Kafka"),
    ],
    indirect=True,
)
def test_kafka_gives_the_records_that_the_simulation_gives(workers: Workers) -> None:
    """With one partition the outputs are equal, byte for byte, however hops are carried."""
    real = [event for event in day(1) if getattr(event[2], "symbol", SYMBOL) == SYMBOL]
    orders = [event for event in real if event[0] == Topic.ORDERS]
    inputs = [*real[: real.index(orders[0])], *orders[:4_000]]
    workers.start("w0")
    workers.publish(inputs)
    topics = dict.fromkeys(topic for topic, _, _ in inputs)
    simulated = simulate_lines(line for topic in topics for line in published(workers, topic))
    expected = [line.strip() for line in simulated]
    for topic in (*EXACT, Topic.WALLET_TRANSACTIONS):
        found = [
            (seen.record, event_line(topic, seen.key, seen.record).strip()) for seen in workers.read(topic)
        ]
        lines = [line for line in expected if line.startswith(f'{{"topic":"{topic}"'.encode())]
        if topic in EXACT:
            assert [line for _, line in found] == lines, topic
        else:
            # Fills come home while further orders are checked, so balances pass through other values meanwhile.
            assert moved(record for record, _ in found) == moved(
                from_json(WalletTransaction, json.loads(line)["value"]) for line in lines
            )


EXACT = (
    Topic.VALIDATED,
    Topic.RISK_APPROVED,
    Topic.TRADES,
    Topic.RELEASES,
    Topic.POSITIONS,
    Topic.SETTLEMENTS,
)
EXACT = (*EXACT, Topic.TAPE, Topic.BOOK_UPDATES, Topic.ANNOUNCEMENTS)


@pytest.mark.parametrize("kafka", [{"BOURSE_PARTITIONS": "1"}], indirect=True)
def test_announcements_that_come_at_once_do_what_they_do_one_by_one(workers: Workers) -> None:
    """A closing auction that is halted does not uncross, even if a worker reads of the halt's end in the same cycle."""
    before = [
        *known_market(),
        *(session(kind) for kind in (SessionKind.OPEN, SessionKind.CLOSING_AUCTION)),
        *(limit_order(account_id, side) for account_id, side in (("A", Side.BUY), ("B", Side.SELL))),
    ]
    at_once = [session(kind) for kind in (SessionKind.HALT, SessionKind.CLOSED, SessionKind.RESUME)]
    workers.start("w0")
    workers.publish(before)
    workers.stop("w0")
    for event in at_once:
        workers.send(*event)
    workers.flush()
    workers.start("w0")
    workers.drain()
    expected = [line.strip() for line in simulate_lines(event_line(*event) for event in [*before, *at_once])]
    for topic in (Topic.BOOK_UPDATES, Topic.TAPE, Topic.RELEASES):
        found = [event_line(topic, seen.key, seen.record).strip() for seen in workers.read(topic)]
        assert found == [line for line in expected if line.startswith(f'{{"topic":"{topic}"'.encode())]


def known_market() -> Iterator[tuple[str, str, Record]]:
    """Yield an instrument, and two accounts that can trade it."""
    yield Topic.INSTRUMENTS, "S", Instrument("S", market="XMAD")
    for account_id in "AB":
        yield Topic.ACCOUNTS, account_id, Account(account_id)
    for account_id, asset in (("A", "EUR"), ("B", "S")):
        deposit = WalletCommand(WalletAction.DEPOSIT, asset, account_id, asset, 10_000, TimeNs(1))
        yield Topic.WALLET_COMMANDS, account_id, deposit


def session(kind: SessionKind) -> tuple[str, str, Record]:
    return Topic.SESSIONS, "XMAD", SessionEvent("XMAD", kind, None, dt.date(2019, 5, 23), TimeNs(1))


def limit_order(account_id: str, side: Side) -> tuple[str, str, Record]:
    order = Order(
        OrderAction.NEW,
        "c",
        account_id,
        symbol="S",
        side=side,
        quantity=Quantity(5),
        price=Price(100),
        sent_time_ns=TimeNs(1),
    )
    return Topic.ORDERS, account_id, order


def published(workers: Workers, topic: str) -> Iterator[bytes]:
    """The lines of what was published, with Kafka's timestamps, as `bourse tail --json` gives them."""
    for seen in workers.read(topic):
        line = json.loads(event_line(topic, seen.key, seen.record))
        yield json.dumps({**line, "timestamp_ms": seen.timestamp_ms}).encode()


def moved(transactions: Iterable[WalletTransaction]) -> Counter[tuple[str, str, str | None, int]]:
    """What each order and trade moved in each wallet, all steps together."""
    sums: Counter[tuple[str, str, str | None, int]] = Counter()
    for t in transactions:
        deltas = (t.available_delta, t.blocked_delta, t.unsettled_delta)
        for place, delta in enumerate(deltas):
            sums[t.account_id, t.asset, t.order_id, place] += delta
    return Counter({key: total for key, total in sums.items() if total})
