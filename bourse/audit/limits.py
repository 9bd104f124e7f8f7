"""A23: what risk let through was within the limits of its account and its instrument.

Limits change, and the topics do not say in which order a partition saw an order and a change. So an order must have been
within one of the versions that were published, whichever; where there was one, that is exact. Accounts are compacted: once
versions of them are gone, only instruments are held against orders, and the report says so.
"""

from collections import defaultdict
from typing import Final

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import (
    Account,
    AccountStatus,
    ApprovedOrder,
    Instrument,
    InstrumentStatus,
    OrderAction,
)

_BASIS_POINTS: Final = 10_000
_JUDGED: Final = frozenset((OrderAction.NEW, OrderAction.REPLACE))


class Limits:
    """Every version of every instrument and account that limits something."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._instruments: defaultdict[str, list[Instrument]] = defaultdict(list)
        self._accounts: defaultdict[str, list[Account]] = defaultdict(list)
        self._accounts_read: dict[int, int] = {}
        self._is_compacted = False
        self._early: list[tuple[Entry, ApprovedOrder]] = []

    def instrument(self, instrument: Instrument) -> None:
        """Take in a version of an instrument."""
        versions = self._instruments[instrument.symbol]
        if instrument not in versions:
            versions.append(instrument)

    def account(self, entry: Entry, account: Account) -> None:
        """Take in a version of an account."""
        if entry.offset != self._accounts_read.get(entry.partition, -1) + 1:
            self._is_compacted = True
        self._accounts_read[entry.partition] = entry.offset
        versions = self._accounts[account.account_id]
        if account not in versions:
            versions.append(account)

    def approved(self, entry: Entry, order: ApprovedOrder) -> None:
        """Take in what risk let through; it is judged when its instrument and account are known."""
        if order.action not in _JUDGED:
            return
        if order.symbol in self._instruments and order.account_id in self._accounts:
            self._judge(self._ledger, entry, order)
        else:
            self._early.append((entry, order))

    def _judge(self, ledger: Ledger, entry: Entry, order: ApprovedOrder) -> None:
        ledger.looked_at[Equation.A23] += 1
        accounts = [] if self._is_compacted else self._accounts[order.account_id]
        breaches = [_instrument_breach(version, order) for version in self._instruments[order.symbol]] or [
            "there is no such instrument"
        ]
        if all(breaches):
            ledger.fail(Equation.A23, entry, str(breaches[-1]))
        elif not self._is_compacted:
            of_account = [_account_breach(version, order) for version in accounts] or [
                "there is no such account"
            ]
            if all(of_account):
                ledger.fail(Equation.A23, entry, str(of_account[-1]))

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what came before its instrument or account; without any account, all of it came from outside."""
        for entry, order in self._early if at_rest and self._accounts else ():
            self._judge(ledger, entry, order)
        if self._is_compacted:
            ledger.leave_out(Equation.A23, "limits of accounts: versions of them were compacted away")


def _instrument_breach(instrument: Instrument, order: ApprovedOrder) -> str | None:
    if instrument.status is InstrumentStatus.DELISTED and order.action is OrderAction.NEW:
        return f"{order.symbol} is delisted"
    if order.quantity % instrument.lot_size:
        return f"{order.quantity} is not in lots of {instrument.lot_size}"
    if instrument.max_order_quantity is not None and order.quantity > instrument.max_order_quantity:
        return f"{order.quantity} is above {instrument.max_order_quantity}"
    return _price_breach(instrument, order)


def _price_breach(instrument: Instrument, order: ApprovedOrder) -> str | None:
    price = order.price
    if price is None:
        return None
    tick_size: int = instrument.tick_size
    for band in instrument.tick_table:
        if band.from_price <= price:
            tick_size = band.tick_size
    if price % tick_size:
        return f"{price} is not in ticks of {tick_size}"
    if _is_outside_band(instrument, price):
        return (
            f"{price} is more than {instrument.price_band_bps} basis points from {instrument.reference_price}"
        )
    value = order.quantity * price * instrument.multiplier
    if instrument.max_order_value is not None and value > instrument.max_order_value:
        return f"a value of {value} is above the instrument's {instrument.max_order_value}"
    return None


def _is_outside_band(instrument: Instrument, price: int) -> bool:
    reference, reach = instrument.reference_price, instrument.price_band_bps
    if reference is None or reach is None:
        return False
    return abs(price - reference) * _BASIS_POINTS > reference * reach


def _account_breach(account: Account, order: ApprovedOrder) -> str | None:
    if account.status is not AccountStatus.ACTIVE:
        return f"account {account.account_id} is {account.status}"
    if account.max_order_value is None or order.price is None:
        return None
    value = order.quantity * order.price * order.multiplier
    if value > account.max_order_value:
        return f"a value of {value} is above the account's {account.max_order_value}"
    return None
