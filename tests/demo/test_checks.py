"""Each check holds for a small day, and fails when somebody tampers with the records that it is about."""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from bourse.cli.demo.checks import Check, Checks, Finding
from bourse.cli.demo.money_checks import (
    CashConserved,
    NothingReserved,
    PositionsAgree,
    SettlementNets,
    SharesConserved,
    WalletChain,
)
from bourse.cli.demo.order_checks import (
    BooksEmpty,
    EventIds,
    NoDeadLetters,
    OrdersAnswered,
    OrdersFinished,
    RealCancels,
    RealTrades,
    TwoLegs,
)
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
    PositionCause,
    PositionUpdated,
    Release,
    SessionEvent,
    SessionKind,
    SettlementStatus,
    SettlementUpdated,
    Side,
    TapePrint,
    TimeInForce,
    Trade,
    TransactionKind,
    ValidatedOrder,
    WalletAction,
    WalletCommand,
    WalletTransaction,
)
from bourse.schemas.units import Cash, Price, Quantity

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
SETTLED = a(SettlementUpdated, status=SettlementStatus.SETTLED)
RESTING = a(BookUpdate, best_bid=None)

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
        lambda log: without(log, a(BookUpdate, phase=SessionKind.CLOSED)),
    ),
    (
        "a level is another than was published",
        BooksEmpty,
        lambda log: changed(log, a(BookUpdate, phase=SessionKind.CLOSED), checksum=1),
    ),
    (
        "a book is crossed",
        BooksEmpty,
        lambda log: changed(log, RESTING, best_bid=Price(2_000_000), best_ask=Price(1)),
    ),
    ("a record is repeated", EventIds, lambda log: doubled(log, a(Trade))),
    (
        "two records share an id",
        EventIds,
        lambda log: changed(
            log, a(Trade), event_id=next(r.event_id for _, r in log if isinstance(r, Release))
        ),
    ),
    ("an order has no answer", OrdersAnswered, lambda log: without(log, a(ValidatedOrder))),
    (
        "a refusal is lost",
        OrdersAnswered,
        lambda log: without(log, a(OrderEvent, status=OrderStatus.REJECTED)),
    ),
    ("an order has two answers", OrdersAnswered, lambda log: doubled(log, a(ValidatedOrder))),
    (
        "an order is let through and put aside",
        OrdersAnswered,
        lambda log: [*log, (Topic.DEAD_LETTERS, replace(DEAD, event_id="orders/0/0/v0"))],
    ),
    (
        "an order has no end",
        OrdersFinished,
        lambda log: without(log, a(OrderEvent, status=OrderStatus.EXPIRED)),
    ),
    (
        "an order has two ends",
        OrdersFinished,
        lambda log: doubled(log, a(OrderEvent, status=OrderStatus.EXPIRED)),
    ),
    (
        "an order begins twice",
        OrdersFinished,
        lambda log: [
            item for item in log for _ in range(1 + a(OrderEvent, status=OrderStatus.VALIDATED)(item[1]))
        ],
    ),
    (
        "quantities do not add up",
        OrdersFinished,
        lambda log: changed(log, a(OrderEvent, status=OrderStatus.OPEN), leaves_quantity=Quantity(4)),
    ),
    (
        "something is left of a finished order",
        OrdersFinished,
        lambda log: changed(log, a(OrderEvent, status=OrderStatus.FILLED), leaves_quantity=Quantity(1)),
    ),
    ("there is a dead letter", NoDeadLetters, lambda log: [*log, (Topic.DEAD_LETTERS, DEAD)]),
    ("a leg is lost", TwoLegs, lambda log: without(log, a(Trade))),
    ("a leg is repeated", TwoLegs, lambda log: doubled(log, a(Trade))),
    ("legs have two prices", TwoLegs, lambda log: changed(log, a(Trade), price=Price(1))),
    ("a trade has two buyers", TwoLegs, lambda log: changed(log, a(Trade, side=Side.SELL), side=Side.BUY)),
    (
        "a trade moves no position",
        TwoLegs,
        lambda log: without(log, a(PositionUpdated, cause=PositionCause.TRADE)),
    ),
    (
        "a trade moves a position twice",
        TwoLegs,
        lambda log: doubled(log, a(PositionUpdated, cause=PositionCause.TRADE)),
    ),
    ("a trade is not printed", TwoLegs, lambda log: without(log, a(TapePrint))),
    ("a trade is printed twice", TwoLegs, lambda log: doubled(log, a(TapePrint))),
    ("cash appears", CashConserved, lambda log: changed(log, ANN_CASH, available=1)),
    (
        "a deposit of cash is lost",
        CashConserved,
        lambda log: without(log, a(WalletTransaction, kind=TransactionKind.DEPOSIT, asset="EUR")),
    ),
    ("a fee is wrong", CashConserved, lambda log: changed(log, a(Trade), fee=Cash(0))),
    ("shares vanish", SharesConserved, lambda log: changed(log, ANN_SHARES, available=1)),
    (
        "a deposit of shares is repeated",
        SharesConserved,
        lambda log: doubled(log, a(WalletTransaction, kind=TransactionKind.DEPOSIT, asset="ANA")),
    ),
    (
        "a change of a wallet is lost",
        WalletChain,
        lambda log: without(log, a(WalletTransaction, kind=TransactionKind.BLOCK)),
    ),
    ("a balance does not follow", WalletChain, lambda log: changed(log, ANN_CASH, available=1)),
    (
        "a balance is negative",
        WalletChain,
        lambda log: [
            *log,
            (
                Topic.WALLET_TRANSACTIONS,
                WalletTransaction("x", "dan", "EUR", TransactionKind.BLOCK, 1, -1, 1, 0, -1, 1, 0),
            ),
        ],
    ),
    ("something stays blocked", NothingReserved, lambda log: changed(log, ANN_SHARES, blocked=1)),
    ("something stays unsettled", NothingReserved, lambda log: changed(log, ANN_CASH, unsettled=1)),
    (
        "a position has another quantity",
        PositionsAgree,
        lambda log: changed(log, a(PositionUpdated), quantity=Quantity(1)),
    ),
    (
        "a position is not settled",
        PositionsAgree,
        lambda log: changed(log, a(PositionUpdated), settled_quantity=Quantity(1)),
    ),
    ("a trade is not in a position", PositionsAgree, lambda log: doubled(log, a(Trade))),
    ("a wallet differs from its position", PositionsAgree, lambda log: changed(log, ANN_SHARES, available=1)),
    ("an obligation is not settled", SettlementNets, lambda log: without(log, SETTLED)),
    ("an obligation is settled twice", SettlementNets, lambda log: doubled(log, SETTLED)),
    (
        "an obligation is settled in part",
        SettlementNets,
        lambda log: changed(log, SETTLED, settled_quantity=Quantity(1)),
    ),
    (
        "shares do not net",
        SettlementNets,
        lambda log: changed(log, SETTLED, net_quantity=Quantity(9), settled_quantity=Quantity(9)),
    ),
    (
        "cash does not net",
        SettlementNets,
        lambda log: changed(log, SETTLED, net_cash=Cash(9), settled_cash=Cash(9)),
    ),
    ("a fee is not settled", SettlementNets, lambda log: changed(log, a(Trade), fee=Cash(0))),
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
