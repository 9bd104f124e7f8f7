"""Uncross a book at one price, in price-time priority on both sides.

Where self-trade prevention or a group takes orders away on the way, what is left may still be crossed, and is uncrossed
again at its own price: the book is not crossed when this is done.
"""

from bourse.pipeline.matching.auction import uncrossing
from bourse.pipeline.matching.execution import publish
from bourse.pipeline.matching.prevention import (
    are_siblings,
    cancel_siblings,
    end_sibling,
    is_prevented,
    prevent_resting,
)
from bourse.pipeline.matching.turn import Turn
from bourse.schemas.records import RestingOrder, Side
from bourse.schemas.units import Price, Quantity


def uncross(turn: Turn) -> None:
    """Trade what can trade at the auction price; of two orders the newer one counts as the taker."""
    while (found := uncrossing(turn.book, turn.reference_price())) is not None:
        while (pair := _next_pair(turn, found.price)) is not None:
            _meet(turn, *pair, found.price)
        turn.reset_band()


def _next_pair(turn: Turn, price: Price) -> tuple[RestingOrder, RestingOrder] | None:
    buy, sell = turn.book.first(Side.BUY), turn.book.first(Side.SELL)
    if buy is None or sell is None or buy.price < price or sell.price > price:
        return None
    return (buy, sell) if buy.sequence > sell.sequence else (sell, buy)


def _meet(turn: Turn, newest: RestingOrder, oldest: RestingOrder, price: Price) -> None:
    # Nobody is the aggressor here, so that either may have asked for it; where both did, the newer one decides.
    for asking, other in ((newest, oldest), (oldest, newest)):
        if is_prevented(asking, other):
            prevent_resting(turn, asking, other)
            return
    if are_siblings(newest, oldest):
        end_sibling(turn, oldest)
        return
    quantity = Quantity(min(newest.leaves_quantity, oldest.leaves_quantity))
    # An iceberg takes part with all that it hides, in its place: how the other side is divided makes no difference.
    turn.fill(newest, quantity, keeps_place=True)
    turn.fill(oldest, quantity, keeps_place=True)
    publish(turn, newest, oldest, price, quantity, auction=True)
    for order in (oldest, newest):
        if order.oco_group is not None:
            cancel_siblings(turn, order)
