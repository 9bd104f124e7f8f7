"""Depth by order: what the public is told of single orders, where their instrument asks for it.

Decides what is shown of an order: its side and price, its place in time, and of an iceberg the displayed part alone. Refuses
to know who owns it, and what levels it makes.
"""

from collections.abc import Iterable, Mapping

from bourse.pipeline.matching.book import Book
from bourse.schemas.records import BookOrder, BookOrderAction, RestingOrder, Side
from bourse.schemas.units import Quantity


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


def _shown(order: RestingOrder, action: BookOrderAction) -> BookOrder:
    displayed = Quantity(order.leaves_quantity - order.hidden_quantity)
    return BookOrder(order.order_id, action, order.side, order.price, displayed, order.sequence)
