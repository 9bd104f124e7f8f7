"""Clients of Kafka for commands: how they connect, and which refusals pass by themselves."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bourse.cli.errors import CliError
from bourse.settings import Settings

T = TypeVar("T")

TIMEOUT_SECONDS = 10
FIRST_ANSWER_SECONDS = 5
PATIENCE_SECONDS = 30.0
# librdkafka writes each failed connection to standard error; a command says the same once, in its own words.
SILENT = logging.getLogger("bourse.cli.kafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

# What Kafka answers while a topic is new, or while a broker or a coordinator is starting or moving.
PASSING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._NOENT,  # noqa: SLF001 - no partition has a leader yet
        KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's names for its own errors
        KafkaError._TRANSPORT,  # noqa: SLF001
    }
)


def client_config(servers: str) -> dict[str, object]:
    """Return the settings that every client of a command shares."""
    return {"bootstrap.servers": servers, "logger": SILENT, "reconnect.backoff.max.ms": 500}


def admin_client(servers: str) -> AdminClient:
    """Return a client for administration."""
    return AdminClient(client_config(servers))


def patiently(client: AdminClient, ask: Callable[[], T], patience_seconds: float = PATIENCE_SECONDS) -> T:
    """Ask Kafka, and ask again for a while when it gives a reason that passes by itself."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
        _look_afresh(client)


def _look_afresh(client: AdminClient) -> None:
    """Make a client read the whole of Kafka's metadata: it would go on believing that a new topic has no leader."""
    with contextlib.suppress(KafkaException):
        client.list_topics(timeout=TIMEOUT_SECONDS)


def require_kafka(client: AdminClient, settings: Settings) -> None:
    """Fail within seconds when no Kafka answers."""
    try:
        client.list_topics(timeout=FIRST_ANSWER_SECONDS)
    except KafkaException:
        msg = f"Kafka at {settings.broker} does not answer."
        raise CliError(
            msg, "`bourse broker status` looks, `bourse broker start` starts one on this machine."
        ) from None


def partition_count(client: AdminClient, settings: Settings) -> int:
    """Return how many partitions the topics have; raises CliError when they are not there."""
    orders = settings.topic("orders")
    topics = client.list_topics(timeout=TIMEOUT_SECONDS).topics
    if orders not in topics:
        msg = f"Kafka at {settings.broker} has no topic {orders}."
        raise CliError(msg, "Make the topics with `bourse topics apply` (`bourse up` does it too).")
    return len(topics[orders].partitions)


def kafka_failure(error: KafkaException) -> CliError:
    """Say in a person's words that Kafka refused or did not answer."""
    problem = f"Kafka at {Settings.read().broker}: {error.args[0].str()}."
    return CliError(problem, "Is it running? `bourse broker status` looks, `bourse broker start` starts one.")
