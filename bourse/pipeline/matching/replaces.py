"""A replace: another total, price, stop price or shown part for a live order.

The order keeps its place in time if it asks for no more at the same price; otherwise it goes to the end of the queue of
its price, and may trade on the way there. Every replace is answered to the account side, which holds for both states
of the order until it hears which of them came true.
"""

from msgspec.structs import replace

from bourse.pipeline.markets import entry_refusal
from bourse.pipeline.matching.admission import (
    LIMITED,
    STOPS,
    hidden_part,
    size_refusal,
    terms_refusal,
)
from bourse.pipeline.matching.auction import ANY_PRICE
from bourse.pipeline.matching.cancels import finished, target_of
from bourse.pipeline.matching.entry import rest, trade
from bourse.pipeline.matching.execution import refusal_to_trade
from bourse.pipeline.matching.prevention import smaller
from bourse.pipeline.matching.reports import NOTHING
from bourse.pipeline.matching.stops import set_off, wait_for_price
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.money import saturated
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
from bourse.schemas.units import Price, Quantity


def change(turn: Turn, order: ApprovedOrder) -> None:
    """Change a live order as a replace asks, or reject the replace."""
    target = target_of(turn, order)
    if target is None:
        _reject(turn, order, finished(order), order.side)
        return
    changed = _changed(order, target)
    refusal = _refusal(turn, order, target, changed)
    if refusal is not None:
        _reject(turn, order, refusal, target.side)
    elif changed.leaves_quantity <= 0:
        _cancel_rest(turn, order, target)
    elif _keeps_place(target, changed):
        _keep_place(turn, order, target)
    else:
        refusal = _lose_place(turn, order, target, changed)
        if refusal is not None:
            _reject(turn, order, refusal, target.side)


def _changed(order: ApprovedOrder, target: RestingOrder) -> RestingOrder:
    """Return the order as it is asked to be; what the replace does not say stays as it was."""
    worst = order.price if target.order_type in LIMITED else order.protective_price
    display = target.display_quantity if order.display_quantity is None else order.display_quantity
    trail = target.trail_amount if order.trail_amount is None else order.trail_amount
    leaves = Quantity(order.quantity - target.cum_quantity)
    return replace(
        target,
        client_order_id=order.client_order_id,
        price=target.price if worst is None else worst,
        order_quantity=order.quantity,
        leaves_quantity=leaves,
        stop_price=_stop_price(order, target),
        trail_amount=trail,
        display_quantity=display,
        hidden_quantity=NOTHING if display is None else hidden_part(leaves, display),
    )


def _stop_price(order: ApprovedOrder, target: RestingOrder) -> Price | None:
    """Return the new stop price: as asked; or, where the distance of a trailing stop changes, as far from the market."""
    if order.stop_price is not None:
        return order.stop_price
    if target.stop_price is None or target.trail_amount is None or order.trail_amount is None:
        return target.stop_price
    further = order.trail_amount - target.trail_amount
    return Price(saturated(target.stop_price + (further if target.side is Side.BUY else -further)))


def _refusal(turn: Turn, order: ApprovedOrder, target: RestingOrder, changed: RestingOrder) -> Refusal | None:
    refusal = turn.refusal()
    if refusal is not None:
        return refusal
    if order.quantity < 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is below 0")
    if changed.leaves_quantity <= 0:
        return None
    asked = changed
    if order.display_quantity is None and changed.display_quantity is not None:
        # A shown part that is not asked for may be above a smaller total, but not too small for a larger one.
        asked = replace(changed, display_quantity=min(changed.display_quantity, changed.order_quantity))
    refusal = terms_refusal(asked) or size_refusal(turn, changed)
    if refusal is None and changed.display_quantity != target.display_quantity is None:
        return Refusal(Reason.INVALID_INSTRUCTION, "an order does not become an iceberg")
    return refusal


def _keeps_place(target: RestingOrder, changed: RestingOrder) -> bool:
    return (
        changed.price == target.price
        and changed.stop_price == target.stop_price
        and changed.trail_amount == target.trail_amount
        and changed.display_quantity == target.display_quantity
        and changed.order_quantity <= target.order_quantity
    )


def _cancel_rest(turn: Turn, order: ApprovedOrder, target: RestingOrder) -> None:
    turn.remove(target)
    ended = replace(target, client_order_id=order.client_order_id)
    turn.reports.tell(ended, OrderStatus.CANCELLED, NOTHING)
    _answer(turn, order, target, replace(target, order_quantity=target.cum_quantity))


def _keep_place(turn: Turn, order: ApprovedOrder, target: RestingOrder) -> None:
    less = smaller(target, target.order_quantity - order.quantity)
    kept = replace(less, client_order_id=order.client_order_id)
    turn.amend(kept)
    turn.reports.tell(kept, OrderStatus.REPLACED, kept.leaves_quantity)
    _answer(turn, order, target, kept)


def _lose_place(
    turn: Turn, order: ApprovedOrder, target: RestingOrder, changed: RestingOrder
) -> Refusal | None:
    """Let the changed order enter anew, or say why it may not; then the order stays as it was."""
    turn.trade_date = order.business_date
    waits = turn.book.waiting.get(target.order_id) is not None
    if not waits:
        if turn.is_trading():
            refusal = refusal_to_trade(turn, changed)
        else:  # what could not enter the call anew
            refusal = entry_refusal(turn.phase, changed.time_in_force, post_only=changed.post_only)
        if refusal is not None:
            return refusal
    turn.remove(target)
    turn.reports.tell(changed, OrderStatus.REPLACED, changed.leaves_quantity)
    _answer(turn, order, target, changed)
    if changed.order_type in STOPS:
        wait_for_price(turn, changed)
        set_off(turn)
    elif waits:
        turn.wait(changed)
    elif turn.is_trading():
        trade(turn, changed)
    else:
        rest(turn, changed)
    return None


def _answer(turn: Turn, order: ApprovedOrder, before: RestingOrder, after: RestingOrder) -> None:
    """Tell the account side what the order's total and price are now, and what was filled of it when they changed."""
    outputs = turn.outputs
    is_bounded = after.order_type in LIMITED or after.price != ANY_PRICE[after.side]
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
            after.price if is_bounded else None,
            before.cum_quantity,
        ),
    )


def _reject(turn: Turn, order: ApprovedOrder, refusal: Refusal, side: Side | None) -> None:
    status = OrderStatus.REPLACE_REJECTED
    turn.reports.refuse(order, status, refusal, order.order_id, target_order_id=order.target_order_id)
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
