"""A new order: whether it trades at once, is collected for an auction, or waits for its price or its auction."""

from typing import Final

from bourse.pipeline.ids import shortened
from bourse.pipeline.markets import CALL_PHASES
from bourse.pipeline.matching.admission import STOPS, admit
from bourse.pipeline.matching.entry import rest, trade
from bourse.pipeline.matching.execution import refusal_to_trade
from bourse.pipeline.matching.stops import set_off, wait_for_price
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import (
    ApprovedOrder,
    OrderStatus,
    ReleaseReason,
    RestingOrder,
    SessionKind,
    TimeInForce,
)
from bourse.schemas.units import Quantity

_AT_CLOSE: Final = TimeInForce.AT_CLOSE
_OPEN: Final = OrderStatus.OPEN


def enter(turn: Turn, order: ApprovedOrder) -> None:
    """Let a new order trade, rest or wait, or reject it."""
    if turn.find(order.order_id) is not None:
        _reject_repeat(turn, order)
        return
    entering = admit(turn, order)
    if isinstance(entering, Refusal):
        _reject(turn, order, entering)
        return
    turn.learn(order)
    turn.trade_date = order.business_date
    turn.date()
    refusal = _take(turn, entering)
    if refusal is not None:
        _reject(turn, order, refusal)


def _take(turn: Turn, entering: RestingOrder) -> Refusal | None:
    """Take an order in, or refuse it for what rests in the book."""
    resting: RestingOrder | None
    if entering.order_type in STOPS:
        wait_for_price(turn, entering)
        turn.reports.tell(entering, OrderStatus.OPEN, entering.leaves_quantity)
        set_off(turn)
        return None
    if entering.time_in_force is _AT_CLOSE and turn.phase is not SessionKind.CLOSING_AUCTION:
        turn.wait(entering)
        resting = entering
    elif turn.phase in CALL_PHASES:
        resting = rest(turn, entering)
    else:
        refusal = refusal_to_trade(turn, entering)
        if refusal is not None:
            return refusal
        resting = trade(turn, entering)
    if resting is not None and not resting.cum_quantity:
        turn.reports.tell(resting, _OPEN, resting.leaves_quantity)
    return None


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal) -> None:
    turn.reports.refuse(order, OrderStatus.REJECTED, refusal, order.order_id, order.quantity)
    if (
        order.side is not None
    ):  # What has no side was not let through by risk, so that nothing is held for it.
        quantity = Quantity(max(0, order.quantity))
        turn.reports.release(order, order.side, quantity, ReleaseReason.REJECTED)


def _reject_repeat(turn: Turn, order: ApprovedOrder) -> None:
    """Reject an order whose id is that of a live order, which lives on, and so does its hold.

    The rejection goes under an id of its own, as that of a retry does: the life of the order in the book has not ended.
    """
    refusal = Refusal(Reason.DUPLICATE_ORDER_ID, f"{order.order_id} is live")
    own_id = shortened(turn.cause)
    turn.reports.refuse(order, OrderStatus.REJECTED, refusal, own_id, order.quantity, order.order_id)
