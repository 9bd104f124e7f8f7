"""Stops: they wait until a trade reaches their price, and enter the book as market or limit orders then.

A stop that is set off trades before the next message is looked at, and may set off others. Each does so once, so that a
cascade ends; trades of one message cannot leave its band, so that it does not run away.
"""

from msgspec.structs import replace

from bourse.pipeline.matching.entry import enter_triggered
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.matching.waiting import trailed
from bourse.schemas.records import OrderStatus, OrderType, RestingOrder


def wait_for_price(turn: Turn, stop: RestingOrder) -> None:
    """Let a stop wait; a trailing one begins at its distance from the last price."""
    reference = turn.reference_price()
    if stop.order_type is OrderType.TRAILING_STOP and stop.stop_price is None and reference is not None:
        stop = trailed(stop, reference)
    turn.wait(stop)


def set_off(turn: Turn) -> None:
    """Set off the stops that the last price has reached."""
    if turn.last_price is not None and turn.is_trading():
        turn.elect(turn.book.waiting.set_off(turn.last_price))


def fire(turn: Turn) -> None:
    """Let the stops that were set off trade, one after the other; where nothing may trade now they wait on."""
    waiting = turn.book.waiting
    while turn.elected:
        stop = waiting.get(turn.elected.popleft())
        if stop is None:
            continue  # cancelled by an order of its group that was filled meanwhile, or set off twice
        if not turn.is_trading():
            waiting.add(stop)
            continue
        turn.remove(stop)
        is_limited = stop.order_type is OrderType.STOP_LIMIT
        order = replace(
            stop,
            order_type=OrderType.LIMIT if is_limited else OrderType.MARKET,
            stop_price=None,
            trail_amount=None,
        )
        turn.reports.tell(order, OrderStatus.TRIGGERED, order.leaves_quantity)
        enter_triggered(turn, order)
