"""`bourse simulate`: the whole flow over an event file in memory, with no broker and no clock."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from bourse.cli.errors import CliError
from bourse.cli.lines import read_lines
from bourse.pipeline.simulate import simulate_lines
from bourse.schemas.jsonform import JsonFormError


def simulate(
    file: Annotated[
        Path, typer.Argument(help="Event file (JSON lines), may be gzipped (`.gz`).", metavar="IN.jsonl")
    ],
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Event file to write; unset: standard output.", metavar="OUT.jsonl"),
    ] = None,
) -> None:
    """Run the stages over an event file in memory, and write every output record of every topic.

    Each line enters the flow at the stage that reads its topic. The same input gives the same bytes.
    """
    with _writing(to) as output:
        try:
            _copy(simulate_lines(read_lines(file)), output)
        except JsonFormError as error:
            msg = f"{file}, {error}."
            raise CliError(msg) from None


def _copy(lines: Iterable[bytes], output: IO[bytes]) -> None:
    try:
        output.writelines(lines)
        output.flush()
    except BrokenPipeError:
        # The reader has seen enough. What Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


@contextmanager
def _writing(file: Path | None) -> Iterator[IO[bytes]]:
    """Open the output; a file is put in its place only when it is complete."""
    if file is None:
        yield sys.stdout.buffer
        return
    draft = file.parent / f"{file.name}.part"
    try:
        with draft.open("wb") as output:
            yield output
        draft.replace(file)
    except OSError as error:
        msg = f"{file} cannot be written: {error.strerror}."
        raise CliError(msg) from None
    finally:
        draft.unlink(missing_ok=True)
