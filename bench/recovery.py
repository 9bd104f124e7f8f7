"""How long nothing happens after a failure, as somebody sees it who reads the committed records of each partition.

`python -m bench recovery [--rounds N]`: two workers under the supervisor, a steady flow of orders, and one failure after
the other. A gap is the longest time between two committed `validated` records of one partition, from the failure on;
the worst partition counts.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from bench.orders import market, orders, reference_data
from bench.stack import Stack, publish, stack
from bourse.agents.wire import Wire
from bourse.cli.ports import free_port
from bourse.cli.supervise import LOOK_SECONDS, BrokerKeeper
from bourse.cli.supervisor import ChildSpec, Supervisor
from bourse.schemas.records import Order

PARTITIONS = 4
RATE = 400
WORKERS = 2
CALM_SECONDS = 4.0
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 90.0


@dataclass
class Watch:
    """When each partition's committed records came."""

    made: Stack
    came: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    is_over: bool = False

    def run(self) -> None:
        """Read until it is over."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.made.settings.broker,
                "group.id": "watch",
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )
        topic = self.made.settings.topic("validated")
        consumer.assign([TopicPartition(topic, p) for p in range(PARTITIONS)])
        while not self.is_over:
            for message in consumer.consume(500, 0.02):
                if message.error() is None:
                    self.came[message.partition()].append(time.monotonic())
        consumer.close()

    def worst_gap(self, since: float) -> float:
        """Return the longest gap of any partition from a moment on."""
        now = time.monotonic()
        gaps = []
        for partition in range(PARTITIONS):
            times = [since, *(t for t in list(self.came[partition]) if t > since), now]
            gaps.append(max(after - before for before, after in itertools.pairwise(times)))
        return max(gaps)

    def all_came_since(self, moment: float) -> bool:
        """Whether every partition has had a record since a moment."""
        return all(times and times[-1] > moment for times in (self.came[p] for p in range(PARTITIONS)))

    def first_since(self, moment: float) -> float | None:
        """Return when the last partition had its first record after a moment; None while one has had none."""
        firsts = [next((t for t in self.came[p] if t > moment), None) for p in range(PARTITIONS)]
        return None if None in firsts else max(t for t in firsts if t is not None)


class Market:
    """A running market: workers under a supervisor, orders at a steady rate, and the watch."""

    def __init__(self, made: Stack) -> None:
        self.made = made
        self.watch = Watch(made)
        self.supervisor = Supervisor(made.settings.run_dir, made.settings.logs_dir, _worker, _quiet)
        self.keeper = BrokerKeeper(made.node)
        self.is_over = False
        self.supervisor.begin(WORKERS)
        self.supervisor.tick(time.monotonic())
        publish(made, Wire(made.settings), reference_data(market(PARTITIONS)))
        jobs = (self._supervise, self.watch.run, self._publish)
        self.threads = [threading.Thread(target=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def _supervise(self) -> None:
        while not self.is_over:
            self.keeper.tick(time.monotonic())
            self.supervisor.tick(time.monotonic())
            time.sleep(LOOK_SECONDS)

    def _publish(self) -> None:
        wire, producer = Wire(self.made.settings), self.made.producer()
        encode, topic = wire.encoders[Order], self.made.settings.topic("orders")
        began = time.monotonic()
        for number, order in enumerate(orders(market(PARTITIONS))):
            if self.is_over:
                break
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            producer.produce(topic, encode(order), order.account_id)
            producer.poll(0)

    def calm(self) -> None:
        """Wait until every partition has gone on without a pause for a while, and every worker runs."""
        began = steady = time.monotonic()
        while time.monotonic() < steady + CALM_SECONDS:
            if not self.watch.all_came_since(time.monotonic() - PAUSE_SECONDS) or len(self.pids()) < WORKERS:
                steady = time.monotonic()
            if time.monotonic() > began + PATIENCE_SECONDS:
                msg = "the market does not come back"
                raise TimeoutError(msg)
            time.sleep(0.1)
        # Each failure counts as a first one: the supervisor is not to be more patient each time.
        for child in self.supervisor.children:
            child.failures = 0

    def pids(self) -> list[int]:
        """Return the workers' process ids."""
        return [child.popen.pid for child in self.supervisor.children if child.popen]

    def close(self) -> None:
        """End it all."""
        self.is_over = self.watch.is_over = True
        for thread in self.threads:
            thread.join()
        self.supervisor.end()

    # -- failures: each returns its figure in seconds -----------------------------------------------------------------

    def kill_one(self, number: int) -> float:
        """SIGKILL of one of two workers."""
        began = time.monotonic()
        os.kill(self.pids()[number % 2], signal.SIGKILL)
        self.calm()
        return self.watch.worst_gap(began)

    def come_back(self, number: int) -> float:
        """SIGKILL of one of two workers; from the start of its next process to the first record in every partition."""
        child = self.supervisor.children[number % 2]
        assert child.popen is not None
        before = child.started_at
        os.kill(child.popen.pid, signal.SIGKILL)
        while child.started_at == before:
            time.sleep(0.01)
        began = child.started_at
        self.calm()
        first = self.watch.first_since(began)
        assert first is not None
        return first - began

    def roll(self, _number: int) -> float:
        """SIGTERM of one worker after the other."""
        worst = 0.0
        for place in (0, 1):
            began = time.monotonic()
            os.kill(self.pids()[place], signal.SIGTERM)
            self.calm()
            worst = max(worst, self.watch.worst_gap(began))
        return worst

    def kill_broker(self, _number: int) -> float:
        """SIGKILL of the broker; from its being back to the first record in every partition."""
        process = self.made.node.process()
        assert process is not None
        process.send(signal.SIGKILL)
        process.wait(5)
        time.sleep(1.0)
        while not self.made.node.answers(0.5):
            time.sleep(0.1)
        back = time.monotonic()
        self.calm()
        first = self.watch.first_since(back)
        assert first is not None
        return first - back


def _worker(number: int) -> ChildSpec:
    name = f"worker-{number}"
    command = [sys.executable, "-m", "bourse.cli.main", "worker", "--id", name]
    return ChildSpec(name, command, {"BOURSE_WORKER_ID": name, "BOURSE_WEB_PORT": str(free_port())})


def _quiet(_text: str) -> None: ...


def _line(name: str, figures: list[float]) -> str:
    ordered = sorted(figures)
    # With so few rounds the 95th percentile is the worst but one, or the worst.
    p95 = ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
    median = ordered[len(ordered) // 2]
    return f"{name:<52} {median:6.1f} {p95:6.1f} {ordered[-1]:6.1f} s ({len(ordered)} times)"


def main(arguments: list[str]) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench recovery")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args(arguments).rounds
    with stack(partitions=PARTITIONS) as made:
        market_ = Market(made)
        failures: dict[str, Callable[[int], float]] = {
            "without progress after SIGKILL of one of two workers": market_.kill_one,
            "from a killed worker's restart to progress everywhere": market_.come_back,
            "without progress in a rolling restart": market_.roll,
            "from the broker's return to progress everywhere": market_.kill_broker,
        }
        try:
            print(f"{'':<52} {'median':>6} {'p95':>6} {'max':>6}")
            for name, fail in failures.items():
                figures = []
                for number in range(rounds):
                    market_.calm()
                    figures.append(fail(number))
                print(_line(name, figures), flush=True)
        finally:
            market_.close()
