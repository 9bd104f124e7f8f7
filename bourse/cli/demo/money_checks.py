"""Checks of wallets, positions and obligations: nothing is made or lost, and nothing is owed at the end."""

import datetime as dt
from collections import defaultdict
from typing import ClassVar, Final, NamedTuple, TypeAlias

from bourse.cli.demo.checks import Check
from bourse.pipeline.outputs import Record, Topic
from bourse.schemas.records import (
    Announcement,
    PositionUpdated,
    SettlementStatus,
    SettlementUpdated,
    Side,
    Trade,
    TransactionKind,
    WalletTransaction,
)

_BROUGHT_IN: Final = {TransactionKind.DEPOSIT: 1, TransactionKind.WITHDRAWAL: -1}

Holder: TypeAlias = tuple[str, str]
"""An account and what it holds: cash of a currency, or shares of a symbol."""


class _Conservation(Check):
    """Everything that wallets hold was brought in; what is missing was paid as fees."""

    topics = frozenset((Topic.WALLET_TRANSACTIONS, Topic.TRADES, Topic.ANNOUNCEMENTS))
    counts_shares: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self._symbols: set[str] = set()
        self._brought_in: defaultdict[str, int] = defaultdict(int)
        self._fees: defaultdict[str, int] = defaultdict(int)
        self._balances: dict[Holder, int] = {}

    def see(self, record: Record) -> None:
        """Take in a change of a wallet, a fee, or the name of an instrument."""
        match record:
            case WalletTransaction():
                total = record.available + record.blocked + record.unsettled
                self._balances[record.account_id, record.asset] = total
                self._brought_in[record.asset] += _BROUGHT_IN.get(record.kind, 0) * record.amount
            case Trade():
                self._fees[record.currency] += record.fee
            case Announcement(instrument=instrument) if instrument is not None:
                self._symbols.add(instrument.symbol)

    def at_rest(self) -> str:
        """Compare what is held with what was brought in, for each asset."""
        held: defaultdict[str, int] = defaultdict(int)
        for (_, asset), balance in self._balances.items():
            held[asset] += balance
        assets = sorted(asset for asset in held if (asset in self._symbols) is self.counts_shares)
        for asset in assets:
            left, brought_in = held[asset] + self._fees[asset], self._brought_in[asset]
            self.require(left == brought_in, f"{asset}: {brought_in} came in, {left} are there with fees")
        return self._figures(assets)

    def _figures(self, assets: list[str]) -> str:
        unit = 1 if self.counts_shares else 10_000
        return ", ".join(f"{self._brought_in[asset] // unit:,} {asset}" for asset in assets)


class CashConserved(_Conservation):
    """Cash, with fees."""

    equation = "cash in all wallets + fees = cash brought in"
    counts_shares = False


class SharesConserved(_Conservation):
    """Shares of each symbol."""

    equation = "shares in all wallets = shares brought in"
    counts_shares = True


class WalletChain(Check):
    """Every balance follows from the one before, and none that somebody could spend is ever negative."""

    topics = frozenset((Topic.WALLET_TRANSACTIONS,))
    equation = "every balance = the one before + its change, and none is negative"

    def __init__(self) -> None:
        super().__init__()
        self._balances: dict[Holder, tuple[int, int, int]] = {}
        self._changes = 0

    def see(self, change: Record) -> None:
        """Take in a change of a wallet."""
        assert isinstance(change, WalletTransaction)
        self._changes += 1
        before = self._balances.get((change.account_id, change.asset), (0, 0, 0))
        deltas = (change.available_delta, change.blocked_delta, change.unsettled_delta)
        after = (change.available, change.blocked, change.unsettled)
        expected = tuple(balance + delta for balance, delta in zip(before, deltas, strict=True))
        self.require(after == expected, f"{change.event_id}: {after} does not follow from {before}")
        self.require(change.available >= 0 and change.blocked >= 0, f"{change.event_id}: {after} is negative")
        self._balances[change.account_id, change.asset] = after

    def at_rest(self) -> str:
        """Return how many changes there were."""
        return f"{self._changes:,} changes of {len(self._balances):,} wallets"


class NothingReserved(Check):
    """With no order left and everything settled, nothing is blocked and nothing unsettled."""

    topics = frozenset((Topic.WALLET_TRANSACTIONS,))
    equation = "nothing is blocked or unsettled at the end"

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[Holder, tuple[int, int]] = {}

    def see(self, change: Record) -> None:
        """Take in a change of a wallet."""
        assert isinstance(change, WalletTransaction)
        self._last[change.account_id, change.asset] = (change.blocked, change.unsettled)

    def at_rest(self) -> str:
        """Look for wallets with something left."""
        for (account_id, asset), (blocked, unsettled) in sorted(self._last.items()):
            waits = f"{account_id}: {blocked} {asset} are blocked, {unsettled} unsettled"
            self.require(blocked == unsettled == 0, waits)
        return f"{len(self._last):,} wallets"


class PositionsAgree(Check):
    """What an account holds is what it brought in and traded, in its position and in its wallet."""

    topics = frozenset((Topic.WALLET_TRANSACTIONS, Topic.TRADES, Topic.POSITIONS))
    equation = "every position = deposits + buys - sells = its wallet, and all of it is settled"

    def __init__(self) -> None:
        super().__init__()
        self._expected: defaultdict[Holder, int] = defaultdict(int)
        self._wallets: dict[Holder, int] = {}
        self._positions: dict[Holder, tuple[int, int]] = {}

    def see(self, record: Record) -> None:
        """Take in what changes a holding, or the holding after it."""
        match record:
            case WalletTransaction():
                holder = (record.account_id, record.asset)
                self._wallets[holder] = record.available + record.blocked + record.unsettled
                self._expected[holder] += _BROUGHT_IN.get(record.kind, 0) * record.amount
            case Trade():
                sign = 1 if record.side is Side.BUY else -1
                self._expected[record.account_id, record.symbol] += sign * record.quantity
            case PositionUpdated():
                holdings = (record.quantity, record.settled_quantity)
                self._positions[record.account_id, record.symbol] = holdings

    def at_rest(self) -> str:
        """Compare the three."""
        for holder, (quantity, settled) in sorted(self._positions.items()):
            expected, wallet = self._expected[holder], self._wallets.get(holder)
            self.require(
                quantity == settled == expected == wallet,
                f"{'/'.join(holder)}: position {quantity} (settled {settled}), trades {expected}, wallet {wallet}",
            )
        return f"{len(self._positions):,} positions"


class _Batch(NamedTuple):
    """What settles for one symbol and trade date."""

    symbol: str
    trade_date: dt.date


class SettlementNets(Check):
    """What some must deliver others receive; every obligation is settled, once."""

    topics = frozenset((Topic.SETTLEMENTS, Topic.TRADES))
    equation = "settlements of a symbol and date net to zero (cash: to the fees), each settled once"

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, SettlementUpdated] = {}
        self._settled: set[str] = set()
        self._fees: defaultdict[_Batch, int] = defaultdict(int)

    def see(self, record: Record) -> None:
        """Take in a change of an obligation, or a fee."""
        match record:
            case Trade():
                self._fees[_Batch(record.symbol, record.trade_date)] += record.fee
            case SettlementUpdated():
                settlement_id = record.settlement_id
                self.require(
                    settlement_id not in self._settled, f"{settlement_id} goes on after it was settled"
                )
                if record.status is SettlementStatus.SETTLED:
                    self._settled.add(settlement_id)
                self._last[settlement_id] = record

    def at_rest(self) -> str:
        """Add up what is delivered and paid."""
        quantities: defaultdict[_Batch, int] = defaultdict(int)
        cash: defaultdict[_Batch, int] = defaultdict(int)
        for last in self._last.values():
            self._require_settled(last)
            quantities[_Batch(last.symbol, last.trade_date)] += last.net_quantity
            cash[_Batch(last.symbol, last.trade_date)] += last.net_cash
        for batch in sorted(quantities.keys() | self._fees.keys()):
            name = f"{batch.symbol} of {batch.trade_date}"
            self.require(quantities[batch] == 0, f"{name}: {quantities[batch]} shares are left over")
            left = cash[batch] + self._fees[batch]
            self.require(left == 0, f"{name}: {left} of cash are left over")
        return f"{len(self._last):,} obligations, all settled"

    def _require_settled(self, last: SettlementUpdated) -> None:
        whole = last.settled_quantity == last.net_quantity and last.settled_cash == last.net_cash
        is_settled = last.status is SettlementStatus.SETTLED and whole
        self.require(is_settled, f"{last.settlement_id} is {last.status}")
