"""`bourse publish`: an event file to its topics, in the file's order also across topics."""

import time
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bourse.cli.console import counted, err, out
from bourse.cli.drain import PATIENCE_SECONDS, require_workers, wait_until_drained
from bourse.cli.errors import CliError
from bourse.cli.event_file import EventFile, Outgoing
from bourse.cli.group import Group
from bourse.cli.kafka import admin_client, client_config, partition_count, require_kafka
from bourse.cli.wire import Wire
from bourse.settings import Settings

FLUSH_SECONDS = 60
SHORTEST_SLEEP_SECONDS = 0.002

Report = Callable[[str], None]


def publish(
    file: Annotated[
        Path, typer.Argument(help="Event file (JSON lines), may be gzipped (`.gz`).", metavar="IN.jsonl")
    ],
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most so many records a second.")] = None,
    *,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait for the workers, between topics or at the end.")
    ] = False,
) -> None:
    """Publish an event file to its topics.

    The whole file is checked first. Between topics, and at the end, it waits until the workers have committed what was
    published so far, through all stages: so the file's order holds across topics too.
    """
    settings = Settings.read()
    admin = admin_client(settings.broker)
    require_kafka(admin, settings)
    group = Group(admin, settings)
    with _progress() as progress:
        task = progress.add_task("Checking the file ...", total=None)
        events = EventFile(file, Wire(settings), partition_count(admin, settings))
        progress.update(task, total=events.count)
        publisher = Publisher(settings, rate, lambda: progress.advance(task))
        began = time.monotonic()
        topics = _publish_in_order(
            publisher,
            events,
            None if no_wait else group,
            lambda text: progress.update(task, description=text),
        )
    seconds = time.monotonic() - began
    done = "" if no_wait else ", all of it processed"
    out.print(
        f"Published {counted(events.count, 'record')} to {counted(topics, 'topic')} in {seconds:.1f} s{done}."
    )


def _publish_in_order(
    publisher: "Publisher", events: Iterable[Outgoing], group: Group | None, report: Report
) -> int:
    """Publish run after run of records of one topic; return how many topics there were."""
    topics = set()
    if group:
        require_workers(group, report, PATIENCE_SECONDS)
    for topic, run in groupby(events, key=attrgetter("topic")):
        topics.add(topic)
        report(topic)
        publisher.send(run)
        if group:
            wait_until_drained(group, report, PATIENCE_SECONDS)
    return len(topics)


class Publisher:
    """Sends records at no more than a rate, each exactly once and in order."""

    def __init__(self, settings: Settings, rate: float | None, on_sent: Callable[[], object]) -> None:
        """Take the settings that name Kafka and the topics, the rate, and what to call for each record."""
        self._settings = settings
        self._rate = rate
        self._on_sent = on_sent
        self._failure: KafkaError | None = None
        self._producer = Producer(
            client_config(settings.broker)
            | {
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # As Kafka's own clients; no record without a key gets here.
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.timeout.ms": FLUSH_SECONDS * 1000,
            }
        )

    def send(self, records: Iterable[Outgoing]) -> None:
        """Send records and wait until Kafka has all of them; raises CliError if it does not take one."""
        began = time.monotonic()
        for sent, record in enumerate(records):
            self._pace(began, sent)
            self._produce(record)
            self._on_sent()
        left = self._producer.flush(FLUSH_SECONDS)
        self._check()
        if left:
            msg = f"Kafka has not confirmed {left} records within {FLUSH_SECONDS} s."
            raise CliError(msg, "`bourse broker status` shows whether it runs.")

    def _pace(self, began: float, sent: int) -> None:
        if self._rate is None:
            return
        ahead = began + sent / self._rate - time.monotonic()
        if ahead > SHORTEST_SLEEP_SECONDS:
            self._producer.poll(0)
            time.sleep(ahead)

    def _produce(self, record: Outgoing) -> None:
        topic = self._settings.topic(record.topic)
        place = {} if record.partition is None else {"partition": record.partition}
        while True:
            try:
                self._producer.produce(
                    topic, record.value, record.key, on_delivery=self._on_delivery, **place
                )
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                self._failure = error.args[0]
                self._check()
            else:
                return

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def _check(self) -> None:
        if self._failure:
            msg = f"Kafka did not take a record: {self._failure.str()}."
            raise CliError(
                msg,
                "What was sent before it is published. `bourse topics apply --check` looks at the topics.",
            )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
