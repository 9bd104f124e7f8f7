"""What the calendar library said of markets, kept in a file: to load it takes a worker that comes back most of a second.

A file of another version of the library, of another range of dates, or that is damaged is as good as none.
"""

import contextlib
import datetime as dt
import hashlib
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import msgspec

from bourse.pipeline import calendar

_DIGEST: Final = hashlib.sha256().digest_size


class Calendars(msgspec.Struct, frozen=True):
    """The sessions of markets, and what they hold for."""

    library: str
    first: dt.date
    last: dt.date
    sessions: dict[str, list[int]]
    """By market, as `date.toordinal` has them."""


def load(file: Path) -> None:
    """Remember what a file has of the calendars that this program would load."""
    try:
        content = file.read_bytes()
    except OSError:
        return
    digest, body = content[:_DIGEST], content[_DIGEST:]
    # Dates that money moves on: a wrong bit must not show as another date.
    if hashlib.sha256(body).digest() != digest:
        return
    try:
        kept = msgspec.json.decode(body, type=Calendars)
    except msgspec.DecodeError:  # whole, but of a program that writes it otherwise
        return
    if (kept.library, kept.first, kept.last) == _bounds():
        calendar.remember(
            {market: [*map(dt.date.fromordinal, days)] for market, days in kept.sessions.items()}
        )


def save(file: Path) -> None:
    """Write down what is known of calendars now, for the next start; without it that takes longer, and nothing else."""
    sessions = {market: [day.toordinal() for day in days] for market, days in calendar.known().items()}
    if not sessions:
        return
    body = msgspec.json.encode(Calendars(*_bounds(), sessions))
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Workers of one machine have one file: each replaces it as a whole.
        with NamedTemporaryFile(dir=file.parent, prefix=file.name, delete=False) as written:
            written.write(hashlib.sha256(body).digest() + body)
        Path(written.name).replace(file)


def _bounds() -> tuple[str, dt.date, dt.date]:
    return version("exchange_calendars"), calendar.FIRST, calendar.LAST
