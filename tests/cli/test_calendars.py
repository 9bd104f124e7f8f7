"""Calendars that are kept in a file are those of the library, or are not believed."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bourse.cli import calendars
from bourse.pipeline import calendar

THURSDAY, FRIDAY = dt.date(2019, 5, 23), dt.date(2019, 5, 24)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end with no calendar in memory."""
    monkeypatch.setattr(calendar, "_known", {})
    calendar.settlement_date.cache_clear()
    yield
    calendar.settlement_date.cache_clear()


@pytest.fixture
def file(tmp_path: Path, nothing_known: None, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    """A file that two markets were written to, one of which has no calendar; nothing of it is in memory."""
    for market in ("XMAD", "NOWHERE"):
        calendar.settlement_date(market, THURSDAY, 1)
    kept = tmp_path / "data" / "calendars.json"
    calendars.save(kept)
    monkeypatch.setattr(calendar, "_known", {})
    return kept


def test_what_was_kept_is_what_the_library_says_and_the_library_is_not_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = calendar.exchange_calendar("XMAD")
    assert library is not None
    monkeypatch.setattr(calendar, "exchange_calendar", lambda _market: pytest.fail("the library was asked"))
    calendars.load(file)
    assert calendar.known() == {
        "XMAD": [session.date() for session in library.sessions],
        "NOWHERE": [],
    }
    calendar.settlement_date.cache_clear()
    assert calendar.settlement_date("XMAD", FRIDAY, 1) == dt.date(2019, 5, 27)
    assert calendar.settlement_date("NOWHERE", FRIDAY, 1) == dt.date(2019, 5, 27)


def test_a_file_with_a_wrong_bit_anywhere_is_not_believed(file: Path) -> None:
    content = file.read_bytes()
    for place in (0, 40, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        calendars.load(file)
        assert calendar.known() == {}
    for shorter in (b"", content[:20], content[:-1]):
        file.write_bytes(shorter)
        calendars.load(file)
        assert calendar.known() == {}


def test_a_whole_file_of_a_program_that_writes_it_otherwise_is_not_believed(file: Path) -> None:
    for body in (b'{"library": 4}', b"{}", b"no json"):
        file.write_bytes(hashlib.sha256(body).digest() + body)
        calendars.load(file)
        assert calendar.known() == {}


def test_a_file_of_another_version_of_the_library_or_of_other_years_is_not_believed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(calendars, "version", lambda _name: "0")
        calendars.load(file)
    with monkeypatch.context() as other:
        other.setattr(calendar, "LAST", dt.date(2061, 12, 31))
        calendars.load(file)
    assert calendar.known() == {}
    calendars.load(file)
    assert calendar.known()


def test_nothing_is_written_over_what_is_there_where_nothing_is_known(file: Path) -> None:
    before = file.read_bytes()
    calendars.save(file)
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_to_keeps_no_worker_from_its_work(tmp_path: Path) -> None:
    calendar.settlement_date("XMAD", THURSDAY, 1)
    (tmp_path / "data").write_text("no folder")
    calendars.save(tmp_path / "data" / "calendars.json")
    calendars.load(tmp_path / "data" / "calendars.json")
