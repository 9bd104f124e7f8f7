"""A5, A13 and, leg by leg, A7, A8 and A14: what one trade is, and what each of its two sides caused.

A leg's own id begins the id of everything that it caused: the update of a position, the moves of two wallets, the update
of an obligation. They come in four topics; when all of a leg has been read and agrees, it is forgotten.
"""

import datetime as dt
from collections.abc import Callable
from typing import TypeAlias

from bourse.audit.entries import Entry, cause_of
from bourse.audit.equations import Equation, Ledger
from bourse.audit.obligations import Netting
from bourse.schemas.records import (
    Liquidity,
    PositionUpdated,
    Side,
    TapePrint,
    Trade,
    TransactionKind,
    WalletTransaction,
)

Calendar: TypeAlias = Callable[[str, dt.date, int], dt.date]
"""Market, trade date and settlement days to the settlement date."""


class _Pair:
    """The legs of one trade, and its public print."""

    __slots__ = ("buy", "print", "sell")

    def __init__(self) -> None:
        self.buy: Entry | None = None
        self.sell: Entry | None = None
        self.print: Entry | None = None

    def first(self) -> Entry:
        """Return what of it was read."""
        found = self.buy or self.sell or self.print
        assert found is not None
        return found


class Pairing:
    """A5: two legs and one print for each trade."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: dict[str, _Pair] = {}
        self._legs = 0
        self._prints = 0

    def leg(self, entry: Entry, trade: Trade) -> None:
        """Take in one side of a trade."""
        self._legs += 1
        if trade.quantity <= 0 or trade.price <= 0:
            self._ledger.fail(Equation.A5, entry, f"{trade.quantity} at {trade.price} is no trade")
        pair = self._open.get(trade.trade_id)
        if pair is None:
            pair = self._open[trade.trade_id] = _Pair()
        if trade.side is Side.BUY:
            if pair.buy is not None:
                self._ledger.fail(Equation.A5, entry, f"trade {trade.trade_id} has two BUY legs")
            pair.buy = entry
        else:
            if pair.sell is not None:
                self._ledger.fail(Equation.A5, entry, f"trade {trade.trade_id} has two SELL legs")
            pair.sell = entry
        self._close(trade.trade_id, pair)

    def print(self, entry: Entry, tape: TapePrint) -> None:
        """Take in the public print of a trade."""
        self._prints += 1
        pair = self._open.get(tape.trade_id)
        if pair is None:
            pair = self._open[tape.trade_id] = _Pair()
        if pair.print is not None:
            self._ledger.fail(Equation.A5, entry, f"trade {tape.trade_id} was printed twice")
        pair.print = entry
        self._close(tape.trade_id, pair)

    def _close(self, trade_id: str, pair: _Pair) -> None:
        if pair.buy is None or pair.sell is None or pair.print is None:
            return
        del self._open[trade_id]
        buy, sell, tape = pair.buy.record, pair.sell.record, pair.print.record
        assert isinstance(buy, Trade)
        assert isinstance(sell, Trade)
        assert isinstance(tape, TapePrint)
        facts = (buy.symbol, buy.price, buy.quantity, buy.trade_date)
        if facts != (sell.symbol, sell.price, sell.quantity, sell.trade_date):
            self._ledger.fail(Equation.A5, pair.sell, f"it differs from its other leg, {pair.buy.place}")
        if facts != (tape.symbol, tape.price, tape.quantity, tape.trade_date):
            self._ledger.fail(Equation.A5, pair.print, f"it differs from its trade, {pair.buy.place}")
        if (buy.contra_order_id, sell.contra_order_id) != (sell.order_id, buy.order_id):
            self._ledger.fail(Equation.A5, pair.sell, f"{pair.buy.place} does not name it as its other side")
        if buy.liquidity is sell.liquidity is not Liquidity.MAKER:
            self._ledger.fail(Equation.A5, pair.sell, "both sides took")

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge the trades that are not whole."""
        ledger.looked_at[Equation.A5] += self._legs + self._prints
        if not at_rest:
            return
        for trade_id, pair in self._open.items():
            there = (("BUY leg", pair.buy), ("SELL leg", pair.sell), ("print", pair.print))
            lacks = " and no ".join(name for name, entry in there if entry is None)
            ledger.fail(Equation.A5, pair.first(), f"trade {trade_id} has no {lacks}")


class _Leg:
    """One side of a trade and what has been read of what it caused."""

    __slots__ = ("entry", "gains", "netting", "trade", "update")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.trade: Trade | None = None
        self.update: PositionUpdated | None = None
        self.netting: Netting | None = None
        self.gains: dict[str, int] = {}
        """What each asset of the account gained, all balances together."""


def value_of(trade: Trade) -> int:
    """Return what a trade is worth, in cash units."""
    return trade.price * trade.quantity * trade.multiplier


def _gains(trade: Trade) -> dict[str, int]:
    """Return what the wallets of an account gain by a leg, for which something was held."""
    sign = 1 if trade.side is Side.BUY else -1
    cash = -sign * value_of(trade) - trade.fee
    return {trade.symbol: sign * trade.quantity, trade.currency: cash}


Settled: TypeAlias = Callable[[Trade, PositionUpdated, Netting], None]
"""Called once for each leg of which everything was read."""


class Legs:
    """A13, and A7, A8 and A14 of each leg."""

    def __init__(self, ledger: Ledger, calendar: Calendar, netted: Settled) -> None:
        self._ledger = ledger
        self._calendar = calendar
        self._netted = netted
        self._open: dict[str, _Leg] = {}
        self._legs = 0

    @property
    def has_open(self) -> bool:
        """Whether some leg has not caused everything yet."""
        return bool(self._open)

    def _leg(self, leg_id: str, entry: Entry) -> _Leg:
        leg = self._open.get(leg_id)
        if leg is None:
            leg = self._open[leg_id] = _Leg(entry)
        return leg

    def trade(self, entry: Entry, trade: Trade) -> None:
        """Take in the leg itself."""
        self._legs += 1
        leg_id = trade.event_id or entry.place
        leg = self._leg(leg_id, entry)
        leg.entry, leg.trade = entry, trade
        self._close(leg_id, leg)

    def update(self, entry: Entry, update: PositionUpdated) -> None:
        """Take in what it did to a position."""
        leg_id = cause_of(update.event_id)
        leg = self._leg(leg_id, entry)
        if leg.update is not None:
            self._ledger.fail(Equation.A13, entry, f"trade {update.trade_id} moved this position twice")
        leg.update = update
        self._close(leg_id, leg)

    def move(self, entry: Entry, change: WalletTransaction) -> None:
        """Take in what it did to a wallet; what an order no longer reserves only moves within the wallet."""
        if change.kind is TransactionKind.RELEASE:
            return
        leg_id = cause_of(change.event_id)
        leg = self._leg(leg_id, entry)
        gain = change.available_delta + change.blocked_delta + change.unsettled_delta
        leg.gains[change.asset] = leg.gains.get(change.asset, 0) + gain
        self._close(leg_id, leg)

    def net(self, netting: Netting) -> None:
        """Take in what it added to an obligation."""
        leg_id = cause_of(cause_of(netting.update.event_id))
        leg = self._leg(leg_id, netting.entry)
        if leg.netting is not None:
            self._ledger.fail(
                Equation.A14, netting.entry, f"trade {netting.update.trade_id} is in two obligations"
            )
        leg.netting = netting
        self._close(leg_id, leg)

    def _close(self, leg_id: str, leg: _Leg) -> None:
        """Judge a leg and forget it, if everything was read of it."""
        trade, update, netting = leg.trade, leg.update, leg.netting
        if trade is None or update is None or netting is None:
            return
        if leg.gains != (_gains(trade) if update.held else {}):
            return
        del self._open[leg_id]
        self._check_update(leg.entry, trade, update)
        self._check_netting(trade, netting)
        self._netted(trade, update, netting)

    def _check_update(self, entry: Entry, trade: Trade, update: PositionUpdated) -> None:
        sign = 1 if trade.side is Side.BUY else -1
        told = (update.trade_id, update.account_id, update.symbol, update.side, update.quantity_delta)
        if told != (trade.trade_id, trade.account_id, trade.symbol, trade.side, sign * trade.quantity):
            self._ledger.fail(Equation.A13, entry, f"{update.event_id} says {_words(told)} of it")
        money = (update.price, update.fee, update.cash_delta)
        if money != (trade.price, trade.fee, -sign * value_of(trade) - trade.fee):
            self._ledger.fail(Equation.A7, entry, f"{update.event_id} says {_words(money)} of its cash")

    def _check_netting(self, trade: Trade, netting: Netting) -> None:
        sign = 1 if trade.side is Side.BUY else -1
        entry, update = netting.entry, netting.update
        expected = (
            sign * trade.quantity,
            -sign * value_of(trade) - trade.fee,
            trade.fee,
            1,
        )
        if netting.added != expected:
            cause = f"it adds {_words(netting.added)}, its leg is {_words(expected)}"
            self._ledger.fail(Equation.A14, entry, cause)
        due = self._calendar(trade.venue, trade.trade_date, trade.settlement_days)
        dates = (update.trade_date, update.settlement_date)
        if dates != (trade.trade_date, due):
            self._ledger.fail(
                Equation.A14,
                entry,
                f"traded on {trade.trade_date} and due on {due}, it says {_words(dates)}",
            )

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge the legs of which something is missing or wrong."""
        for equation in (Equation.A7, Equation.A8, Equation.A13, Equation.A14):
            ledger.looked_at[equation] += self._legs
        if at_rest:
            for leg in self._open.values():
                self._conclude(ledger, leg)

    def _conclude(self, ledger: Ledger, leg: _Leg) -> None:
        trade, entry = leg.trade, leg.entry
        if trade is None:
            what = Equation.A14 if leg.update is None and leg.netting is not None else Equation.A13
            ledger.fail(what, entry, "its trade leg is not there, or had all that it causes before")
            return
        if leg.update is None:
            ledger.fail(Equation.A13, entry, "it moved no position")
            return
        if leg.netting is None:
            ledger.fail(Equation.A14, entry, "it is in no obligation")
        expected = _gains(trade) if leg.update.held else {}
        for asset in sorted(expected.keys() | leg.gains.keys()):
            gained, due = leg.gains.get(asset, 0), expected.get(asset, 0)
            if gained != due:
                equation = Equation.A8 if asset == trade.symbol else Equation.A7
                cause = f"{trade.account_id} gained {gained} {asset} by it, and should have gained {due}"
                ledger.fail(equation, entry, cause)


def _words(values: tuple[object, ...]) -> str:
    return ", ".join(map(str, values))
