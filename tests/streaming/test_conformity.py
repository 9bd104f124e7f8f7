"""The Kafka in memory answers as the real one does, where the engine depends on it: the same test on both of them."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from bourse.streaming.asking import answers
from bourse.streaming.carry import Carry
from bourse.streaming.config import EngineConfig
from bourse.streaming.config import Member as KafkaMember
from bourse.streaming.intake import Source, assign, begin_reading, consumer_settings, sources
from bourse.streaming.outside import KAFKA, Outside
from bourse.streaming.producer import producer_settings
from tests.simulation.choices import Choices
from tests.simulation.clients import Admin, Consumer, Odds, Producer
from tests.simulation.kafka import Clock, Kafka
from tests.streaming.refusals import refused

PARTITIONS = 2
SECONDS = 20.0
FENCED = KafkaError._FENCED  # noqa: SLF001
TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001
END = KafkaError._PARTITION_EOF  # noqa: SLF001


def no_store(_identity: object) -> Any:
    raise NotImplementedError


class Cluster:
    """Clients of either Kafka, with the engine's own settings."""

    def __init__(self, brokers: str, outside: Outside, names: list[str], settle: Callable[[], None]) -> None:
        self.brokers = brokers
        self.outside = outside
        self.topic, self.other = names
        self.group = f"g-{secrets.token_hex(4)}"
        self.settle = settle
        self.closing: list[Callable[[], None]] = []

    def config(self, worker: str) -> EngineConfig:
        topics = [self.topic, self.other]
        member = KafkaMember(self.brokers, self.group, worker, outside=self.outside)
        return EngineConfig(member, PARTITIONS, self.other, topics, no_store)

    def producer(self, worker: str) -> Any:
        producer = self.outside.producer(producer_settings(self.config(worker).member))
        self.closing.append(producer.close)
        producer.init_transactions(SECONDS)
        return producer

    def member(self, worker: str) -> "Member":
        return Member(self, worker)

    def ends(self) -> int:
        admin = self.outside.admin({"bootstrap.servers": self.brokers})
        place = TopicPartition(self.topic, 0)
        latest, everything = {place: OffsetSpec.latest()}, IsolationLevel.READ_UNCOMMITTED
        # A topic that is a moment old may have no leader yet.
        end: int = answers(admin, lambda: admin.list_offsets(latest, isolation_level=everything))[
            place
        ].offset
        return end

    def read(self) -> tuple[list[tuple[int, bytes | None]], int]:
        """Return offset and value of all that a reader of what is committed sees, and where it sees the end."""
        settings = {**consumer_settings(self.config("reader")), "group.id": f"{self.group}-reader"}
        del settings["group.instance.id"]
        reader = self.outside.consumer(settings)
        reader.assign([TopicPartition(self.topic, 0, 0)])
        seen: list[tuple[int, bytes | None]] = []
        try:
            while True:
                for message in reader.consume(100, 0.2):
                    error = message.error()
                    if error is not None:
                        assert error.code() == END
                        return seen, message.offset()
                    seen.append((message.offset(), message.value()))
        finally:
            reader.close()

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline
            self.settle()


class Member:
    """A member of the group that takes what it is given."""

    def __init__(self, cluster: Cluster, worker: str) -> None:
        self.assigned: list[tuple[str, int]] | None = None
        self.errors: list[int] = []
        settings = {**consumer_settings(cluster.config(worker)), "auto.offset.reset": "earliest"}
        self.consumer = cluster.outside.consumer(settings)
        self.consumer.subscribe(
            [cluster.topic, cluster.other],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        cluster.closing.append(self.consumer.close)

    def poll(self) -> None:
        for message in self.consumer.consume(1, 0.1):
            error = message.error()
            if error is not None and error.code() != END:
                self.errors.append(error.code())

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        self.assigned = sorted((tp.topic, tp.partition) for tp in partitions)

    def _on_revoke(self, consumer: Any, _partitions: list[TopicPartition]) -> None:
        consumer.unassign()
        self.assigned = None


class Calm:
    """A process in memory that nothing happens to."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.choices = Choices(script={})
        self.odds = Odds(lambda _usual: 0, lambda _usual: 0)
        self.delivered: list[Any] = []
        self.carry = Carry.MEMORY

    def point(self, _where: str) -> None: ...

    def wait(self, seconds: float) -> None:
        self.kafka.clock.seconds += seconds

    hold_up = wait


@pytest.fixture(params=["in memory", "real"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    names = [f"{name}-{secrets.token_hex(4)}" for name in ("a", "b")]
    if request.param == "real":
        brokers = request.getfixturevalue("broker")
        admin = AdminClient({"bootstrap.servers": brokers})
        for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            made.result()
        cluster = Cluster(brokers, KAFKA, names, lambda: None)
    else:
        kafka = Kafka(names, PARTITIONS, Clock(0))
        host = Calm(kafka)

        def settle() -> None:
            while kafka.markers:
                kafka.write_marker()

        outside = Outside(
            lambda settings: Consumer(host, settings),  # type: ignore[arg-type, return-value]
            lambda settings: Producer(host, settings),  # type: ignore[arg-type, return-value]
            lambda settings: Admin(host, settings),  # type: ignore[arg-type, return-value]
            kafka.clock.now,
            KAFKA.computed,
            KAFKA.thread,
        )
        cluster = Cluster("", outside, names, settle)
    yield cluster
    for close in cluster.closing:
        close()


def send(cluster: Cluster, producer: Any, value: bytes) -> None:
    """Begin a transaction and have a record of it written, not yet decided."""
    before = cluster.ends()
    producer.begin_transaction()
    producer.produce(cluster.topic, value, b"k", 0)

    def is_written() -> bool:
        producer.poll(0.01)
        return cluster.ends() > before

    cluster.until(is_written)


def test_what_is_undecided_hides_what_comes_after_it(cluster: Cluster) -> None:
    first, second = cluster.producer("w0"), cluster.producer("w1")
    send(cluster, first, b"lost")
    send(cluster, second, b"kept")
    second.commit_transaction(SECONDS)
    cluster.until(lambda: cluster.ends() == 3)
    assert cluster.read() == ([], 0)
    first.abort_transaction(SECONDS)
    cluster.until(lambda: cluster.ends() == 4)
    # A marker takes up an offset, too.
    assert cluster.read() == ([(1, b"kept")], 4)


def test_the_next_owner_of_a_transactional_id_fences_the_one_before(cluster: Cluster) -> None:
    ghost = cluster.producer("w0")
    send(cluster, ghost, b"lost")
    cluster.producer("w0")
    error = refused(lambda: ghost.commit_transaction(SECONDS))
    assert (error.code(), error.fatal(), error.retriable()) == (FENCED, True, False)
    cluster.until(lambda: cluster.ends() == 2)
    assert cluster.read() == ([], 2)


def test_offsets_are_not_told_before_their_transaction_is_decided(cluster: Cluster) -> None:
    member = cluster.member("w0")
    cluster.until(lambda: member.poll() or member.assigned is not None)
    producer, place = cluster.producer("w0"), TopicPartition(cluster.topic, 0)
    send(cluster, producer, b"out")
    producer.send_offsets_to_transaction(
        [TopicPartition(cluster.topic, 0, 7)], member.consumer.consumer_group_metadata(), SECONDS
    )
    assert refused(lambda: member.consumer.committed([place], 1.0)).code() == TIMED_OUT
    producer.commit_transaction(SECONDS)
    cluster.settle()
    (told,) = member.consumer.committed([place], SECONDS)
    assert told.offset == 7
    (untold,) = member.consumer.committed([TopicPartition(cluster.topic, 1)], SECONDS)
    assert untold.offset < 0


def test_sources_are_told_with_the_groups_offset_and_their_first_record(cluster: Cluster) -> None:
    member = cluster.member("w0")
    cluster.until(lambda: member.poll() or member.assigned is not None)
    producer = cluster.producer("w0")
    send(cluster, producer, b"out")
    producer.send_offsets_to_transaction(
        [TopicPartition(cluster.topic, 0, 7)], member.consumer.consumer_group_metadata(), SECONDS
    )
    producer.commit_transaction(SECONDS)
    cluster.settle()
    admin = cluster.outside.admin({"bootstrap.servers": cluster.brokers})
    asked = [TopicPartition(cluster.topic, 0), TopicPartition(cluster.topic, 1)]
    one, other = sources(member.consumer, admin, asked)
    assert one == Source(cluster.topic, 0, 7, 0)
    assert other.committed < 0
    assert other.first == 0


def test_partitions_that_waited_are_read_once_from_where_they_are_told_to_begin(cluster: Cluster) -> None:
    producer = cluster.producer("w0")
    for value in (b"one", b"two", b"three"):
        send(cluster, producer, value)
        producer.commit_transaction(SECONDS)
        cluster.settle()
    settings = {**consumer_settings(cluster.config("reader")), "group.id": f"{cluster.group}-reader"}
    del settings["group.instance.id"]
    reader = cluster.outside.consumer(settings)
    cluster.closing.append(reader.close)
    places = [Source(cluster.topic, 0, 4, 0), Source(cluster.topic, 1, -1001, 0)]
    assign(reader, places)
    assert not [message for message in reader.consume(100, 0.3) if message.error() is None]
    begin_reading(reader, places[:1], {cluster.topic: 2})
    begin_reading(reader, places[1:], {})
    seen: list[bytes | None] = []
    ended = set()
    while len(ended) < len(places):
        for message in reader.consume(100, 0.2):
            if message.error() is None:
                seen.append(message.value())
            else:
                ended.add(message.partition())
    # Each transaction ends in a control record: the second record is at offset 2.
    assert seen == [b"two", b"three"]


def test_a_member_that_came_back_fences_the_one_of_its_name(cluster: Cluster) -> None:
    ghost = cluster.member("w0")
    cluster.until(lambda: ghost.poll() or ghost.assigned is not None)
    known = ghost.consumer.consumer_group_metadata()
    member = cluster.member("w0")
    cluster.until(lambda: member.poll() or member.assigned is not None)
    producer = cluster.producer("w0")
    send(cluster, producer, b"out")
    offsets = [TopicPartition(cluster.topic, 0, 7)]
    error = refused(lambda: producer.send_offsets_to_transaction(offsets, known, SECONDS))
    assert (error.code(), error.txn_requires_abort()) == (KafkaError.FENCED_INSTANCE_ID, True)
    cluster.until(lambda: ghost.poll() or bool(ghost.errors))
    assert KafkaError.FENCED_INSTANCE_ID in ghost.errors or KafkaError._FATAL in ghost.errors  # noqa: SLF001


def test_offsets_of_an_earlier_generation_are_refused(cluster: Cluster) -> None:
    first = cluster.member("w0")
    cluster.until(lambda: first.poll() or first.assigned is not None)
    known = first.consumer.consumer_group_metadata()
    second = cluster.member("w1")
    cluster.until(lambda: first.poll() or second.poll() or bool(first.assigned and second.assigned))
    # Partition i of every topic belongs to one member.
    assert {partition for _, partition in first.assigned or []} == {0}
    assert {partition for _, partition in second.assigned or []} == {1}
    producer = cluster.producer("w0")
    send(cluster, producer, b"out")
    offsets = [TopicPartition(cluster.topic, 0, 7)]
    error = refused(lambda: producer.send_offsets_to_transaction(offsets, known, SECONDS))
    assert (error.code(), error.txn_requires_abort()) == (KafkaError.ILLEGAL_GENERATION, True)
