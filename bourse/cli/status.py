"""`bourse status`: who owns which partition, lag, rates and state size at a glance."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from rich.table import Table

from bourse.cli.console import out, print_json
from bourse.cli.drain import Look, look
from bourse.cli.errors import CliError
from bourse.cli.group import Group, Member, Place
from bourse.cli.kafka import admin_client, require_kafka
from bourse.cli.local_broker import LocalBroker
from bourse.cli.supervisor import ChildNote, Notes
from bourse.cli.topic_settings import wanted_topics
from bourse.settings import Settings

SAMPLE_SECONDS = 1.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """The Kafka that is used."""

    address: str
    is_local: bool
    answers: bool
    pid: int | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker: as the supervisor of this machine knows it, as the group knows it, or both."""

    name: str
    pid: int | None
    restarts: int
    uptime_seconds: int | None
    web: str | None
    partitions: list[int]
    is_member: bool
    state_bytes: int


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """One topic over all its partitions; lag and processing only where workers read it."""

    name: str
    offsets: int
    written_per_second: int
    processed_per_second: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """All that is shown."""

    broker: BrokerStatus
    supervisor_pid: int | None
    group: str
    workers: list[WorkerStatus]
    topics: list[TopicStatus]
    unowned_partitions: int
    lag: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What Kafka said at one moment."""

    moment: float
    members: list[Member]
    look: Look
    starts: dict[Place, int]
    ends: dict[Place, int]


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show broker, workers, who owns which partition, lag, rates (over a second) and state size."""
    settings = Settings.read()
    found = _status(settings)
    if as_json:
        print_json(json.dumps(asdict(found), indent=2))
    else:
        _show(found)


def _status(settings: Settings) -> Status:
    notes = Notes(settings.run_dir)
    supervisor = notes.supervisor()
    broker, samples = _samples(settings)
    last = samples[-1] if samples else None
    return Status(
        broker,
        supervisor.pid if supervisor else None,
        settings.group,
        _workers(settings, notes.child_notes(), last.members if last else []),
        _topics(settings, *samples) if len(samples) == 2 else [],  # noqa: PLR2004 - a rate is over two samples
        last.look.unowned if last else 0,
        last.look.behind if last else 0,
    )


def _samples(settings: Settings) -> tuple[BrokerStatus, list[Sample]]:
    """Look at Kafka twice; no samples when it does not answer."""
    process = LocalBroker.of(settings).process() if settings.broker_is_local else None
    pid = process.pid if process else None
    client = admin_client(settings.broker)
    try:
        require_kafka(client, settings)
        samples = [_sample(client, settings)]
        time.sleep(SAMPLE_SECONDS)
        samples.append(_sample(client, settings))
    except (CliError, KafkaException):
        return BrokerStatus(settings.broker, settings.broker_is_local, answers=False, pid=pid), []
    return BrokerStatus(settings.broker, settings.broker_is_local, answers=True, pid=pid), samples


def _sample(client: AdminClient, settings: Settings) -> Sample:
    group = Group(client, settings)
    counts = group.partition_counts({topic.name for topic in wanted_topics(settings)})
    places = frozenset(
        Place(topic, partition) for topic, count in counts.items() for partition in range(count)
    )
    starts, ends = group.starts(places), group.ends(places)
    return Sample(time.monotonic(), group.members(), look(group), starts, ends)


def _topics(settings: Settings, before: Sample, after: Sample) -> list[TopicStatus]:
    there = {place.topic for place in after.ends}
    names = [topic.name for topic in wanted_topics(settings) if topic.name in there]
    return [_topic(settings.contract_topic(name), name, before, after) for name in names]


def _topic(name: str, kafka_name: str, before: Sample, after: Sample) -> TopicStatus:
    seconds = after.moment - before.moment
    places = [place for place in after.ends if place.topic == kafka_name]
    read = [place for place in places if place in after.look.progress]
    moved = sum(
        after.look.progress[place].committed - before.look.progress[place].committed
        for place in read
        if place in before.look.progress
    )
    written = sum(after.ends[place] - before.ends.get(place, 0) for place in places)
    return TopicStatus(
        name,
        sum(after.ends[place] - after.starts[place] for place in places),
        round(written / seconds),
        round(moved / seconds) if read else None,
        sum(after.look.progress[place].behind for place in read) if read else None,
    )


def _workers(settings: Settings, children: list[ChildNote], members: list[Member]) -> list[WorkerStatus]:
    by_name = {member.worker: member for member in members}
    noted = {child.name: child for child in children}
    return [
        _worker(settings, name, noted.get(name), by_name.get(name)) for name in sorted(by_name.keys() | noted)
    ]


def _worker(settings: Settings, name: str, child: ChildNote | None, member: Member | None) -> WorkerStatus:
    process = child.process if child and child.is_alive else None
    port = child.env.get("BOURSE_WEB_PORT") if child else None
    return WorkerStatus(
        name,
        process.pid if process else None,
        child.restarts if child else 0,
        int(time.time() - child.since) if child and process else None,
        f"http://{settings.web_host}:{port}" if port else None,
        sorted({place.partition for place in member.owned}) if member else [],
        member is not None,
        _size(settings.state_dir / name),
    )


def _size(folder: Path) -> int:
    """Return the bytes in a folder; files may go while it looks."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _show(found: Status) -> None:
    broker = found.broker
    place = f"{broker.address}{f' (pid {broker.pid})' if broker.pid else ''}"
    out.print(f"Kafka      {place}: {'answers' if broker.answers else '[red]does not answer[/red]'}")
    pid = found.supervisor_pid
    out.print(f"Supervisor {f'pid {pid}' if pid else 'none on this machine'}")
    out.print(f"Group      {found.group}: lag {found.lag:,}, {_ownership(found)}")
    if found.workers:
        out.print(_worker_table(found.workers))
    if found.topics:
        out.print(_topic_table(found.topics))


def _ownership(found: Status) -> str:
    if not any(worker.partitions for worker in found.workers):
        return "[red]no partition is owned[/red]"
    if found.unowned_partitions:
        return f"[red]{found.unowned_partitions} partitions of topics have no owner[/red]"
    return "every partition is owned"


def _worker_table(workers: list[WorkerStatus]) -> Table:
    table = Table(
        "worker",
        "owns",
        "pid",
        "up",
        "restarts",
        "state",
        "web",
        box=None,
        pad_edge=False,
        title_justify="left",
    )
    for worker in workers:
        table.add_row(
            worker.name,
            ", ".join(map(str, worker.partitions))
            or ("nothing" if worker.is_member else "[red]not in the group[/red]"),
            str(worker.pid or "-"),
            "-" if worker.uptime_seconds is None else f"{worker.uptime_seconds} s",
            str(worker.restarts),
            f"{worker.state_bytes / MEBIBYTE:.1f} MiB",
            worker.web or "-",
        )
    return table


def _topic_table(topics: list[TopicStatus]) -> Table:
    table = Table("topic", box=None, pad_edge=False)
    for name in ("offsets", "written/s", "processed/s", "lag"):
        table.add_column(name, justify="right")
    for topic in topics:
        numbers = (topic.offsets, topic.written_per_second, topic.processed_per_second, topic.lag)
        table.add_row(topic.name, *("" if number is None else f"{number:,}" for number in numbers))
    return table
