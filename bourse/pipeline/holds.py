"""What a live order must reserve. Decides the amount, whatever the book may have answered meanwhile; moves no balance.

An order's prices and totals change by replaces, which the account side asks for and the book answers later, while fills
and releases come home on two topics in any order. A hold therefore remembers every state that the order may be in, in
the book's order, as steps (total, price):

1. the states that are over, as one step, while fills from them are still on the way (`earlier_*`);
2. the state that the book has last confirmed (`order_quantity`, `price`);
3. each replace that it has not answered yet (`pending`).

The book walks through the steps from first to last, may skip any (a rejected replace), and fills up to a step's total
at no worse than its price; a replace without a price leaves the order the one that it has. What can still be spent is the dearest such walk, and that is what stays reserved.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from bourse.pipeline.money import with_fee
from bourse.schemas.records import Hold, Side
from bourse.schemas.units import Price

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_SELL: Final = Side.SELL
_BUY: Final = Side.BUY

Step: TypeAlias = tuple[int, int]
"""Total quantity and price of a state that the order may be in."""

NO_PRICE: Final = Price(0)
"""The price of a replace that names none, so that the order keeps its own, whichever that is when the book comes to it."""
MAX_PENDING_REPLACES: Final = 32
"""Replaces that may wait for the book's answer at a time: the dearest walk costs the square of their number."""


def reserve(hold: Hold) -> int:
    """Return what the order can still cost: cash with fees for a buy, shares for a sell."""
    if not hold.pending and hold.earlier_quantity <= hold.cum_quantity:
        remaining = max(0, hold.order_quantity - hold.cum_quantity)
        if hold.side is _SELL:
            return remaining
        return with_fee(remaining * hold.price * hold.multiplier, hold.fee_bps)
    if hold.side is _BUY:
        return with_fee(dearest_walk(hold.cum_quantity, _steps(hold)) * hold.multiplier, hold.fee_bps)
    return open_quantity(hold)


def is_over(hold: Hold) -> bool:
    """Say whether nothing can come home for the order any more."""
    return hold.cum_quantity == hold.order_quantity and not hold.pending


def open_quantity(hold: Hold) -> int:
    """Return what the order can still fill at most, whatever the book answers to its replaces."""
    return max(0, max(total for total, _ in _steps(hold)) - hold.cum_quantity)


def last_price(hold: Hold) -> int:
    """Return the price that the order has after all replaces that were asked for, the dearest that it may be."""
    return _asked(hold)[-1][1] if hold.pending else hold.price


def highest_price(hold: Hold) -> int:
    """Return the dearest price of all that the order has or was asked to have."""
    return max([hold.price, *(replace.price for replace in hold.pending)])


def dearest_price_so_far(hold: Hold) -> int:
    """Return the highest price of a fill that is still on the way from the states that the book has confirmed."""
    on_the_way = hold.earlier_quantity > hold.cum_quantity
    return max(hold.price, hold.earlier_price) if on_the_way else hold.price


def _steps(hold: Hold) -> list[Step]:
    return [
        (hold.earlier_quantity, hold.earlier_price),
        (hold.order_quantity, hold.price),
        *_asked(hold),
    ]


def _asked(hold: Hold) -> list[Step]:
    """Return the replaces as steps. One that names no price finds the order at that of any state before it: the dearest counts.

    That is no more than some walk can cost: whoever skips the steps in between comes to it at that price.
    """
    steps: list[Step] = []
    dearest = hold.price
    for asked in hold.pending:
        steps.append((asked.order_quantity, asked.price or dearest))
        dearest = max(dearest, asked.price)
    return steps


def dearest_walk(cum: int, steps: Sequence[Step]) -> int:
    """Return the most that fills can cost from `cum` on, walking through the steps in order and skipping any.

    Filling a step either not at all or up to its total is enough to look at: the cost is convex in between.
    """
    dearest = dict.fromkeys((cum, *(total for total, _ in steps if total > cum)), 0)
    for total, price in reversed(steps):
        if total > cum:
            beyond = dearest[total]
            for start, cost in dearest.items():
                if start < total:
                    dearest[start] = max(cost, (total - start) * price + beyond)
    return dearest[cum]
