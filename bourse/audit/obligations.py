"""A14: obligations are the sum of their legs, net to nothing over all accounts, and are settled once, when they are due.

Kept are the obligations that are open, the sums by symbol and settlement date that are not nothing, and for each market the
offsets in `sessions` at which its business date moved.
"""

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from typing import NamedTuple

from bourse.audit.entries import Entry, Way
from bourse.audit.equations import Equation, Ledger, Offence
from bourse.schemas.records import (
    Announcement,
    PositionUpdated,
    SettlementStatus,
    SettlementUpdated,
    Side,
    Trade,
)


class Obligation:
    """One that is open: its last update, its market, and what its legs left unsettled in the account's wallets."""

    __slots__ = ("entry", "last", "market", "unsettled")

    def __init__(self, entry: Entry, update: SettlementUpdated) -> None:
        self.entry = entry
        self.last = update
        self.market: str | None = None
        self.unsettled: dict[str, int] = {}


class Netting(NamedTuple):
    """What one update of an obligation added to it."""

    entry: Entry
    update: SettlementUpdated
    obligation: Obligation
    added: tuple[int, int, int, int]
    """Quantity, cash, fees and trades."""


class _Dates:
    """The business date of a market by offset in `sessions`; a date never goes back."""

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._dates: list[dt.date] = []
        self._read_to = -1

    def learn(self, offset: int, date: dt.date) -> None:
        if offset <= self._read_to:
            return
        self._read_to = offset
        if not self._dates or date > self._dates[-1]:
            self._offsets.append(offset)
            self._dates.append(date)

    def has_reached(self, date: dt.date, offset: int | None) -> bool | None:
        """Say whether the date was there at an offset (None: by now); None where that was not read yet."""
        if offset is None:
            return True if self._dates and self._dates[-1] >= date else None
        if offset > self._read_to:
            return None
        place = bisect_right(self._offsets, offset)
        return bool(place) and self._dates[place - 1] >= date


class _Settled(NamedTuple):
    """A settlement that could not be dated when it was read."""

    entry: Entry
    obligation: Obligation
    offset: int | None


class Obligations:
    """Every open obligation."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.open: dict[str, Obligation] = {}
        self._sums: defaultdict[tuple[str, dt.date], tuple[int, int]] = defaultdict(lambda: (0, 0))
        self._dates: defaultdict[str, _Dates] = defaultdict(_Dates)
        self._undated: list[_Settled] = []
        self._updates = 0

    def announcement(self, announcement: Announcement) -> None:
        """Take in a copy of a session event; only those of a whole market move its date."""
        session = announcement.session
        if session is not None and session.symbol is None:
            offset = announcement.event_id.split("/")[2:3]
            if offset and offset[0].isdecimal():
                self._dates[session.market].learn(int(offset[0]), session.business_date)

    def update(self, entry: Entry, update: SettlementUpdated, way: Way) -> Netting | None:
        """Take in one update; return what it added, if it took in a leg."""
        self._updates += 1
        obligation = self.open.get(update.settlement_id)
        if update.status is SettlementStatus.PENDING:
            return self._pend(entry, obligation, update)
        if update.status is not SettlementStatus.SETTLED:
            self._ledger.fail(Equation.A14, entry, f"{update.settlement_id} is {update.status}")
        elif obligation is None:
            cause = (
                f"{update.settlement_id} is settled, but is not open: it was settled before, or never began"
            )
            self._ledger.fail(Equation.A14, entry, cause)
        else:
            self._settle(entry, obligation, update, way)
        return None

    def _pend(self, entry: Entry, obligation: Obligation | None, update: SettlementUpdated) -> Netting:
        if obligation is None:
            obligation = self.open[update.settlement_id] = Obligation(entry, update)
            added: tuple[int, int, int, int] = (
                update.net_quantity,
                update.net_cash,
                update.fees,
                update.trades,
            )
        else:
            last = obligation.last
            added = (
                update.net_quantity - last.net_quantity,
                update.net_cash - last.net_cash,
                update.fees - last.fees,
                update.trades - last.trades,
            )
            whose = (update.account_id, update.symbol, update.trade_date, update.settlement_date)
            if whose != (last.account_id, last.symbol, last.trade_date, last.settlement_date):
                self._ledger.fail(Equation.A14, entry, f"{update.settlement_id} is another's since this")
            obligation.entry, obligation.last = entry, update
        day = (update.symbol, update.settlement_date)
        quantity, cash = self._sums[day]
        quantity, cash = quantity + added[0], cash + added[1] + added[2]
        if quantity or cash:
            self._sums[day] = (quantity, cash)
        else:
            del self._sums[day]
        return Netting(entry, update, obligation, added)

    def _settle(self, entry: Entry, obligation: Obligation, update: SettlementUpdated, way: Way) -> None:
        del self.open[update.settlement_id]
        last = obligation.last
        told = (update.net_quantity, update.net_cash, update.fees, update.trades)
        if told != (last.net_quantity, last.net_cash, last.fees, last.trades):
            cause = f"{update.settlement_id} settles {told}, which is not what was pending"
            self._ledger.fail(Equation.A14, entry, cause)
        if (update.settled_quantity, update.settled_cash) != (update.net_quantity, update.net_cash):
            self._ledger.fail(Equation.A14, entry, f"{update.settlement_id} is settled in part")
        offset = int(update.event_id.split("/")[2]) if way.from_announcement else None
        settled = _Settled(entry, obligation, offset)
        was_due = self._was_due(settled)
        if was_due is None:
            self._undated.append(settled)
        elif not was_due:
            self._too_early(self._ledger, settled)

    def _was_due(self, settled: _Settled) -> bool | None:
        market = settled.obligation.market
        if market is None or market not in self._dates:
            return None
        return self._dates[market].has_reached(settled.obligation.last.settlement_date, settled.offset)

    def _too_early(self, ledger: Ledger, settled: _Settled) -> None:
        due = settled.obligation.last.settlement_date
        ledger.fail(Equation.A14, settled.entry, f"it is settled before the market's date was {due}")

    def netted(self, trade: Trade, update: PositionUpdated, netting: Netting) -> None:
        """Take in a leg of which everything was read."""
        obligation = netting.obligation
        obligation.market = trade.venue
        if update.held:
            is_buy = trade.side is Side.BUY
            asset = trade.symbol if is_buy else trade.currency
            value = trade.price * trade.quantity * trade.multiplier
            amount = trade.quantity if is_buy else value - trade.fee
            obligation.unsettled[asset] = obligation.unsettled.get(asset, 0) + amount

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what is left, and what could not be dated before."""
        ledger.looked_at[Equation.A14] += self._updates
        if not at_rest:
            return
        for settled in self._undated:
            if not self._was_due(settled):
                self._too_early(ledger, settled)
        for (symbol, due), (quantity, cash) in self._sums.items():
            entry = next((one.entry for one in self.open.values() if _is_of(one, symbol, due)), None)
            cause = f"{quantity} {symbol} and {cash} of cash due on {due} are nobody's"
            ledger.fail_at(Equation.A14, Offence("at rest" if entry is None else entry.place, None, cause))


def _is_of(obligation: Obligation, symbol: str, due: dt.date) -> bool:
    return (obligation.last.symbol, obligation.last.settlement_date) == (symbol, due)
