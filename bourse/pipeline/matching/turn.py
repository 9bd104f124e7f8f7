"""One message's turn at one book: keeps book and rows in step, words the events, and sums up what changed.

Decides nothing about the market; it is how the decisions of this room are written down.
"""

from typing import Final

from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.ids import pair_key
from bourse.pipeline.matching.book import Book
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    BookLevel,
    BookState,
    BookUpdate,
    OrderEvent,
    OrderStatus,
    Release,
    ReleaseReason,
    RestingOrder,
    Side,
)
from bourse.schemas.units import Price, Quantity, TimeNs

NOTHING: Final = Quantity(0)


def book_of(state: State, symbol: str) -> Book:
    """Return the book of a symbol, built again from its rows if it is not in memory."""
    book = state.order_books.get(symbol)
    if book is None:
        book = state.order_books[symbol] = Book()
        rows = [row for _, row in state.resting_orders.scan(pair_key(symbol, ""))]
        for row in sorted(rows, key=_sequence):
            book.rest(row)
    return book


def _sequence(order: RestingOrder) -> int:
    return order.sequence


class Turn:
    """What one message does to one book."""

    __slots__ = ("_remembered", "book", "cause", "memory", "outputs", "state", "symbol", "time_ns", "touched")

    def __init__(self, state: State, outputs: Outputs, cause: str, symbol: str, time_ns: TimeNs) -> None:
        self.state = state
        self.outputs = outputs
        self.cause = cause
        self.symbol = symbol
        self.time_ns = time_ns
        self.book = book_of(state, symbol)
        self.memory = self._remembered = state.books.get(symbol) or BookState()
        self.touched: dict[tuple[Side, Price], None] = {}  # a set that keeps its order

    def sequence(self) -> int:
        """Return the number of this turn, which an order that comes to rest takes as its place in time."""
        return self.memory.sequence + 1

    def rest(self, order: RestingOrder) -> None:
        """Add an order at the end of its price's queue."""
        self.book.rest(order)
        self._keep(order)

    def amend(self, order: RestingOrder) -> None:
        """Put a changed order in the place of the one with its id; whether its level changed is for the caller to say."""
        self.book.amend(order)
        self.state.resting_orders.put(pair_key(self.symbol, order.order_id), order)

    def remove(self, order: RestingOrder) -> None:
        """Take an order out of the book."""
        self.book.remove(order.order_id)
        self.lose(order)

    def filled(self, order: RestingOrder) -> None:
        """Write down a resting order that the book has just filled, in part or to the end."""
        if order.leaves_quantity:
            self._keep(order)
        else:
            self.lose(order)

    def _keep(self, order: RestingOrder) -> None:
        self.state.resting_orders.put(pair_key(self.symbol, order.order_id), order)
        self.touched[order.side, order.price] = None

    def lose(self, order: RestingOrder) -> None:
        """Forget the row of an order that has left the book."""
        self.state.resting_orders.delete(pair_key(self.symbol, order.order_id))
        self.touched[order.side, order.price] = None

    def tell(self, order: RestingOrder, status: OrderStatus, leaves: Quantity) -> None:
        """Publish a step in the life of an order."""
        outputs = self.outputs
        outputs.put(
            Topic.ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order.order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                status,
                None,
                None,
                order.order_quantity,
                order.cum_quantity,
                leaves,
                None,
                None,
                self.time_ns,
            ),
        )

    def refuse(
        self,
        order: ApprovedOrder,
        status: OrderStatus,
        refusal: Refusal,
        order_id: str,
        quantity: Quantity = NOTHING,
        target_order_id: str | None = None,
    ) -> None:
        """Publish that a message was refused."""
        outputs = self.outputs
        outputs.put(
            Topic.ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                status,
                refusal.reason,
                refusal.text,
                quantity,
                NOTHING,
                NOTHING,
                None,
                None,
                self.time_ns,
                target_order_id,
            ),
        )

    def release(
        self,
        order: RestingOrder | ApprovedOrder,
        side: Side,
        quantity: Quantity,
        reason: ReleaseReason,
    ) -> None:
        """Tell the account side that a quantity of an order will not trade any more."""
        outputs = self.outputs
        outputs.put(
            Topic.RELEASES,
            order.account_id,
            Release(
                outputs.next_id(),
                order.order_id,
                order.account_id,
                self.symbol,
                side,
                quantity,
                reason,
                self.time_ns,
            ),
        )

    def end(self, order: RestingOrder, status: OrderStatus, reason: ReleaseReason) -> None:
        """Take an order out of the book for good, and tell it and the account side."""
        self.remove(order)
        self.tell(order, status, NOTHING)
        self.release(order, order.side, order.leaves_quantity, reason)

    def finish(self) -> None:
        """Publish the levels that changed, check the book and write down what it remembers."""
        if self.touched:
            sequence = self.sequence()
            self._publish_levels(sequence)
            self.memory = BookState(sequence, self.memory.last_price, self.memory.business_date)
        if self.memory is not self._remembered:
            self.state.books.put(self.symbol, self.memory)

    def _publish_levels(self, sequence: int) -> None:
        book, outputs = self.book, self.outputs
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        if bid is not None and ask is not None and bid[0] >= ask[0]:
            message = f"the book of {self.symbol} is crossed: bid {bid[0]}, ask {ask[0]} after {self.cause}"
            raise InvariantBroken(message)
        bid_price, bid_quantity = bid or (None, None)
        ask_price, ask_quantity = ask or (None, None)
        outputs.put(
            Topic.BOOK_UPDATES,
            self.symbol,
            BookUpdate(
                outputs.next_id(),
                self.symbol,
                sequence,
                tuple([BookLevel(side, price, *book.level(side, price)) for side, price in self.touched]),
                bid_price,
                bid_quantity,
                ask_price,
                ask_quantity,
                self.time_ns,
            ),
        )
