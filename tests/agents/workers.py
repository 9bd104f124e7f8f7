"""Real worker processes of one market on the real broker, and its topics as an outside reader sees them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from bourse.agents.wire import Wire
from bourse.cli.drain import wait_until_drained
from bourse.cli.group import Group
from bourse.cli.kafka import admin_client
from bourse.schemas.records import Record
from bourse.settings import PROJECT_ROOT, Settings
from bourse.streaming.transport import EXIT_FAILED

BOURSE = (str(Path(sys.executable).parent / "bourse"),)


class Seen(NamedTuple):
    """A committed record."""

    partition: int
    offset: int
    key: str
    record: Any
    timestamp_ms: int


class Workers:
    """The workers of one market; `settings` must be those of the environment."""

    def __init__(self, settings: Settings, command: Sequence[str] = BOURSE) -> None:
        self.settings = settings
        self.command = command
        self.wire = Wire(settings)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.producer = Producer(
            {
                "bootstrap.servers": settings.broker,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "log_level": 0,
                "queue.buffering.max.messages": 1_000_000,
                # A leader that is frozen answers no more: ask the next one soon.
                "socket.timeout.ms": 5_000,
            }
        )

    # -- processes -----------------------------------------------------------------------------------------------

    def start(self, name: str, **environment: str) -> None:
        self.settings.logs_dir.mkdir(parents=True, exist_ok=True)
        with (self.settings.logs_dir / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*self.command, "worker", "--id", name],
                stdout=log,
                stderr=log,
                cwd=PROJECT_ROOT,
                env={**os.environ, **environment},
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, self.log(name)[-5000:]

    def revive(self) -> None:
        """Start again, as a supervisor does, what ended because its broker did not answer in time."""
        for name, process in list(self.running.items()):
            if process.poll() == EXIT_FAILED:
                self.start(name)

    def kill_all(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.settings.logs_dir / f"{name}.log").read_text()

    def assert_alive(self) -> None:
        for name, process in self.running.items():
            assert process.poll() is None, self.log(name)[-5000:]

    # -- topics ----------------------------------------------------------------------------------------------------

    def publish(self, events: Iterable[tuple[str, str, Record]]) -> None:
        """Publish; wait for the pipeline wherever the topic changes."""
        last = ""
        for topic, key, record in events:
            if last and topic != last:
                self.flush()
                self.drain()
            last = topic
            self.send(topic, key, record)
        self.flush()
        self.drain()

    def send(self, topic: str, key: str, record: Record) -> None:
        self.raw(topic, key.encode(), self.wire.encoders[type(record)](record))

    def raw(self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1) -> None:
        self.producer.produce(self.settings.topic(topic), value, key, partition)
        self.producer.poll(0)

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    def drain(self) -> None:
        group = Group(admin_client(self.settings.broker), self.settings)
        wait_until_drained(group, lambda _text: self.revive())

    def end_offsets(self, topic: str) -> int:
        """High watermarks of a topic, summed: grows with everything that is written."""
        probe = Consumer({"bootstrap.servers": self.settings.broker, "group.id": "probe"})
        partitions = [TopicPartition(self.settings.topic(topic), p) for p in range(self.settings.partitions)]
        try:
            return sum(probe.get_watermark_offsets(tp, timeout=10)[1] for tp in partitions)
        finally:
            probe.close()

    def wait_for(self, topic: str, offsets: int, seconds: float = 60) -> None:
        """Wait until a topic's end offsets sum to at least `offsets`."""
        deadline = time.monotonic() + seconds
        while (reached := self.end_offsets(topic)) < offsets:
            assert time.monotonic() < deadline, f"{topic} stands at {reached}, wanted {offsets}"
            self.revive()
            time.sleep(0.05)

    def read(self, topic: str) -> Iterator[Seen]:
        """Yield every committed record of a topic, decoded, partition by partition in order."""
        decode = self.wire.decoders[topic]  # type: ignore[index]
        for message in sorted(self.messages(topic), key=lambda m: (m.partition(), m.offset())):
            yield Seen(
                message.partition(),
                message.offset(),
                (message.key() or b"").decode(errors="replace"),
                decode(message.value()),
                message.timestamp()[1],
            )

    def records(self, topic: str) -> list[Any]:
        return [seen.record for seen in self.read(topic)]

    def messages(self, *topics: str) -> Iterator[Any]:
        """Yield every committed message of the topics: each partition in its order, partitions as they come."""
        places = {(self.settings.topic(t), p) for t in topics for p in range(self.settings.partitions)}
        consumer = Consumer(
            {
                "bootstrap.servers": self.settings.broker,
                "group.id": "reader",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in places])
        try:
            while places:
                # Asked for many at once, librdkafka waits the whole second for all of them.
                for message in (*consumer.consume(1, 1.0), *consumer.consume(10_000, 0)):
                    error = message.error()
                    if error is None:
                        yield message
                        continue
                    assert error.code() == KafkaError._PARTITION_EOF, error  # noqa: SLF001
                    places.discard((message.topic(), message.partition()))
        finally:
            consumer.close()
