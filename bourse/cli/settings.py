"""`bourse settings`: every setting with its value and what it is for."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from bourse.cli.console import out, print_json
from bourse.settings import Settings, environment_name


def settings(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show every setting: its environment variable, its value here (bold where chosen), and what it is for."""
    current = Settings.read()
    if as_json:
        values = current.model_dump(mode="json")
        print_json(json.dumps({environment_name(name): value for name, value in values.items()}, indent=2))
        return
    for name in Settings.model_fields:
        _show(current, name)


def _show(current: Settings, name: str) -> None:
    value = getattr(current, name)
    line = escape(f"{environment_name(name)}={'' if value is None else value}")
    out.print(f"[bold]{line}[/bold]" if name in current.model_fields_set else line)
    out.print(
        Padding(f"[dim]{escape(Settings.model_fields[name].description or '')}[/dim]", (0, 0, 0, 4)),
        soft_wrap=False,
    )
