"""Changing how inner hops are carried, on live state: in memory, or through Kafka.

Each committed offset carries the mode that it was committed under. Going to Kafka, the inner topics' offsets jump
to their ends, since everything in them was handled in memory; going to memory, nothing of them may be waiting.
"""

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from bourse.streaming.config import EngineConfig
from bourse.streaming.errors import ModeChangeRefused
from bourse.streaming.producer import TransactionalProducer
from bourse.streaming.restore import spans

_SECONDS = 30.0


def carry_over(
    config: EngineConfig,
    consumer: Consumer,
    admin: AdminClient,
    producer: TransactionalProducer,
    assigned: list[TopicPartition],
) -> None:
    """Bring the assigned partitions' committed offsets into this worker's mode.

    Raises:
        ModeChangeRefused: records of an inner topic were sent through Kafka and still wait.
    """
    partitions = {tp.partition for tp in assigned}
    outer = [topic for topic in config.topics if topic not in config.inner]
    committed = _committed(consumer, outer, partitions)
    changed = [tp for tp in committed if tp.metadata and tp.metadata != config.mode]
    if not changed or not config.inner:
        return
    affected = {tp.partition for tp in changed}
    moved = _inner_offsets(config, consumer, admin, affected)
    marked = [TopicPartition(tp.topic, tp.partition, tp.offset, config.mode) for tp in changed]
    producer.begin()
    producer.send_offsets([*marked, *moved], consumer.consumer_group_metadata())
    producer.commit()


def _inner_offsets(
    config: EngineConfig, consumer: Consumer, admin: AdminClient, partitions: set[int]
) -> list[TopicPartition]:
    inner = [TopicPartition(topic, p) for topic in sorted(config.inner) for p in sorted(partitions)]
    ends = {key: span.end for key, span in spans(admin, inner).items()}
    if config.through_kafka:
        return [TopicPartition(topic, p, end, config.mode) for (topic, p), end in ends.items()]
    for tp in _committed(consumer, sorted(config.inner), partitions):
        waiting = ends[tp.topic, tp.partition] - max(tp.offset, 0)
        if waiting > 0:
            msg = (
                f"{waiting} offsets of {tp.topic}/{tp.partition} wait to be handled: let workers that carry every "
                "hop through Kafka drain the pipeline first, then change over"
            )
            raise ModeChangeRefused(msg)
    return []


def _committed(consumer: Consumer, topics: list[str], partitions: set[int]) -> list[TopicPartition]:
    wanted = [TopicPartition(topic, p) for topic in topics for p in sorted(partitions)]
    # One that has none yet is among them, with a negative offset: all of its records wait.
    return list(consumer.committed(wanted, _SECONDS)) if wanted else []
