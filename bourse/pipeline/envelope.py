"""What a record is to the flow, beside what it says: its name as a cause, its time, the key that it must have, how much it may hold."""

from operator import attrgetter
from typing import Final

from msgspec.structs import astuple

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.flow import TOPICS, TopicDefinition, hops
from bourse.pipeline.ids import position
from bourse.pipeline.outputs import Record, Topic
from bourse.schemas.units import INT64_MAX, TimeNs

MILLISECOND_NS: Final = 10**6
MOST_TEXT: Final = 2_000
"""Characters of texts, and entries of lists, in a record that a stage writes for another: more than twice what there can be.

What comes in beside the flow, in the name of a stage, is held to it: a stage copies texts of one record into many.
"""
_INNER: Final = frozenset(hop.topic for hop in hops())


def cause_of(record: Record, topic: str, partition: int, offset: int) -> str:
    """Return the id that names a record as a cause: its own event_id, or its position if it came without one."""
    event_id: str = getattr(record, "event_id", "")
    return event_id or position(topic, partition, offset)


def time_of(record: Record, timestamp_ms: int) -> TimeNs:
    """Return a record's own time, or that of its Kafka timestamp if it has none."""
    read_time = _TIMES.get(type(record))
    if read_time is not None:
        own_time: TimeNs = read_time(record)
        if own_time > 0:
            return own_time
    return nanoseconds(timestamp_ms)


def nanoseconds(timestamp_ms: int) -> TimeNs:
    """Return a Kafka timestamp, whatever its producer wrote there, as a time that a record can hold."""
    return TimeNs(min(max(0, timestamp_ms) * MILLISECOND_NS, INT64_MAX))


def key_of(topic: TopicDefinition, record: Record) -> str | None:
    """Return the key that a record must have, or None where any key will do."""
    key: str | None = None if topic.key_field is None else getattr(record, topic.key_field)
    return key


def check_texts(topic: Topic, record: Record) -> None:
    """Look whether a record of a topic between stages has no more text than a stage gives one; it never has in so many bytes.

    Raises:
        NotOurs: it has more.
    """
    if topic in _INNER and (amount := _amount(record)) > MOST_TEXT:
        message = f"its texts have {amount} characters, more than any of ours"
        raise NotOurs(message)


def _amount(value: object) -> int:
    """Return how many characters and entries there are in a value: each takes a byte at least."""
    if type(value) is str:
        return len(value)
    if isinstance(value, Record):
        return sum(map(_amount, astuple(value)))
    return len(value) + sum(map(_amount, value)) if isinstance(value, tuple) else 0


def _time_field(record_type: type[Record]) -> str | None:
    fields = ("sent_time_ns", "event_time_ns")
    return next((field for field in fields if field in record_type.__struct_fields__), None)


_TIMES: Final = {
    topic.record_type: attrgetter(field)
    for topic in TOPICS.values()
    if (field := _time_field(topic.record_type)) is not None
}
