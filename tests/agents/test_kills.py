"""Workers are killed, added and taken away under load; the committed outputs alone must prove that nothing happened."""

import itertools
import random
from collections.abc import Iterator

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import OffsetSpec

from bench.orders import market, orders, reference_data
from bourse.audit import Equation
from bourse.cli.kafka import admin_client
from bourse.settings import Settings
from tests.agents.proof import prove
from tests.agents.workers import Workers

ORDERS = 100_000
FEWER = 40_000


@pytest.fixture
def kafka(kafka: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:  # noqa: ARG001 - its environment is kept
    """The same market with 4 partitions."""
    monkeypatch.setenv("BOURSE_PARTITIONS", "4")
    return Settings.read()


@pytest.fixture
def open_market(workers: Workers) -> Iterator[Workers]:
    """Two workers, and a market with its reference data and deposits in place."""
    workers.start("w0")
    workers.start("w1")
    workers.publish(reference_data(market(workers.settings.partitions)))
    yield workers


def publish_orders(workers: Workers, first: int, last: int) -> None:
    for order in itertools.islice(orders(market(workers.settings.partitions)), first, last):
        workers.send("orders", order.account_id, order)
    workers.flush()


def test_nothing_is_lost_or_doubled_when_workers_are_killed(open_market: Workers) -> None:
    workers, chance = open_market, random.Random(11)
    publish_orders(workers, 0, ORDERS)
    for validated in sorted(chance.sample(range(ORDERS // 2), 6)):
        workers.wait_for("validated", validated)
        name = chance.choice(["w0", "w1"])
        workers.kill(name)
        workers.start(name)
    workers.drain()
    workers.assert_alive()
    prove(Equation.A21)


def test_nothing_is_lost_or_doubled_when_workers_come_and_go(open_market: Workers) -> None:
    workers = open_market
    publish_orders(workers, 0, FEWER // 2)
    workers.start("w2")
    workers.wait_for("validated", FEWER // 8)
    workers.stop("w0")
    workers.start("w3")
    publish_orders(workers, FEWER // 2, FEWER)
    workers.wait_for("validated", FEWER // 2)
    workers.stop("w1")
    workers.stop("w2")
    workers.drain()
    workers.assert_alive()
    prove(Equation.A21)


def set_offsets(settings: Settings) -> None:
    """Do to the group what a broker does that has lost its newest offsets, and to the orders of a partition what an operator's slip does."""
    admin = admin_client(settings.broker)
    (group,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(settings.group)]).values()
    places = [
        TopicPartition(tp.topic, tp.partition, min(100, tp.offset)) for tp in group.result().topic_partitions
    ]
    orders = [tp for tp in places if tp.topic == settings.topic("orders")]
    ahead = TopicPartition(orders[-1].topic, orders[-1].partition)
    orders[-1].offset = admin.list_offsets({ahead: OffsetSpec.latest()})[ahead].result().offset
    (done,) = admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(settings.group, places)]
    ).values()
    done.result()


def test_nothing_is_done_again_or_left_out_when_the_groups_offsets_are_wrong(open_market: Workers) -> None:
    workers = open_market
    publish_orders(workers, 0, FEWER // 8)
    workers.drain()
    workers.stop("w0")
    workers.stop("w1")
    publish_orders(workers, FEWER // 8, FEWER // 4)
    set_offsets(workers.settings)
    # Nobody has its folder either: how far everything is handled comes from the changelog.
    workers.start("w2")
    workers.start("w3")
    # No lag tells of the partition whose offset was set forward, before its first commit.
    workers.wait_for("validated", workers.end_offsets("orders"))
    workers.drain()
    workers.assert_alive()
    assert "is handled already, and left out" in workers.log("w2") + workers.log("w3")
    prove(Equation.A21)
