"""Call auctions: the price at which a crossed book trades at once.

The price of the highest volume; of several the one that leaves the least unfilled; of several, where they all leave it on
one side, the limit that serves this side worst; else the one nearest to the last price (before the first trade: to the
reference price). That is the order of criteria of Euronext's and Xetra's rule books: volume, surplus, market pressure,
reference price. A protective price only bounds a market order, and is no limit that somebody asked for. Hidden quantities
of icebergs count. Decides a price, and refuses to know who trades.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

from bourse.schemas.records import Side
from bourse.schemas.units import INT64_MAX, Price

ANY_PRICE: Final = {Side.BUY: Price(INT64_MAX), Side.SELL: Price(0)}
"""The prices at which orders rest that no price bounds."""


class Uncrossing(NamedTuple):
    """The price of an auction, what trades at it, and what is left over: above 0 bought, below 0 sold."""

    price: Price
    quantity: int
    surplus: int


class Totals(Protocol):
    """What a book tells of its levels."""

    def totals(self, side: Side) -> list[tuple[Price, int]]:
        """Return price and quantity of each level of a side, what icebergs hide included, the best first."""
        ...

    def has_limit(self, price: Price) -> bool:
        """Say whether an order with this limit rests."""
        ...


def uncrossing(book: Totals, reference: Price | None) -> Uncrossing | None:
    """Return where a book would uncross, or None if it is not crossed or nothing gives a price."""
    bids, asks = book.totals(Side.BUY), book.totals(Side.SELL)
    if not bids or not asks or bids[0][0] < asks[0][0]:
        return None
    best_bid, best_ask = bids[0][0], asks[0][0]
    limits = {price for price, _ in bids if price >= best_ask} | {
        price for price, _ in asks if price <= best_bid
    }
    candidates = sorted(limits - set(ANY_PRICE.values()))
    if not candidates:
        candidates = [] if reference is None else [reference]
    tied = _tied(_outcomes(candidates, bids, asks))
    if not tied:
        return None
    # The surplus falls as prices rise: these two say on which side all between them leave it.
    lowest, highest = tied[0], tied[-1]
    if highest.surplus > 0 or lowest.surplus < 0:
        limited = [outcome for outcome in tied if book.has_limit(outcome.price)]
        if limited:
            return limited[-1] if highest.surplus > 0 else limited[0]
    if reference is None:
        return highest if highest.surplus > 0 else lowest
    price = Price(min(max(reference, lowest.price), highest.price))
    return _outcomes([price], bids, asks)[0]


def _outcomes(
    prices: list[Price], bids: list[tuple[Price, int]], asks: list[tuple[Price, int]]
) -> list[Uncrossing]:
    """Return what each of the prices, lowest first, would bring."""
    demand = [*reversed(_within(list(reversed(prices)), bids, -1))]
    supply = _within(prices, asks, 1)
    return [
        Uncrossing(price, min(bought, sold), bought - sold)
        for price, bought, sold in zip(prices, demand, supply, strict=True)
    ]


def _within(prices: Sequence[Price], levels: list[tuple[Price, int]], sign: int) -> list[int]:
    """Return for each price, the most demanding first, how much of the levels, the best first, would trade at it."""
    sums = [0, *accumulate(quantity for _, quantity in levels)]
    found: list[int] = []
    reached = 0
    for price in prices:
        while reached < len(levels) and levels[reached][0] * sign <= price * sign:
            reached += 1
        found.append(sums[reached])
    return found


def _tied(outcomes: list[Uncrossing]) -> list[Uncrossing]:
    """Return the outcomes with the highest volume, and of those the ones that leave the least, lowest price first."""
    most = max((outcome.quantity for outcome in outcomes), default=0)
    least = min((abs(outcome.surplus) for outcome in outcomes if outcome.quantity == most), default=0)
    return [outcome for outcome in outcomes if outcome.quantity == most and abs(outcome.surplus) == least]
