"""The whole day through the stages in memory: what its data are known to come to, and the same bytes each time."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bourse.cli.demo.checks import Checks, Finding
from bourse.cli.demo.command import day_lines
from bourse.cli.demo.story import all_checks
from bourse.cli.demo.summary import Summary
from bourse.cli.trading_day import MADE_UP_SYMBOLS, SYMBOL, cancelled_quantities, trading_day
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, simulate, simulate_lines
from bourse.schemas.jsonform import event_line
from bourse.schemas.records import OrderStatus


class Day(NamedTuple):
    digest: str
    findings: list[Finding]
    summary: Summary


@pytest.fixture(scope="module")
def day() -> Day:
    checks = Checks(all_checks(cancelled_quantities()))
    summary = Summary()
    digest = hashlib.sha256()
    for topic, record, line in run():
        checks.see(topic, record)
        summary.see(record)
        digest.update(line)
    return Day(digest.hexdigest(), checks.findings(), summary)


def run() -> Iterator[tuple[Topic, Record, bytes]]:
    """Yield the orders themselves, which the checks count, and every output."""
    inputs = list(trading_day(2))
    yield from ((topic, record, b"") for topic, record in inputs if topic is Topic.ORDERS)
    for event in simulate(SimEvent(topic, None, record) for topic, record in inputs):
        yield event.topic, event.record, event_line(event.topic, event.key, event.record)


def test_the_real_day_comes_to_its_known_truth(day: Day) -> None:
    real = day.summary.symbols[SYMBOL]
    assert (real.messages, real.trades, real.shares) == (27_056, 996, 54_378)
    assert round(real.value / real.shares / 10_000, 4) == 95.4484


def test_every_check_of_the_demonstration_holds(day: Day) -> None:
    assert [finding for finding in day.findings if not finding.holds] == []


def test_about_half_of_the_made_up_orders_trade(day: Day) -> None:
    made_up = [day.summary.symbols[symbol] for symbol in MADE_UP_SYMBOLS]
    orders = sum(symbol.new_orders for symbol in made_up)
    trades = sum(symbol.trades for symbol in made_up)
    assert sum(symbol.messages for symbol in made_up) == 5_000
    assert 0.4 * orders < trades < 0.7 * orders


def test_every_kind_of_end_occurs(day: Day) -> None:
    ends = Counter(day.summary.steps)
    for status in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REPLACED):
        assert ends[status] > 0, status
    assert ends[OrderStatus.REJECTED] == 0


def test_the_same_day_gives_the_same_bytes(day: Day) -> None:
    digest = hashlib.sha256()
    for line in simulate_lines(day_lines(2)):
        digest.update(line)
    assert digest.hexdigest() == day.digest
