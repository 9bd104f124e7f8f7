"""Forget, some time after their business date, the ids that only guard against repeats: a bounded number at a time.

Each new business date of a market begins a sweep through the table; each session event, clock ticks above all, takes it on by
`ROWS_AT_A_TIME`. So what is purged follows from the announcements alone, and no event costs more than another.

A date may be typed wrong, and what is purged once may be done twice. So one event takes the date of a sweep on by no more
than `MOST_AT_ONCE` from that of the last one; and a date that is further back than anybody remembers shows that the last one was wrong.
"""

import datetime as dt
from typing import Final, TypeVar

from bourse.pipeline.ids import pair_key
from bourse.pipeline.state import State, Table
from bourse.schemas.records import ClientOrder, Sweep, WalletRequest

KEPT: Final = dt.timedelta(days=30)
"""For how long after its business date a repeat of a finished request is recognised."""
MOST_AT_ONCE: Final = dt.timedelta(days=7)
"""By how much one event takes the date of a sweep on; a market that was shut for longer takes some events to catch up."""
ROWS_AT_A_TIME: Final = 500

R = TypeVar("R")

CLIENT_ORDERS: Final = "client_orders"
WALLET_REQUESTS: Final = "wallet_requests"


def purge_client_orders(state: State, date: dt.date) -> None:
    """Forget client order ids of finished orders and of refused requests; those of live orders stay, replaces included."""
    believed, rows = _next_rows(state, CLIENT_ORDERS, state.client_orders, date)
    for key, row in rows:
        account_id, _, _ = key.partition("/")
        if _is_old(row, believed) and state.holds.get(pair_key(account_id, row.order_id)) is None:
            state.client_orders.delete(key)


def purge_wallet_requests(state: State, date: dt.date) -> None:
    """Forget request ids of deposits and withdrawals."""
    believed, rows = _next_rows(state, WALLET_REQUESTS, state.wallet_requests, date)
    for key, row in rows:
        if _is_old(row, believed):
            state.wallet_requests.delete(key)


def _is_old(row: ClientOrder | WalletRequest, date: dt.date) -> bool:
    return date - row.business_day > KEPT


def _next_rows(
    state: State, name: str, table: Table[R], date: dt.date
) -> tuple[dt.date, list[tuple[str, R]]]:
    """Return the date and the rows that the sweep of a table comes to next, no rows once it is through."""
    sweep = _begun(state.sweeps.get(name), date)
    if sweep.after is None:
        return sweep.business_date, []
    rows = table.page(sweep.after, ROWS_AT_A_TIME)
    after = rows[-1][0] if len(rows) == ROWS_AT_A_TIME else None
    state.sweeps.put(name, Sweep(sweep.business_date, after))
    return sweep.business_date, rows


def _begun(before: Sweep | None, date: dt.date) -> Sweep:
    """Return the sweep that goes on with an event of a date, which may be a new one."""
    if before is None or before.business_date - date > KEPT:
        return Sweep(date, "")
    if before.after is None and date > before.business_date:
        return Sweep(min(date, before.business_date + MOST_AT_ONCE), "")
    return before
