"""The price of a call auction, by looking at every price that some order names.

The highest volume; of several the least left over; of several, if all leave it on one side, the highest limit (buyers are
left) or the lowest (sellers are left); else the one nearest to the last or reference price, which may lie between them.
What only protects market orders is no limit.
"""

from typing import NamedTuple

from bourse.audit.levels import Levels
from bourse.schemas.units import INT64_MAX


class Call(NamedTuple):
    """Where a book would uncross: the price, what trades at it, and what is left over (bought above 0, sold below)."""

    price: int
    volume: int
    surplus: int


def call_price(book: Levels, reference: int | None) -> Call | None:
    """Return where a book uncrosses, or None if it is not crossed or nothing gives a price."""
    best_bid, best_ask = book.bids.best(), book.asks.best()
    if best_bid is None or best_ask is None or best_bid < best_ask:
        return None
    bids, asks = book.bids.totals(), book.asks.totals()
    named = {price for price in (*bids, *asks) if best_ask <= price <= best_bid} - {0, INT64_MAX}
    if not named:
        return None if reference is None else _call(bids, asks, reference)
    calls = [_call(bids, asks, price) for price in sorted(named)]
    most = max(call.volume for call in calls)
    least = min(abs(call.surplus) for call in calls if call.volume == most)
    tied = [call for call in calls if (call.volume, abs(call.surplus)) == (most, least)]
    limited = [call for call in tied if book.bids.has_limit(call.price) or book.asks.has_limit(call.price)]
    buyers_are_left = all(call.surplus > 0 for call in tied)
    if limited and (buyers_are_left or all(call.surplus < 0 for call in tied)):
        return limited[-1 if buyers_are_left else 0]
    if reference is None:
        return tied[-1 if buyers_are_left else 0]
    return _call(bids, asks, min(max(reference, tied[0].price), tied[-1].price))


def _call(bids: dict[int, int], asks: dict[int, int], price: int) -> Call:
    bought = sum(quantity for limit, quantity in bids.items() if limit >= price)
    sold = sum(quantity for limit, quantity in asks.items() if limit <= price)
    return Call(price, min(bought, sold), bought - sold)
