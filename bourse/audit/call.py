"""The price of a call auction, by looking at every price that some order names.

Of the limits the one of the highest volume; of several the least left over; of several, if all leave it on one side, the highest (buyers are
left) or the lowest (sellers are left); else what is nearest to the last or reference price, which may lie between them.
What only protects market orders is no limit: where more trades within it than at any limit, the last or reference price counts alone.
"""

from typing import NamedTuple

from bourse.audit.levels import Levels


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
    calls = [_call(bids, asks, price) for price in sorted({*bids, *asks}) if best_ask <= price <= best_bid]
    most = max(call.volume for call in calls)
    limits = [call for call in calls if book.bids.has_limit(call.price) or book.asks.has_limit(call.price)]
    if reference is not None and all(call.volume < most for call in limits):
        within = [call.price for call in calls if call.volume == most]
        return _call(bids, asks, min(max(reference, within[0]), within[-1]))
    if not limits:
        return None
    least = min((-call.volume, abs(call.surplus)) for call in limits)
    tied = [call for call in limits if (-call.volume, abs(call.surplus)) == least]
    if all(call.surplus > 0 for call in tied):
        return tied[-1]
    if reference is None or all(call.surplus < 0 for call in tied):
        return tied[0]
    return _call(bids, asks, min(max(reference, tied[0].price), tied[-1].price))


def _call(bids: dict[int, int], asks: dict[int, int], price: int) -> Call:
    bought = sum(quantity for limit, quantity in bids.items() if limit >= price)
    sold = sum(quantity for limit, quantity in asks.items() if limit <= price)
    return Call(price, min(bought, sold), bought - sold)
