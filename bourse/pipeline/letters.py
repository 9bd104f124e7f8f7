"""Dead letters: what is kept of a record that no stage could make sense of. Refuses to know why it could not."""

from typing import Final

from bourse.pipeline.ids import position
from bourse.pipeline.outputs import Outputs, Topic
from bourse.schemas.records import DeadLetter
from bourse.schemas.units import TimeNs

MOST_BYTES: Final = 4_000_000
"""What a letter may hold: a record that Kafka took compressed may be hundreds of times as big as what it would take back."""


def dead_letter(
    topic: Topic,
    partition: int,
    offset: int,
    stage: str,
    letter: str,
    error: str,
    key: bytes | None,
    value: bytes | None,
    time_ns: TimeNs,
) -> DeadLetter:
    """Return the letter about the record at a place: its bytes, or where they are if they are too many."""
    cause = position(topic, partition, offset)
    # The key is the letter's own as well.
    if 2 * len(key or b"") + len(value or b"") > MOST_BYTES:
        error, key, value = f"{error}; it is too big for a letter, and is left at {cause}", None, None
    event_id = Outputs(cause, letter).next_id()
    return DeadLetter(event_id, topic, partition, offset, stage, error, key, value, time_ns)
