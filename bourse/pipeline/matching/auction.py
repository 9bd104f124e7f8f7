"""Call auctions: the price at which a crossed book trades at once.

Of the limits of orders, the one of the highest volume; of several the one that leaves the least unfilled; of several, where
they all leave it on one side, the one that serves this side worst; else the price between them that is nearest to the last price
(before the first trade: to the reference price). That is the order of criteria of Euronext's and Xetra's rule books: volume,
surplus, market pressure, reference price. A protective price only bounds a market order, and is no limit that somebody asked
for: where no limit brings the highest volume, the price is the one nearest to the last price that does. Hidden
quantities of icebergs count. Decides a price, and refuses to know who trades.
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
        """Say whether an order with this limit rests, and not only market orders that it protects."""
        ...


def uncrossing(book: Totals, reference: Price | None) -> Uncrossing | None:
    """Return where a book would uncross, or None if it is not crossed or nothing gives a price."""
    bids, asks = book.totals(Side.BUY), book.totals(Side.SELL)
    if not bids or not asks or bids[0][0] < asks[0][0]:
        return None
    best_bid, best_ask = bids[0][0], asks[0][0]
    named = sorted(
        {price for price, _ in bids if price >= best_ask} | {price for price, _ in asks if price <= best_bid}
    )
    outcomes = _outcomes(named, bids, asks)
    widest = _of_most(outcomes)
    tied = _best_limits(book, widest)
    if not tied and reference is not None:
        return _nearest(reference, widest, bids, asks)
    tied = tied or _best_limits(book, outcomes)
    if not tied:
        return None
    # The surplus falls as prices rise: these two say on which side all between them leave it.
    lowest, highest = tied[0], tied[-1]
    if highest.surplus > 0:
        return highest
    if lowest.surplus < 0 or reference is None:
        return lowest
    return _nearest(reference, tied, bids, asks)


def _nearest(
    reference: Price,
    outcomes: list[Uncrossing],
    bids: list[tuple[Price, int]],
    asks: list[tuple[Price, int]],
) -> Uncrossing:
    """Return what the price nearest to a reference brings, of all between the first and the last of the outcomes."""
    price = Price(min(max(reference, outcomes[0].price), outcomes[-1].price))
    return _outcomes([price], bids, asks)[0]


def _of_most(outcomes: list[Uncrossing]) -> list[Uncrossing]:
    """Return the outcomes with the highest volume."""
    most = max((outcome.quantity for outcome in outcomes), default=0)
    return [outcome for outcome in outcomes if outcome.quantity == most]


def _best_limits(book: Totals, outcomes: list[Uncrossing]) -> list[Uncrossing]:
    """Return the outcomes at limits that have the highest volume and leave the least unfilled, lowest price first."""
    limits = _of_most([outcome for outcome in outcomes if book.has_limit(outcome.price)])
    least = min((abs(outcome.surplus) for outcome in limits), default=0)
    return [outcome for outcome in limits if abs(outcome.surplus) == least]


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
