"""Forget, some time after their business date, the ids that only guard against repeats: a bounded number at a time.

Each new business date of a market begins a sweep through the table; each session event, clock ticks above all, takes it on by
`ROWS_AT_A_TIME`. So what is purged follows from the announcements alone, and no event costs more than another.
"""

import datetime as dt
from typing import Final, TypeVar

from bourse.pipeline.ids import pair_key
from bourse.pipeline.state import State, Table
from bourse.schemas.records import ClientOrder, Sweep, WalletRequest

KEPT: Final = dt.timedelta(days=30)
"""For how long after its business date a repeat of a finished request is recognised."""
ROWS_AT_A_TIME: Final = 500

R = TypeVar("R")

CLIENT_ORDERS: Final = "client_orders"
WALLET_REQUESTS: Final = "wallet_requests"


def purge_client_orders(state: State, date: dt.date) -> None:
    """Forget client order ids of finished orders and of refused requests; those of live orders stay, replaces included."""
    for key, row in _next_rows(state, CLIENT_ORDERS, state.client_orders, date):
        account_id, _, _ = key.partition("/")
        if _is_old(row, date) and state.holds.get(pair_key(account_id, row.order_id)) is None:
            state.client_orders.delete(key)


def purge_wallet_requests(state: State, date: dt.date) -> None:
    """Forget request ids of deposits and withdrawals."""
    for key, row in _next_rows(state, WALLET_REQUESTS, state.wallet_requests, date):
        if _is_old(row, date):
            state.wallet_requests.delete(key)


def _is_old(row: ClientOrder | WalletRequest, date: dt.date) -> bool:
    return date - row.business_day > KEPT


def _next_rows(state: State, name: str, table: Table[R], date: dt.date) -> list[tuple[str, R]]:
    """Return the rows that the sweep of a table comes to next, none once it is through."""
    sweep = state.sweeps.get(name)
    if sweep is None or (sweep.after is None and date > sweep.business_date):
        sweep = Sweep(date, "")
    if sweep.after is None:
        return []
    rows = table.page(sweep.after, ROWS_AT_A_TIME)
    after = rows[-1][0] if len(rows) == ROWS_AT_A_TIME else None
    state.sweeps.put(name, Sweep(sweep.business_date, after))
    return rows
