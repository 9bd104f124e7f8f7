"""A book's depth as the public sees it, built again from `book-updates` by whoever reads them.

Updates of a symbol are numbered without gaps, and carry the levels that changed. Now and then one is a snapshot of all
levels, from which a reader that comes late begins. Each says what the checksum of the book is after it. Where the instrument
asks for depth by order they carry the orders that changed too. What one message changed may be spread over several updates,
one after the other (`part` of `parts`): a reader takes them in together, once the last is there.
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
        """Number of the last update that is taken in; None before the first snapshot, and after a loss until the next."""
        self.phase = SessionKind.OPEN
        self.levels: dict[Side, dict[Price, tuple[Quantity, int]]] = {Side.BUY: {}, Side.SELL: {}}
        self._last: int | None = None
        """Number of the last update that has come."""
        self._parts: list[BookUpdate] = []
        """What has come of an update that is spread over several, while the last of them is missing."""

    def fold(self, update: BookUpdate) -> None:
        """Take in the next update of the symbol; one that is not above the last is a repeat, and changes nothing.

        Raises:
            OutOfStep: an update is missing, or the checksum is another; the depth waits for the next snapshot then.
        """
        if self._last is not None and update.sequence <= self._last:
            return
        if _begins(update):
            self._parts = []
        elif self._last is None:
            return
        elif update.sequence != self._last + 1:
            self._lose(f"update {update.sequence} follows {self._last}")
        self._last = update.sequence
        self._parts.append(update)
        if update.part + 1 == update.parts:
            parts, self._parts = self._parts, []
            self._take_in(parts)

    def _take_in(self, parts: list[BookUpdate]) -> None:
        """Take in all updates that tell what one message changed."""
        if _begins(parts[0]):
            self.levels = {Side.BUY: {}, Side.SELL: {}}
        for part in parts:
            for level in part.changes:
                levels = self.levels[level.side]
                if level.orders:
                    levels[level.price] = (level.quantity, level.orders)
                else:
                    levels.pop(level.price, None)
        last = parts[-1]
        self.sequence, self.phase = last.sequence, last.phase
        if self.checksum() != last.checksum:
            self._lose(f"update {last.sequence} has checksum {last.checksum}, its levels {self.checksum()}")

    def checksum(self) -> int:
        """Return the checksum of all levels."""
        every = ((side, price, *level) for side in Side for price, level in self.levels[side].items())
        return sum(level_checksum(*level) for level in every) & CHECKSUM_MASK

    def side(self, side: Side) -> list[tuple[Price, Quantity, int]]:
        """Return price, quantity and number of orders of each level of a side, the best first."""
        levels = self.levels[side]
        return [(price, *levels[price]) for price in sorted(levels, reverse=side is Side.BUY)]

    def _lose(self, why: str) -> None:
        self.sequence, self._last, self._parts = None, None, []
        raise OutOfStep(why)


def _begins(update: BookUpdate) -> bool:
    """Say whether a book is what this update, with its further parts, tells and nothing else."""
    return update.is_snapshot or update.sequence == 1


class OrderDepth(Depth):
    """The same, and the orders behind the levels, where the instrument has `depth_by_order`."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, BookOrder] = {}
        self.is_by_order = False
        """Whether the book tells of its orders. A snapshot without any says that it does not, or that there are none."""

    def _take_in(self, parts: list[BookUpdate]) -> None:
        """Take in the orders too, where the book tells of them.

        Raises:
            OutOfStep: as for the levels, or the orders do not add up to them; the depth waits for the next snapshot then.
        """
        super()._take_in(parts)
        if _begins(parts[0]):
            self.orders, self.is_by_order = {}, False
        for order in (order for part in parts for order in part.orders):
            self.is_by_order = True
            if order.action is BookOrderAction.DELETE:
                self.orders.pop(order.order_id, None)
            else:
                self.orders[order.order_id] = order
        if self.is_by_order and self._added_up() != self.levels:
            self._lose(f"the orders after update {self.sequence} do not add up to its levels")

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
