"""How an order enters continuous trading: it trades as far as it goes, and rests or lapses with what is left."""

from typing import Final

from msgspec.structs import replace

from bourse.pipeline.markets import CALL_PHASES
from bourse.pipeline.matching.admission import AT_ONCE, hidden_part
from bourse.pipeline.matching.execution import OPPOSITE, execute, refusal_to_trade
from bourse.pipeline.matching.prevention import PREVENTED
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import OrderStatus, OrderType, ReleaseReason, RestingOrder

_MARKET: Final = OrderType.MARKET
_WHY: Final = {
    ReleaseReason.PREVENTED: PREVENTED,
    ReleaseReason.PAUSED: Refusal(Reason.BAND_BREACHED, "would have traded outside of the price band"),
    ReleaseReason.COLLAR: Refusal(
        Reason.BEYOND_COLLAR, "the rest could only trade beyond its protective price"
    ),
}
_RELEASED_AS: Final = {
    Reason.BAND_BREACHED: ReleaseReason.PAUSED,
    Reason.FOK_NOT_FILLABLE: ReleaseReason.IOC_REST,
    Reason.POST_ONLY_WOULD_TAKE: ReleaseReason.CANCELLED,
}


def trade(turn: Turn, order: RestingOrder) -> RestingOrder | None:
    """Let an order trade, and rest with what is left; return it if it rests."""
    left, ending = execute(turn, order)
    if not left.leaves_quantity:
        return None
    if ending is ReleaseReason.PAUSED and turn.phase in CALL_PHASES and left.time_in_force not in AT_ONCE:
        ending = None  # the call that it has begun collects it first
    elif ending is None and (left.order_type is _MARKET or left.time_in_force in AT_ONCE):
        ending = _rest_of(turn, left)
    if ending is not None:
        turn.reports.lapse(left, OrderStatus.CANCELLED, ending, _WHY.get(ending))
        return None
    return rest(turn, left)


def rest(turn: Turn, order: RestingOrder) -> RestingOrder:
    """Let an order rest, an iceberg with a fresh part shown."""
    if order.display_quantity is not None:
        hidden = hidden_part(order.leaves_quantity, order.display_quantity)
        order = replace(order, hidden_quantity=hidden)
    return turn.rest(order)


def enter_triggered(turn: Turn, order: RestingOrder) -> None:
    """Let a stop that was set off trade and rest, or cancel it where a new order of its kind would be rejected."""
    refusal = refusal_to_trade(turn, order)
    if refusal is not None:
        turn.reports.lapse(order, OrderStatus.CANCELLED, _RELEASED_AS[refusal.reason], refusal)
        return
    resting = trade(turn, order)
    if resting is not None and not resting.cum_quantity:
        turn.reports.tell(resting, OrderStatus.OPEN, resting.leaves_quantity)


def _rest_of(turn: Turn, order: RestingOrder) -> ReleaseReason:
    """Say why the rest of an order lapses: nothing is left to trade with, or only beyond its protective price."""
    is_bounded = order.order_type is OrderType.MARKET and turn.book.first(OPPOSITE[order.side]) is not None
    return ReleaseReason.COLLAR if is_bounded else ReleaseReason.IOC_REST
