"""Lines of a file that may be gzipped, with every way of failing to read it said in one sentence."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from bourse.cli.errors import CliError


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; raises CliError when it cannot be read."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            yield from lines
    except (OSError, EOFError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise CliError(msg) from None
