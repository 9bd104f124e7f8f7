"""Each check holds for a small day, and fails when somebody tampers with the records that it is about."""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from bourse.cli.demo.checks import Check, Checks, Finding
from bourse.cli.demo.known_day import BooksEmpty, NoDeadLetters, NothingReserved, RealCancels, RealTrades
from bourse.cli.demo.story import all_checks
from bourse.cli.trading_day import KnownTruth, real_instrument
from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, simulate
from bourse.schemas.records import (
    Account,
    BookUpdate,
    DeadLetter,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    Release,
    SessionEvent,
    SessionKind,
    Side,
    TapePrint,
    TimeInForce,
    WalletAction,
    WalletCommand,
    WalletTransaction,
)
from bourse.schemas.units import Price, Quantity

Log = list[tuple[Topic, Record]]
Match = Callable[[Record], bool]

DAY = dt.date(2019, 5, 23)
NEXT_DAY = dt.date(2019, 5, 24)
# ann sells 10 at 100.00 and 5 at 100.05; bob buys 4, cat 3 of the first; its last 3 are cancelled, the second expires.
TRUTH = KnownTruth(trades=2, shares=7, vwap=Price(1_000_000), cancels=1)
STATED = {"1": 3}


def order(client_order_id: str, account_id: str, side: Side, quantity: int, price: int) -> Order:
    return Order(
        OrderAction.NEW,
        client_order_id,
        account_id,
        symbol="ANA",
        side=side,
        quantity=Quantity(quantity),
        price=Price(price),
    )


def inputs() -> Iterator[tuple[Topic, Record]]:
    yield Topic.INSTRUMENTS, real_instrument()
    for account_id in ("ann", "bob", "cat"):
        yield Topic.ACCOUNTS, Account(account_id)
        for asset in ("EUR", "ANA"):
            yield (
                Topic.WALLET_COMMANDS,
                WalletCommand(WalletAction.DEPOSIT, asset, account_id, asset, 100_000_000),
            )
    yield Topic.SESSIONS, SessionEvent("XMAD", SessionKind.OPEN, None, DAY)
    yield Topic.ORDERS, order("1", "ann", Side.SELL, 10, 1_000_000)
    yield Topic.ORDERS, order("2", "ann", Side.SELL, 5, 1_000_500)
    yield Topic.ORDERS, order("3", "bob", Side.BUY, 4, 1_000_000)
    yield Topic.ORDERS, replace(order("4", "cat", Side.BUY, 3, 1_000_500), time_in_force=TimeInForce.IOC)
    yield Topic.ORDERS, Order(OrderAction.CANCEL, "5", "ann", "1", "ANA")
    yield Topic.ORDERS, replace(order("6", "bob", Side.BUY, 4, 1_000_000), quantity=Quantity(0))
    yield Topic.SESSIONS, SessionEvent("XMAD", SessionKind.CLOSED, None, DAY)
    yield Topic.SESSIONS, SessionEvent("XMAD", SessionKind.OPEN, None, NEXT_DAY)


@pytest.fixture(scope="module")
def log() -> Log:
    given = list(inputs())
    outputs = simulate(SimEvent(topic, None, record) for topic, record in given)
    return [*(item for item in given if item[0] is Topic.ORDERS), *((e.topic, e.record) for e in outputs)]


def findings(log: Log, *checks: Check) -> list[Finding]:
    side_by_side = Checks(checks)
    for topic, record in log:
        side_by_side.see(topic, record)
    return side_by_side.findings()


def a(record_type: type[Record], **fields: object) -> Match:
    def matches(record: Record) -> bool:
        return isinstance(record, record_type) and all(
            getattr(record, name) == fields[name] for name in fields
        )

    return matches


def changed(log: Log, which: Match, **changes: object) -> Log:
    """Change the last record that matches."""
    place = max(place for place, (_, record) in enumerate(log) if which(record))
    topic, record = log[place]
    return [*log[:place], (topic, replace(record, **changes)), *log[place + 1 :]]


def without(log: Log, which: Match) -> Log:
    """Lose the last record that matches."""
    place = max(place for place, (_, record) in enumerate(log) if which(record))
    return [*log[:place], *log[place + 1 :]]


def doubled(log: Log, which: Match) -> Log:
    """Repeat the last record that matches at the end."""
    return [*log, [item for item in log if which(item[1])][-1]]


def checks_by_type() -> dict[type[Check], Callable[[], Check]]:
    makers: dict[type[Check], Callable[[], Check]] = {type(check): type(check) for check in all_checks({})}
    return makers | {RealTrades: lambda: RealTrades(TRUTH), RealCancels: lambda: RealCancels(STATED)}


def test_every_check_holds_for_records_that_nobody_tampered_with(log: Log) -> None:
    found = findings(log, *(make() for make in checks_by_type().values()))
    assert [finding for finding in found if not finding.holds] == []


def test_the_small_day_has_refusals_cancels_and_expiries(log: Log) -> None:
    statuses = {record.status for _, record in log if isinstance(record, OrderEvent)}
    assert {OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.FILLED} <= statuses


DEAD = DeadLetter("orders/0/9/v0", "orders", 0, 9, "validation", "Order: no value")
ANN_CASH = a(WalletTransaction, account_id="ann", asset="EUR")
ANN_SHARES = a(WalletTransaction, account_id="ann", asset="ANA")

TAMPERED: list[tuple[str, type[Check], Callable[[Log], Log]]] = [
    ("a print is lost", RealTrades, lambda log: without(log, a(TapePrint))),
    (
        "a print has another quantity",
        RealTrades,
        lambda log: changed(log, a(TapePrint), quantity=Quantity(2)),
    ),
    ("a print has another price", RealTrades, lambda log: changed(log, a(TapePrint), price=Price(1_000_500))),
    (
        "a cancel finds another quantity",
        RealCancels,
        lambda log: changed(log, a(Release, quantity=3), quantity=2),
    ),
    ("a cancel is lost", RealCancels, lambda log: without(log, a(Release, quantity=3))),
    ("a cancel is repeated", RealCancels, lambda log: doubled(log, a(Release, quantity=3))),
    (
        "an order of the day is not known",
        RealCancels,
        lambda log: without(log, a(OrderEvent, client_order_id="1", status="VALIDATED")),
    ),
    (
        "a level is never taken away",
        BooksEmpty,
        lambda log: [item for item in log if not isinstance(item[1], BookUpdate) or item[1].sequence == 1],
    ),
    (
        "a level is another than was published",
        BooksEmpty,
        lambda log: changed(log, a(BookUpdate, phase=SessionKind.CLOSED), checksum=1),
    ),
    ("there is a dead letter", NoDeadLetters, lambda log: [*log, (Topic.DEAD_LETTERS, DEAD)]),
    ("something stays blocked", NothingReserved, lambda log: changed(log, ANN_SHARES, blocked=1)),
    ("something stays unsettled", NothingReserved, lambda log: changed(log, ANN_CASH, unsettled=1)),
]


@pytest.mark.parametrize(
    ("check", "tamper"), [case[1:] for case in TAMPERED], ids=[case[0] for case in TAMPERED]
)
def test_a_check_fails_when(log: Log, check: type[Check], tamper: Callable[[Log], Log]) -> None:
    (finding,) = findings(tamper(log), checks_by_type()[check]())
    assert not finding.holds
    assert finding.detail


def test_each_check_has_a_case_that_makes_it_fail() -> None:
    assert {check for _, check, _ in TAMPERED} == set(checks_by_type())
