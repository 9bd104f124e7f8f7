"""What makes an order message unacceptable, in order of precedence; the first that applies is the answer.

Each check returns a refusal or None and changes nothing. Refuses to know who can pay.
"""

from typing import Final

from bourse.pipeline.forms import clipped, is_id, is_name
from bourse.pipeline.ids import pair_key
from bourse.pipeline.limits import value_refusal
from bourse.pipeline.markets import phase_of
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    AccountStatus,
    Instrument,
    InstrumentStatus,
    Order,
    OrderAction,
    OrderType,
    SelfTradePrevention,
    SessionKind,
    Side,
    TimeInForce,
)

_TIMES_IN_FORCE: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC})
_ALWAYS_ALLOWED: Final = frozenset({OrderAction.CANCEL, OrderAction.MASS_CANCEL})


def form_refusal(order: Order) -> Refusal | None:
    """Refuse ids that could not key anything."""
    if not is_name(order.account_id):
        return _malformed("account_id", order.account_id)
    if not is_id(order.client_order_id):
        return _malformed("client_order_id", order.client_order_id)
    if order.symbol is not None and not is_name(order.symbol):
        return _malformed("symbol", order.symbol)
    if order.target_client_order_id is not None and not is_id(order.target_client_order_id):
        return _malformed("target_client_order_id", order.target_client_order_id)
    return None


def _malformed(field: str, text: str) -> Refusal:
    return Refusal(Reason.MALFORMED_ID, f"{field} {clipped(text)} is not 1 to 64 printable ASCII characters")


def account_refusal(account: Account, order: Order) -> Refusal | None:
    """Refuse new risk to accounts that are not active; what takes orders back is always let through."""
    if account.status is AccountStatus.ACTIVE or order.action in _ALWAYS_ALLOWED:
        return None
    if account.status is AccountStatus.SUSPENDED:
        return Refusal(Reason.ACCOUNT_SUSPENDED, f"account {account.account_id} is suspended")
    return Refusal(Reason.ACCOUNT_CLOSED, f"account {account.account_id} is closed")


def target_refusal(order: Order, symbol: str, side: Side | None) -> Refusal | None:
    """Refuse a request that says another symbol or side than the order that it means."""
    if order.symbol is not None and order.symbol != symbol:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is in {symbol}")
    if order.side is not None and order.side is not side:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is a {side}")
    return None


def trading_refusal(state: State, instrument: Instrument) -> Refusal | None:
    """Refuse while the instrument cannot be traded."""
    symbol, market = instrument.symbol, instrument.market
    if instrument.status is InstrumentStatus.DELISTED:
        return Refusal(Reason.SYMBOL_DELISTED, f"{symbol} is delisted")
    if instrument.status is InstrumentStatus.HALTED or state.halts.get(pair_key(market, symbol)) is not None:
        return Refusal(Reason.SYMBOL_HALTED, f"{symbol} is halted")
    if state.halts.get(market) is not None:
        return Refusal(Reason.MARKET_HALTED, f"{market} is halted")
    phase = phase_of(state, market, symbol)
    if phase is not SessionKind.OPEN:
        return Refusal(Reason.MARKET_CLOSED, f"{market} is in phase {phase}")
    return None


def new_refusal(account: Account, instrument: Instrument, order: Order) -> Refusal | None:
    """Refuse a new order for what it says."""
    refusal = _kind_refusal(order)
    if refusal is not None:
        return refusal
    if order.side is None:
        return Refusal(Reason.MISSING_SIDE, "a new order needs a side")
    if order.quantity <= 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is not above 0")
    refusal = _quantity_refusal(instrument, order.quantity)
    if refusal is not None:
        return refusal
    if order.price is None:
        return Refusal(Reason.MISSING_PRICE, "a limit order needs a price")
    return _price_refusal(account, instrument, order.quantity, order.price)


def replace_refusal(account: Account, instrument: Instrument, order: Order) -> Refusal | None:
    """Refuse a replace for what it says; without a price the order keeps its own, and a total of 0 cancels it."""
    if order.order_type is not OrderType.LIMIT:
        return _unsupported_type(order)
    if _has_unsupported_instruction(order):
        return _UNSUPPORTED_INSTRUCTION
    if order.quantity < 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is below 0")
    refusal = _quantity_refusal(instrument, order.quantity)
    if refusal is not None or order.price is None:
        return refusal
    return _price_refusal(account, instrument, order.quantity, order.price)


def _kind_refusal(order: Order) -> Refusal | None:
    if order.order_type is not OrderType.LIMIT:
        return _unsupported_type(order)
    if order.time_in_force not in _TIMES_IN_FORCE:
        text = f"time in force {order.time_in_force} is not offered"
        return Refusal(Reason.UNSUPPORTED_TIME_IN_FORCE, text)
    return _UNSUPPORTED_INSTRUCTION if _has_unsupported_instruction(order) else None


_UNSUPPORTED_INSTRUCTION: Final = Refusal(
    Reason.UNSUPPORTED_INSTRUCTION,
    "stop_price, trail_amount, display_quantity, post_only, self_trade_prevention, expire_time_ns and oco_group"
    " are not offered",
)


def _unsupported_type(order: Order) -> Refusal:
    return Refusal(Reason.UNSUPPORTED_ORDER_TYPE, f"order type {order.order_type} is not offered")


def _has_unsupported_instruction(order: Order) -> bool:
    return (
        order.stop_price is not None
        or order.trail_amount is not None
        or order.display_quantity is not None
        or order.post_only
        or order.self_trade_prevention is not SelfTradePrevention.NONE
        or order.expire_time_ns is not None
        or order.oco_group is not None
    )


def _quantity_refusal(instrument: Instrument, quantity: int) -> Refusal | None:
    if quantity % instrument.lot_size:
        return Refusal(Reason.WRONG_LOT, f"quantity {quantity} is not in lots of {instrument.lot_size}")
    if instrument.max_order_quantity is not None and quantity > instrument.max_order_quantity:
        return Refusal(Reason.ABOVE_MAX_QUANTITY, f"{quantity} is above {instrument.max_order_quantity}")
    return None


def _price_refusal(account: Account, instrument: Instrument, quantity: int, price: int) -> Refusal | None:
    if price <= 0:
        return Refusal(Reason.INVALID_PRICE, f"price {price} is not above 0")
    if price % instrument.tick_size:
        return Refusal(Reason.WRONG_TICK, f"price {price} is not in ticks of {instrument.tick_size}")
    return value_refusal(account, instrument, quantity, price)
