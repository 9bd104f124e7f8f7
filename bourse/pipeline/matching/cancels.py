"""What takes orders back on request: a cancel, and a mass cancel."""

from typing import Final

from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import ApprovedOrder, OrderStatus, ReleaseReason, RestingOrder

_CANCELLED: Final = OrderStatus.CANCELLED
_AS_CANCELLED: Final = ReleaseReason.CANCELLED


def target_of(turn: Turn, order: ApprovedOrder) -> RestingOrder | None:
    """Return the live order that a message means, if it is still there and the account's own."""
    target = turn.find(order.target_order_id)
    return target if target is not None and target.account_id == order.account_id else None


def finished(order: ApprovedOrder) -> Refusal:
    """Return the refusal of a message about an order that is not live."""
    return Refusal(Reason.ORDER_FINISHED, f"{order.target_order_id} does not rest in the book")


def cancel(turn: Turn, order: ApprovedOrder) -> None:
    """Cancel what is left of an order."""
    target = target_of(turn, order)
    if target is None:
        _reject(turn, order, finished(order))
    else:
        turn.end(target, _CANCELLED, _AS_CANCELLED)


def mass_cancel(turn: Turn, order: ApprovedOrder) -> None:
    """Cancel everything that an account has in this book, in the order in which it was accepted."""
    own = turn.book.index.of_account(order.account_id)
    if not own:
        text = f"{order.account_id} has nothing in the book of {order.symbol}"
        _reject(turn, order, Refusal(Reason.NOTHING_TO_CANCEL, text))
    for order_id in own:
        live = turn.find(order_id)
        assert live is not None, order_id
        turn.end(live, _CANCELLED, _AS_CANCELLED)


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal) -> None:
    status = OrderStatus.CANCEL_REJECTED
    turn.reports.refuse(order, status, refusal, order.order_id, target_order_id=order.target_order_id)
