"""`bourse broker`: a real Apache Kafka on this machine for development."""

from typing import Annotated

import typer

from bourse.cli.console import note, out
from bourse.cli.errors import CliError
from bourse.cli.local_broker import LocalBroker
from bourse.settings import Settings

app = typer.Typer(
    help="A real Apache Kafka on this machine for development, durable in the data folder.",
    no_args_is_help=True,
)


def _broker() -> LocalBroker:
    return LocalBroker.of(Settings.read())


@app.command()
def start() -> None:
    """Start the broker and wait until it answers; its port is remembered from the first start on."""
    broker = _broker()
    started = broker.start()
    out.print(f"Kafka {'started' if started else 'is already running'} at {broker.address}.")


@app.command()
def stop() -> None:
    """Stop the broker; its data stays."""
    out.print("Kafka stopped." if _broker().stop() else "Kafka was not running.")


@app.command()
def status() -> None:
    """Show whether the broker runs and answers; exit code 1 if not."""
    broker = _broker()
    process = broker.process()
    if not process:
        msg = "Kafka has died." if broker.has_died() else "Kafka is not running."
        raise CliError(msg, "Start it with `bourse broker start`.")
    if not broker.answers():
        msg = f"Kafka runs (pid {process.pid}) but does not answer at {broker.address}."
        raise CliError(msg, f"Its log is {broker.log}.")
    out.print(f"Kafka runs at {broker.address} (pid {process.pid}), data in {broker.data}.")


@app.command()
def wipe(
    *,
    force: Annotated[bool, typer.Option("--force", help="Stop the broker first if it is running.")] = False,
) -> None:
    """Delete everything the broker holds: all topics, all records."""
    broker = _broker()
    if force and broker.stop():
        note("Kafka stopped.")
    broker.wipe()
    out.print(f"Deleted {broker.data}.")
