"""Drives the toy app as real worker processes on the real broker."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bourse.settings import PROJECT_ROOT
from bourse.streaming.carry import Carry

HERE = Path(__file__).parent
COMPACTED = {"cleanup.policy": "compact"}


class Toy:
    """Topics of one toy run, and the workers started for it."""

    def __init__(self, broker: str, folder: Path, partitions: int = 4) -> None:
        self.broker = broker
        self.folder = folder
        self.partitions = partitions
        self.prefix = f"toy-{uuid.uuid4().hex[:8]}-"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self.admin = AdminClient({"bootstrap.servers": broker})
        self._make(*(NewTopic(self.topic(t), partitions, 1) for t in ("numbers", "sums", "routed", "totals")))
        self._make_changelog()

    def _make(self, *topics: NewTopic) -> None:
        for created in self.admin.create_topics(list(topics)).values():
            created.result()

    def _make_changelog(self) -> None:
        self._make(NewTopic(self.topic("changelog"), self.partitions, 1, config=COMPACTED))

    def lose_the_changelog(self) -> None:
        """Delete it, and have it made again."""
        self.delete("changelog")
        self._make_changelog()

    def delete(self, name: str) -> None:
        for deleted in self.admin.delete_topics([self.topic(name)], operation_timeout=10).values():
            deleted.result()

    def topic(self, name: str) -> str:
        return self.prefix + name

    def publish(self, numbers: range, keys: int = 50) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.broker,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        for number in numbers:
            producer.produce(self.topic("numbers"), str(number), f"k{number % keys}")
            if number % 10_000 == 0:
                producer.poll(0)
        producer.flush()

    def publish_raw(self, value: bytes, key: bytes = b"k0") -> None:
        producer = Producer({"bootstrap.servers": self.broker, "partitioner": "murmur2_random"})
        producer.produce(self.topic("numbers"), value, key)
        producer.flush()

    def start(
        self, worker: str, *, carry: Carry = Carry.MEMORY, app: str = "toy_app", **settings: str
    ) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TOY_PREFIX": self.prefix,
            "TOY_PARTITIONS": str(self.partitions),
            "TOY_BROKER": self.broker,
            "TOY_DATA": str(self.folder / worker),
            "TOY_WORKER": worker,
            "TOY_CARRY": carry,
            "PYTHONPATH": os.pathsep.join((str(HERE), str(PROJECT_ROOT))),
            **settings,
        }
        command = [sys.executable, "-m", "faust", "-A", app, "worker", "-l", "info"]
        if "TOY_WEB_PORT" not in settings:
            command.append("--without-web")
        with self.log(worker).open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.workers[worker] = process
        self._started.append(process)
        return process

    def log(self, worker: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{worker}.log"

    def kill(self, worker: str) -> None:
        self.workers[worker].kill()
        self.workers[worker].wait()

    def stop(self, worker: str) -> int:
        process = self.workers.pop(worker)
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def stop_all(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def totals(self) -> "Reader":
        return Reader(self.broker, self.topic("totals"), self.partitions)

    def lag(self) -> dict[tuple[str, int], int]:
        """High watermark minus committed offset for every topic that the group reads."""
        probe = Consumer({"bootstrap.servers": self.broker, "group.id": f"{self.prefix}group"})
        wanted = [
            TopicPartition(self.topic(t), p) for t in ("numbers", "routed") for p in range(self.partitions)
        ]
        try:
            return {
                (tp.topic, tp.partition): probe.get_watermark_offsets(tp, timeout=10)[1] - max(tp.offset, 0)
                for tp in probe.committed(wanted, 10)
            }
        finally:
            probe.close()


class Reader:
    """Reads committed records of a topic from the start."""

    def __init__(self, broker: str, topic: str, partitions: int) -> None:
        self.ids: defaultdict[str, int] = defaultdict(int)
        self.last: dict[str, dict[str, Any]] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker,
                "group.id": f"reader-{uuid.uuid4().hex}",
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])

    def read(self, seconds: float = 0.2) -> int:
        for message in self._consumer.consume(5_000, seconds):
            assert message.error() is None
            value = json.loads(message.value() or b"")
            self.ids[value["id"]] += 1
            self.last[(message.key() or b"").decode()] = value
        return len(self.ids)

    def read_until(
        self, count: int, seconds: float = 60, meanwhile: Callable[[], None] = lambda: None
    ) -> int:
        deadline = time.monotonic() + seconds
        while self.read() < count and time.monotonic() < deadline:
            meanwhile()
        return len(self.ids)

    def close(self) -> None:
        self._consumer.close()
