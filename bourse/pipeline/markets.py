"""Where a market or one of its instruments stands. Decides how phases and halts are looked up; changes nothing.

Rows are kept by market, and by `market/symbol` where a session event named a symbol. The symbol's own row comes first.
"""

import datetime as dt

from bourse.pipeline.ids import pair_key
from bourse.pipeline.state import State
from bourse.schemas.records import SessionKind


def phase_of(state: State, market: str, symbol: str) -> SessionKind:
    """Return the phase that an instrument is in; a market with no session event yet is OPEN."""
    row = state.markets.get(pair_key(market, symbol)) or state.markets.get(market)
    return SessionKind.OPEN if row is None else row.phase


def business_date(state: State, market: str) -> dt.date | None:
    """Return the business date of a market, or None before its first order and session event."""
    row = state.markets.get(market)
    return None if row is None else row.business_date
