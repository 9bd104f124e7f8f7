"""Whether a message may act on the book now. Decides on the message and the market's phase; changes nothing.

Validation and risk have checked all of this, but a market may close or halt while an order is under way, and records of
`risk-approved` may come from outside.
"""

from typing import Final

from bourse.pipeline.ids import pair_key
from bourse.pipeline.markets import phase_of
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.money import fits, with_fee
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    InstrumentStatus,
    OrderType,
    RestingOrder,
    SelfTradePrevention,
    SessionKind,
    TimeInForce,
)
from bourse.schemas.units import Quantity

_TIMES_IN_FORCE: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC})
_UNSUPPORTED_INSTRUCTION: Final = Refusal(
    Reason.UNSUPPORTED_INSTRUCTION,
    "stop_price, trail_amount, display_quantity, post_only, self_trade_prevention, expire_time_ns and oco_group"
    " are not offered",
)


def admit(turn: Turn, order: ApprovedOrder) -> RestingOrder | Refusal:
    """Return a new order as it enters the book, unfilled, or why it may not."""
    refusal = trading_refusal(turn.state, order.market, order.symbol) or _kind_refusal(order)
    if refusal is not None:
        return refusal
    side, price, quantity = order.side, order.price, order.quantity
    if side is None:
        return Refusal(Reason.MISSING_SIDE, "a new order needs a side")
    if quantity <= 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {quantity} is not above 0")
    if price is None:
        return Refusal(Reason.MISSING_PRICE, "a limit order needs a price")
    entering = RestingOrder(
        order.order_id,
        order.client_order_id,
        order.account_id,
        order.symbol,
        side,
        price,
        quantity,
        Quantity(0),
        quantity,
        order.time_in_force,
        turn.sequence(),
        order.maker_fee_bps,
        order.taker_fee_bps,
        order.market,
        order.currency,
        order.settlement_days,
        order.participant_id,
    )
    return size_refusal(turn, entering) or entering


def trading_refusal(state: State, market: str, symbol: str) -> Refusal | None:
    """Refuse while the symbol cannot be traded; what is not known to be closed or halted is open."""
    instrument = state.instruments.get(symbol)
    if instrument is not None and instrument.status is InstrumentStatus.DELISTED:
        return Refusal(Reason.SYMBOL_DELISTED, f"{symbol} is delisted")
    halted = instrument is not None and instrument.status is InstrumentStatus.HALTED
    if halted or state.halts.get(pair_key(market, symbol)) is not None:
        return Refusal(Reason.SYMBOL_HALTED, f"{symbol} is halted")
    if state.halts.get(market) is not None:
        return Refusal(Reason.MARKET_HALTED, f"{market} is halted")
    phase = phase_of(state, market, symbol)
    if phase is not SessionKind.OPEN:
        return Refusal(Reason.MARKET_CLOSED, f"{market} is in phase {phase}")
    return None


def size_refusal(turn: Turn, entering: RestingOrder) -> Refusal | None:
    """Refuse a price that cannot be one, and amounts that a record could not hold."""
    price, leaves = entering.price, entering.leaves_quantity
    if price <= 0:
        return Refusal(Reason.INVALID_PRICE, f"price {price} is not above 0")
    fee_bps = max(entering.maker_fee_bps, entering.taker_fee_bps)
    there: int = turn.book.level(entering.side, price)[0]
    if not (fits(with_fee(price * entering.order_quantity, fee_bps)) and fits(there + leaves)):
        text = f"{entering.order_quantity} at {price} beside {there} is more than can be counted"
        return Refusal(Reason.VALUE_OVERFLOW, text)
    return None


def _kind_refusal(order: ApprovedOrder) -> Refusal | None:
    if order.order_type is not OrderType.LIMIT:
        text = f"order type {order.order_type} is not offered"
        return Refusal(Reason.UNSUPPORTED_ORDER_TYPE, text)
    if order.time_in_force not in _TIMES_IN_FORCE:
        text = f"time in force {order.time_in_force} is not offered"
        return Refusal(Reason.UNSUPPORTED_TIME_IN_FORCE, text)
    return _UNSUPPORTED_INSTRUCTION if _has_unsupported_instruction(order) else None


def _has_unsupported_instruction(order: ApprovedOrder) -> bool:
    return (
        order.stop_price is not None
        or order.trail_amount is not None
        or order.display_quantity is not None
        or order.post_only
        or order.self_trade_prevention is not SelfTradePrevention.NONE
        or order.expire_time_ns is not None
        or order.oco_group is not None
    )
