"""Latency at an offered rate: from the moment an order is handed to the producer to a committed record at a reader.

`python -m bench latency [--rate N] [--seconds N] [--workers N] [--partitions N] [--compiled] [--together]`
"""

import argparse
import itertools
import time
from multiprocessing import Process
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.orders import market, orders, reference_data
from bench.stack import Stack, add_code_option, publish, stack
from bourse.agents.wire import Wire
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import Order, SettlementUpdated, Trade
from bourse.settings import PROJECT_ROOT, Settings
from bourse.streaming.carry import Carry

WARM_SECONDS = 5
TOPICS = (Topic.TRADES, Topic.SETTLEMENTS)


def offer(rate: int, seconds: int) -> None:
    """Publish orders at `rate` a second, each stamped as it goes."""
    settings = Settings.read()
    wire = Wire(settings)
    producer = Stack(settings.data_dir, settings, None).producer(linger_ms=5)  # type: ignore[arg-type]
    encode, topic = wire.encoders[Order], settings.topic("orders")
    began = time.monotonic()
    flow = itertools.islice(orders(market(settings.partitions)), rate * seconds)
    for number, order in enumerate(flow):
        due = began + number / rate
        while (wait := due - time.monotonic()) > 0:
            producer.poll(0)
            time.sleep(min(wait, 0.001))
        stamped = msgspec.structs.replace(order, sent_time_ns=time.time_ns())
        producer.produce(topic, encode(stamped), order.account_id)
    producer.flush()


def observe(made: Stack, wire: Wire, seconds: float) -> dict[Topic, list[float]]:
    """Read committed trades and settlements as they come; return latencies in ms after the warm-up."""
    consumer = Consumer(
        {
            "bootstrap.servers": made.settings.broker,
            "group.id": "bench-latency",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            "socket.nagle.disable": True,
        }
    )
    names = {made.settings.topic(topic): topic for topic in TOPICS}
    ends = [
        TopicPartition(name, p, consumer.get_watermark_offsets(TopicPartition(name, p))[1])
        for name in names
        for p in range(made.settings.partitions)
    ]
    consumer.assign(ends)
    found: dict[Topic, list[float]] = {topic: [] for topic in TOPICS}
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        messages = consumer.consume(1, 0.1)
        messages += consumer.consume(1_000, 0) if messages else []
        now = time.time_ns()
        if elapsed > WARM_SECONDS:
            for message in messages:
                topic = names[message.topic()]
                record = wire.decoders[topic](message.value())
                assert isinstance(record, Trade | SettlementUpdated)
                found[topic].append((now - record.event_time_ns) / 1e6)
    consumer.close()
    return found


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all values are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(
    rate: int, seconds: int, workers: int, partitions: int, carry: Carry, code: Path = PROJECT_ROOT
) -> dict[Topic, list[float]]:
    """Measure one run on a fresh broker, with workers from `code`."""
    with stack(code, partitions=partitions, carry=carry) as made:
        wire = Wire(made.settings)
        for number in range(workers):
            made.start_worker(f"w{number}")
        publish(made, wire, reference_data(market(partitions)))
        producer = Process(target=offer, args=(rate, seconds + WARM_SECONDS))
        producer.start()
        found = observe(made, wire, seconds + WARM_SECONDS)
        producer.join()
        return found


def main(arguments: list[str]) -> None:
    """Print the percentiles of one run."""
    parser = argparse.ArgumentParser(prog="python -m bench latency")
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument(
        "--together", action="store_true", help="every hop in memory, an order's whole way in one transaction"
    )
    add_code_option(parser)
    chosen = parser.parse_args(arguments)
    carry = Carry.TOGETHER if chosen.together else Carry.MEMORY
    found = run(chosen.rate, chosen.seconds, chosen.workers, chosen.partitions, carry, chosen.code)
    for topic, values in found.items():
        p50, p90, p99 = (percentile(values, share) for share in (0.5, 0.9, 0.99))
        print(
            f"order -> {topic:<12} p50 {p50:6.1f}  p90 {p90:6.1f}  p99 {p99:6.1f} ms  ({len(values):,} records)"
        )
