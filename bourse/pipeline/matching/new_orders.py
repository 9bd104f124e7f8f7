"""A new order: trade it as far as it goes, and let the rest of it rest or lapse."""

from bourse.pipeline.ids import shortened
from bourse.pipeline.matching.admission import admit
from bourse.pipeline.matching.execution import execute, trade_date_of
from bourse.pipeline.matching.turn import NOTHING, Turn
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import ApprovedOrder, OrderStatus, ReleaseReason, RestingOrder, TimeInForce
from bourse.schemas.units import Quantity


def enter(turn: Turn, order: ApprovedOrder) -> None:
    """Let a new order trade and rest, or reject it."""
    if turn.book.get(order.order_id) is not None:
        _reject_repeat(turn, order)
        return
    entering = admit(turn, order)
    if isinstance(entering, Refusal):
        _reject(turn, order, entering)
        return
    left = execute(turn, entering, trade_date_of(turn, order, order.market))
    if not left.leaves_quantity:
        return
    if left.time_in_force is TimeInForce.IOC:
        _lapse(turn, left)
        return
    turn.rest(left)
    if not left.cum_quantity:
        turn.tell(left, OrderStatus.OPEN, left.leaves_quantity)


def _lapse(turn: Turn, left: RestingOrder) -> None:
    turn.tell(left, OrderStatus.CANCELLED, NOTHING)
    turn.release(left, left.side, left.leaves_quantity, ReleaseReason.IOC_REST)


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal) -> None:
    turn.refuse(order, OrderStatus.REJECTED, refusal, order.order_id, order.quantity)
    if (
        order.side is not None
    ):  # What has no side was not let through by risk, so that nothing is held for it.
        quantity = Quantity(max(0, order.quantity))
        turn.release(order, order.side, quantity, ReleaseReason.REJECTED)


def _reject_repeat(turn: Turn, order: ApprovedOrder) -> None:
    """Reject an order whose id is that of an order in the book, which lives on, and so does its hold.

    The rejection goes under an id of its own, as that of a retry does: the life of the order in the book has not ended.
    """
    refusal = Refusal(Reason.DUPLICATE_ORDER_ID, f"{order.order_id} rests in the book")
    own_id = shortened(turn.cause)
    turn.refuse(order, OrderStatus.REJECTED, refusal, own_id, order.quantity, order.order_id)
