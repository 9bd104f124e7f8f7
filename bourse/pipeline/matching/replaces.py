"""A replace: another total, another price, or both, for an order that rests.

The order keeps its place in time if it asks for no more at the same price; otherwise it goes to the end of the queue of
its price, and may trade on the way there. Every replace is answered to the account side, which holds for both states
of the order until it hears which of them came true.
"""

from msgspec.structs import replace

from bourse.pipeline.matching.admission import size_refusal, trading_refusal
from bourse.pipeline.matching.cancels import finished, target_of
from bourse.pipeline.matching.execution import execute, trade_date_of
from bourse.pipeline.matching.turn import NOTHING, Turn
from bourse.pipeline.outputs import Topic
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import (
    ApprovedOrder,
    OrderStatus,
    Release,
    ReleaseReason,
    RestingOrder,
    Side,
)
from bourse.schemas.units import Quantity


def change(turn: Turn, order: ApprovedOrder) -> None:
    """Change a resting order as a replace asks, or reject the replace."""
    target = target_of(turn, order)
    if target is None:
        _reject(turn, order, finished(order), order.side)
        return
    changed = _changed(turn, order, target)
    refusal = _refusal(turn, order, target, changed)
    if refusal is not None:
        _reject(turn, order, refusal, target.side)
    elif changed.leaves_quantity <= 0:
        _cancel_rest(turn, order, target)
    elif changed.price == target.price and changed.order_quantity <= target.order_quantity:
        _keep_place(turn, order, target, changed)
    else:
        _lose_place(turn, order, target, changed)


def _changed(turn: Turn, order: ApprovedOrder, target: RestingOrder) -> RestingOrder:
    """Return the order as it is asked to be, at the end of its queue; without a price it keeps its own."""
    return replace(
        target,
        client_order_id=order.client_order_id,
        price=target.price if order.price is None else order.price,
        order_quantity=order.quantity,
        leaves_quantity=order.quantity - target.cum_quantity,
        sequence=turn.sequence(),
    )


def _refusal(turn: Turn, order: ApprovedOrder, target: RestingOrder, changed: RestingOrder) -> Refusal | None:
    refusal = trading_refusal(turn.state, target.market, target.symbol)
    if refusal is None and order.quantity < 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is below 0")
    return refusal or size_refusal(turn, changed)


def _cancel_rest(turn: Turn, order: ApprovedOrder, target: RestingOrder) -> None:
    turn.remove(target)
    ended = replace(target, client_order_id=order.client_order_id)
    turn.tell(ended, OrderStatus.CANCELLED, NOTHING)
    _answer(turn, order, target, replace(target, order_quantity=target.cum_quantity))


def _keep_place(turn: Turn, order: ApprovedOrder, target: RestingOrder, changed: RestingOrder) -> None:
    kept = replace(changed, sequence=target.sequence)
    turn.amend(kept)
    if kept.leaves_quantity != target.leaves_quantity:
        turn.touched[kept.side, kept.price] = None
    turn.tell(kept, OrderStatus.REPLACED, kept.leaves_quantity)
    _answer(turn, order, target, kept)


def _lose_place(turn: Turn, order: ApprovedOrder, target: RestingOrder, changed: RestingOrder) -> None:
    date = trade_date_of(turn, order, target.market)
    turn.remove(target)
    turn.tell(changed, OrderStatus.REPLACED, changed.leaves_quantity)
    _answer(turn, order, target, changed)
    left = execute(turn, changed, date)
    if left.leaves_quantity:
        turn.rest(left)


def _answer(turn: Turn, order: ApprovedOrder, before: RestingOrder, after: RestingOrder) -> None:
    """Tell the account side what the order's total and price are now, and what was filled of it when they changed."""
    outputs = turn.outputs
    outputs.put(
        Topic.RELEASES,
        order.account_id,
        Release(
            outputs.next_id(),
            before.order_id,
            before.account_id,
            turn.symbol,
            before.side,
            Quantity(max(0, before.order_quantity - after.order_quantity)),
            ReleaseReason.REPLACED,
            turn.time_ns,
            order.order_id,
            after.order_quantity,
            after.price,
            before.cum_quantity,
        ),
    )


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal, side: Side | None) -> None:
    status = OrderStatus.REPLACE_REJECTED
    turn.refuse(order, status, refusal, order.order_id, target_order_id=order.target_order_id)
    if order.target_order_id is None or side is None:
        return  # Risk gives both to what it lets through: nothing is held for this one.
    outputs = turn.outputs
    outputs.put(
        Topic.RELEASES,
        order.account_id,
        Release(
            outputs.next_id(),
            order.target_order_id,
            order.account_id,
            turn.symbol,
            side,
            NOTHING,
            ReleaseReason.REPLACE_REJECTED,
            turn.time_ns,
            order.order_id,
        ),
    )
