"""Settlement: what each account must deliver and receive, netted by instrument, trade date and due date, and when it is done.

The clearing house stands between the two sides of every trade, so an account's obligation is with it alone. On the
settlement date what waited in `unsettled` becomes available, once. Refuses to know orders, holds and books.

The table keeps a row for each open obligation, by settlement date first, and one mark for each market under `/market`:
everything due on or before its date has been settled. A trade that comes home after that becomes an obligation of its
own, which is settled at once.
"""

import datetime as dt
from typing import Final

from bourse.pipeline import wallets
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Output, Outputs, Record, Topic
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Announcement,
    Obligation,
    PositionCause,
    PositionUpdated,
    SessionEvent,
    SettlementStatus,
    SettlementUpdated,
    Side,
    TransactionKind,
)
from bourse.schemas.units import INT64_MAX, Cash, Quantity, TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_TRADE: Final = PositionCause.TRADE
_BUY: Final = Side.BUY
_PENDING: Final = SettlementStatus.PENDING
_SETTLED: Final = SettlementStatus.SETTLED
_SETTLEMENTS: Final = Topic.SETTLEMENTS

LETTER: Final = "s"
MARK: Final = "/"
"""Begins the keys of marks; every other key begins with a date."""
MOST_BEHIND_RISK: Final = INT64_MAX // 2
"""What an obligation may be with trades that nothing is held for: the other half is for those that are paid for."""
MOST_DAYS: Final = 366
"""How many days are looked up one by one."""


def handle(state: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
    """Net one trade side into its obligation, or settle what a session event makes due.

    Raises:
        NotOurs: the record is neither, is a trade without its dates, or one behind risk that adds up to too much.
    """
    outputs = Outputs(cause, LETTER)
    match record:
        case PositionUpdated():
            if record.cause is _TRADE:
                _net(state, outputs, record, time_ns)
        case Announcement():
            if record.session is not None and record.session.symbol is None:
                _settle_due(state, outputs, record.session, time_ns)
        case _:
            message = f"settlement has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)
    return outputs.items


def _net(state: State, outputs: Outputs, trade: PositionUpdated, time_ns: TimeNs) -> None:
    """Add one side of a trade to what its account must deliver and receive."""
    trade_date, due = trade.trade_date, trade.settlement_date
    if trade_date is None or due is None:
        message = f"trade {trade.trade_id} without trade_date and settlement_date"
        raise NotOurs(message)
    settled_through = _settled_through(state, trade.venue)
    settlement_id = f"{trade.account_id}/{trade.symbol}/{trade_date}/{due}"
    if settled_through is not None and due <= settled_through:
        # The side too: an account that traded with itself has two such obligations.
        alone = _begun(trade, f"{settlement_id}/{trade.trade_id}/{trade.side}", trade_date, due)
        _report(outputs, alone, trade.trade_id, time_ns)
        _settle(state, outputs, alone, time_ns)
        return
    key = f"{due}/{trade_date}/{trade.account_id}/{trade.symbol}"
    before = state.obligations.get(key)
    row = _begun(trade, settlement_id, trade_date, due) if before is None else _added(before, trade)
    if not trade.held and max(abs(row.net_quantity), abs(row.net_cash), row.fees) > MOST_BEHIND_RISK:
        # Nothing bounds what trades of orders that entered behind risk add up to.
        message = f"trade {trade.trade_id} makes an obligation of more than can be counted"
        raise NotOurs(message)
    state.obligations.put(key, row)
    _report(outputs, row, trade.trade_id, time_ns)


def _settled_through(state: State, market: str) -> dt.date | None:
    mark = state.obligations.get(f"{MARK}{market}")
    return None if mark is None else mark.settlement_date


def _unsettled(trade: PositionUpdated) -> tuple[Quantity, Cash]:
    """Return what a trade left in the account's wallets to be settled: shares of a buy, cash of a sale."""
    if not trade.held:
        return Quantity(0), Cash(0)
    if trade.side is _BUY:
        return trade.quantity_delta, Cash(0)
    return Quantity(0), trade.cash_delta


def _begun(trade: PositionUpdated, settlement_id: str, trade_date: dt.date, due: dt.date) -> Obligation:
    bought, sold_cash = _unsettled(trade)
    return Obligation(
        settlement_id,
        trade.account_id,
        trade.symbol,
        trade.venue,
        trade.currency,
        trade_date,
        due,
        trade.quantity_delta,
        trade.cash_delta,
        bought,
        sold_cash,
        trade.fee,
        1,
        _PENDING,
    )


def _added(before: Obligation, trade: PositionUpdated) -> Obligation:
    bought, sold_cash = _unsettled(trade)
    return Obligation(
        before.settlement_id,
        before.account_id,
        before.symbol,
        before.market,
        before.currency,
        before.trade_date,
        before.settlement_date,
        Quantity(before.net_quantity + trade.quantity_delta),
        Cash(before.net_cash + trade.cash_delta),
        Quantity(before.gross_bought_quantity + bought),
        Cash(before.gross_sold_cash + sold_cash),
        Cash(before.fees + trade.fee),
        before.trades + 1,
        _PENDING,
    )


def _settle_due(state: State, outputs: Outputs, session: SessionEvent, time_ns: TimeNs) -> None:
    """Settle every obligation that is due on a market by its new business date; each date once, by the market's mark."""
    date, market = session.business_date, session.market
    settled_through = _settled_through(state, market)
    if settled_through is not None and date <= settled_through:
        return
    state.obligations.put(f"{MARK}{market}", _mark(market, date))
    for prefix in _due_prefixes(settled_through, date):
        for key, row in state.obligations.scan(prefix):
            if row.market == market and row.settlement_date <= date and not key.startswith(MARK):
                state.obligations.delete(key)
                _settle(state, outputs, row, time_ns)


def _due_prefixes(settled_through: dt.date | None, date: dt.date) -> list[str]:
    """Return the prefixes of all keys that may be due: one for each day, or the one of all keys after too long a time."""
    days = MOST_DAYS + 1 if settled_through is None else (date - settled_through).days
    if days > MOST_DAYS:
        return [""]
    return [f"{date - dt.timedelta(ago)}/" for ago in reversed(range(days))]


def _mark(market: str, date: dt.date) -> Obligation:
    return Obligation(
        "",
        "",
        "",
        market,
        "",
        date,
        date,
        Quantity(0),
        Cash(0),
        Quantity(0),
        Cash(0),
        Cash(0),
        0,
        _SETTLED,
    )


def _settle(state: State, outputs: Outputs, row: Obligation, time_ns: TimeNs) -> None:
    """Make what waited available: shares that were bought, cash of what was sold."""
    for asset, amount in ((row.currency, row.gross_sold_cash), (row.symbol, row.gross_bought_quantity)):
        if amount:
            step = (TransactionKind.SETTLEMENT, amount, amount, 0, -amount)
            wallets.post(state, outputs, row.account_id, asset, [step], time_ns)
    _report(outputs, row, None, time_ns, settled=True)


def _report(
    outputs: Outputs, row: Obligation, trade_id: str | None, time_ns: TimeNs, *, settled: bool = False
) -> None:
    outputs.put(
        _SETTLEMENTS,
        row.account_id,
        SettlementUpdated(
            outputs.next_id(),
            row.settlement_id,
            row.account_id,
            row.symbol,
            row.trade_date,
            row.settlement_date,
            _SETTLED if settled else _PENDING,
            row.net_quantity,
            row.net_cash,
            row.net_quantity if settled else Quantity(0),
            row.net_cash if settled else Cash(0),
            row.trades,
            None,
            time_ns,
            row.fees,
            row.currency,
            trade_id,
        ),
    )
