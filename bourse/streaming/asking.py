"""Asking brokers that come and go: a question whose broker went away is put to the next one."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

K = TypeVar("K")
V = TypeVar("V")

ANSWER_SECONDS: Final = 3.0
"""How long a question waits for a broker that may have gone, and the group for who asks; the client itself would wait for a minute."""
_SECONDS = 30.0
_TRIES = 100
_PAUSE_SECONDS = 0.1
_MOVING = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError._TIMED_OUT,  # noqa: SLF001  (librdkafka's names)
        KafkaError._TRANSPORT,  # noqa: SLF001
    }
)
"""What is answered while a partition's leader changes; nothing, by one that has just gone."""


def answers(admin: AdminClient, ask: Callable[[], Mapping[K, Future[V]]]) -> dict[K, V]:
    """Return what is answered to a question, which is asked again while leaders change.

    Raises:
        KafkaException: it was refused, or nobody answered in time.
    """
    tries = 0
    while True:
        try:
            return {key: future.result() for key, future in ask().items()}
        except KafkaException as error:
            tries += 1
            if error.args[0].code() not in _MOVING or tries == _TRIES:
                raise
        # By itself the client would go on asking the leader that it knows.
        admin.poll(_PAUSE_SECONDS)
        admin.list_topics(timeout=_SECONDS)
