"""`bourse settings`: every setting with its value and what it is for."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from bourse.cli.console import out, print_json
from bourse.settings import Settings, environment_name, without_password


def settings(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show every setting: its environment variable, its value here (bold where chosen), and what it is for."""
    current = Settings.read()
    if as_json:
        values = current.model_dump(mode="json")
        shown = {environment_name(name): value and without_password(value) for name, value in values.items()}
        print_json(json.dumps(shown, indent=2))
        return
    for name in Settings.model_fields:
        _show(current, name)


def _shown(value: object) -> str:
    return "" if value is None else str(without_password(value))


def _show(current: Settings, name: str) -> None:
    line = escape(f"{environment_name(name)}={_shown(getattr(current, name))}")
    out.print(f"[bold]{line}[/bold]" if name in current.model_fields_set else line)
    out.print(
        Padding(f"[dim]{escape(Settings.model_fields[name].description or '')}[/dim]", (0, 0, 0, 4)),
        soft_wrap=False,
    )
