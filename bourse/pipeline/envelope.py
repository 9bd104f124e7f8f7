"""What a record is to the flow, beside what it says: its name as a cause, its time, and the key that it must have."""

from operator import attrgetter
from typing import Final

from bourse.pipeline.flow import TOPICS, TopicDefinition
from bourse.pipeline.ids import position
from bourse.pipeline.outputs import Record
from bourse.schemas.units import INT64_MAX, TimeNs

MILLISECOND_NS: Final = 10**6


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


def _time_field(record_type: type[Record]) -> str | None:
    fields = ("sent_time_ns", "event_time_ns")
    return next((field for field in fields if field in record_type.__struct_fields__), None)


_TIMES: Final = {
    topic.record_type: attrgetter(field)
    for topic in TOPICS.values()
    if (field := _time_field(topic.record_type)) is not None
}
