"""What a worker relies on when a partition has three copies, and their leader is not who it seems to be."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bourse.cli.kafka import admin_client
from bourse.streaming.config import Member
from bourse.streaming.producer import taken_over
from tests.broker import JARS
from tests.faults.cluster import Cluster

CHANGELOG = "changelog"
PLACE = TopicPartition(CHANGELOG, 0)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, JARS, 3)
    cluster.start()
    yield cluster
    cluster.close()


def leader(admin: AdminClient) -> int:
    return admin.list_topics(CHANGELOG, timeout=10).topics[CHANGELOG].partitions[0].leader


def write(producer: Producer, count: int) -> int:
    """Have all copies take records; return the offset behind the last of them."""
    offsets: list[int] = []
    for _ in range(count):
        producer.produce(
            CHANGELOG, b"row", b"key", 0, on_delivery=lambda _, message: offsets.append(message.offset())
        )
    assert producer.flush(60) == 0
    return max(offsets) + 1


def test_a_mark_is_behind_all_that_was_committed_though_the_leader_was_replaced_and_does_not_know_it(
    cluster: Cluster,
) -> None:
    admin, writer = (
        admin_client(cluster.servers),
        Producer(
            {"bootstrap.servers": cluster.servers, "enable.idempotence": True, "socket.timeout.ms": 3_000}
        ),
    )
    admin.create_topics([NewTopic(CHANGELOG, 1, 3, config={"min.insync.replicas": "2"})])[CHANGELOG].result()
    owner = taken_over(Member(cluster.servers, "group", "w0", transaction_timeout_ms=30_000))
    assert owner.mark([PLACE]) == {(CHANGELOG, 0): 0}
    write(writer, 10)

    first = leader(admin)
    cluster.node(first).send(signal.SIGSTOP)
    # Taken only when the two others have elected a leader; the owner has not heard of it.
    end = write(writer, 10)
    with ThreadPoolExecutor(1) as pool:
        marking = pool.submit(owner.mark, [PLACE])
        cluster.node(first).thaw()
        # Not where exactly: what took the first mark back is written when the coordinator gets to it, and again where a leader froze.
        assert marking.result(60)[CHANGELOG, 0] >= end > 20
    owner.close()
