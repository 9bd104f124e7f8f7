"""What goes wrong within a rebalance ends the worker, as everything does; it does not leave it waiting for a thread that has died."""

import asyncio
import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import NewTopic
from prometheus_client import CollectorRegistry

from bourse.cli.kafka import admin_client
from bourse.streaming.config import EngineConfig, Member
from bourse.streaming.engine import Engine
from bourse.streaming.metrics import EngineMetrics
from bourse.streaming.outside import KAFKA

SECONDS = 20


class Unanswered(Consumer):
    """A member whose coordinator goes away before it is asked for offsets: librdkafka's own error, raised within a callback."""

    def committed(self, partitions: list[TopicPartition], *_what: Any) -> list[TopicPartition]:
        return super().committed(partitions, 1e-6)


@pytest.fixture
def config(broker: str) -> Iterator[EngineConfig]:
    name, admin = f"t{secrets.token_hex(4)}", admin_client(broker)
    topics = [NewTopic(f"{name}.{topic}", 1, 1) for topic in ("in", "changelog")]
    for made in admin.create_topics(topics).values():
        made.result()
    outside = dataclasses.replace(KAFKA, consumer=Unanswered)
    member = Member(broker, name, "w0", outside=outside)
    yield EngineConfig(member, 1, f"{name}.changelog", [f"{name}.in"], no_store)
    for deleted in admin.delete_topics([topic.topic for topic in topics]).values():
        deleted.result()


def no_store(_identity: object) -> Any:
    raise NotImplementedError


async def turn_until_it_ends(config: EngineConfig) -> None:
    async def deliver(_frame: object) -> None: ...

    engine = Engine(config, deliver, EngineMetrics(CollectorRegistry()))
    await engine.start()
    try:
        while True:
            await asyncio.wait_for(engine.turn(), SECONDS)
    finally:
        await engine.stop()


def test_a_session_that_the_group_does_not_allow_ends_the_worker(config: EngineConfig) -> None:
    # The development broker's bound is 1,000.
    short = dataclasses.replace(config, session_timeout_ms=500)
    with pytest.raises(KafkaException) as ended:
        asyncio.run(asyncio.wait_for(turn_until_it_ends(short), SECONDS))
    assert ended.value.args[0].code() == KafkaError.INVALID_SESSION_TIMEOUT


def test_a_group_that_shares_partitions_in_another_way_ends_the_worker(config: EngineConfig) -> None:
    other = Consumer(
        {
            "bootstrap.servers": config.member.brokers,
            "group.id": config.member.group,
            "partition.assignment.strategy": "roundrobin",
        }
    )
    joined: list[TopicPartition] = []
    other.subscribe(config.polled, on_assign=lambda _consumer, places: joined.extend(places))
    while not joined:
        other.consume(1, 0.1)
    with pytest.raises(KafkaException) as ended:
        asyncio.run(asyncio.wait_for(turn_until_it_ends(config), SECONDS))
    assert ended.value.args[0].code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL
    other.close()


def test_an_error_of_the_clients_own_ends_the_turn(config: EngineConfig) -> None:
    with pytest.raises(KafkaException) as ended:
        asyncio.run(turn_until_it_ends(config))
    assert ended.value.args[0].code() == KafkaError._TIMED_OUT  # noqa: SLF001  (librdkafka's name for it)
