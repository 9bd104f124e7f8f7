"""What waits to enter a naive book: stops until a trade reaches their price, at-close orders until their auction."""

from collections.abc import Set as AbstractSet
from copy import copy
from typing import Final

from bourse.audit.levels import Live
from bourse.schemas.records import OrderType, Side

STOPS: Final = frozenset((OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP))


class Waiting(dict[str, Live]):
    """Waiting orders by id."""

    def copied(self) -> "Waiting":
        """Return the same, with orders of its own."""
        return Waiting((order_id, copy(order)) for order_id, order in self.items())

    def reached(self, price: int, gone: AbstractSet[str]) -> list[Live]:
        """Return the stops that a price has reached, in the order in which they go; of those that wait in truth.

        Of one side the stop price that the market reached first, then the oldest; of both sides the older of the two that
        are first.
        """
        waiting = [order for order in self.values() if order.order_id not in gone]
        buys = [order for order in waiting if order.side is Side.BUY and _is_reached(order, price)]
        sells = [order for order in waiting if order.side is Side.SELL and _is_reached(order, price)]
        buys.sort(key=lambda order: (order.stop or 0, order.place))
        sells.sort(key=lambda order: (-(order.stop or 0), order.place))
        reached: list[Live] = []
        while buys and sells:
            reached.append((buys if buys[0].place < sells[0].place else sells).pop(0))
        return reached + buys + sells

    def trail(self, price: int) -> None:
        """Let trailing stops follow a trade."""
        for order in self.values():
            if order.trail is not None:
                follow(order, price)


def _is_reached(order: Live, price: int) -> bool:
    if order.stop is None or order.kind not in STOPS:
        return False
    return price >= order.stop if order.side is Side.BUY else price <= order.stop


def follow(order: Live, price: int) -> None:
    """Let a trailing stop keep its distance from a price; it never moves away from the market."""
    assert order.trail is not None
    if order.side is Side.BUY:
        stop = price + order.trail
        order.stop = stop if order.stop is None else min(order.stop, stop)
    else:
        stop = price - order.trail
        order.stop = stop if order.stop is None else max(order.stop, stop)


def keep_distance(order: Live, trail: int) -> None:
    """Give a trailing stop another distance; its stop price moves with it."""
    if order.trail is not None and order.stop is not None:
        further = trail - order.trail
        order.stop += further if order.side is Side.BUY else -further
    order.trail = trail
