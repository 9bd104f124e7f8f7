"""The real trading day through running workers: its known truth, under kills, and equal to the simulation's."""

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
from bourse.schemas.records import Record, Side, WalletTransaction
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
