"""`bourse audit`: every equation, proved from the topics alone.

It finds out where the log ends and whether the market is at rest there, hands the records to the auditor (which shares
nothing with the market), and shows what it found.
"""

import datetime as dt
import time
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import msgspec
import typer
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bourse.audit import Auditor, Entry, Equation, Finding, Offence, Report, Result
from bourse.audit.auditor import weekdays
from bourse.audit.files import read_lines as read_entries
from bourse.audit.reader import CONSUMER, READ, Span, read
from bourse.cli.console import note, out, print_json
from bourse.cli.errors import CliError
from bourse.cli.group import Group, Place
from bourse.cli.kafka import admin_client, client_config, kafka_failure, partition_count, require_kafka
from bourse.cli.lines import read_lines
from bourse.cli.replay import Replay
from bourse.cli.wire import Wire
from bourse.pipeline.flow import STAGES
from bourse.schemas.jsonform import JsonFormError
from bourse.settings import Settings

CANNOT_READ: Final = 3
"""Exit code where there is nothing to judge: 1 says that an equation fails."""

FROM_OUTSIDE: Final = frozenset(read.topic for stage in STAGES for read in stage.reads) - frozenset(
    topic for stage in STAGES for topic in stage.writes
)
"""The topics that stages read and none of them writes."""

REST_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.25
FIRST: Final = dt.date(1990, 1, 1)
LAST: Final = dt.date(2060, 12, 31)
WIDTH: Final = 110
STYLES: Final = {Result.PASSED: "green", Result.FAILED: "bold red", Result.NOT_CHECKED: "yellow"}


def audit(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            help="Audit an event file instead of Kafka; several for inputs and what was simulated from them.",
            metavar="FILE",
        ),
    ] = None,
    *,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay", help="Simulate the approved orders again as well, and compare the trades (A17)."
        ),
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Do not wait for rest: what is under way is not judged.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every equation over the committed topics; name the first record that breaks each one that fails.

    Exit code 0 if none fails, 1 if one does, 3 if the records cannot be read.
    """
    started = time.monotonic()
    with _reading():
        report = audit_files(files, replay=replay) if files else audit_kafka(live=live, replay=replay)
    seconds = time.monotonic() - started
    if as_json:
        print_json(msgspec.json.format(msgspec.json.encode(_plain(report, seconds)), indent=2).decode())
    else:
        show(out, report, seconds)
    if report.failed:
        raise typer.Exit(1)


@contextmanager
def _reading() -> Iterator[None]:
    """Let whatever keeps records from being read end with an exit code of its own."""
    try:
        yield
    except CliError as error:
        raise CliError(error.problem, error.advice, CANNOT_READ) from None
    except KafkaException as error:
        failure = kafka_failure(error)
        raise CliError(failure.problem, failure.advice, CANNOT_READ) from None


# -- event files ---------------------------------------------------------------------------------------------------


def audit_files(files: list[Path], *, replay: bool = False) -> Report:
    """Audit event files. Lines that say where they stood are Kafka's, of as many partitions as the settings say."""
    first = next((line for file in files for line in read_lines(file) if line.strip()), b"")
    auditor = Auditor(Settings.read().partitions if b'"partition":' in first else 1, settlement_date)
    return _replayed(auditor, (entry for file in files for entry in _entries(file)), replay=replay)


def _entries(file: Path) -> Iterator[Entry]:
    try:
        yield from read_entries(read_lines(file))
    except JsonFormError as error:
        msg = f"{file}, {error}."
        raise CliError(msg) from None


def _replayed(auditor: Auditor, entries: Iterator[Entry], *, replay: bool, at_rest: bool = True) -> Report:
    """Feed everything and return the report, with a replay of the approved messages if asked for."""
    with TemporaryDirectory() as folder:
        again = Replay(Path(folder) / "approved.jsonl") if replay else None
        for entry in entries if again is None else again.see(entries):
            auditor.feed(entry)
        report = auditor.report(at_rest=at_rest)
        if again is None:
            return report
        note("Simulating the approved orders again ...")
        return report.with_finding(again.finding(report.finding(Equation.A17)))


# -- Kafka -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rest:
    """Whether something was under way where the log was cut."""

    spans: list[Span]
    looked_at: int
    problem: str | None
    unowned: str | None

    def finding(self, finding: Finding, *, live: bool) -> Finding:
        """Return the verdict on A22."""
        if self.problem and not live:
            offence = Offence("the consumer group", None, self.problem)
            return finding._replace(
                result=Result.FAILED, looked_at=self.looked_at, offences=1, first=offence, reason=None
            )
        result = Result.NOT_CHECKED if self.problem else Result.PASSED
        return finding._replace(result=result, looked_at=self.looked_at, reason=self.problem or self.unowned)


def audit_kafka(*, live: bool = False, replay: bool = False) -> Report:
    """Audit the topics that the settings name, from their beginning to what is their end when the market is at rest."""
    settings = Settings.read()
    admin = admin_client(settings.broker)
    require_kafka(admin, settings)
    partitions = partition_count(admin, settings)
    rest = _at_rest(admin, settings, 0.0 if live else REST_SECONDS)
    auditor = Auditor(partitions, settlement_date)
    consumer = Consumer({**client_config(settings.broker), **CONSUMER, "group.id": f"{settings.group}-audit"})
    try:
        entries = read(consumer, rest.spans, Wire(settings).decode)
        report = _replayed(auditor, entries, replay=replay, at_rest=rest.problem is None)
    finally:
        consumer.close()
    return report.with_finding(rest.finding(report.finding(Equation.A22), live=live))


def _at_rest(admin: AdminClient, settings: Settings, patience_seconds: float) -> _Rest:
    """Wait until nothing is under way, or for as long as it takes to say that something is."""
    group = Group(admin, settings)
    deadline = time.monotonic() + patience_seconds
    rest = _look(group, settings)
    while rest.problem and time.monotonic() < deadline:
        note(f"Waiting for the market to come to rest: {rest.problem} ...")
        time.sleep(PAUSE_SECONDS)
        rest = _look(group, settings)
    return rest


def _look(group: Group, settings: Settings) -> _Rest:
    counts = group.partition_counts({settings.topic(topic) for topic in READ})
    places = frozenset(Place(name, partition) for name, count in counts.items() for partition in range(count))
    # What comes from outside the workers read in any case, also where they have committed nothing of it yet.
    outside = {place for place in places if settings.contract_topic(place.topic) in FROM_OUTSIDE}
    progress = group.progress(frozenset(outside | group.committed(places).keys()))
    # The ends come last: what is written after this moment is not read.
    starts, ends, stable = group.starts(places), group.ends(places), group.stable_ends(places)
    spans = [
        Span(settings.contract_topic(place.topic), *place, starts[place], stable[place])
        for place in sorted(places)
    ]
    undecided = sorted(place for place in places if stable[place] < ends[place])
    owned = {place for member in group.members() for place in member.owned}
    problem = unowned = None
    if undecided:
        problem = f"a transaction is open in {'/'.join(map(str, undecided[0]))}"
    elif group.holds_records(progress):
        problem = f"{sum(where.behind for where in progress.values()):,} offsets are not worked off yet"
    elif not owned:
        unowned = "no worker runs, so nobody owns a partition"
    elif missing := sorted(set(progress) - owned):
        problem = f"nobody owns {'/'.join(map(str, missing[0]))}"
    return _Rest(spans, len(places), problem, unowned)


# -- settlement dates --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def settlement_date(market: str, trade_date: dt.date, settlement_days: int) -> dt.date:
    """Return the session so many sessions after a trade date; Monday to Friday for a market without a calendar."""
    sessions = _sessions(market)
    place = bisect_right(sessions, trade_date) - 1 if settlement_days else bisect_left(sessions, trade_date)
    if not sessions or trade_date < sessions[0] or place + settlement_days >= len(sessions):
        return weekdays(market, trade_date, settlement_days)
    return sessions[place + settlement_days]


@lru_cache(maxsize=256)
def _sessions(market: str) -> list[dt.date]:
    # Imported on first use: it brings pandas with it, which takes a second.
    from exchange_calendars import get_calendar  # noqa: PLC0415
    from exchange_calendars.errors import InvalidCalendarName  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            known = get_calendar(market, start="2022-01-03", end="2022-12-30")
        except InvalidCalendarName:
            return []
        first, last = known.bound_min(), known.bound_max()
        calendar = get_calendar(
            market,
            start=FIRST if first is None else max(FIRST, first.date()),
            end=LAST if last is None else min(LAST, last.date()),
        )
        return [session.date() for session in calendar.sessions]


# -- showing -----------------------------------------------------------------------------------------------------------


def show(console: Console, report: Report, seconds: float) -> None:
    """Print the table, and below it what was left out and the first offence of each equation that fails."""
    wide = Console(file=console.file, width=max(console.width, WIDTH), highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("equation", no_wrap=True)
    table.add_column("looked at", justify="right", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for finding in report.findings:
        style = STYLES[finding.result]
        table.add_row(
            finding.equation,
            finding.statement,
            f"{finding.looked_at:,}",
            f"[{style}]{finding.result}[/{style}]",
        )
    wide.print(table)
    for finding in report.findings:
        if finding.reason:
            wide.print(f"[dim]{finding.equation}: {escape(finding.reason)}[/dim]")
    for finding in report.failed:
        wide.print(_offence(finding))
    rate = report.records / seconds if seconds else 0.0
    passed = sum(finding.result is Result.PASSED for finding in report.findings)
    wide.print(
        f"[bold]{report.records:,} records in {seconds:.1f} s ({rate:,.0f}/s): {passed} equations hold,"
        f" {len(report.failed)} fail, {len(report.findings) - passed - len(report.failed)} were not checked.[/bold]"
    )


def _offence(finding: Finding) -> str:
    first = finding.first
    if first is None:
        return ""
    name = f" ({escape(first.event_id)})" if first.event_id else ""
    more = f", and {finding.offences - 1:,} more" if finding.offences > 1 else ""
    return f"[bold red]{finding.equation}[/bold red] {escape(first.place)}{name}: {escape(first.cause)}{more}"


def _plain(report: Report, seconds: float) -> dict[str, object]:
    """Return the report as one JSON object."""
    findings: Iterable[dict[str, object]] = (
        finding._asdict() | {"first": finding.first._asdict() if finding.first else None}
        for finding in report.findings
    )
    return {"records": report.records, "seconds": round(seconds, 3), "findings": list(findings)}
