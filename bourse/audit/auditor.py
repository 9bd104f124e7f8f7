"""The auditor: records in, a report out. It has no clock and no I/O, and does not care who reads the records for it.

    auditor = Auditor(partitions=2)
    for entry in entries:
        auditor.feed(entry)
    report = auditor.report()

Records of one topic partition come in their order. Of different ones they may come in any, for whatever must meet waits
for the other, save that A6 wants order-events before the book-updates of the same moment. The closer the order is to that
of the log, the sooner things meet and are forgotten, so readers merge by time. What is kept is what is under way: live
orders, accounts, open obligations, and messages without answer.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from bourse.audit import at_rest as rest
from bourse.audit.books import Books
from bourse.audit.depth import Depth
from bourse.audit.entries import CHANGELOG, NO_WAY, Entry, Way
from bourse.audit.equations import Equation, Ledger, Report
from bourse.audit.holdings import Holdings
from bourse.audit.hops import UNDER_WAY, Hops
from bourse.audit.identity import Identity
from bourse.audit.legs import Calendar, Legs, Pairing
from bourse.audit.limits import Limits
from bourse.audit.lives import Lives
from bourse.audit.money import Wallets
from bourse.audit.obligations import Netting, Obligations
from bourse.audit.retries import Retries
from bourse.audit.state import State
from bourse.schemas.records import (
    Account,
    Announcement,
    ApprovedOrder,
    BookUpdate,
    DeadLetter,
    OrderEvent,
    PositionCause,
    PositionUpdated,
    Release,
    SettlementUpdated,
    TapePrint,
    Trade,
    ValidatedOrder,
    WalletTransaction,
)

_SATURDAY: Final = 5

_ELSEWHERE: Final = {
    Equation.A16: "not promised: records are not chained by hash",
    Equation.A17: "the stages have to run again for it: `bourse audit --replay`",
    Equation.A22: "only a broker can tell",
}
"""What cannot be said from records alone."""

_Handler: TypeAlias = Callable[[Entry, Any], None]
"""Takes in a record of one topic, whose type the topic says."""


def weekdays(_market: str, trade_date: dt.date, settlement_days: int) -> dt.date:
    """Return the settlement date where every Monday to Friday is a session; 0 is the first one from the date on."""
    date = trade_date
    while settlement_days or date.weekday() >= _SATURDAY:
        date += dt.timedelta(days=1)
        if settlement_days and date.weekday() < _SATURDAY:
            settlement_days -= 1
    return date


class Auditor:
    """Checks the equations over a log."""

    def __init__(self, partitions: int = 1, calendar: Calendar = weekdays) -> None:
        """Take how many partitions each topic has, and when trades of a market settle."""
        self._ledger = ledger = Ledger()
        self._records = 0
        self._identity = Identity(ledger)
        self._hops = Hops(ledger, partitions)
        self._retries = Retries(ledger)
        self._lives = Lives(ledger)
        self._pairing = Pairing(ledger)
        self._legs = Legs(ledger, calendar, self._leg_is_whole)
        self._wallets = Wallets(ledger)
        self._holdings = Holdings(ledger)
        self._obligations = Obligations(ledger)
        self._depth = Depth(ledger)
        self._books = Books(ledger)
        self._limits = Limits(ledger)
        self._state = State()
        self._handlers: dict[str, _Handler] = {
            "orders": lambda entry, _: self._hops.order(entry),
            "wallet-commands": lambda entry, _: self._hops.command(entry),
            "instruments": lambda entry, _: self._hops.published(entry),
            "participants": lambda entry, _: self._hops.published(entry),
            "corporate-actions": lambda entry, _: self._hops.published(entry),
            "sessions": lambda entry, _: self._hops.published(entry),
            "accounts": self._account,
            "announcements": self._announcement,
            "validated": self._validated,
            "risk-approved": self._approved,
            "order-events": self._order_event,
            "trades": self._trade,
            "tape": self._print,
            "releases": self._release,
            "book-updates": self._book_update,
            "wallet-transactions": self._wallet_change,
            "positions": self._position,
            "settlements": self._settlement,
            "dead-letters": self._dead_letter,
            CHANGELOG: lambda entry, _: self._state.row(entry),
        }

    def feed(self, entry: Entry) -> None:
        """Take in the next record of a topic partition."""
        self._records += 1
        if entry.record is None:
            if entry.topic == CHANGELOG:
                self._state.row(entry)
            else:
                self._hops.poison(entry)
            return
        handle = self._handlers.get(entry.topic)
        if handle is not None:
            handle(entry, entry.record)

    def report(self, *, at_rest: bool = True) -> Report:
        """Return what was found so far; more may be fed afterwards.

        `at_rest` says that nothing was under way where the log was cut: every input had been worked off. Otherwise what
        still waits for something is not judged, nor what holds at rest only.
        """
        ledger = self._ledger.copy()
        self._identity.conclude(ledger)
        self._hops.conclude(ledger, at_rest=at_rest)
        self._retries.conclude(ledger)
        self._lives.conclude(ledger, at_rest=at_rest)
        self._pairing.conclude(ledger, at_rest=at_rest)
        self._legs.conclude(ledger, at_rest=at_rest)
        self._wallets.conclude(ledger)
        self._holdings.conclude(ledger)
        self._obligations.conclude(ledger, at_rest=at_rest)
        self._depth.conclude(ledger, at_rest=at_rest)
        self._books.conclude(ledger, at_rest=at_rest)
        self._limits.conclude(ledger, at_rest=at_rest)
        if at_rest:
            self._conclude_at_rest(ledger)
        else:
            ledger.leave_out(Equation.A10, UNDER_WAY)
            ledger.leave_out(Equation.A15, UNDER_WAY)
        for equation, reason in _ELSEWHERE.items():
            ledger.leave_out(equation, reason)
        return ledger.report(self._records)

    def owes(self) -> bool:
        """Say whether some obligation is open: not after the last settlement date has passed."""
        return bool(self._obligations.open)

    def _conclude_at_rest(self, ledger: Ledger) -> None:
        rest.check_blocked(ledger, self._lives, self._wallets)
        self._state.compare(
            ledger, self._identity, self._wallets, self._holdings, self._obligations, self._lives
        )
        if self._legs.has_open:
            for equation in (Equation.A7, Equation.A8, Equation.A12, Equation.A14):
                ledger.leave_out(equation, "totals were not added up, as not every leg is whole (see A13)")
            return
        self._wallets.conserve(ledger)
        rest.check_positions(ledger, self._holdings, self._wallets)
        rest.check_unsettled(ledger, self._obligations, self._holdings, self._wallets)

    def _leg_is_whole(self, trade: Trade, update: PositionUpdated, netting: Netting) -> None:
        self._wallets.traded(trade, update)
        self._obligations.netted(trade, update, netting)

    # -- one method for each topic -------------------------------------------------------------------------------

    def _way(self, entry: Entry, event_id: str, symbol: str = "") -> Way:
        """Check an output's id; what came from outside without one has none to check."""
        if not event_id:
            return NO_WAY
        way = self._identity.way_of(entry, event_id, symbol)
        if way.is_first:
            self._hops.output(entry, event_id, way)
            if way.stage == "m" and not way.from_announcement:
                self._books.answer(entry, event_id, symbol)
        return way

    def _announcement(self, entry: Entry, record: Announcement) -> None:
        way = self._way(entry, record.event_id)
        self._hops.announcement(entry, record, way)
        self._obligations.announcement(record)
        self._books.announcement(entry, record)
        if record.session is not None:
            self._lives.session(entry, record.session)
            self._retries.announcement(entry, record.session)
        if record.instrument is not None:
            self._wallets.symbols.add(record.instrument.symbol)
            self._holdings.instrument(record.instrument)
            self._limits.instrument(record.instrument)

    def _account(self, entry: Entry, record: Account) -> None:
        self._hops.passed(entry)
        self._limits.account(entry, record)

    def _validated(self, entry: Entry, record: ValidatedOrder) -> None:
        if record.event_id:
            self._way(entry, record.event_id)
            self._identity.at_home(entry, "account", record.account_id)
            self._retries.validated(entry, record)
        self._hops.validated(entry, record)

    def _approved(self, entry: Entry, record: ApprovedOrder) -> None:
        if record.event_id:
            self._way(entry, record.event_id)
            self._identity.at_home(entry, "symbol", record.symbol)
            self._limits.approved(entry, record)
        self._hops.approved(entry, record)
        self._lives.approved(entry, record)
        self._books.approved(entry, record)

    def _order_event(self, entry: Entry, record: OrderEvent) -> None:
        way = self._way(entry, record.event_id, record.symbol or "")
        self._identity.at_home(entry, "account", record.account_id)
        self._retries.refused(entry, record, way)
        self._lives.event(entry, record, way)
        self._books.event(entry, record, way)

    def _trade(self, entry: Entry, record: Trade) -> None:
        if record.event_id:
            self._way(entry, record.event_id, record.symbol)
            self._identity.at_home(entry, "account", record.account_id)
        self._wallets.symbols.add(record.symbol)
        self._lives.trade(entry, record)
        self._books.trade(entry, record)
        self._pairing.leg(entry, record)
        self._legs.trade(entry, record)

    def _print(self, entry: Entry, record: TapePrint) -> None:
        self._way(entry, record.event_id, record.symbol)
        self._identity.at_home(entry, "symbol", record.symbol)
        self._pairing.print(entry, record)

    def _release(self, entry: Entry, record: Release) -> None:
        if record.event_id:
            self._way(entry, record.event_id, record.symbol)
            self._identity.at_home(entry, "account", record.account_id)

    def _book_update(self, entry: Entry, record: BookUpdate) -> None:
        self._way(entry, record.event_id, record.symbol)
        self._identity.at_home(entry, "symbol", record.symbol)
        self._depth.update(entry, record)
        self._books.update(entry, record)

    def _wallet_change(self, entry: Entry, record: WalletTransaction) -> None:
        way = self._way(entry, record.event_id)
        self._identity.at_home(entry, "account", record.account_id)
        self._wallets.change(entry, record)
        if record.trade_id is not None:
            self._legs.move(entry, record)
        else:
            self._retries.change(entry, record, way)

    def _position(self, entry: Entry, record: PositionUpdated) -> None:
        self._way(entry, record.event_id, record.symbol)
        self._identity.at_home(entry, "account", record.account_id)
        self._holdings.update(entry, record)
        if record.cause is PositionCause.TRADE:
            self._legs.update(entry, record)

    def _settlement(self, entry: Entry, record: SettlementUpdated) -> None:
        way = self._way(entry, record.event_id, record.symbol)
        self._identity.at_home(entry, "account", record.account_id)
        netting = self._obligations.update(entry, record, way)
        if netting is not None:
            self._legs.net(netting)

    def _dead_letter(self, entry: Entry, record: DeadLetter) -> None:
        way = self._identity.way_of(entry, record.event_id, "")
        self._hops.letter(entry, record, way)
