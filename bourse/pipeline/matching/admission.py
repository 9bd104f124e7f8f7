"""Whether a message may act on the book now. Decides on the message and the market's phase; changes nothing.

Validation and risk have checked most of this, but a market may close or halt while an order is under way, and records of
`risk-approved` may come from outside.
"""

from typing import Final

from bourse.pipeline.markets import entry_refusal
from bourse.pipeline.matching.auction import ANY_PRICE
from bourse.pipeline.matching.reports import NOTHING
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.money import BASIS_POINTS, fits, with_fee
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import (
    ApprovedOrder,
    OrderType,
    RestingOrder,
    Side,
    TimeInForce,
)
from bourse.schemas.units import Price, Quantity

MAX_SLICES: Final = 1_000
"""The most parts that an iceberg may be shown in, which bounds the trades that one order can make with it."""

_LIMIT: Final = OrderType.LIMIT
_GTD: Final = TimeInForce.GTD
STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
LIMITED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
AUCTION_ONLY: Final = frozenset({TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE})


def admit(turn: Turn, order: ApprovedOrder) -> RestingOrder | Refusal:
    """Return a new order as it enters the book, unfilled, or why it may not."""
    refusal = turn.refusal() or _phase_refusal(turn, order)
    if refusal is not None:
        return refusal
    side, quantity = order.side, order.quantity
    if side is None:
        return Refusal(Reason.MISSING_SIDE, "a new order needs a side")
    if quantity <= 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {quantity} is not above 0")
    if order.order_type in LIMITED and order.price is None:
        return Refusal(Reason.MISSING_PRICE, "a limit order needs a price")
    entering = _entering(turn, order, side, quantity)
    return terms_refusal(entering) or _time_refusal(turn, order) or size_refusal(turn, entering) or entering


def _phase_refusal(turn: Turn, order: ApprovedOrder) -> Refusal | None:
    """Refuse what has no meaning in the phase of the book, or none in that of its session: no call of a pause is an opening."""
    refusal = entry_refusal(turn.phase, order.time_in_force, post_only=order.post_only)
    if refusal is None and turn.phase is not turn.session_phase:
        return entry_refusal(turn.session_phase, order.time_in_force, post_only=order.post_only)
    return refusal


def _entering(turn: Turn, order: ApprovedOrder, side: Side, quantity: Quantity) -> RestingOrder:
    price = order.price if order.order_type in LIMITED else order.protective_price
    display = order.display_quantity
    return RestingOrder(
        order.order_id,
        order.client_order_id,
        order.account_id,
        order.symbol,
        side,
        ANY_PRICE[side] if price is None else price,
        quantity,
        NOTHING,
        quantity,
        order.time_in_force,
        turn.place + 1,
        order.maker_fee_bps,
        order.taker_fee_bps,
        order.market,
        order.currency,
        order.settlement_days,
        order.participant_id,
        order.order_type,
        order.stop_price,
        order.trail_amount,
        display,
        NOTHING if display is None else hidden_part(quantity, display),
        order.post_only,
        order.self_trade_prevention,
        order.expire_time_ns,
        order.oco_group,
        order.multiplier,
    )


def hidden_part(leaves: Quantity, display: Quantity) -> Quantity:
    """Return what an iceberg does not show of what is left, at the beginning of a part."""
    return Quantity(leaves - min(leaves, max(0, display)))


def _time_refusal(turn: Turn, order: ApprovedOrder) -> Refusal | None:
    time_ns = order.expire_time_ns
    if (time_ns is not None) is not (order.time_in_force is _GTD):
        return Refusal(Reason.INVALID_INSTRUCTION, "a GTD order has an expire_time_ns, and no other has one")
    if time_ns is not None and time_ns <= turn.clock_ns():
        return Refusal(Reason.INVALID_EXPIRE_TIME, f"{time_ns} is not after {turn.clock_ns()}")
    return None


def terms_refusal(entering: RestingOrder) -> Refusal | None:
    """Refuse instructions that cannot be, or contradict each other; new and replaced orders alike."""
    kind = entering.order_type
    if kind is _LIMIT and entering.stop_price is None and entering.trail_amount is None:
        is_plain = entering.display_quantity is None and not entering.post_only
        return None if is_plain else _shown_refusal(entering)
    is_stop = kind in STOPS
    if is_stop and entering.time_in_force in AUCTION_ONLY:
        return Refusal(Reason.INVALID_INSTRUCTION, "a stop order does not wait for an auction")
    if not is_stop and (entering.stop_price is not None or entering.trail_amount is not None):
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no stop_price and no trail_amount")
    if is_stop and kind is not OrderType.TRAILING_STOP and entering.trail_amount is not None:
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no trail_amount")
    return _stop_refusal(entering) or _shown_refusal(entering)


def _stop_refusal(entering: RestingOrder) -> Refusal | None:
    kind, stop, trail = entering.order_type, entering.stop_price, entering.trail_amount
    if kind is OrderType.TRAILING_STOP and (trail is None or trail <= 0):
        return Refusal(Reason.INVALID_PRICE, f"trail_amount {trail} is not above 0")
    if kind in {OrderType.STOP, OrderType.STOP_LIMIT} and (stop is None or stop <= 0):
        return Refusal(Reason.INVALID_PRICE, f"stop_price {stop} is not above 0")
    return None


def _shown_refusal(entering: RestingOrder) -> Refusal | None:
    display, total = entering.display_quantity, entering.order_quantity
    if display is None and not entering.post_only:
        return None
    is_limited = entering.order_type in LIMITED and entering.time_in_force not in AT_ONCE
    if entering.post_only and not is_limited:
        return Refusal(Reason.INVALID_INSTRUCTION, "a post-only order is a limit order that may rest")
    if display is None:
        return None
    if not is_limited:
        return Refusal(Reason.INVALID_INSTRUCTION, "an iceberg is a limit order that may rest")
    if not 0 < display <= total or display * MAX_SLICES < total:
        text = f"display_quantity {display} is not in 1..{total}, or would show the order in more than {MAX_SLICES} parts"
        return Refusal(Reason.INVALID_DISPLAY_QUANTITY, text)
    return None


def size_refusal(turn: Turn, entering: RestingOrder) -> Refusal | None:
    """Refuse a price that cannot be one, terms that no instrument has, and amounts that a record could not hold."""
    price, leaves, side = entering.price, entering.leaves_quantity, entering.side
    if entering.order_type not in LIMITED and price == ANY_PRICE[side]:
        price = Price(1)
    if price <= 0:
        return Refusal(Reason.INVALID_PRICE, f"price {price} is not above 0")
    maker, taker = entering.maker_fee_bps, entering.taker_fee_bps
    if not (0 <= maker <= BASIS_POINTS and 0 <= taker <= BASIS_POINTS and entering.multiplier > 0):
        text = f"no instrument has fees of {maker} and {taker} basis points and a multiplier of {entering.multiplier}"
        return Refusal(Reason.INVALID_INSTRUCTION, text)
    fee_bps = max(maker, taker)
    there = turn.book.total(side, entering.price)
    if not (
        fits(with_fee(price * entering.order_quantity * entering.multiplier, fee_bps))
        and fits(there + leaves)
    ):
        text = f"{entering.order_quantity} at {price} beside {there} is more than can be counted"
        return Refusal(Reason.VALUE_OVERFLOW, text)
    return None
