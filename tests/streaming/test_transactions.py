"""The producer of transactions on a real broker: what it writes is there once, whatever becomes of an answer."""

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bourse.cli.local_broker import LocalBroker, Ports
from bourse.streaming.batches import Delivered
from bourse.streaming.config import Member
from bourse.streaming.producer import producer_settings
from bourse.streaming.requests import EndTxn, Features, GroupMember, InitProducerId, Produce, TxnOffsetCommit
from bourse.streaming.transactions import Transactions
from tests.broker import JARS
from tests.streaming.refusals import refused

SECONDS = 20.0
PARTITIONS = 3


class Written:
    """A topic, its producer, and what a reader of it sees."""

    def __init__(self, broker: str) -> None:
        self.broker = broker
        self.topic = f"t-{secrets.token_hex(4)}"
        self.group = f"g-{secrets.token_hex(4)}"
        admin = AdminClient({"bootstrap.servers": broker})
        for made in admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)]).values():
            made.result()
        self.producers: list[Transactions] = []
        self.requests: Counter[type] = Counter()
        self.lose: dict[type, type[errors.KafkaError]] = {}
        self.found = 0

    def producer(self, **settings: int) -> Transactions:
        member = Member(self.broker, self.group, "w0")
        changes = {name.replace("_", "."): value for name, value in settings.items()}
        producer = Transactions({**producer_settings(member), **changes})
        self.producers.append(producer)
        return producer

    def started(self, **settings: int) -> Transactions:
        producer = self.producer(**settings)
        producer.init_transactions(SECONDS)
        self.listen(producer)
        return producer

    def listen(self, producer: Transactions) -> None:
        """Count requests and searches for coordinators; the first answer to a request of `lose` is lost."""
        client = producer._brokers._client  # noqa: SLF001  (where its answers come from)
        send, find = client.send, client.coordinator_lookup

        async def found(*what: Any) -> Any:
            self.found += 1
            return await find(*what)

        async def heard(node: int, request: Any, **more: Any) -> Any:
            answer = await send(node, request, **more)
            self.requests[type(request)] += 1
            if type(request) in self.lose:
                raise self.lose.pop(type(request))
            return answer

        client.send, client.coordinator_lookup = heard, found

    def read(self) -> list[tuple[int, int, bytes | None]]:
        """Return partition, offset and value of everything that is committed."""
        reader = Consumer(
            {
                "bootstrap.servers": self.broker,
                "group.id": f"{self.group}-reader",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )
        reader.assign([TopicPartition(self.topic, partition, 0) for partition in range(PARTITIONS)])
        seen, ended = [], set()
        while len(ended) < PARTITIONS:
            for message in reader.consume(100, 0.2):
                if message.error() is None:
                    seen.append((message.partition(), message.offset(), message.value()))
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF  # noqa: SLF001
                    ended.add(message.partition())
        reader.close()
        return sorted(seen)

    def values(self) -> list[bytes | None]:
        return sorted(value for _, _, value in self.read() if value is not None)


@pytest.fixture
def written(broker: str) -> Iterator[Written]:
    written = Written(broker)
    yield written
    for producer in written.producers:
        producer.close()


class ObligingBroker(LocalBroker):
    """A node that makes a topic for whoever asks for one by name."""

    def properties(self, ports: Ports) -> str:
        return (
            super()
            .properties(ports)
            .replace("auto.create.topics.enable=false", "auto.create.topics.enable=true")
        )


@pytest.fixture
def obliging(tmp_path: Path) -> Iterator[str]:
    node = ObligingBroker(tmp_path / "obliging", JARS)
    node.start()
    yield str(node.address)
    node.stop()


def test_a_topic_that_is_missing_is_not_made_by_asking_who_leads_it(obliging: str) -> None:
    settings = producer_settings(Member(obliging, "g", "w0", transaction_timeout_ms=2_000))
    producer = Transactions(settings)
    try:
        producer.init_transactions(SECONDS)
        producer.begin_transaction()
        producer.produce("nobody-made-me", b"value", b"key", 0)
        assert refused(lambda: producer.commit_transaction(SECONDS)).code() == KafkaError._MSG_TIMED_OUT  # noqa: SLF001
    finally:
        producer.close()
    assert "nobody-made-me" not in AdminClient({"bootstrap.servers": obliging}).list_topics(timeout=10).topics


def metadata(group: str) -> bytes:
    """Return what a consumer that is no member says of itself; Kafka takes its offsets while the group has no members."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": group, "log_level": 0})
    found: bytes = consumer.consumer_group_metadata()
    consumer.close()
    return found


def test_all_partitions_of_a_broker_are_written_with_one_request(written: Written) -> None:
    producer = written.started()
    for number in range(4):
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(written.topic, b"%d" % number, b"k", partition)
        producer.commit_transaction(SECONDS)
        time.sleep(0.05)
    assert len(written.read()) == 4 * PARTITIONS
    # While the broker still ends the transaction before, it wants to be asked again.
    assert written.requests[Produce] < 2 * 4
    assert written.requests[EndTxn] == 4


@pytest.mark.parametrize("error", [errors.KafkaConnectionError, errors.RequestTimedOutError])
@pytest.mark.parametrize("request_type", [InitProducerId, Produce, TxnOffsetCommit, EndTxn])
def test_what_was_done_is_not_done_again_when_its_answer_is_lost(
    written: Written, request_type: type, error: type[errors.KafkaError]
) -> None:
    producer = written.started()
    written.lose[request_type] = error
    if request_type is InitProducerId:
        producer.init_transactions(SECONDS)
    for number in range(2):
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(written.topic, b"%d" % number, b"k", partition)
        place = TopicPartition(written.topic, 0, number + 1)
        producer.send_offsets_to_transaction([place], metadata(written.group), SECONDS)
        producer.commit_transaction(SECONDS)
    assert not written.lose
    # A group's coordinator is looked for once in any case, one that did not answer once more.
    assert written.found == (1 if request_type is Produce else 2)
    assert written.values() == [b"0"] * PARTITIONS + [b"1"] * PARTITIONS
    reader = Consumer({"bootstrap.servers": written.broker, "group.id": written.group})
    (told,) = reader.committed([TopicPartition(written.topic, 0)], SECONDS)
    reader.close()
    assert told.offset == 2


def test_records_that_do_not_fit_into_one_batch_stay_in_order_and_learn_their_offsets(
    written: Written,
) -> None:
    producer = written.started(batch_size=1_000)
    offsets: list[int] = []

    def note(error: KafkaError | None, record: Delivered) -> None:
        assert error is None
        offsets.append(record.offset())

    producer.begin_transaction()
    for number in range(200):
        tell = note if number % 50 == 0 else None
        producer.produce(written.topic, b"%03d" % number * 30, b"k", 1, on_delivery=tell)
    producer.commit_transaction(SECONDS)
    producer.poll(0)
    assert offsets == [0, 50, 100, 150]
    assert written.read() == [(1, number, b"%03d" % number * 30) for number in range(200)]


def test_an_aborted_transaction_leaves_nothing_and_the_next_one_is_whole(written: Written) -> None:
    producer = written.started()
    for keep in (True, False, True):
        producer.begin_transaction()
        producer.produce(written.topic, b"kept" if keep else b"lost", b"k", 0)
        if keep:
            producer.commit_transaction(SECONDS)
        else:
            producer.flush(SECONDS)
            producer.produce(written.topic, b"lost before it was sent", b"k", 1)
            producer.abort_transaction(SECONDS)
    assert written.values() == [b"kept", b"kept"]


def test_a_transaction_is_in_the_name_that_the_end_of_the_one_before_has_given(written: Written) -> None:
    # A coordinator gives another producer id when it is out of epochs: after 32,767 transactions, or as soon as the test says so.
    producer = written.started()
    client = producer._brokers._client  # noqa: SLF001  (where its answers come from)
    send = client.send

    async def renamed(node: int, request: Any) -> Any:
        answer = await send(node, request)
        if type(request) is EndTxn:
            answer.producer_id += 1_000
        return answer

    client.send = renamed
    producer.begin_transaction()
    producer.produce(written.topic, b"v", b"k", 0)
    producer.commit_transaction(SECONDS)
    producer.begin_transaction()
    producer.produce(written.topic, b"in a name that nobody has", b"k", 0)
    error = refused(lambda: producer.commit_transaction(SECONDS))
    assert error.code() == KafkaError.INVALID_PRODUCER_ID_MAPPING
    assert written.values() == [b"v"]


def test_a_transaction_of_nothing_needs_no_broker(written: Written) -> None:
    producer = written.started()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        end(SECONDS)
    assert not written.requests


def test_there_is_room_again_when_what_was_sent_is_written(written: Written) -> None:
    producer = written.started(batch_size=100_000, queue_buffering_max_kbytes=100)
    producer.begin_transaction()
    sent = waited = 0
    while not waited or sent < 60:
        try:
            producer.produce(written.topic, secrets.token_bytes(30_000), b"k", sent % PARTITIONS)
            sent += 1
        except BufferError:
            waited += 1
            producer.poll(0.01)
        assert max(sent, waited) < 1_000
    producer.commit_transaction(SECONDS)
    assert len(written.read()) == sent


def test_a_record_that_the_broker_does_not_take_fails_the_transaction(written: Written) -> None:
    producer = written.started()
    producer.begin_transaction()
    producer.produce(written.topic, b"kept?", b"k", 0)
    producer.produce(written.topic, secrets.token_bytes(5_000_000), b"k", 1)
    error = refused(lambda: producer.commit_transaction(SECONDS))
    assert (error.code(), error.retriable()) == (KafkaError.MSG_SIZE_TOO_LARGE, False)
    error = refused(lambda: producer.commit_transaction(SECONDS))
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert (
        refused(lambda: producer.produce(written.topic, b"more", b"k", 2)).code()
        == KafkaError.MSG_SIZE_TOO_LARGE
    )
    producer.abort_transaction(SECONDS)
    assert written.read() == []


def test_calls_outside_of_a_transaction_are_refused(written: Written) -> None:
    producer = written.started()
    place = TopicPartition(written.topic, 0, 1)
    for call in (
        lambda: producer.produce(written.topic, b"v", b"k", 0),
        lambda: producer.commit_transaction(SECONDS),
        lambda: producer.abort_transaction(SECONDS),
        lambda: producer.send_offsets_to_transaction([place], metadata(written.group), SECONDS),
    ):
        assert refused(call).code() == KafkaError._STATE  # noqa: SLF001
    producer.begin_transaction()
    assert refused(producer.begin_transaction).code() == KafkaError._STATE  # noqa: SLF001


def test_a_cluster_that_knows_no_such_transactions_is_refused(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Features, "levels", lambda _answer: {"transaction.version": 1})
    producer = written.producer()
    error = refused(lambda: producer.init_transactions(SECONDS))
    assert error.fatal()
    assert "transaction.version is 1" in error.str()


def test_a_broker_that_is_not_there_is_waited_for(written: Written) -> None:
    written.broker = "127.0.0.1:1"
    error = refused(lambda: written.producer().init_transactions(0.5))
    assert (error.code(), error.retriable()) == (KafkaError._TIMED_OUT, True)  # noqa: SLF001


def test_a_producer_is_closed_quietly_while_a_request_waits_for_its_answer(
    written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    producer = written.started()
    asked = threading.Event()

    async def silence(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    producer._brokers._client.send = silence  # noqa: SLF001  (where its answers come from)
    producer.begin_transaction()
    producer.produce(written.topic, b"v", b"k", 0)
    producer.flush(0)
    assert asked.wait(SECONDS)
    producer.close()
    assert not producer._thread.is_alive()  # noqa: SLF001  (it ends in time)
    assert not caplog.records


def test_a_setting_that_is_not_known_is_refused() -> None:
    settings = {**producer_settings(Member("127.0.0.1:1", "group", "w0")), "linger.ms": 5}
    with pytest.raises(ValueError, match=r"linger\.ms"):
        Transactions(settings)


@pytest.mark.parametrize("instance", [None, "w0"])
def test_a_consumers_own_metadata_are_read(instance: str | None) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", "group.id": "a group", "log_level": 0}
    consumer = Consumer(settings | ({"group.instance.id": instance} if instance else {}))
    assert GroupMember.read(consumer.consumer_group_metadata()) == GroupMember("a group", "", instance, -1)
    consumer.close()


def test_metadata_of_another_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="layout"):
        GroupMember.read(b"CGMDv9:....")
