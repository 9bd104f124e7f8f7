"""The command itself: start, publish, watch, tell."""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bourse.audit import Report
from bourse.cli.audit import audit_kafka
from bourse.cli.audit import show as show_audit
from bourse.cli.console import note, out
from bourse.cli.demo.follower import following
from bourse.cli.demo.report import show
from bourse.cli.demo.story import MEASURED_TOPICS, OTHER_TOPICS, Story
from bourse.cli.demo.traces import Traces, make_room
from bourse.cli.errors import CliError
from bourse.cli.kafka import admin_client, partition_count
from bourse.cli.publish import publish
from bourse.cli.trading_day import trading_day
from bourse.cli.up import up
from bourse.pipeline.envelope import key_of
from bourse.pipeline.flow import TOPICS as DEFINITIONS
from bourse.schemas.jsonform import event_line
from bourse.settings import Settings

RATE = 1_000.0
EVENT_FILE = "trading-day.jsonl.gz"


def demo(
    workers: Annotated[int, typer.Option(min=1, help="How many workers.")] = 2,
    rate: Annotated[
        float, typer.Option(min=0, help="Records to publish a second, at most; 0 is as fast as it goes.")
    ] = RATE,
    events: Annotated[
        Path | None,
        typer.Option(
            help="Only write the day as an event file (`.gz` packs it), and start nothing.", metavar="FILE"
        ),
    ] = None,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Wipe what the local broker holds first, whatever it is.")
    ] = False,
) -> None:
    """Run a real trading day through the whole market, tell what happened, and prove that nothing was lost.

    Publishes every order of Acciona on 23 May 2019 beside a made-up flow on
    five more instruments, closes the day and settles it on the next one.
    Leaves the stack up. Exit code 1 if a check fails.
    """
    settings = Settings.read()
    if events:
        count = write_day(events, settings.partitions)
        out.print(f"Wrote {count:,} events to {events}, for topics of {settings.partitions} partitions.")
        return
    make_room(settings, fresh=fresh)
    up(workers)
    settings = Settings.read()
    story = _run(settings, rate or None)
    findings = story.checks.findings()
    show(out, story, findings, rate or None)
    report = _audit()
    _say_what_next()
    failed = sum(not finding.holds for finding in findings) + len(report.failed)
    if failed:
        msg = f"{failed} of {len(findings) + len(report.findings)} checks and equations failed."
        raise CliError(
            msg, f"The workers' logs are in {settings.logs_dir}; what was written stays in the topics."
        )
    # Only of a run whose checks hold: what a failed one has left is evidence, and not to be wiped by the next one.
    Traces.found(settings).write(settings)


def write_day(file: Path, partitions: int) -> int:
    """Write the day as an event file, and return how many events it has; the same bytes each time."""
    lines = list(day_lines(partitions))
    # No name and no time in the packed file's head: they would make it differ from run to run.
    data = b"".join(lines)
    try:
        file.write_bytes(gzip.compress(data, 6, mtime=0) if file.suffix == ".gz" else data)
    except OSError as error:
        msg = f"{file} cannot be written: {error.strerror}."
        raise CliError(msg) from None
    return len(lines)


def day_lines(partitions: int) -> Iterator[bytes]:
    """Yield the day as lines of an event file."""
    for topic, record in trading_day(partitions):
        yield event_line(topic, key_of(DEFINITIONS[topic], record), record)


def _run(settings: Settings, rate: float | None) -> Story:
    """Publish the day, and take in what comes of it: each record once."""
    partitions = partition_count(admin_client(settings.broker), settings)
    file = settings.data_dir / EVENT_FILE
    count = write_day(file, partitions)
    note(f"Publishing {count:,} records from {file} ...")
    story = Story()
    with following(settings, MEASURED_TOPICS, partitions, story.see):
        publish(file, rate)
    # The other topics wait until the day is over: reading them meanwhile would take time from what is measured.
    note("Reading everything that was written ...")
    with following(settings, OTHER_TOPICS, partitions, story.see):
        pass
    return story


def _audit() -> Report:
    """Let the auditor read everything once more, and show what it proves."""
    note("Auditing ...")
    started = time.monotonic()
    report = audit_kafka(replay=True)
    out.print("\n[bold]The audit, from the committed topics alone[/bold]")
    show_audit(out, report, time.monotonic() - started)
    return report


def _say_what_next() -> None:
    out.print("\n[bold]The market is still up.[/bold]")
    for command, what in (
        ("bourse status", "workers, partitions, lag"),
        ("bourse audit", "the same audit, at any time"),
        ("bourse tail trades --from-start", "the trades, from the first on"),
        ("bourse tail order-events --from-start --json", "the life of every order, for programs"),
        ("bourse down", "stop it (or `make down`); the data stay"),
    ):
        out.print(f"  .venv/bin/{command:<50}[dim]{what}[/dim]")
