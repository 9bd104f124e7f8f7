"""What must hold of the committed outputs, computed from the topics alone, in integers."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from bourse.pipeline.simulate import simulate_lines
from bourse.schemas.jsonform import event_line
from bourse.schemas.records import OrderStatus, Side, TransactionKind
from tests.agents.workers import Workers

OUTPUTS = (
    "validated",
    "risk-approved",
    "trades",
    "positions",
    "settlements",
    "releases",
    "order-events",
    "wallet-transactions",
    "tape",
    "book-updates",
    "announcements",
    "dead-letters",
)
TERMINAL = {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
REQUEST_REFUSED = {OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED}


def source(event_id: str) -> str:
    return "/".join(event_id.split("/")[:3])


class Proof:
    """Reads every output topic once; each `check_` method asserts one equation."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.topics: dict[str, list[Any]] = {topic: workers.records(topic) for topic in OUTPUTS}

    def check_all(self) -> None:
        self.check_event_ids_are_unique()
        self.check_each_order_is_accounted_for_once()
        self.check_each_order_has_one_life()
        self.check_wallet_chain_and_signs()
        self.check_cash_and_shares_are_conserved()
        self.check_positions_are_the_sum_of_trades()
        self.check_trades_have_two_sides()
        self.check_simulation_gives_the_same_trades()

    def check_event_ids_are_unique(self) -> None:
        for topic, records in self.topics.items():
            repeated = [e for e, n in Counter(r.event_id for r in records).items() if n > 1]
            assert not repeated, (topic, repeated[:3])

    def check_each_order_is_accounted_for_once(self) -> None:
        positions = {f"orders/{s.partition}/{s.offset}" for s in self.workers.read("orders")}
        refused = (
            e.event_id
            for e in self.topics["order-events"]
            if e.status in REQUEST_REFUSED | {OrderStatus.REJECTED} and e.event_id.count("/") == 3
        )
        outcomes = Counter(source(r.event_id) for r in self.topics["validated"])
        outcomes.update(source(event_id) for event_id in refused)
        outcomes.update(source(r.event_id) for r in self.topics["dead-letters"] if r.topic == "orders")
        assert set(outcomes) == positions
        assert set(outcomes.values()) == {1}

    def check_each_order_has_one_life(self) -> None:
        # An order's account may write in two partitions' transactions, but matching's events come in order.
        lives: defaultdict[str, list[Any]] = defaultdict(list)
        for event in self.topics["order-events"]:
            if event.status not in REQUEST_REFUSED:
                lives[event.order_id].append(event)
        for order_id, events in lives.items():
            ends = [e for e in events if e.status in TERMINAL]
            assert len(ends) <= 1, order_id
            assert sum(e.status is OrderStatus.VALIDATED for e in events) <= 1, order_id
            for event in events:
                done = event.status in TERMINAL
                open_ = 0 if done else event.order_quantity - event.cum_quantity
                assert event.leaves_quantity == open_, event

    def check_wallet_chain_and_signs(self) -> None:
        balances: defaultdict[tuple[str, str], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for t in self.topics["wallet-transactions"]:
            before = balances[t.account_id, t.asset]
            deltas = (t.available_delta, t.blocked_delta, t.unsettled_delta)
            after = (t.available, t.blocked, t.unsettled)
            assert after == tuple(b + d for b, d in zip(before, deltas, strict=True)), t
            assert t.available >= 0, t
            assert t.blocked >= 0, t
            balances[t.account_id, t.asset] = after
        self.balances = dict(balances)

    def check_cash_and_shares_are_conserved(self) -> None:
        held: Counter[str] = Counter()
        for (_, asset), after in self.balances.items():
            held[asset] += sum(after)
        brought: Counter[str] = Counter()
        for t in self.topics["wallet-transactions"]:
            if t.kind in {TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL}:
                brought[t.asset] += t.available_delta
        for trade in self.topics["trades"]:
            brought[trade.currency] -= trade.fee
        assert {a: n for a, n in held.items() if n} == {a: n for a, n in brought.items() if n}

    def check_positions_are_the_sum_of_trades(self) -> None:
        expected: Counter[tuple[str, str]] = Counter()
        for trade in self.topics["trades"]:
            sign = 1 if trade.side is Side.BUY else -1
            expected[trade.account_id, trade.symbol] += sign * trade.quantity
        last: dict[tuple[str, str], Any] = {}
        for update in self.topics["positions"]:
            key = (update.account_id, update.symbol)
            before = last[key].quantity if key in last else 0
            assert update.quantity == before + update.quantity_delta, update
            last[key] = update
            if update.cause in {"DEPOSIT", "WITHDRAWAL"}:
                expected[key] += update.quantity_delta
        assert {k: u.quantity for k, u in last.items() if u.quantity} == {
            k: n for k, n in expected.items() if n
        }

    def check_trades_have_two_sides(self) -> None:
        sides: defaultdict[str, list[Any]] = defaultdict(list)
        for trade in self.topics["trades"]:
            sides[trade.trade_id].append(trade)
        for pair in sides.values():
            assert sorted(t.side for t in pair) == ["BUY", "SELL"]
            assert len({(t.symbol, t.price, t.quantity) for t in pair}) == 1
        updates = Counter(
            (u.trade_id, u.account_id, u.side) for u in self.topics["positions"] if u.cause == "TRADE"
        )
        assert updates == Counter((t.trade_id, t.account_id, t.side) for t in self.topics["trades"])

    def check_simulation_gives_the_same_trades(self) -> None:
        """A17: the same stages over `risk-approved`, as each partition ordered it, give the same trades."""
        inputs: Iterable[bytes] = (
            event_line("risk-approved", s.key, s.record) for s in self.workers.read("risk-approved")
        )
        simulated: defaultdict[str, list[bytes]] = defaultdict(list)
        for line in simulate_lines(inputs):
            event = json.loads(line)
            if event["topic"] == "trades":
                simulated[event["value"]["symbol"]].append(line.strip())
        ours: defaultdict[str, list[bytes]] = defaultdict(list)
        for seen in self.workers.read("trades"):
            ours[seen.record.symbol].append(event_line("trades", seen.key, seen.record).strip())
        # The two sides of a trade may be in different partitions: compare as sets for each symbol, order by tape.
        assert {s: sorted(lines) for s, lines in ours.items()} == {
            s: sorted(lines) for s, lines in simulated.items()
        }
