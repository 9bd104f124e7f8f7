"""What an account holds: quantities by trade date and by settlement, what they cost and what was earned on them.

Cost is the average kind: a sale takes its share of the cost, rounded down, and the last unit takes the rest. Valuations
(cost, profit, market value) are nobody's balance, so they stop at what a record can say instead of stopping the worker.

Beside the rows of holdings the table keeps one mark for each market, under `/market`: everything due on or before its
date has been settled. A trade that comes home after that is settled at once. Under `//asset/account_id` it keeps what an account
has brought in of an asset that looks like a currency, which it is unless an instrument of that name is announced.
"""

import datetime as dt
from typing import Final

from bourse.pipeline.calendar import settlement_date
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.forms import is_currency
from bourse.pipeline.ids import pair_key
from bourse.pipeline.money import fits, saturated
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.positions.due import DueHoldings
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Instrument,
    PendingSettlement,
    Position,
    PositionCause,
    PositionUpdated,
    SessionEvent,
    Side,
    Trade,
    TransactionKind,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX, Cash, Price, Quantity, TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_POSITIONS: Final = Topic.POSITIONS
_TRADE: Final = PositionCause.TRADE
_BUY: Final = Side.BUY

_NOTHING: Final = Position()
MOST_BEHIND_RISK: Final = INT64_MAX // 2
"""The other half is for what is deposited, which may meet it in one account."""
MARK: Final = "/"
"""Begins the keys of marks; no account begins with it."""
ASIDE: Final = "//"
"""Begins the keys of what may be cash; no market begins with a slash."""


def trade(state: State, outputs: Outputs, trade: Trade, held: bool, time_ns: TimeNs) -> None:  # noqa: FBT001 - a fact of the trade
    """Add one side of a trade to the holding."""
    key = pair_key(trade.account_id, trade.symbol)
    before = state.positions.get(key) or _NOTHING
    change = trade.quantity if trade.side is _BUY else -trade.quantity
    due = settlement_date(trade.venue, trade.trade_date, trade.settlement_days)
    pending = _with_pending(before.pending, due, trade.venue, change)
    row = _traded(before, change, trade, pending)
    state.positions.put(key, row)
    _report_trade(outputs, trade, row, change, due, held, time_ns)
    settled_through = _settled_through(state, trade.venue)
    if settled_through is not None and due <= settled_through:
        _settle_row(state, outputs, key, row, trade.venue, settled_through, time_ns)
    elif state.due_holdings is not None:
        state.due_holdings.add(trade.venue, due, key)


def require_countable(state: State, trade: Trade) -> None:
    """Refuse a trade of an order that entered behind risk, where nothing bounds what an account may come to hold.

    Raises:
        NotOurs: with all that is to be settled, in whichever order, the holding is more than half of what a record can say, or the cash more than all.
    """
    row = state.positions.get(pair_key(trade.account_id, trade.symbol)) or _NOTHING
    most = abs(row.settled_quantity) + sum(abs(entry.quantity) for entry in row.pending) + trade.quantity
    cash = trade.quantity * trade.price * trade.multiplier + abs(trade.fee)
    if most > MOST_BEHIND_RISK or not fits(cash):
        message = (
            f"{trade.quantity} at {trade.price} make a holding of {most} for {cash}: more than can be counted"
        )
        raise NotOurs(message)


def move(state: State, outputs: Outputs, transaction: WalletTransaction, time_ns: TimeNs) -> None:
    """Add a deposit of shares to the holding, or take a withdrawal off; cash and other transactions are no holdings."""
    match transaction.kind:
        case TransactionKind.DEPOSIT:
            cause, change = PositionCause.DEPOSIT, transaction.amount
        case TransactionKind.WITHDRAWAL:
            cause, change = PositionCause.WITHDRAWAL, -transaction.amount
        case _:
            return
    account_id, asset = transaction.account_id, transaction.asset
    if state.instruments.get(asset) is None and is_currency(asset):
        _put_aside(state, account_id, asset, change)
    else:
        _move(state, outputs, account_id, asset, cause, change, time_ns)


def recognise(state: State, outputs: Outputs, symbol: str, time_ns: TimeNs) -> None:
    """Make holdings of what was brought in of an instrument before it was announced and could not be told from cash."""
    if state.instruments.get(symbol) is None:
        return  # Validation, which learns them first, refused it.
    prefix = f"{ASIDE}{symbol}/"
    for key, row in list(state.positions.scan(prefix)):
        state.positions.delete(key)
        account_id = key.removeprefix(prefix)
        _move(state, outputs, account_id, symbol, PositionCause.DEPOSIT, row.quantity, time_ns)


def _put_aside(state: State, account_id: str, asset: str, change: int) -> None:
    key = f"{ASIDE}{asset}/{account_id}"
    before = state.positions.get(key) or _NOTHING
    state.positions.put(key, Position(Quantity(before.quantity + change)))


def _move(
    state: State,
    outputs: Outputs,
    account_id: str,
    symbol: str,
    cause: PositionCause,
    change: int,
    time_ns: TimeNs,
) -> None:
    instrument = state.instruments.get(symbol)
    key = pair_key(account_id, symbol)
    row = _moved(state.positions.get(key) or _NOTHING, change, instrument)
    state.positions.put(key, row)
    _report(outputs, account_id, symbol, row, cause, change, change, instrument, None, time_ns)


def settle(state: State, outputs: Outputs, session: SessionEvent, time_ns: TimeNs) -> None:
    """Settle every holding that is due on a market by its new business date; each date once, by the market's mark."""
    date = session.business_date
    settled_through = _settled_through(state, session.market)
    if settled_through is not None and date <= settled_through:
        return
    mark = PendingSettlement(date, Quantity(0), session.market)
    state.positions.put(f"{MARK}{session.market}", Position(pending=(mark,)))
    for key in _due_holdings(state).take(session.market, date):
        row = state.positions.get(key)
        assert row is not None, key
        _settle_row(state, outputs, key, row, session.market, date, time_ns)


def _due_holdings(state: State) -> DueHoldings:
    """Return what is to be settled when; the first time, all holdings are looked through for it."""
    due = state.due_holdings
    if due is None:
        due = state.due_holdings = DueHoldings()
        for key, row in state.positions.scan(""):
            if not key.startswith(MARK):
                for entry in row.pending:
                    due.add(entry.market, entry.settlement_date, key)
    return due


def _settled_through(state: State, market: str) -> dt.date | None:
    mark = state.positions.get(f"{MARK}{market}")
    return None if mark is None else mark.pending[0].settlement_date


def _settle_row(
    state: State, outputs: Outputs, key: str, row: Position, market: str, date: dt.date, time_ns: TimeNs
) -> None:
    """Settle what is due in one holding, an update for each settlement date."""
    account_id, _, symbol = key.partition("/")
    for entry in row.pending:
        if entry.market == market and entry.settlement_date <= date:
            row = Position(
                row.quantity,
                Quantity(row.settled_quantity + entry.quantity),
                row.cost,
                row.realised_pnl,
                row.market_price,
                tuple(other for other in row.pending if other is not entry),
                row.multiplier,
            )
            state.positions.put(key, row)
            instrument = state.instruments.get(symbol)
            _report(
                outputs,
                account_id,
                symbol,
                row,
                PositionCause.SETTLEMENT,
                0,
                entry.quantity,
                instrument,
                entry.settlement_date,
                time_ns,
            )


def _with_pending(
    pending: tuple[PendingSettlement, ...], due: dt.date, market: str, change: int
) -> tuple[PendingSettlement, ...]:
    """Add a change to what settles on its date; what nets to nothing needs no settlement."""
    others = pending
    for entry in pending:
        if entry.settlement_date == due and entry.market == market:
            change += entry.quantity
            others = tuple(other for other in pending if other is not entry)
    return (*others, PendingSettlement(due, Quantity(change), market)) if change else others


def _traded(before: Position, change: int, trade: Trade, pending: tuple[PendingSettlement, ...]) -> Position:
    """Fold a trade into a holding. Short holdings only come from orders that entered behind risk; the same rule holds."""
    held, cost, realised = before.quantity, before.cost, before.realised_pnl
    opened, unit = change, trade.price * trade.multiplier
    if held and (held > 0) is not (change > 0):
        closed = min(abs(change), abs(held)) if change > 0 else -min(abs(change), abs(held))
        taken = cost if closed == -held else cost * abs(closed) // abs(held)
        realised = saturated(realised - closed * unit - taken)
        cost = Cash(cost - taken)
        opened = change - closed
    return Position(
        Quantity(held + change),
        before.settled_quantity,
        saturated(cost + opened * unit),
        realised,
        trade.price,
        pending,
        trade.multiplier,
    )


def _moved(before: Position, change: int, instrument: Instrument | None) -> Position:
    """Fold a deposit, which comes in at the reference price, or a withdrawal, which takes its share of the cost."""
    multiplier = before.multiplier if instrument is None else instrument.multiplier
    reference = 0 if instrument is None else instrument.reference_price or 0
    if change > 0:
        cost = before.cost + change * reference * multiplier
    elif before.quantity + change > 0:
        cost = before.cost - before.cost * -change // before.quantity
    else:
        cost = 0
    return Position(
        Quantity(before.quantity + change),
        Quantity(before.settled_quantity + change),
        saturated(cost),
        before.realised_pnl,
        before.market_price,
        before.pending,
        multiplier,
    )


def _report_trade(
    outputs: Outputs,
    trade: Trade,
    row: Position,
    change: int,
    due: dt.date,
    held: bool,  # noqa: FBT001 - a fact of the trade
    time_ns: TimeNs,
) -> None:
    value = row.quantity * row.market_price * row.multiplier
    outputs.put(
        _POSITIONS,
        trade.account_id,
        PositionUpdated(
            outputs.next_id(),
            trade.account_id,
            trade.symbol,
            _TRADE,
            trade.trade_id,
            Quantity(change),
            row.quantity,
            row.settled_quantity,
            _average_price(row),
            row.realised_pnl,
            row.market_price,
            saturated(value),
            saturated(value - row.cost),
            Cash(-change * trade.price * trade.multiplier - trade.fee),
            trade.fee,
            trade.trade_date,
            due,
            time_ns,
            trade.side,
            trade.price,
            trade.currency,
            row.cost,
            trade.venue,
            Quantity(0),
            held,
            trade.multiplier,
        ),
    )


def _report(
    outputs: Outputs,
    account_id: str,
    symbol: str,
    row: Position,
    cause: PositionCause,
    quantity_delta: int,
    settled_delta: int,
    instrument: Instrument | None,
    due: dt.date | None,
    time_ns: TimeNs,
) -> None:
    value = row.quantity * row.market_price * row.multiplier
    outputs.put(
        _POSITIONS,
        account_id,
        PositionUpdated(
            outputs.next_id(),
            account_id,
            symbol,
            cause,
            None,
            Quantity(quantity_delta),
            row.quantity,
            row.settled_quantity,
            _average_price(row),
            row.realised_pnl,
            row.market_price,
            saturated(value),
            saturated(value - row.cost),
            Cash(0),
            Cash(0),
            None,
            due,
            time_ns,
            None,
            None,
            "EUR" if instrument is None else instrument.currency,
            row.cost,
            "" if instrument is None else instrument.market,
            Quantity(settled_delta),
            multiplier=row.multiplier,
        ),
    )


def _average_price(row: Position) -> Price:
    return Price(row.cost // (row.quantity * row.multiplier)) if row.quantity else Price(0)
