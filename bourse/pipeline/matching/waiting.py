"""Orders that wait to enter the book: stops until a trade reaches their price, at-close orders until the auction.

Decides which stops a trade sets off and in which order, and how trailing stops follow the market. Stops that one trade
sets off go by their stop prices, first those that the price reached first, and then by time; where buys and sells are
set off at once, the older of the two that are first goes first.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.matching.ranked import Ranked
from bourse.pipeline.money import saturated
from bourse.schemas.records import RestingOrder, Side
from bourse.schemas.units import INT64_MAX, Price

# A rising price sets off buys, the lowest stop first, and drags sells along; a falling one the other way round.
_SIGN: Final = {Side.BUY: 1, Side.SELL: -1}


def older_first(buys: Iterable[RestingOrder], sells: Iterable[RestingOrder]) -> list[RestingOrder]:
    """Merge the stops that one trade sets off; buys and sells keep their own order."""
    merged: list[RestingOrder] = []
    one, other = iter(buys), iter(sells)
    buy, sell = next(one, None), next(other, None)
    while buy is not None and sell is not None:
        if buy.sequence < sell.sequence:
            merged.append(buy)
            buy = next(one, None)
        else:
            merged.append(sell)
            sell = next(other, None)
    left = [order for order in (buy, sell) if order is not None]
    return [*merged, *left, *one, *other]


def trailed(order: RestingOrder, price: Price) -> RestingOrder:
    """Return a trailing stop after a trade: its stop keeps its distance, and never moves away from the market."""
    assert order.trail_amount is not None, order
    sign = _SIGN[order.side]
    stop = Price(saturated(price + sign * order.trail_amount))
    if order.stop_price is not None and stop * sign >= order.stop_price * sign:
        return order
    return replace(order, stop_price=stop)


class Waiting:
    """Waiting orders by id; stops by stop price, trailing stops also by the best price that they have seen."""

    __slots__ = ("_orders", "_stops", "_trails")

    def __init__(self) -> None:
        self._orders: dict[str, RestingOrder] = {}
        self._stops = {Side.BUY: Ranked(), Side.SELL: Ranked()}
        self._trails = {Side.BUY: Ranked(), Side.SELL: Ranked()}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[RestingOrder]:
        return iter(self._orders.values())

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the waiting order with this id, or None."""
        return self._orders.get(order_id)

    def add(self, order: RestingOrder) -> None:
        """Add an order, or put a changed one in the place of that with its id."""
        order_id, side, place = order.order_id, order.side, order.sequence
        self._orders[order_id] = order
        if order.stop_price is not None:
            self._stops[side].put(order_id, order.stop_price * _SIGN[side], place)
        if order.trail_amount is not None:
            self._trails[side].put(order_id, _seen(order), place)

    def remove(self, order_id: str) -> RestingOrder:
        """Take out an order and return it; KeyError if it does not wait here."""
        order = self._orders.pop(order_id)
        self._stops[order.side].drop(order_id)
        self._trails[order.side].drop(order_id)
        return order

    def set_off(self, price: Price) -> list[RestingOrder]:
        """Return the stops that a trade at this price sets off, in their order.

        They wait on, and are told of once: `add` those again that do not enter the book.
        """
        buys, sells = (
            [self._orders[order_id] for order_id in self._stops[side].take(price * _SIGN[side])]
            for side in (Side.BUY, Side.SELL)
        )
        return older_first(buys, sells)

    def follow(self, price: Price) -> list[RestingOrder]:
        """Let the trailing stops follow a trade, and return those that moved."""
        moved: list[RestingOrder] = []
        for side in (Side.BUY, Side.SELL):
            for order_id in self._trails[side].take(-price * _SIGN[side] - 1):
                order = trailed(self._orders[order_id], price)
                self.add(order)
                moved.append(order)
        return moved


def _seen(order: RestingOrder) -> int:
    """Return the rank of the best price that a trailing stop has seen; one that has seen none follows any."""
    assert order.trail_amount is not None, order
    if order.stop_price is None:
        return -INT64_MAX
    return order.trail_amount - order.stop_price * _SIGN[order.side]
