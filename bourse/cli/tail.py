"""`bourse tail`: decoded records of topics, only committed ones, for people or for programs."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from bourse.cli.console import out
from bourse.cli.errors import CliError
from bourse.cli.group import Group, Place
from bourse.cli.kafka import admin_client, client_config, require_kafka
from bourse.cli.shown import Shown, json_line, text_line
from bourse.cli.wire import READABLE, Wire
from bourse.settings import Settings

BATCH = 500
POLL_SECONDS = 0.2


def tail(
    topics: Annotated[
        list[str], typer.Argument(help="Topics of the contract, or `changelog`.", metavar="TOPIC...")
    ],
    *,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin at the first record, not at new ones.")
    ] = False,
    until_idle: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="End when nothing came for so long.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: an event file.")] = False,
) -> None:
    """Show decoded records as they are committed; Ctrl-C ends it."""
    settings = Settings.read()
    admin = admin_client(settings.broker)
    require_kafka(admin, settings)
    places = places_of(admin, settings, topics)
    follower = Follower(settings, starts_of(admin, settings, places, from_start=from_start))
    show = _printer(Wire(settings), settings, as_json=as_json)
    try:
        follower.follow(show, until_idle)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # The reader has seen enough. What Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        follower.close()


class Follower:
    """Reads committed records of some partitions, from given offsets on."""

    def __init__(self, settings: Settings, starts: list[TopicPartition]) -> None:
        """Take the settings that name Kafka, and where to begin."""
        self._awaited = {Place(start.topic, start.partition) for start in starts}
        self._ended: set[Place] = set()
        self._last = time.monotonic()
        self._consumer = Consumer(
            client_config(settings.broker)
            | {
                "group.id": f"{settings.group}-tail",  # Never joined: partitions are assigned by hand.
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.assign(starts)

    def follow(self, show: Callable[[list[Message]], None], until_idle_seconds: float | None) -> None:
        """Show records as they come, until none has come for so long after the end of every partition was reached."""
        while until_idle_seconds is None or not self._is_idle(until_idle_seconds):
            messages = self._consumer.consume(1, POLL_SECONDS)
            if messages:
                messages += self._consumer.consume(BATCH, 0)
            show(self._sift(messages))

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _is_idle(self, seconds: float) -> bool:
        return self._ended == self._awaited and time.monotonic() - self._last >= seconds

    def _sift(self, messages: Iterable[Message]) -> list[Message]:
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
                self._last = time.monotonic()
                self._ended.discard(Place(message.topic(), message.partition()))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for the end of a partition
                self._ended.add(Place(message.topic(), message.partition()))
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
        return records


def places_of(admin: AdminClient, settings: Settings, topics: list[str]) -> list[Place]:
    """Return every partition of the topics; raises CliError for one that is not there."""
    for topic in topics:
        if topic not in READABLE:
            msg = f"There is no topic {topic!r}."
            raise CliError(msg, f"The topics are {', '.join(READABLE)}.")
    names = list(dict.fromkeys(settings.topic(topic) for topic in topics))
    counts = Group(admin, settings).partition_counts(set(names))
    for name in names:
        if name not in counts:
            msg = f"Kafka at {settings.broker} has no topic {name}."
            raise CliError(msg, "Make the topics with `bourse topics apply` (`bourse up` does it too).")
    return [Place(name, partition) for name in names for partition in range(counts[name])]


def starts_of(
    admin: AdminClient, settings: Settings, places: list[Place], *, from_start: bool
) -> list[TopicPartition]:
    """Return where to begin, as offsets of this very moment, so that nothing is missed while the first fetch is on its way."""
    group = Group(admin, settings)
    offsets = group.starts(frozenset(places)) if from_start else group.stable_ends(frozenset(places))
    return [TopicPartition(*place, offsets[place]) for place in places]


def _printer(wire: Wire, settings: Settings, *, as_json: bool) -> Callable[[list[Message]], None]:
    """Return what writes records to standard output, all that came together at once."""
    line = json_line if as_json else text_line
    colour = out.is_terminal and not out.no_color

    def show(messages: list[Message]) -> None:
        if messages:
            sys.stdout.write(
                "".join(line(Shown.of(message, wire, settings), colour=colour) for message in messages)
            )
            sys.stdout.flush()

    return show
