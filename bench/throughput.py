"""Orders to settlements: a burst of orders waits in Kafka, workers start, and everything is worked off.

`python -m bench throughput [--orders N] [--workers N] [--partitions N] [--six-topics] [--compiled]`
"""

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

from bench.orders import market, orders, reference_data
from bench.stack import Stack, add_code_option, publish, stack
from bourse.agents.wire import Wire
from bourse.pipeline.flow import STAGES, Keyed
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Order
from bourse.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Throughput:
    """What one run came to."""

    orders: int
    trades: int
    records: int
    seconds: float
    cpu_seconds: float
    broker_seconds: float
    peak_mib: float

    def lines(self) -> list[str]:
        """Return the figures as lines for people."""
        return [
            f"orders                  {self.orders:>12,}",
            f"trades                  {self.trades:>12,}",
            f"records written         {self.records:>12,}",
            f"orders/s                {self.orders / self.seconds:>12,.0f}",
            f"records/s               {self.records / self.seconds:>12,.0f}",
            f"worker CPU per order    {self.cpu_seconds / self.orders * 1e6:>9,.1f} us",
            f"broker CPU per order    {self.broker_seconds / self.orders * 1e6:>9,.1f} us",
            f"worker peak memory      {self.peak_mib:>9,.0f} MiB",
        ]


OUTPUTS = frozenset(
    topic for stage in STAGES if stage.keyed is not Keyed.EVERY_PARTITION for topic in stage.writes
)
"""What orders become, stage by stage."""


def preload(made: Stack, wire: Wire, count: int) -> None:
    """Publish `count` orders without waiting for anybody."""
    producer, encode = made.producer(), wire.encoders[Order]
    topic = made.settings.topic("orders")
    flow = orders(market(made.settings.partitions))
    for number, order in enumerate(itertools.islice(flow, count)):
        producer.produce(topic, encode(order), order.account_id)
        if number % 20_000 == 0:
            producer.poll(0)
    producer.flush()


def run(
    count: int, workers: int, partitions: int, module: str = "bourse.cli.main", code: Path = PROJECT_ROOT
) -> Throughput:
    """Measure one burst on a fresh broker, with workers of `module`'s command line from `code`."""
    with stack(code, partitions=partitions) as made:
        wire = Wire(made.settings)
        names = [f"w{n}" for n in range(workers)]
        for name in names:
            made.start_worker(name)
        publish(made, wire, reference_data(market(partitions)))
        made.stop_workers()
        preload(made, wire, count)
        broker = made.broker_seconds()
        for name in names:
            made.start_worker(name, module)
        time.sleep(1)
        made.drain()
        cpu, peak, broker = made.cpu_seconds(), made.peak_mib(), made.broker_seconds() - broker
        sizes = {topic: made.timestamps(topic) for topic in OUTPUTS}
        begin, end = min(sizes[Topic.VALIDATED]), max(sizes[Topic.SETTLEMENTS])
        return Throughput(
            count,
            len(sizes[Topic.TRADES]) // 2,
            sum(map(len, sizes.values())),
            (end - begin) / 1000,
            cpu,
            broker,
            peak,
        )


def main(arguments: list[str]) -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(prog="python -m bench throughput")
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--six-topics", action="store_true", help="without order events and the wallet log")
    add_code_option(parser)
    chosen = parser.parse_args(arguments)
    if chosen.six_topics and chosen.code != PROJECT_ROOT:
        parser.error(
            "--six-topics changes a class, which the compiled code does not allow: leave out --compiled"
        )
    module = "bench.six_topics" if chosen.six_topics else "bourse.cli.main"
    print(*run(chosen.orders, chosen.workers, chosen.partitions, module, chosen.code).lines(), sep="\n")
