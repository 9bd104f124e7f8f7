"""Where a command writes: results to standard output, everything about the run itself to standard error."""

import sys

from rich.console import Console
from rich.markup import escape

from bourse.cli.errors import CliError

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as `1 worker` or `2 workers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def note(text: str) -> None:
    """Tell the person what is being done, on standard error."""
    err.print(escape(text))


def warn(text: str) -> None:
    """Tell the person what looks wrong but does not stop the command."""
    err.print(f"[yellow]{escape(text)}[/yellow]")


def show_error(error: CliError) -> None:
    """Show an expected failure: what is wrong in red, what to do below it."""
    err.print(f"[red]{escape(error.problem)}[/red]")
    if error.advice:
        err.print(escape(error.advice))


def print_json(text: str) -> None:
    """Print a JSON document as it is, without colour or wrapping."""
    sys.stdout.write(text + "\n")
