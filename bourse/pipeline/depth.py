"""A book's depth as the public sees it, built again from `book-updates` by whoever reads them.

Updates of a symbol are numbered without gaps, and carry the levels that changed. Now and then one is a snapshot of all
levels, from which a reader that comes late begins. Each says what the checksum of the book is after it. Where the instrument
asks for depth by order they carry the orders that changed too.
"""

from typing import Final

from bourse.schemas.records import BookOrder, BookOrderAction, BookUpdate, SessionKind, Side
from bourse.schemas.units import Price, Quantity

CHECKSUM_MASK = 2**32 - 1
_SELL: Final = Side.SELL


class OutOfStep(Exception):  # noqa: N818 - says what the reader is
    """An update does not follow the one before, or the levels are not those that it speaks of: wait for a snapshot."""


def level_checksum(side: Side, price: Price, quantity: int, orders: int) -> int:
    """Return what a level adds to the checksum of its book; a level without orders adds nothing.

    Twice the price, one more for asks, times (31 x quantity + orders): told apart by price, and cheap to move, as so much
    more quantity and so many more orders add what a level with these adds.
    """
    return (2 * price + (side is _SELL)) * (31 * quantity + orders)


class Depth:
    """The levels of one symbol's book: quantity and number of orders by price, for each side."""

    def __init__(self) -> None:
        self.sequence: int | None = None
        """Number of the last update; None before a reader that came late has met its first snapshot."""
        self.phase = SessionKind.OPEN
        self.levels: dict[Side, dict[Price, tuple[Quantity, int]]] = {Side.BUY: {}, Side.SELL: {}}

    def fold(self, update: BookUpdate) -> None:
        """Take in the next update of the symbol.

        Raises:
            OutOfStep: an update is missing, or the checksum is another; the depth waits for the next snapshot then.
        """
        if update.is_snapshot or update.sequence == 1:
            self.levels = {Side.BUY: {}, Side.SELL: {}}
        elif self.sequence is None:
            return
        elif update.sequence != self.sequence + 1:
            self._lose(f"update {update.sequence} follows {self.sequence}")
        for level in update.changes:
            levels = self.levels[level.side]
            if level.orders:
                levels[level.price] = (level.quantity, level.orders)
            else:
                levels.pop(level.price, None)
        self.sequence, self.phase = update.sequence, update.phase
        if self.checksum() != update.checksum:
            self._lose(
                f"update {update.sequence} has checksum {update.checksum}, its levels {self.checksum()}"
            )

    def checksum(self) -> int:
        """Return the checksum of all levels."""
        every = ((side, price, *level) for side in Side for price, level in self.levels[side].items())
        return sum(level_checksum(*level) for level in every) & CHECKSUM_MASK

    def side(self, side: Side) -> list[tuple[Price, Quantity, int]]:
        """Return price, quantity and number of orders of each level of a side, the best first."""
        levels = self.levels[side]
        return [(price, *levels[price]) for price in sorted(levels, reverse=side is Side.BUY)]

    def _lose(self, why: str) -> None:
        self.sequence = None
        raise OutOfStep(why)


class OrderDepth(Depth):
    """The same, and the orders behind the levels, where the instrument has `depth_by_order`."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, BookOrder] = {}

    def fold(self, update: BookUpdate) -> None:
        """Take in the next update of the symbol.

        Raises:
            OutOfStep: as for the levels, or the orders do not add up to them; the depth waits for the next snapshot then.
        """
        super().fold(update)
        if self.sequence is None:
            return
        if update.is_snapshot or update.sequence == 1:
            self.orders = {}
        for order in update.orders:
            if order.action is BookOrderAction.DELETE:
                self.orders.pop(order.order_id, None)
            else:
                self.orders[order.order_id] = order
        # Orders that are spread over several updates are all there with the last of these.
        if update.part + 1 == update.parts and self._added_up() != self.levels:
            self._lose(f"the orders after update {update.sequence} do not add up to its levels")

    def queue(self, side: Side) -> list[tuple[Price, str, Quantity]]:
        """Return price, order and displayed quantity of every order of a side, as they would trade."""
        sign = -1 if side is Side.BUY else 1
        own = (order for order in self.orders.values() if order.side is side)
        return [
            (order.price, order.order_id, order.quantity)
            for order in sorted(own, key=lambda order: (sign * order.price, order.place))
        ]

    def _added_up(self) -> dict[Side, dict[Price, tuple[Quantity, int]]]:
        levels: dict[Side, dict[Price, tuple[Quantity, int]]] = {Side.BUY: {}, Side.SELL: {}}
        for order in self.orders.values():
            quantity, orders = levels[order.side].get(order.price, (0, 0))
            levels[order.side][order.price] = (Quantity(quantity + order.quantity), orders + 1)
        return levels
