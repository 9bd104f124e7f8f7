"""Changing how hops are carried, on live state: in memory, or through Kafka.

The rows of a partition say in which mode they came about. A topic that goes to Kafka is read from its end on, since
everything in it was handled in memory; of one that goes to memory, nothing may be waiting.
"""

from confluent_kafka import Consumer, TopicPartition

from bourse.streaming.carry import Carry
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
        ModeChangeRefused: records of a topic were sent through Kafka and still wait.
        TransactionFailed: the topics take no records, so that nobody knows their ends.
    """
    if handled.mode in ("", config.carry):
        return {}
    before, now = Carry(handled.mode).in_memory(config.inner, config.crossing), config.handed_over
    changing = [TopicPartition(topic, partition) for topic in sorted(before ^ now)]
    ends = {topic: end for (topic, _), end in producer.mark(changing).items()}
    to_memory = [tp for tp in changing if tp.topic in now]
    # The group's offsets also go past what is no record, such as the marks of whoever was refused before.
    for tp in consumer.committed(to_memory, _SECONDS) if to_memory else []:
        waiting = ends[tp.topic] - max(tp.offset, handled.offsets.get(tp.topic, 0))
        if waiting > 0:
            msg = (
                f"{waiting} offsets of {tp.topic}/{partition} wait to be handled: let workers that carry hops as "
                f"before ({handled.mode}) drain the pipeline first, then change over"
            )
            raise ModeChangeRefused(msg)
    return {**handled.offsets, **{topic: ends[topic] for topic in sorted(before - now)}}
