"""The `bourse` command: its list of commands, and how an expected failure ends.

A command's module is imported when the command is used (or listed), so that `bourse tail` never waits for Faust.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Never

import typer
from confluent_kafka import KafkaException
from typer.core import TyperGroup
from typer.main import get_command

from bourse.cli.console import show_error, warn
from bourse.cli.errors import CliError
from bourse.cli.kafka import kafka_failure
from bourse.settings import SettingsError, unknown_variables

# In the order of `bourse --help`: what runs the market, what feeds and reads it, what is below.
COMMANDS = {
    "demo": "bourse.cli.demo:demo",
    "up": "bourse.cli.up:up",
    "down": "bourse.cli.up:down",
    "status": "bourse.cli.status:status",
    "publish": "bourse.cli.publish:publish",
    "tail": "bourse.cli.tail:tail",
    "sessions": "bourse.cli.sessions:app",
    "accounts": "bourse.cli.accounts:app",
    "audit": "bourse.cli.audit:audit",
    "simulate": "bourse.cli.simulate:simulate",
    "worker": "bourse.cli.worker:worker",
    "broker": "bourse.cli.broker:app",
    "topics": "bourse.cli.topics:app",
    "settings": "bourse.cli.settings:settings",
    "supervise": "bourse.cli.supervise:supervise",
}
HIDDEN = {"supervise"}


class Commands(TyperGroup):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Return the names of the commands whose module exists."""
        return [name for name, place in COMMANDS.items() if importlib.util.find_spec(place.partition(":")[0])]

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def,override]  # noqa: ANN201
        """Import a command and return it, or None if there is none of the name."""
        names = self.list_commands(ctx)
        # The names are what "Did you mean ...?" is taken from.
        self.commands = dict.fromkeys(name for name in names if name not in HIDDEN)  # type: ignore[assignment]
        return load(cmd_name) if cmd_name in names else None


def load(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - typer does not export its command type
    """Import a command's module and return the command."""
    module, _, attribute = COMMANDS[name].partition(":")
    target: typer.Typer | Callable[..., object] = getattr(importlib.import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(name, hidden=name in HIDDEN)(function)
    command = get_command(target)
    command.name = name
    return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def bourse() -> None:
    """A stock exchange, its brokers' wallets and its clearing house, as one pipeline of Kafka topics.

    Begin with `bourse demo`, or step by step: `bourse up`, `bourse publish FILE`, `bourse tail trades --from-start`.
    """
    for name in unknown_variables():
        warn(f"{name} is no setting of Bourse and is ignored; `bourse settings` lists them.")


def main() -> Never:
    """Run the command line; an expected failure is a sentence and exit code 1 (2 when the command was misused)."""
    try:
        app()
    except SettingsError as error:
        _fail(CliError(str(error), "`bourse settings` lists every setting."), 2)
    except CliError as error:
        _fail(error, error.code)
    except KafkaException as error:
        _fail(kafka_failure(error), 1)
    sys.exit(0)


def _fail(error: CliError, code: int) -> Never:
    show_error(error)
    sys.exit(code)


if __name__ == "__main__":
    main()
