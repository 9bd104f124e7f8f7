"""What takes orders back: a cancel, a mass cancel, and the close of the market."""

from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    OrderStatus,
    ReleaseReason,
    RestingOrder,
    SessionEvent,
    TimeInForce,
)
from bourse.schemas.units import TimeNs


def target_of(turn: Turn, order: ApprovedOrder) -> RestingOrder | None:
    """Return the resting order that a message means, if it is still there and the account's own."""
    target = None if order.target_order_id is None else turn.book.get(order.target_order_id)
    return target if target is not None and target.account_id == order.account_id else None


def finished(order: ApprovedOrder) -> Refusal:
    """Return the refusal of a message about an order that does not rest."""
    return Refusal(Reason.ORDER_FINISHED, f"{order.target_order_id} does not rest in the book")


def cancel(turn: Turn, order: ApprovedOrder) -> None:
    """Cancel what rests of an order."""
    target = target_of(turn, order)
    if target is None:
        _reject(turn, order, finished(order))
    else:
        turn.end(target, OrderStatus.CANCELLED, ReleaseReason.CANCELLED)


def mass_cancel(turn: Turn, order: ApprovedOrder) -> None:
    """Cancel everything that an account has in this book, in the order in which it was accepted."""
    own = [resting for resting in turn.book if resting.account_id == order.account_id]
    if not own:
        text = f"{order.account_id} has nothing in the book of {order.symbol}"
        _reject(turn, order, Refusal(Reason.NOTHING_TO_CANCEL, text))
    for resting in sorted(own, key=_acceptance):
        turn.end(resting, OrderStatus.CANCELLED, ReleaseReason.CANCELLED)


def expire(state: State, outputs: Outputs, cause: str, session: SessionEvent, time_ns: TimeNs) -> None:
    """Expire the day orders of a market that has closed, or of one symbol of it, book by book."""
    every = [symbol for symbol, _ in state.books.scan("")] if session.symbol is None else [session.symbol]
    for symbol in every:
        turn = Turn(state, outputs, cause, symbol, time_ns)
        ending = [resting for resting in turn.book if _ends(resting, session)]
        for resting in sorted(ending, key=_arrival):
            turn.end(resting, OrderStatus.EXPIRED, ReleaseReason.EXPIRED)
        turn.finish()


def _ends(resting: RestingOrder, session: SessionEvent) -> bool:
    return resting.time_in_force is TimeInForce.DAY and resting.market == session.market


def _arrival(resting: RestingOrder) -> int:
    return resting.sequence


def _acceptance(resting: RestingOrder) -> tuple[int, str]:
    """Sort ids of one account by their number: all of its orders come from one partition."""
    return len(resting.order_id), resting.order_id


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal) -> None:
    status = OrderStatus.CANCEL_REJECTED
    turn.refuse(order, status, refusal, order.order_id, target_order_id=order.target_order_id)
