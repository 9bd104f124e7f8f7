"""`bourse topics`: every topic of the contract, made or checked."""

from typing import Annotated

import typer
from rich.table import Table

from bourse.cli.console import out
from bourse.cli.errors import CliError
from bourse.cli.kafka import admin_client, require_kafka
from bourse.cli.topic_admin import Outcome, TopicAdmin, TopicReport
from bourse.cli.topic_settings import wanted_topics
from bourse.settings import Settings

app = typer.Typer(help="The topics of the contract.", no_args_is_help=True)

DAY_MS = 86_400_000
COLOURS = {
    Outcome.MADE: "green",
    Outcome.MATCHES: "default",
    Outcome.CHANGED: "yellow",
    Outcome.DIFFERS: "red",
    Outcome.MISSING: "red",
}


@app.callback()
def topics() -> None:
    """Make or check the topics of the contract, as deploy/topics/topics.toml describes them."""


@app.command()
def apply(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Compare only; exit code 1 if anything differs.")
    ] = False,
) -> None:
    """Make every topic with its partitions, retention and compression, and change settings that differ."""
    settings = Settings.read()
    client = admin_client(settings.broker)
    require_kafka(client, settings)
    admin = TopicAdmin(client)
    wanted = wanted_topics(settings)
    reports = admin.check(wanted) if check else admin.apply(wanted)
    out.print(_table(reports))
    wrong = [report for report in reports if report.outcome in (Outcome.DIFFERS, Outcome.MISSING)]
    if wrong:
        msg = f"{len(wrong)} of {len(reports)} topics are not as topics.toml wants them."
        raise CliError(msg, _advice(check=check))


def _advice(*, check: bool) -> str:
    if check:
        return "`bourse topics apply` makes them so."
    return "The number of copies is changed with Kafka's own kafka-reassign-partitions."


def _table(reports: list[TopicReport]) -> Table:
    table = Table(
        "topic", "partitions", "cleanup", "retention", "compression", "result", box=None, pad_edge=False
    )
    for report in reports:
        config = report.wanted.config
        table.add_row(
            report.wanted.name,
            str(report.wanted.partitions),
            config["cleanup.policy"],
            _retention(config),
            config["compression.type"],
            f"[{COLOURS[report.outcome]}]{_result(report)}[/]",
        )
    return table


def _retention(config: dict[str, str]) -> str:
    if config["cleanup.policy"] == "compact":
        return "last of each key"
    milliseconds = int(config["retention.ms"])
    return "all" if milliseconds < 0 else f"{milliseconds // DAY_MS} days"


def _result(report: TopicReport) -> str:
    details = (f"{key} {found} -> {wanted}" for key, (found, wanted) in report.differences.items())
    return f"{report.outcome} {', '.join(details)}".strip()
