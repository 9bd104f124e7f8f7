"""Orders that must not trade with each other: an owner's with its own, and those of one OCO group.

Self-trade prevention follows the instruction of the newer order, as FIX SelfMatchPreventionInstruction (2964) has it; an
owner is an account, or all accounts of one participant. Decides what happens to the two orders instead of a trade.
"""

from typing import Final

from msgspec.structs import replace

from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import (
    OrderStatus,
    ReleaseReason,
    RestingOrder,
    SelfTradePrevention,
)
from bourse.schemas.units import Quantity

PREVENTED: Final = Refusal(
    Reason.SELF_TRADE_PREVENTED, "would have traded with an order of its own account or participant"
)
_NO_PREVENTION: Final = SelfTradePrevention.NONE
_SIBLING: Final = Refusal(Reason.OCO_SIBLING_FILLED, "another order of its group was filled")


def is_prevented(newest: RestingOrder, oldest: RestingOrder) -> bool:
    """Say whether the newer of two orders that meet asks for no trade between them."""
    if newest.self_trade_prevention is _NO_PREVENTION:
        return False
    return newest.account_id == oldest.account_id or (
        newest.participant_id != "" and newest.participant_id == oldest.participant_id
    )


def prevent(turn: Turn, newest: RestingOrder, oldest: RestingOrder) -> tuple[RestingOrder, bool]:
    """Do what an order asks for instead of trading with one of its own owner's that rests.

    Return the order as it is then, and whether it may go on; what it has left if not is the caller's to end. An order
    that is reduced to nothing has been told so already.
    """
    match newest.self_trade_prevention:
        case SelfTradePrevention.CANCEL_NEWEST:
            return newest, False
        case SelfTradePrevention.CANCEL_OLDEST:
            _end(turn, oldest)
            return newest, True
        case SelfTradePrevention.DECREMENT:
            quantity = Quantity(min(newest.leaves_quantity, oldest.leaves_quantity))
            reduce_resting(turn, oldest, quantity)
            return _reduced(turn, newest, quantity), True
        case _:
            _end(turn, oldest)
            return newest, False


def prevent_resting(turn: Turn, asking: RestingOrder, other: RestingOrder) -> None:
    """Do what one of two resting orders asks for instead of trading with the other, as if the one that asks had just come."""
    match asking.self_trade_prevention:
        case SelfTradePrevention.CANCEL_NEWEST:
            _end(turn, asking)
        case SelfTradePrevention.CANCEL_OLDEST:
            _end(turn, other)
        case SelfTradePrevention.DECREMENT:
            quantity = Quantity(min(asking.leaves_quantity, other.leaves_quantity))
            reduce_resting(turn, other, quantity)
            reduce_resting(turn, asking, quantity)
        case _:
            _end(turn, other)
            _end(turn, asking)


def reduce_resting(turn: Turn, order: RestingOrder, quantity: Quantity) -> None:
    """Take a quantity off a resting order, which keeps its place; what it hides goes first."""
    if quantity == order.leaves_quantity:
        _end(turn, order)
        return
    turn.amend(_reduced(turn, order, quantity))


def _reduced(turn: Turn, order: RestingOrder, quantity: Quantity) -> RestingOrder:
    """Tell of a reduction, and return the order after it."""
    if quantity == order.leaves_quantity:
        turn.reports.lapse(order, OrderStatus.CANCELLED, ReleaseReason.PREVENTED, PREVENTED)
        return replace(order, leaves_quantity=0, hidden_quantity=0)
    after = smaller(order, quantity)
    turn.reports.tell(after, OrderStatus.REPLACED, after.leaves_quantity, PREVENTED)
    turn.reports.release(after, after.side, quantity, ReleaseReason.PREVENTED)
    return after


def smaller(order: RestingOrder, quantity: int) -> RestingOrder:
    """Return an order with so much less to do; what it hides goes first."""
    return replace(
        order,
        order_quantity=order.order_quantity - quantity,
        leaves_quantity=order.leaves_quantity - quantity,
        hidden_quantity=max(0, order.hidden_quantity - quantity),
    )


def _end(turn: Turn, order: RestingOrder) -> None:
    turn.end(order, OrderStatus.CANCELLED, ReleaseReason.PREVENTED, PREVENTED)


def are_siblings(one: RestingOrder, other: RestingOrder) -> bool:
    """Say whether two orders are of one OCO group, so that no trade of them could leave the other."""
    return (
        one.oco_group is not None and one.oco_group == other.oco_group and one.account_id == other.account_id
    )


def end_sibling(turn: Turn, sibling: RestingOrder) -> None:
    """Cancel an order because another of its group is filled, or is about to be."""
    turn.end(sibling, OrderStatus.CANCELLED, ReleaseReason.OCO, _SIBLING)


def cancel_siblings(turn: Turn, filled: RestingOrder) -> None:
    """Cancel the other orders of an order's group, the oldest first."""
    for order_id in turn.book.index.siblings(filled):
        sibling = turn.find(order_id)
        assert sibling is not None, order_id
        end_sibling(turn, sibling)
