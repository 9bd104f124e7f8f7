"""Updates of a book that are spread over several, and the snapshots among them: played whole, and found where they are wrong."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bourse.audit import Entry, Equation, Result
from bourse.pipeline.matching import market_data, parts
from bourse.schemas.records import BookUpdate, SessionKind, Side, TimeInForce
from bourse.schemas.units import Quantity
from tests.account_strategies import FlowWriter, opening_deposits, reference_data
from tests.audit.logs import Log, audit, failures


def opened() -> tuple[Log, FlowWriter]:
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    return log, writer


def spread_log(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Five levels, a snapshot of them, and a message that takes four of them, at two levels an update."""
    monkeypatch.setattr(parts, "MOST", 2)
    log, writer = opened()
    log.feed(writer.session("XONE", SessionKind.OPEN, 0, None))
    for price in (290, 295, 300, 305, 310):
        log.feed(writer.new("ANN", "AAA", Side.BUY, 5, price, TimeInForce.GTC))
    log.feed(writer.session("XONE", SessionKind.CLOSING_AUCTION, 0, None))
    log.feed(writer.session("XONE", SessionKind.OPEN, 0, None))
    log.feed(writer.new("BEN", "AAA", Side.SELL, 20, 290, TimeInForce.IOC))
    return log.entries


def updates_of(log: list[Entry]) -> list[tuple[int, BookUpdate]]:
    return [(n, entry.record) for n, entry in enumerate(log) if isinstance(entry.record, BookUpdate)]


def test_levels_that_are_spread_over_several_updates_are_played_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = spread_log(monkeypatch)
    assert [update.parts for _, update in updates_of(log)] == [*[1] * 5, *[3] * 6, *[2] * 2]
    assert failures(audit(log)) == {}
    finding = audit(log).finding(Equation.A6)
    assert (finding.result, finding.looked_at, finding.reason) == (Result.PASSED, 8, None)


SPREAD_WRONGLY: dict[str, tuple[int, Callable[[BookUpdate], BookUpdate], set[str]]] = {
    "a level of the last part is left out": (-1, lambda u: replace(u, changes=u.changes[1:]), {"A6"}),
    "a level of the first part is another": (
        -2,
        lambda u: replace(u, changes=(replace(u.changes[0], orders=2), *u.changes[1:])),
        {"A6"},
    ),
    "a level of a snapshot is another": (
        7,
        lambda u: replace(u, changes=(replace(u.changes[0], quantity=Quantity(6)),)),
        {"A6"},
    ),
    "a part comes for another": (-1, lambda u: replace(u, part=0), {"A20"}),
    "there are more parts than come": (-1, lambda u: replace(u, parts=3), {"A20"}),
}


@pytest.mark.parametrize("wrong", SPREAD_WRONGLY)
def test_levels_that_are_spread_wrongly_are_found(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    which, change, equations = SPREAD_WRONGLY[wrong]
    log = spread_log(monkeypatch)
    place, update = updates_of(log)[which]
    log[place] = log[place]._replace(record=change(update))
    assert equations <= failures(audit(log)).keys() <= equations | {"A6", "A20"}


def test_a_last_part_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    log = spread_log(monkeypatch)
    del log[updates_of(log)[-1][0]]
    assert "nothing follows part 0 of 2" in failures(audit(log))["A20"]


@pytest.mark.parametrize(("every", "is_found"), [(1_000, False), (10**9, True)])
def test_a_snapshot_that_is_left_out_is_found(
    monkeypatch: pytest.MonkeyPatch, every: int, *, is_found: bool
) -> None:
    monkeypatch.setattr(market_data, "SNAPSHOT_EVERY", every)
    log, writer = opened()
    for _ in range(500):
        log.feed(writer.new("ANN", "AAA", Side.BUY, 1, 290, TimeInForce.GTC))
        log.feed(writer.cancel("ANN", 0))
    found = failures(audit(log.entries))
    assert found.keys() == ({"A20"} if is_found else set())
    assert not is_found or "update 1000 of AAA should be a snapshot" in found["A20"]


def test_a_snapshot_is_due_wherever_a_number_of_the_update_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "MOST", 2)
    log, writer = opened()
    for price in (290, 295, 300, 300):
        log.feed(writer.new("ANN", "AAA", Side.BUY, 5, price, TimeInForce.GTC))
    for _ in range(497):
        log.feed(writer.new("ANN", "AAA", Side.BUY, 1, 290, TimeInForce.GTC))
        log.feed(writer.cancel("ANN", 0))
    log.feed(writer.new("BEN", "AAA", Side.SELL, 20, 290, TimeInForce.IOC))
    place, update = updates_of(log.entries)[-2]
    assert (update.sequence, update.parts, update.is_snapshot) == (999, 2, True)
    assert failures(audit(log.entries)) == {}
    log.entries[place] = log.entries[place]._replace(record=replace(update, is_snapshot=False))
    assert failures(audit(log.entries)).keys() == {"A20"}
