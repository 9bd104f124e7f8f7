"""A broker and workers for one measurement, in a folder of their own, and what can be read off them from outside."""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from bourse.agents.wire import Wire
from bourse.cli.drain import wait_until_drained
from bourse.cli.group import Group
from bourse.cli.kafka import admin_client
from bourse.cli.local_broker import LocalBroker
from bourse.cli.topic_admin import TopicAdmin
from bourse.cli.topic_settings import wanted_topics
from bourse.schemas.records import Record
from bourse.settings import PROJECT_ROOT, Settings

TICKS = os.sysconf("SC_CLK_TCK")
COMPILED = PROJECT_ROOT / ".bourse" / "compiled"
"""Where `make compiled` puts the compiled modules."""


@dataclass
class Stack:
    """One measurement's broker, topics and workers."""

    folder: Path
    settings: Settings
    node: LocalBroker
    code: Path = PROJECT_ROOT
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_worker(self, name: str, module: str = "bourse.cli.main") -> None:
        """Start one worker process, its log in the folder; `module` has the command line."""
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", module, "worker", "--id", name]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (self.code, PROJECT_ROOT)))}
            self.workers[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=self.folder
            )

    def stop_workers(self) -> None:
        """Stop the workers gracefully."""
        for process in self.workers.values():
            process.terminate()
        for process in self.workers.values():
            process.wait(30)
        self.workers.clear()

    def cpu_seconds(self) -> float:
        """Return user and system time of all workers so far."""
        return sum(_cpu(process.pid) for process in self.workers.values())

    def broker_seconds(self) -> float:
        """Return user and system time of the broker so far."""
        process = self.node.process()
        return 0.0 if process is None else _cpu(process.pid)

    def peak_mib(self) -> float:
        """Return the largest peak memory of a worker."""
        return max(_peak_kib(process.pid) for process in self.workers.values()) / 1024

    def producer(self, linger_ms: int = 2, compression: str = "lz4") -> Producer:
        """Return a fast producer that partitions as Kafka's own clients do."""
        return Producer(
            {
                "bootstrap.servers": self.settings.broker,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "compression.type": compression,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
                "log_level": 0,  # a broker that is killed on purpose is no news
            }
        )

    def drain(self) -> None:
        """Wait until the workers have committed everything, through all stages."""
        group = Group(admin_client(self.settings.broker), self.settings)
        deadline = time.monotonic() + 60
        while True:
            try:
                wait_until_drained(group, lambda _text: None)
            except KafkaException:  # a broker that has just started does not coordinate groups yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def timestamps(self, topic: str) -> list[int]:
        """Return the broker's timestamps (ms) of a topic's records, from the start."""
        return [ms for ms, _ in self.records(topic)]

    def records(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """Yield timestamp (ms) and value of every committed record of a topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.settings.broker,
                "group.id": "bench-reader",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        partitions = range(self.settings.partitions)
        consumer.assign([TopicPartition(self.settings.topic(topic), p, 0) for p in partitions])
        ended: set[int] = set()
        while len(ended) < self.settings.partitions:
            # Asked for many at once, librdkafka waits the whole second for all of them.
            for message in (*consumer.consume(1, 1.0), *consumer.consume(10_000, 0)):
                if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    yield message.timestamp()[1], message.value()
        consumer.close()


@contextlib.contextmanager
def stack(code: Path = PROJECT_ROOT, **settings: object) -> Iterator[Stack]:
    """Give a fresh broker with every topic made, and stop and delete it all afterwards; workers run from `code`."""
    folder = Path(tempfile.mkdtemp(prefix="bourse-bench-"))
    jars = PROJECT_ROOT / ".bourse" / "broker" / "jars"
    node = LocalBroker(folder / "broker", jars)
    node.start()
    changes = {"BOURSE_BROKER": node.address, "BOURSE_DATA_DIR": str(folder)}
    changes |= {f"BOURSE_{name.upper()}": str(value) for name, value in settings.items()}
    os.environ.update({name: str(value) for name, value in changes.items()})
    read = Settings.read()
    TopicAdmin(admin_client(read.broker)).apply(wanted_topics(read))
    made = Stack(folder, read, node, code)
    keep = bool(os.environ.get("BENCH_KEEP"))
    try:
        yield made
    finally:
        for process in made.workers.values():
            process.kill()
            process.wait()
        node.stop()
        for name in changes:
            os.environ.pop(name, None)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def add_code_option(parser: argparse.ArgumentParser) -> None:
    """Let a measurement be told which code its workers run."""
    parser.add_argument(
        "--compiled", dest="code", action="store_const", const=COMPILED, default=PROJECT_ROOT,
        help="workers run what `make compiled` made",
    )  # fmt: skip


def publish(made: Stack, wire: Wire, events: Iterator[tuple[str, str, Record]]) -> int:
    """Publish records (topic, key, record), topic by topic, waiting for the workers between topics; return the count."""
    producer, last, count = made.producer(), "", 0
    for topic, key, record in events:
        if topic != last and last:
            producer.flush()
            made.drain()
        last = topic
        producer.produce(made.settings.topic(topic), wire.encoders[type(record)](record), key)
        count += 1
        if count % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    made.drain()
    return count


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
