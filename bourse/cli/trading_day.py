"""The trading day of the demonstration, as records to publish: a real day of one share, and a made-up one of five others.

Decides how the rows of the sample become orders, whose they are and what those accounts own. Refuses to know what comes of
them: `KNOWN_TRUTH` is the data's, established outside of this project.

What trades is decided by the order of arrival at the book, and orders from different partitions reach it in no fixed
order. So all accounts that trade an instrument share a partition, and the outcome of every book is the same each time.
"""

import csv
import datetime as dt
import gzip
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from bourse.cli.made_up_flow import MadeUpFlow
from bourse.pipeline.outputs import Record, Topic
from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    SessionEvent,
    SessionKind,
    Side,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Price, Quantity, TimeNs
from bourse.settings import PROJECT_ROOT
from bourse.streaming.partitioner import Partitioner

SAMPLE: Final = PROJECT_ROOT / "samples" / "orders-ana-2019-5-23.csv.gz"
SYMBOL: Final = "ANA"
MARKET: Final = "XMAD"
BUSINESS_DATE: Final = dt.date(2019, 5, 23)
NEXT_BUSINESS_DATE: Final = dt.date(2019, 5, 24)
MADRID: Final = ZoneInfo("Europe/Madrid")
ACCOUNTS: Final = 200
MADE_UP_SYMBOLS: Final = ("ALFA", "BETA", "GAMMA", "DELTA", "OMEGA")
MADE_UP_ACCOUNTS: Final = 40
MADE_UP_ORDERS: Final = 5_000
SEED: Final = 20190523

TICK: Final = Price(500)
REFERENCE_PRICE: Final = Price(958_000)
MAKER_FEE_BPS: Final = 1
TAKER_FEE_BPS: Final = 3
CASH: Final = 20_000_000 * 10_000
SHARES: Final = 200_000

_PRICE_UNITS: Final = 10_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

Input: TypeAlias = tuple[Topic, Record]
"""A record to publish, and its topic."""


class RowKind(StrEnum):
    """What a row of the sample asks for; MODIF takes a quantity away from an order."""

    NEW = "new"
    CANCEL = "cancel"
    MODIF = "modif"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the sample, in the units of the contract."""

    kind: RowKind
    uid: int
    side: Side | None
    quantity: Quantity
    price: Price | None
    time_ns: TimeNs


@dataclass(frozen=True, slots=True)
class KnownTruth:
    """What the real day comes to under price-time priority."""

    trades: int
    shares: int
    vwap: Price
    cancels: int


KNOWN_TRUTH: Final = KnownTruth(trades=996, shares=54_378, vwap=Price(954_484), cancels=11_433)


def trading_day(partitions: int, sample: Path = SAMPLE) -> Iterator[Input]:
    """Yield everything that the demonstration publishes, in its order, for topics of that many partitions."""
    accounts = real_accounts(partitions)
    made_up = made_up_flow(partitions)
    yield Topic.INSTRUMENTS, real_instrument()
    for instrument in made_up.instruments():
        yield Topic.INSTRUMENTS, instrument
    for account_id in (*accounts, *made_up.accounts):
        yield Topic.ACCOUNTS, Account(account_id, name=f"Account {account_id}")
    yield from _deposits(accounts, SYMBOL)
    for symbol, owners in made_up.owners.items():
        yield from _deposits(owners, symbol)
    yield _session(SessionKind.PRE_OPEN, BUSINESS_DATE, dt.time(8, 30))
    yield _session(SessionKind.OPEN, BUSINESS_DATE, dt.time(9))
    for order in heapq.merge(real_orders(accounts, sample), made_up.orders(), key=_sent):
        yield Topic.ORDERS, order
    yield _session(SessionKind.CLOSED, BUSINESS_DATE, dt.time(17, 35))
    yield _session(SessionKind.PRE_OPEN, NEXT_BUSINESS_DATE, dt.time(8, 30))
    yield _session(SessionKind.OPEN, NEXT_BUSINESS_DATE, dt.time(9))


def real_accounts(partitions: int) -> list[str]:
    """Return the accounts that trade the real day: all of one partition, and not that of their book if there is another."""
    return accounts_of("ana", ACCOUNTS, _real_partition(partitions), partitions)


def made_up_flow(partitions: int) -> MadeUpFlow:
    """Return the flow that keeps the other partitions busy."""
    first = _real_partition(partitions) + 1
    others = max(1, partitions - 1)
    owners = {
        symbol: accounts_of(
            symbol.lower(), MADE_UP_ACCOUNTS, (first + place % others) % partitions, partitions
        )
        for place, symbol in enumerate(MADE_UP_SYMBOLS)
    }
    span = (local_time_ns(BUSINESS_DATE, dt.time(9, 0, 30)), local_time_ns(BUSINESS_DATE, dt.time(17, 30)))
    return MadeUpFlow(owners, MARKET, MADE_UP_ORDERS, span, SEED)


def accounts_of(prefix: str, count: int, partition: int, partitions: int) -> list[str]:
    """Return `count` account ids (`ana-001a`) that Kafka's partitioner puts into one partition."""
    partitioner = Partitioner(partitions)
    return [
        next(name for name in _names(f"{prefix}-{number:03d}") if partitioner[name] == partition % partitions)
        for number in range(count)
    ]


def real_instrument() -> Instrument:
    """Return the share that is traded on the real day."""
    return Instrument(
        SYMBOL,
        isin="ES0125220311",
        name="Acciona",
        market=MARKET,
        tick_size=TICK,
        reference_price=REFERENCE_PRICE,
        maker_fee_bps=MAKER_FEE_BPS,
        taker_fee_bps=TAKER_FEE_BPS,
    )


def real_orders(accounts: list[str], sample: Path = SAMPLE) -> Iterator[Order]:
    """Yield the sample's rows as orders, in their order.

    A `modif` row states what is taken away; a REPLACE states the new total, what is filled included. So the total less
    what was taken away is right whatever has been filled, and where nothing is left the replace ends the order.
    """
    totals: dict[int, int] = {}
    replaces: dict[int, int] = {}
    for row in rows(sample):
        account_id = accounts[row.uid % len(accounts)]
        match row.kind:
            case RowKind.NEW:
                totals[row.uid] = row.quantity
                yield _new(row, account_id)
            case RowKind.CANCEL:
                yield _cancel(row, account_id)
            case RowKind.MODIF:
                totals[row.uid] -= row.quantity
                replaces[row.uid] = replaces.get(row.uid, 0) + 1
                yield _replace(row, account_id, Quantity(totals[row.uid]), replaces[row.uid])


def cancelled_quantities(sample: Path = SAMPLE) -> dict[str, int]:
    """Return what each cancel of the real day must find, by the client order id of the order."""
    return {str(row.uid): row.quantity for row in rows(sample) if row.kind is RowKind.CANCEL}


def rows(sample: Path = SAMPLE) -> Iterator[Row]:
    """Yield the rows of the sample in their order."""
    with gzip.open(sample, "rt", encoding="ascii", newline="") as file:
        for fields in csv.DictReader(file, delimiter=";"):
            yield _row(fields)


def local_time_ns(date: dt.date, time: dt.time) -> TimeNs:
    """Return a local time of the market."""
    moment = dt.datetime.combine(date, time, tzinfo=MADRID)
    return TimeNs((moment - _EPOCH) // dt.timedelta(microseconds=1) * 1_000)


def _row(fields: dict[str, str]) -> Row:
    kind = RowKind(fields["ordtype"])
    moment = dt.datetime.fromisoformat(fields["timestamp"])
    is_new = kind is RowKind.NEW
    return Row(
        kind,
        int(fields["uid"]),
        (Side.BUY if fields["is_buy"] == "True" else Side.SELL) if is_new else None,
        Quantity(int(fields["qty"])),
        Price(int(Decimal(fields["price"]) * _PRICE_UNITS)) if is_new else None,
        local_time_ns(moment.date(), moment.time()),
    )


def _new(row: Row, account_id: str) -> Order:
    return Order(
        OrderAction.NEW,
        str(row.uid),
        account_id,
        symbol=SYMBOL,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        sent_time_ns=row.time_ns,
    )


def _cancel(row: Row, account_id: str) -> Order:
    return Order(
        OrderAction.CANCEL,
        f"{row.uid}-cancel",
        account_id,
        target_client_order_id=str(row.uid),
        symbol=SYMBOL,
        sent_time_ns=row.time_ns,
    )


def _replace(row: Row, account_id: str, total: Quantity, number: int) -> Order:
    return Order(
        OrderAction.REPLACE,
        f"{row.uid}-replace-{number}",
        account_id,
        target_client_order_id=str(row.uid),
        symbol=SYMBOL,
        quantity=total,
        sent_time_ns=row.time_ns,
    )


def _deposits(accounts: list[str], symbol: str) -> Iterator[Input]:
    moment = local_time_ns(BUSINESS_DATE, dt.time(8))
    for account_id in accounts:
        for asset, amount in (("EUR", CASH), (symbol, SHARES)):
            request_id = f"opening-{asset}"
            yield (
                Topic.WALLET_COMMANDS,
                WalletCommand(WalletAction.DEPOSIT, request_id, account_id, asset, amount, moment),
            )


def _session(kind: SessionKind, business_date: dt.date, time: dt.time) -> Input:
    return Topic.SESSIONS, SessionEvent(MARKET, kind, None, business_date, local_time_ns(business_date, time))


def _real_partition(partitions: int) -> int:
    """Return the partition after that of the book, so that both sides of the real day's work fall to two workers."""
    return (Partitioner(partitions)[SYMBOL] + 1) % partitions


def _names(stem: str) -> Iterator[str]:
    """Yield the stem with a, b ... z, aa, ab ... after it."""
    suffixes = [""]
    while True:
        suffixes = [suffix + letter for suffix in suffixes for letter in _LETTERS]
        yield from (stem + suffix for suffix in suffixes)


def _sent(order: Order) -> int:
    return order.sent_time_ns
