"""The demonstration's reader: what the market commits, from the first record on, while it happens.

It notes the moment at which each record was in its hands. It knows nothing of what the records mean.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bourse.cli.errors import CliError
from bourse.cli.group import Group, Place
from bourse.cli.kafka import admin_client, client_config
from bourse.cli.wire import Wire
from bourse.pipeline.outputs import Record, Topic
from bourse.settings import Settings

BATCH = 500
POLL_SECONDS = 0.1
END_SECONDS = 120


class Arrival(NamedTuple):
    """A committed record, where it was, when Kafka took it and when the reader had it."""

    topic: Topic
    position: str
    record: Record
    timestamp_ms: int
    arrived_ns: int


@contextmanager
def following(
    settings: Settings, topics: Collection[Topic], partitions: int, see: Callable[[Arrival], None]
) -> Iterator[None]:
    """Read topics while something else is done, and then on to what is their end at that moment."""
    follower = Follower(settings, topics, partitions, see)
    follower.start()
    try:
        yield
        follower.finish()
    finally:
        follower.stop()


class Follower:
    """Reads topics from their beginning in a thread of its own."""

    def __init__(
        self, settings: Settings, topics: Collection[Topic], partitions: int, see: Callable[[Arrival], None]
    ) -> None:
        """Take the settings, what to read, and whom to give each record."""
        self._settings = settings
        self._see = see
        self._wire = Wire(settings)
        self._places = frozenset(
            Place(settings.topic(topic), partition) for topic in topics for partition in range(partitions)
        )
        self._reached = dict.fromkeys(self._places, 0)
        self._wanted: dict[Place, int] | None = None
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def finish(self) -> None:
        """Read on to what is the end now, and stop; raise what went wrong meanwhile."""
        group = Group(admin_client(self._settings.broker), self._settings)
        self._wanted = group.stable_ends(self._places)
        self._thread.join(END_SECONDS)
        if self._failure:
            raise self._failure
        if self._thread.is_alive():
            self.stop()
            msg = f"The reader has not come to the end of the topics within {END_SECONDS} s."
            raise CliError(msg, "`bourse status` shows whether a transaction hangs.")

    def stop(self) -> None:
        """Stop reading, wherever it is."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            consumer = self._consumer()
            try:
                while not (self._ended.is_set() or self._is_through()):
                    self._read(consumer)
            finally:
                consumer.close()
        except BaseException as error:  # noqa: BLE001 - raised again by `finish`
            self._failure = error

    def _consumer(self) -> Consumer:
        consumer = Consumer(
            client_config(self._settings.broker)
            | {
                "group.id": f"{self._settings.group}-demo",  # Never joined: partitions are assigned by hand.
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 16_384,
            }
        )
        consumer.assign([TopicPartition(*place, 0) for place in sorted(self._places)])
        return consumer

    def _read(self, consumer: Consumer) -> None:
        messages = consumer.consume(1, POLL_SECONDS)
        if messages:
            messages += consumer.consume(BATCH, 0)
        arrived_ns = time.time_ns()
        for message in messages:
            self._take(message, arrived_ns)

    def _take(self, message: Message, arrived_ns: int) -> None:
        place = Place(message.topic(), message.partition())
        error = message.error()
        if error is None:
            self._reached[place] = message.offset() + 1
            topic = Topic(self._settings.contract_topic(place.topic))
            record = self._wire.decode(topic, message.value())
            position = f"{topic}/{place.partition}/{message.offset()}"
            self._see(Arrival(topic, position, record, message.timestamp()[1], arrived_ns))
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for the end of a partition
            self._reached[place] = message.offset()
        elif error.fatal() or not error.retriable():
            raise KafkaException(error)

    def _is_through(self) -> bool:
        wanted = self._wanted
        return wanted is not None and all(self._reached[place] >= end for place, end in wanted.items())
