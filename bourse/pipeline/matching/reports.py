"""What a message's turn at a book tells of orders: their steps, what was refused, and what will not trade any more."""

from typing import Final

from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Refusal
from bourse.schemas.records import (
    ApprovedOrder,
    OrderEvent,
    OrderStatus,
    Release,
    ReleaseReason,
    RestingOrder,
    Side,
)
from bourse.schemas.units import Price, Quantity, TimeNs

# A member that is asked for with every order is looked up once: through its class it costs 0.1 us (CPython 3.11).
_ORDER_EVENTS: Final = Topic.ORDER_EVENTS
_RELEASES: Final = Topic.RELEASES
_FILLED: Final = OrderStatus.FILLED
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
NOTHING: Final = Quantity(0)


class Reports:
    """Words the events of one symbol's orders at one time."""

    __slots__ = ("outputs", "symbol", "time_ns")

    def __init__(self, outputs: Outputs, symbol: str, time_ns: TimeNs) -> None:
        self.outputs = outputs
        self.symbol = symbol
        self.time_ns = time_ns

    def tell(
        self, order: RestingOrder, status: OrderStatus, leaves: Quantity, refusal: Refusal | None = None
    ) -> None:
        """Publish a step in the life of an order."""
        outputs = self.outputs
        reason, text = (None, None) if refusal is None else refusal
        outputs.put(
            _ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order.order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                status,
                reason,
                text,
                order.order_quantity,
                order.cum_quantity,
                leaves,
                None,
                None,
                self.time_ns,
            ),
        )

    def fill(self, order: RestingOrder, price: Price, quantity: Quantity) -> None:
        """Publish that an order trades; it is as it was before."""
        outputs, leaves = self.outputs, order.leaves_quantity - quantity
        outputs.put(
            _ORDER_EVENTS,
            order.account_id,
            OrderEvent(
                outputs.next_id(),
                order.order_id,
                order.client_order_id,
                order.account_id,
                self.symbol,
                _PARTIALLY_FILLED if leaves else _FILLED,
                None,
                None,
                order.order_quantity,
                Quantity(order.cum_quantity + quantity),
                Quantity(leaves),
                price,
                quantity,
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
            _ORDER_EVENTS,
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
        self, order: RestingOrder | ApprovedOrder, side: Side, quantity: Quantity, reason: ReleaseReason
    ) -> None:
        """Tell the account side that a quantity of an order will not trade any more."""
        outputs = self.outputs
        outputs.put(
            _RELEASES,
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

    def lapse(
        self, order: RestingOrder, status: OrderStatus, reason: ReleaseReason, refusal: Refusal | None = None
    ) -> None:
        """Tell that what is left of an order will not trade any more; it is in the book no more, or never was."""
        self.tell(order, status, NOTHING, refusal)
        self.release(order, order.side, order.leaves_quantity, reason)
