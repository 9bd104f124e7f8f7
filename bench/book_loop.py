"""What drives the book in `bench book`; `make compiled` translates it, as it does what drives the book in a worker."""

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from bourse.pipeline.matching.book import Book
from bourse.schemas.records import RestingOrder, Side
from bourse.schemas.units import Quantity

BUY: Final = Side.BUY
SELL: Final = Side.SELL

Message: TypeAlias = tuple[str, RestingOrder]


class Event(Struct, frozen=True, gc=False):
    """An order that traded, as it was before, and what was filled of it; or one that rests, has left or is changed, and 0."""

    order: RestingOrder
    filled: int


def trade(book: Book, order: RestingOrder, events: list[Event]) -> RestingOrder:
    """Fill an order as far as it goes, and return what is left of it."""
    against = SELL if order.side is BUY else BUY
    limit, left = order.price, order.leaves_quantity
    while left and (maker := book.first_within(against, limit)) is not None:
        leaves = maker.leaves_quantity
        taken = leaves - maker.hidden_quantity
        if taken > left:  # noqa: PLR1730 - a call of min() would be a fifth of what is measured here
            taken = left
        if taken == leaves:
            book.remove(maker.order_id)
        else:
            book.fill(maker, Quantity(taken), 0)
        events.append(Event(maker, taken))
        left = Quantity(left - taken)
    if left == order.leaves_quantity:
        return order
    return replace(order, cum_quantity=order.order_quantity - left, leaves_quantity=left)


def run(book: Book, messages: list[Message]) -> list[Event]:
    """Apply the messages to the book; return what came of them."""
    events: list[Event] = []
    for kind, order in messages:
        if kind == "cancel":
            events.append(Event(book.remove(order.order_id), 0))
        elif kind == "reduce":
            book.amend(order)
            events.append(Event(order, 0))
        else:
            if kind == "move":
                book.remove(order.order_id)
            left = trade(book, order, events)
            if left.leaves_quantity and kind != "immediate":
                book.rest(left)
            events.append(Event(left, 0))
    return events


def by_id(orders: dict[str, RestingOrder], lookups: list[Message]) -> None:
    """Do with a dict alone what the book does by id."""
    for kind, order in lookups:
        if kind == "come":
            orders.setdefault(order.order_id, order)
        elif kind == "leave":
            orders.pop(order.order_id)
        else:
            orders.get(order.order_id)
