"""Depth by order: what the public is told of single orders, where their instrument asks for it.

Decides what is shown of an order: its side and price, its place in time, and of an iceberg the displayed part alone. Refuses
to know who owns it, and what levels it makes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.matching.book import Book
from bourse.schemas.records import BookOrder, BookOrderAction, BookUpdate, RestingOrder, Side
from bourse.schemas.units import Quantity

ORDERS_PER_UPDATE: Final = 5_000
"""The most orders in one update, which keeps it well below what Kafka takes; more are spread over several."""


def changes(book: Book, before: Mapping[str, RestingOrder | None]) -> list[BookOrder]:
    """Return the orders that are not shown as they were, as they are now; `before` has each that was touched."""
    found: list[BookOrder] = []
    for order_id, was in before.items():
        now = book.get(order_id)
        if now is None:
            if was is not None:
                gone = BookOrder(
                    order_id, BookOrderAction.DELETE, was.side, was.price, Quantity(0), was.sequence
                )
                found.append(gone)
        elif was is None:
            found.append(_shown(now, BookOrderAction.ADD))
        elif _shown(was, BookOrderAction.MODIFY) != (shown := _shown(now, BookOrderAction.MODIFY)):
            found.append(shown)
    return found


def everything(book: Book, changed: Iterable[BookOrder]) -> list[BookOrder]:
    """Return every order as it is shown, in order of execution, and those of the changed ones that are gone."""
    gone = [order for order in changed if order.action is BookOrderAction.DELETE]
    return gone + [_shown(order, BookOrderAction.ADD) for side in Side for order in book.in_line(side)]


def spread(update: BookUpdate, orders: Sequence[BookOrder]) -> Iterator[BookUpdate]:
    """Yield an update with its orders, and further ones for what is more than one takes, each with its own number."""
    parts = -(-len(orders) // ORDERS_PER_UPDATE)
    for part in range(parts):
        portion = tuple(orders[part * ORDERS_PER_UPDATE : (part + 1) * ORDERS_PER_UPDATE])
        if part == 0:
            yield replace(update, orders=portion, parts=parts)
        else:
            yield replace(
                update,
                sequence=update.sequence + part,
                changes=(),
                is_snapshot=False,
                orders=portion,
                part=part,
                parts=parts,
            )


def _shown(order: RestingOrder, action: BookOrderAction) -> BookOrder:
    displayed = Quantity(order.leaves_quantity - order.hidden_quantity)
    return BookOrder(order.order_id, action, order.side, order.price, displayed, order.sequence)
