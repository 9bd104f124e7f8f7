"""A7 to A9 and A11: wallets. Every balance follows from the one before it, and nothing comes from nowhere.

Kept for each wallet: its balances, and the place of the last change. What is kept for each asset are sums: what was brought
in and taken out, and what the trades that were paid for moved and cost, as the trades tell it.
"""

from collections import defaultdict
from typing import Final, TypeAlias

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger, Offence
from bourse.schemas.records import PositionUpdated, Side, Trade, TransactionKind, WalletTransaction

K = TransactionKind

Holder: TypeAlias = tuple[str, str]
"""An account and an asset of it."""

Balances: TypeAlias = tuple[int, int, int, Entry]
"""Available, blocked and unsettled, and the record that said so last."""

_IN_AND_OUT: Final = frozenset((K.DEPOSIT, K.WITHDRAWAL, K.DIVIDEND, K.SPLIT))
_WITHIN: Final = frozenset((K.BLOCK, K.RELEASE, K.SETTLEMENT))
_OF_TRADES: Final = frozenset((K.BUY, K.SELL, K.FEE))


class Wallets:
    """Every wallet as its log tells it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.balances: dict[Holder, Balances] = {}
        self._brought_in: defaultdict[str, int] = defaultdict(int)
        self._traded: defaultdict[str, int] = defaultdict(int)
        """By asset: what wallets gained by trades for which something was held, fees taken off."""
        self.symbols: set[str] = set()
        self._changes = 0

    def change(self, entry: Entry, change: WalletTransaction) -> None:
        """Take in one change of a wallet."""
        self._changes += 1
        if change.reason == "MALFORMED_ID":
            return  # The ids that it shows are cut short: the balances are nobody's.
        holder = (change.account_id, change.asset)
        before = self.balances.get(holder)
        available, blocked, unsettled = change.available, change.blocked, change.unsettled
        moved = (change.available_delta, change.blocked_delta, change.unsettled_delta)
        was = (0, 0, 0) if before is None else before[:3]
        if (available, blocked, unsettled) != (was[0] + moved[0], was[1] + moved[1], was[2] + moved[2]):
            cause = f"{(available, blocked, unsettled)} does not follow from {was} and {moved}"
            self._ledger.fail(Equation.A11, entry, cause)
        if available < 0 or blocked < 0:
            self._ledger.fail(Equation.A9, entry, f"{available} available, {blocked} blocked")
        self.balances[holder] = (available, blocked, unsettled, entry)
        self._check_kind(entry, change, sum(moved))

    def _check_kind(self, entry: Entry, change: WalletTransaction, gain: int) -> None:
        kind = change.kind
        if kind in _IN_AND_OUT:
            self._brought_in[change.asset] += gain
            signed = change.amount if kind is not K.WITHDRAWAL else -change.amount
            if gain != signed and kind is not K.SPLIT:
                self._ledger.fail(self._side(change.asset), entry, f"a {kind} of {change.amount} adds {gain}")
        elif kind in _WITHIN and gain:
            self._ledger.fail(self._side(change.asset), entry, f"a {kind} makes {gain} {change.asset}")
        elif kind in _OF_TRADES and change.trade_id is None:
            self._ledger.fail(self._side(change.asset), entry, f"a {kind} of {change.amount} for no trade")
        elif kind is K.REFUSED and any(
            (change.available_delta, change.blocked_delta, change.unsettled_delta)
        ):
            self._ledger.fail(self._side(change.asset), entry, "a refused request changed the wallet")

    def _side(self, asset: str) -> Equation:
        return Equation.A8 if asset in self.symbols else Equation.A7

    def traded(self, trade: Trade, update: PositionUpdated) -> None:
        """Take in a leg of which everything was read."""
        if not update.held:
            return
        sign = 1 if trade.side is Side.BUY else -1
        self._traded[trade.symbol] += sign * trade.quantity
        self._traded[trade.currency] -= sign * trade.price * trade.quantity * trade.multiplier + trade.fee

    def conclude(self, ledger: Ledger) -> None:
        """Add how many changes were looked at."""
        ledger.looked_at[Equation.A9] += self._changes
        ledger.looked_at[Equation.A11] += self._changes

    def conserve(self, ledger: Ledger) -> None:
        """Add up what all wallets hold at rest, and what they should."""
        held: defaultdict[str, int] = defaultdict(int)
        last: dict[str, Entry] = {}
        for (_, asset), (available, blocked, unsettled, entry) in self.balances.items():
            held[asset] += available + blocked + unsettled
            last[asset] = entry
            ledger.looked_at[self._side(asset)] += 1
        for asset in sorted(held.keys() | self._traded.keys()):
            due = self._brought_in[asset] + self._traded[asset]
            if held[asset] != due:
                at = last.get(asset)
                cause = (
                    f"wallets hold {held[asset]} {asset}; {self._brought_in[asset]} came in, trades moved"
                    f" {self._traded[asset]}"
                )
                place = "at rest" if at is None else at.place
                ledger.fail_at(self._side(asset), Offence(place, None, cause))
