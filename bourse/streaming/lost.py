"""Telling a source of which nothing was done yet from one whose changelog is gone.

The rows of both say nothing of it. But every cycle leaves a row for each source, so whoever has committed an offset beyond a record has left one.
To go on all the same would do everything again, under the event ids of the first time.
"""
# Kafka's clients type every answer as one that may be missing: a fetched message has its place.
# pyright: reportArgumentType=false, reportOptionalOperand=false

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bourse.streaming.config import EngineConfig
from bourse.streaming.errors import ChangelogLost, EngineError
from bourse.streaming.intake import Source
from bourse.streaming.restore import reader

_SECONDS = 30.0


def refuse_lost(config: EngineConfig, unknown: Iterable[Source]) -> None:
    """Refuse to begin sources that the rows of their partition say nothing of, where the group has handled records of them.

    Offsets alone prove nothing: at rest the group's go past what is no record, such as the marks that end transactions.

    Raises:
        ChangelogLost: there are such records.
    """
    begun = {(s.topic, s.partition): s for s in unknown if s.committed > s.first}
    source = _first_handled(config, begun) if begun else None
    if source is not None:
        msg = (
            f"the changelog of partition {source.partition} says nothing of {source.topic}, but the group has handled it up to "
            f"{source.committed}: bring the changelog back, or delete both, it and the offsets of the group "
            f"{config.member.group}, to do everything again"
        )
        raise ChangelogLost(msg)


def refuse_begun_anew(before: int | None, after: int | None, partition: int) -> None:
    """Refuse to go on where a changelog that is written to has begun anew: it has the last rows, and none of the others.

    Raises:
        ChangelogLost: what was written last stands before what was written earlier.
    """
    if before is not None and after is not None and after <= before:
        msg = f"the changelog of partition {partition} ends at {after}, and was at {before} already: somebody has made it again"
        raise ChangelogLost(msg)


def _first_handled(config: EngineConfig, begun: dict[tuple[str, int], Source]) -> Source | None:
    """Return a source that has a committed record before the group's offset."""
    consumer, monotonic = reader(config), config.member.outside.monotonic
    left, deadline = set(begun), monotonic() + _SECONDS
    try:
        consumer.assign([TopicPartition(*place, source.first) for place, source in begun.items()])
        while left:
            for message in consumer.consume(1, 0.5):
                error, place = message.error(), (message.topic(), message.partition())
                if error is None and message.offset() < begun[place].committed:
                    return begun[place]
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  (librdkafka's name for it)
                    raise KafkaException(error)
                left.discard(place)
            if monotonic() > deadline:
                msg = f"nobody says within {_SECONDS:.0f} s what the group has handled of {sorted(left)}"
                raise EngineError(msg)
    finally:
        consumer.close()
    return None
