"""What happened on the day, folded from the topics in one pass. Counts and remembers last states; judges nothing."""

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from bourse.cli.demo import picture
from bourse.cli.trading_day import BUSINESS_DATE, SYMBOL, local_time_ns
from bourse.pipeline.outputs import Record
from bourse.schemas.records import (
    BookUpdate,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    PositionUpdated,
    SettlementStatus,
    SettlementUpdated,
    TapePrint,
    Trade,
    WalletTransaction,
)

DAY_NS: Final = (local_time_ns(BUSINESS_DATE, dt.time(9)), local_time_ns(BUSINESS_DATE, dt.time(17, 35)))
HIDDEN: Final = frozenset((OrderStatus.VALIDATED, OrderStatus.RISK_APPROVED))


@dataclass(slots=True)
class SymbolDay:
    """The day of one symbol."""

    messages: int = 0
    new_orders: int = 0
    trades: int = 0
    shares: int = 0
    value: int = 0
    fees: int = 0


@dataclass(slots=True)
class AccountDay:
    """The day of one account in one symbol, and what it ended with."""

    legs: int = 0
    fees: int = 0
    position: PositionUpdated | None = None


@dataclass(slots=True)
class Settled:
    """What was settled of one symbol."""

    obligations: int = 0
    trade_legs: int = 0
    shares: int = 0
    cash: int = 0
    dates: set[dt.date] = field(default_factory=set)


class TopOfBook:
    """Best prices over the day, as many as a picture shows."""

    def __init__(self) -> None:
        self._best: list[tuple[int | None, int | None] | None] = [None] * picture.dots()

    def see(self, update: BookUpdate) -> None:
        """Take in a change of the book."""
        begin_ns, end_ns = DAY_NS
        place = (update.event_time_ns - begin_ns) * len(self._best) // (end_ns - begin_ns)
        if 0 <= place < len(self._best):
            self._best[place] = (update.best_bid, update.best_ask)

    def series(self) -> tuple[picture.Series, picture.Series]:
        """Return bids and asks; a moment without a change shows what the last change left."""
        bids: list[int | None] = []
        asks: list[int | None] = []
        bid, ask = None, None
        for best in self._best:
            bid, ask = best or (bid, ask)
            bids.append(bid)
            asks.append(ask)
        return bids, asks


class Summary:
    """The whole day."""

    def __init__(self) -> None:
        self.symbols: defaultdict[str, SymbolDay] = defaultdict(SymbolDay)
        self.accounts: defaultdict[tuple[str, str], AccountDay] = defaultdict(AccountDay)
        self.wallets: dict[tuple[str, str], WalletTransaction] = {}
        self.settled: defaultdict[str, Settled] = defaultdict(Settled)
        self.steps: Counter[OrderStatus] = Counter()
        self.top_of_book = TopOfBook()
        self.records = 0

    def see(self, record: Record) -> None:
        """Take in one record of any topic."""
        self.records += 1
        match record:
            case OrderEvent():
                self.steps[record.status] += 1
            case WalletTransaction():
                self.wallets[record.account_id, record.asset] = record
            case BookUpdate() if record.symbol == SYMBOL:
                self.top_of_book.see(record)
            case Order():
                self._order(record)
            case Trade():
                self._trade(record)
            case TapePrint():
                self._print(record)
            case PositionUpdated():
                self.accounts[record.account_id, record.symbol].position = record
            case SettlementUpdated(status=SettlementStatus.SETTLED):
                self._settlement(record)

    def busiest(self, symbol: str, count: int) -> list[tuple[str, AccountDay]]:
        """Return the accounts that traded a symbol most often."""
        days = ((account_id, day) for (account_id, traded), day in self.accounts.items() if traded == symbol)
        return sorted(days, key=lambda item: (-item[1].legs, item[0]))[:count]

    def _order(self, order: Order) -> None:
        day = self.symbols[order.symbol or ""]
        day.messages += 1
        day.new_orders += order.action is OrderAction.NEW

    def _trade(self, leg: Trade) -> None:
        self.symbols[leg.symbol].fees += leg.fee
        account = self.accounts[leg.account_id, leg.symbol]
        account.legs += 1
        account.fees += leg.fee

    def _print(self, trade: TapePrint) -> None:
        day = self.symbols[trade.symbol]
        day.trades += 1
        day.shares += trade.quantity
        day.value += trade.quantity * trade.price

    def _settlement(self, obligation: SettlementUpdated) -> None:
        settled = self.settled[obligation.symbol]
        settled.obligations += 1
        settled.trade_legs += obligation.trades
        settled.shares += max(0, obligation.net_quantity)
        settled.cash += max(0, obligation.net_cash)
        settled.dates.add(obligation.settlement_date)
