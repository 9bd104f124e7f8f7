"""What each part of an order costs in a worker: the whole chain with its tables on disk, in one process without Kafka.

Orders come in cycles, as the engine takes them in; what goes from one side to the other comes back in the next cycle. A
part's processor time is that of the best run: others on the machine take its caches all the same.

    python -m bench chain [--compiled] [--orders N] [--cycle N] [--repeats N]
"""

import argparse
import itertools
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.orders import market, orders, reference_data
from bourse.agents.build import inner_topics, reading_order
from bourse.agents.metrics import StageMetrics
from bourse.agents.runner import StageRunner
from bourse.agents.wire import Wire
from bourse.cli.worker import calm_collector
from bourse.pipeline.flow import STAGES, Stage
from bourse.pipeline.outputs import Output, Record
from bourse.pipeline.state import State
from bourse.schemas.records import Order
from bourse.schemas.units import TimeNs
from bourse.settings import Settings
from bourse.streaming import frames
from bourse.streaming.frames import Frame
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables.state import open_store

PARTITION: Final = 0
WARM_UP: Final = 10_000
"""Orders before the first that is measured: books fill, and the first trade reads the exchange's calendar."""
ROWS, BATCH = "changelog rows", "RocksDB batch"


class Chain:
    """Every stage of one partition over one store, and the records that wait for the next cycle."""

    def __init__(self, folder: Path, metrics: StageMetrics) -> None:
        settings = Settings(partitions=1)
        self.wire = Wire(settings)
        identity = ChangelogIdentity("bench", "bench", "changelog", PARTITION)
        self.store = open_store(folder, identity, self.wire.codec)
        self.store.ready()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """By part; a stage's own time is what it decides in, a runner's all that is around that."""
        self.read: Counter[str] = Counter()
        self.written = 0
        self._rank = {self.wire.names[topic]: rank for rank, topic in enumerate(reading_order())}
        self._inner = {self.wire.names[topic] for topic in inner_topics()}
        self._runners: defaultdict[str, list[StageRunner]] = defaultdict(list)
        for stage in STAGES:
            runner = StageRunner(self._timed(stage), self.wire, metrics, inner_topics())
            for name in dict.fromkeys(self.wire.names[read.topic] for read in stage.reads):
                self._runners[name].append(runner)
        self._waiting: defaultdict[str, list[frames.Record]] = defaultdict(list)
        self._passed: defaultdict[str, list[frames.Record]] = defaultdict(list)

    def feed(self, topic: str, key: str, record: Record) -> None:
        """Let a record from outside wait for the next cycle."""
        self._wait(topic, self.wire.encoders[type(record)](record), key.encode())

    def trade(self, flow: Iterator[Order], cycle: int) -> None:
        """Feed orders, so many for each cycle, and work them off."""
        while batch := [*itertools.islice(flow, cycle)]:
            for order in batch:
                self.feed("orders", order.account_id, order)
            self.work_off()

    def work_off(self) -> None:
        """Run cycles until nothing waits any more."""
        while self._waiting:
            waiting, self._waiting = self._waiting, defaultdict(list)
            for topic in sorted(waiting, key=self._rank.__getitem__):
                self._run(topic, waiting[topic])
                while self._passed:
                    handed = next(iter(self._passed))
                    self._run(handed, self._passed.pop(handed))
            began = time.thread_time()
            self.store.changes()
            changed = time.thread_time()
            self.store.commit(self.written)
            self.seconds[ROWS] += changed - began
            self.seconds[BATCH] += time.thread_time() - changed

    def start_measuring(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()
        self.read.clear()
        self.written = 0

    def _timed(self, stage: Stage) -> Stage:
        name, handle, seconds, read = stage.name, stage.handle, self.seconds, self.read

        def timed(state: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
            began = time.thread_time()
            outputs = handle(state, topic, cause, record, time_ns)
            seconds[name] += time.thread_time() - began
            read[name] += 1
            return outputs

        return stage._replace(handle=timed)

    def _run(self, topic: str, records: list[frames.Record]) -> None:
        for runner in self._runners[topic]:
            frame = Frame(topic, PARTITION, records, self.store, self._produce, self._produce, self._pass_on)
            deciding, began = self.seconds[runner.stage.name], time.thread_time()
            runner.run(frame)
            deciding -= self.seconds[runner.stage.name]
            self.seconds["decoding, encoding, sending"] += time.thread_time() - began + deciding

    def _produce(self, topic: str, value: bytes | None, key: bytes | None, _partition: int) -> None:
        self.written += 1
        if topic in self._rank and topic not in self._inner:
            self._wait(topic, value, key)

    def _wait(self, topic: str, value: bytes | None, key: bytes | None) -> None:
        waiting = self._waiting[topic]
        waiting.append(frames.Record(len(waiting), 0, key, value))

    def _pass_on(self, topic: str, _partition: int, record: frames.Record) -> None:
        if topic in self._inner:
            self._passed[topic].append(record)


def measure(count: int, cycle: int, metrics: StageMetrics) -> Chain:
    """Return the chain after that many orders."""
    with tempfile.TemporaryDirectory(prefix="bourse-bench-") as folder:
        chain, traded = Chain(Path(folder), metrics), market(1)
        for topic, group in itertools.groupby(reference_data(traded), key=lambda event: event[0]):
            for _, key, record in group:
                chain.feed(topic, key, record)
            chain.work_off()
        flow = orders(traded)
        chain.trade(itertools.islice(flow, WARM_UP), cycle)
        chain.start_measuring()
        chain.trade(itertools.islice(flow, count), cycle)
        return chain


def main(arguments: list[str]) -> None:
    """Print the time of each part, for an order and for each record that it decides about."""
    parser = argparse.ArgumentParser(prog="python -m bench chain")
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--cycle", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args(arguments)
    calm_collector()
    metrics = StageMetrics()
    runs = [measure(chosen.orders, chosen.cycle, metrics) for _ in range(chosen.repeats)]
    best = {part: min(run.seconds[part] for run in runs) for part in runs[0].seconds}
    total = sum(best.values())
    for part, seconds in sorted(best.items(), key=lambda item: -item[1]):
        microseconds, records = seconds * 1e6, runs[0].read[part]
        each = f"{microseconds / records:>7.1f} us a record" if records else ""
        print(f"{part:<28} {microseconds / chosen.orders:>7.1f} us an order {seconds / total:>5.0%} {each}")
    print(
        f"{'all':<28} {total * 1e6 / chosen.orders:>7.1f} us an order, {runs[0].written / chosen.orders:.1f} records"
    )
