"""`bourse up` and `bourse down`: broker, topics and workers on this machine, all in one go."""

import http
import os
import sys
import time
import urllib.request
from typing import Annotated

import typer

from bourse.cli.console import counted, err, note, out, warn
from bourse.cli.drain import look
from bourse.cli.errors import CliError
from bourse.cli.group import Group
from bourse.cli.kafka import admin_client, require_kafka
from bourse.cli.local_broker import LocalBroker
from bourse.cli.processes import end_all, last_lines, shorten_log, start_detached
from bourse.cli.running import differences, running
from bourse.cli.supervisor import GRACE_SECONDS, LOG_LIMIT_BYTES, ChildNote, Notes
from bourse.cli.topic_admin import TopicAdmin
from bourse.cli.topic_settings import wanted_topics
from bourse.settings import Settings

READY_SECONDS = 120
HOPELESS_RESTARTS = 3
LOOK_SECONDS = 0.25
# The supervisor ends its workers within their grace; what it needs beyond that is its own.
SUPERVISOR_GRACE_SECONDS = GRACE_SECONDS + 10


def up(
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many workers; unset: as many as run, or BOURSE_WORKERS.")
    ] = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions of every topic; unset: BOURSE_PARTITIONS.")
    ] = None,
) -> None:
    """Start broker, topics and workers under one supervisor, or change the number of workers that run."""
    if partitions:
        os.environ["BOURSE_PARTITIONS"] = str(partitions)
    settings = _with_broker(Settings.read())
    notes = Notes(settings.run_dir)
    _refuse_other_workers(settings, notes)
    client = admin_client(settings.broker)
    require_kafka(client, settings)
    TopicAdmin(client).apply(wanted_topics(settings))
    wanted = workers or (notes.wanted() if notes.supervisor() else settings.workers)
    if wanted > settings.partitions:
        idle = wanted - settings.partitions
        warn(
            f"{idle} of {wanted} workers will be idle, because every topic has {settings.partitions} partitions."
        )
    _start_workers(settings, notes, wanted)
    _wait_until_ready(settings, notes, wanted)
    out.print(
        f"Up: Kafka at {settings.broker}, {counted(wanted, 'worker')}. Logs are in {settings.logs_dir}."
    )


def down(
    *,
    keep_broker: Annotated[
        bool, typer.Option("--keep-broker", help="Leave the local broker running.")
    ] = False,
) -> None:
    """End the workers, each after the transaction it is in, and stop the broker; all data stays."""
    settings = Settings.read()
    ended = _end_workers(Notes(settings.run_dir))
    stopped = settings.broker_is_local and not keep_broker and LocalBroker.of(settings).stop()
    parts = [f"{counted(ended, 'worker')} ended"] * bool(ended) + ["Kafka stopped"] * stopped
    out.print(f"{' and '.join(parts)}." if parts else "Nothing was running.")


def _with_broker(settings: Settings) -> Settings:
    """Start the local broker, unless another Kafka was named, and return the settings with its address."""
    if not settings.broker_is_local:
        return settings
    broker = LocalBroker.of(settings)
    if broker.start():
        note(f"Kafka started at {broker.address}.")
    return Settings.read()


def _refuse_other_workers(settings: Settings, notes: Notes) -> None:
    """Refuse to go on beside workers that were started with other settings or another code: they would keep theirs."""
    others = differences(notes.runs(), running(settings)) if notes.supervisor() else []
    if others:
        msg = "A supervisor with other settings runs:\n" + "\n".join(others)
        raise CliError(msg, "`bourse down` ends it; nothing is lost. Then start again.")


def _start_workers(settings: Settings, notes: Notes, wanted: int) -> None:
    """Start a supervisor, or tell the one that runs what is wanted now."""
    if notes.supervisor():
        notes.want(wanted)
        return
    log = settings.logs_dir / "supervisor.log"
    shorten_log(log, LOG_LIMIT_BYTES)
    command = [sys.executable, "-m", "bourse.cli.main", "supervise", "--workers", str(wanted)]
    supervisor = start_detached(command, log=log, cwd=settings.data_dir, env=_environment())
    deadline = time.monotonic() + READY_SECONDS
    while notes.supervisor() != supervisor:
        if not supervisor.is_alive() or time.monotonic() > deadline:
            msg = f"The supervisor did not start:\n{last_lines(log)}"
            raise CliError(msg, f"Its whole log is {log}.")
        time.sleep(LOOK_SECONDS)


def _environment() -> dict[str, str]:
    """Return this command's environment, in which code is found from any folder."""
    environment = dict(os.environ)
    if path := environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    return environment


def _wait_until_ready(settings: Settings, notes: Notes, wanted: int) -> None:
    """Wait until every wanted worker is in the group and ready, and every partition is owned."""
    group = Group(admin_client(settings.broker), settings)
    deadline = time.monotonic() + READY_SECONDS
    with err.status("Waiting until the workers are ready ..."):
        while not _is_ready(group, settings, notes, wanted):
            _fail_if_hopeless(settings, notes)
            if time.monotonic() > deadline:
                msg = f"The workers are not ready after {READY_SECONDS} s; they go on trying."
                raise CliError(msg, f"`bourse status` shows them; their logs are in {settings.logs_dir}.")
            time.sleep(LOOK_SECONDS)


def _is_ready(group: Group, settings: Settings, notes: Notes, wanted: int) -> bool:
    children = notes.child_notes()
    if len(children) != wanted or not all(_says_ready(settings, child) for child in children):
        return False
    now = look(group)
    return now.members >= wanted and bool(now.progress) and not now.unowned


def _says_ready(settings: Settings, child: ChildNote) -> bool:
    """Ask a worker's own `/ready`."""
    url = f"http://{settings.web_host}:{child.env['BOURSE_WEB_PORT']}/ready"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except OSError:
        return False


def _fail_if_hopeless(settings: Settings, notes: Notes) -> None:
    """Stop waiting when a worker dies again and again."""
    for child in notes.child_notes():
        if child.restarts >= HOPELESS_RESTARTS:
            log = settings.logs_dir / f"{child.name}.log"
            msg = f"{child.name} dies as soon as it is started:\n{last_lines(log)}"
            raise CliError(msg, f"Its whole log is {log}; `bourse down` ends everything.")


def _end_workers(notes: Notes) -> int:
    """End the supervisor, which ends its workers, and workers that a lost supervisor has left; return how many."""
    workers = notes.children()
    if supervisor := notes.supervisor():
        end_all([supervisor], SUPERVISOR_GRACE_SECONDS)
    left = [worker for worker in workers if worker.is_alive()]
    for worker in end_all(left, GRACE_SECONDS):
        warn(f"Process {worker.pid} did not end and was killed.")
    notes.clear()
    return len(workers)
