"""What the market sees of a book: the levels, and where asked for the orders, that one message's turn has changed."""

from typing import Final, NamedTuple

from msgspec.structs import replace

from bourse.pipeline.depth import CHECKSUM_MASK, level_checksum
from bourse.pipeline.matching import by_order, parts
from bourse.pipeline.matching.auction import Uncrossing
from bourse.pipeline.matching.book import Book
from bourse.pipeline.money import saturated
from bourse.pipeline.outputs import Outputs, Topic
from bourse.schemas.records import BookLevel, BookOrder, BookUpdate, RestingOrder, SessionKind, Side
from bourse.schemas.units import Price, Quantity, TimeNs

BUY: Final = Side.BUY
SELL: Final = Side.SELL
_BOOK_UPDATES: Final = Topic.BOOK_UPDATES
_NOTHING: Final = Quantity(0)
SNAPSHOT_EVERY: Final = 1_000
"""Every update that has a multiple of this among its numbers is a snapshot."""


class Standing(NamedTuple):
    """When an update tells of a book, and how the book stands then, beside its orders."""

    time_ns: TimeNs
    phase: SessionKind
    paused_until_time_ns: TimeNs | None
    uncrossing: Uncrossing | None


class MarketData:
    """What changes of a book in one turn, and the update that tells of it. `is_full`: the update is to have everything."""

    __slots__ = ("_book", "_levels", "_orders", "is_full")

    def __init__(self, book: Book, *, by_order: bool) -> None:
        self.is_full = False
        self._book = book
        self._levels: dict[tuple[Side, Price], tuple[int, int]] = {}  # each as it was before
        self._orders: dict[str, RestingOrder | None] | None = {} if by_order else None

    def touch(self, order: RestingOrder) -> None:
        """Take note of the level of an order that is about to come, change or go, and of the order where it is shown."""
        side, price = key = (order.side, order.price)
        if key not in self._levels:
            self._levels[key] = self._book.level(side, price)
        if self._orders is not None and order.order_id not in self._orders:
            self._orders[order.order_id] = self._book.get(order.order_id)

    def show_orders(self, *, are_shown: bool) -> None:
        """Tell of each order from now on, or of levels alone."""
        self._orders = {} if are_shown else None
        self.is_full = True

    def changes(self, checksum: int) -> tuple[list[BookLevel], int]:
        """Return the levels that are not as they were, and what a checksum from before comes to."""
        changed: list[BookLevel] = []
        for (side, price), (quantity, orders) in self._levels.items():
            quantity_now, orders_now = self._book.level(side, price)
            if quantity_now != quantity or orders_now != orders:
                changed.append(BookLevel(side, price, Quantity(quantity_now), orders_now))
                checksum += level_checksum(side, price, quantity_now - quantity, orders_now - orders)
        return changed, checksum & CHECKSUM_MASK

    def orders(self) -> list[BookOrder]:
        """Return the orders that are not as they were, where orders are shown."""
        return [] if self._orders is None else by_order.changes(self._book, self._orders)

    def complete_if_due(self, sequence: int, levels: list[BookLevel], orders: list[BookOrder]) -> None:
        """Let an update that begins with this number have everything, if one of its numbers asks for that.

        A snapshot takes at least as many numbers as the changes, so that it has the one that asks for it.
        """
        is_long = len(levels) > parts.MOST or len(orders) > parts.MOST
        last = sequence + parts.count(levels, orders) - 1 if is_long else sequence
        if last // SNAPSHOT_EVERY != (sequence - 1) // SNAPSHOT_EVERY:
            self.is_full = True

    def publish(
        self,
        outputs: Outputs,
        symbol: str,
        sequence: int,
        levels: list[BookLevel],
        orders: list[BookOrder],
        checksum: int,
        standing: Standing,
    ) -> int:
        """Publish an update of this number, or several if much has changed; return the last one's number."""
        if self.is_full:
            levels = self._all_levels(levels)
            if self._orders is not None:
                orders = by_order.everything(self._book, orders)
        bid, ask, uncrossing = self._book.best(BUY), self._book.best(SELL), standing.uncrossing
        update = BookUpdate(
            outputs.next_id(),
            symbol,
            sequence,
            tuple(levels),
            None if bid is None else bid[0],
            None if bid is None else Quantity(bid[1]),
            None if ask is None else ask[0],
            None if ask is None else Quantity(ask[1]),
            standing.time_ns,
            self.is_full,
            checksum,
            standing.phase,
            None if uncrossing is None else uncrossing.price,
            _NOTHING if uncrossing is None else Quantity(saturated(uncrossing.quantity)),
            _NOTHING if uncrossing is None else Quantity(saturated(uncrossing.surplus)),
            standing.paused_until_time_ns,
            tuple(orders),
        )
        if len(levels) <= parts.MOST >= len(orders):
            outputs.put(_BOOK_UPDATES, symbol, update)
            return sequence
        for part in parts.spread(update, levels, orders):
            outputs.put(_BOOK_UPDATES, symbol, replace(part, event_id=outputs.next_id()))
            sequence = part.sequence
        return sequence

    def _all_levels(self, changes: list[BookLevel]) -> list[BookLevel]:
        """Return every level, and the changed ones that are gone, so that an update is right with or without the flag."""
        gone = [change for change in changes if not change.orders]
        return gone + [BookLevel(side, *level) for side in Side for level in self._book.depth(side)]
