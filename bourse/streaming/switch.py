"""Changing how inner hops are carried, on live state: in memory, or through Kafka.

The rows of a partition say in which mode they came about. Going to Kafka, the inner topics are read from their
ends on, since everything in them was handled in memory; going to memory, nothing of them may be waiting.
"""

from confluent_kafka import Consumer, TopicPartition

from bourse.streaming.config import EngineConfig
from bourse.streaming.errors import ModeChangeRefused
from bourse.streaming.producer import TransactionalProducer
from bourse.streaming.stores import Handled

_SECONDS = 30.0


def carry_over(
    config: EngineConfig,
    consumer: Consumer,
    producer: TransactionalProducer,
    partition: int,
    handled: Handled,
) -> dict[str, int]:
    """Return how far each topic is to be called handled when this worker's mode begins, to be committed before it does.

    Nothing where the partition's rows are of this mode already, or where there are none.

    Raises:
        ModeChangeRefused: records of an inner topic were sent through Kafka and still wait.
        TransactionFailed: the inner topics take no records, so that nobody knows their ends.
    """
    if handled.mode in ("", config.mode):
        return {}
    inner = [TopicPartition(topic, partition) for topic in sorted(config.inner)]
    ends = {topic: end for (topic, _), end in producer.mark(inner).items()}
    if config.through_kafka:
        return {**handled.offsets, **ends}
    # The group's offsets also go past what is no record, such as the marks of whoever was refused before.
    for tp in consumer.committed(inner, _SECONDS) if inner else []:
        waiting = ends[tp.topic] - max(tp.offset, handled.offsets.get(tp.topic, 0))
        if waiting > 0:
            msg = (
                f"{waiting} offsets of {tp.topic}/{partition} wait to be handled: let workers that carry every "
                "hop through Kafka drain the pipeline first, then change over"
            )
            raise ModeChangeRefused(msg)
    return dict(handled.offsets)
