"""What makes an order message unacceptable, in order of precedence; the first that applies is the answer.

Each check returns a refusal or None and changes nothing. Refuses to know who can pay.
"""

from typing import Final

from bourse.pipeline.forms import clipped, is_id, is_name
from bourse.pipeline.limits import value_refusal
from bourse.pipeline.money import BASIS_POINTS
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.ticks import tick_size_at
from bourse.schemas.records import (
    Account,
    AccountStatus,
    Instrument,
    Order,
    OrderAction,
    OrderType,
    Participant,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from bourse.schemas.units import TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_ACTIVE: Final = AccountStatus.ACTIVE
_GTD: Final = TimeInForce.GTD
_TRAILING_STOP: Final = OrderType.TRAILING_STOP

TAKING_BACK: Final = frozenset({OrderAction.CANCEL, OrderAction.MASS_CANCEL})
"""What only takes orders back, and so is let through whoever asks and whenever."""

_WITH_PRICE: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_NEEDING_STOP_PRICE: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_WITH_STOP_PRICE: Final = _NEEDING_STOP_PRICE | {OrderType.TRAILING_STOP}
_AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_RESTING: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD})
_IN_AUCTION: Final = frozenset({TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE})


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
    if order.oco_group is not None and not is_id(order.oco_group):
        return _malformed("oco_group", order.oco_group)
    return None


def _malformed(field: str, text: str) -> Refusal:
    return Refusal(Reason.MALFORMED_ID, f"{field} {clipped(text)} is not 1 to 64 printable ASCII characters")


def account_refusal(account: Account, participant: Participant | None) -> Refusal | None:
    """Refuse new risk to accounts that are not active, or whose participant is not; nobody need publish participants."""
    own, firm = account.status, _ACTIVE if participant is None else participant.status
    if own is firm is _ACTIVE:
        return None
    is_own = firm is _ACTIVE or own is AccountStatus.SUSPENDED
    who = f"account {account.account_id}" if is_own else f"participant {account.participant_id}"
    if AccountStatus.SUSPENDED in {own, firm}:
        return Refusal(Reason.ACCOUNT_SUSPENDED, f"{who} is suspended")
    return Refusal(Reason.ACCOUNT_CLOSED, f"{who} is closed")


def target_refusal(order: Order, symbol: str, side: Side | None) -> Refusal | None:
    """Refuse a request that says another symbol or side than the order that it means."""
    if order.symbol is not None and order.symbol != symbol:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is in {symbol}")
    if order.side is not None and order.side is not side:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is a {side}")
    return None


def new_refusal(account: Account, instrument: Instrument, order: Order, time_ns: TimeNs) -> Refusal | None:
    """Refuse a new order for what it says; what an order without a limit may cost is for risk to say."""
    refusal = _instruction_refusal(order) or _expire_time_refusal(order, time_ns)
    if refusal is not None:
        return refusal
    if order.side is None:
        return Refusal(Reason.MISSING_SIDE, "a new order needs a side")
    if order.quantity <= 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is not above 0")
    refusal = (
        _quantity_refusal(instrument, order.quantity)
        or _display_refusal(instrument, order)
        or _missing_price_refusal(order)
        or _price_refusal(instrument, order)
    )
    if refusal is not None or order.price is None:
        return refusal
    return value_refusal(account, instrument, order.quantity, order.price)


def replace_refusal(account: Account, instrument: Instrument, order: Order) -> Refusal | None:
    """Refuse a replace for what it says; without a price the order keeps its own, and a total of 0 cancels it.

    Whether the order meant has such a price or a shown part to change is for risk to say, which knows its kind.
    Its time in force is not looked at: one that it says again is not to be told from the default, and none is changed.
    """
    if (
        order.post_only
        or order.self_trade_prevention is not SelfTradePrevention.NONE
        or order.expire_time_ns is not None
        or order.oco_group is not None
    ):
        text = "a replace changes quantities and prices, and nothing else"
        return Refusal(Reason.INVALID_INSTRUCTION, text)
    if order.quantity < 0:
        return Refusal(Reason.INVALID_QUANTITY, f"quantity {order.quantity} is below 0")
    refusal = (
        _quantity_refusal(instrument, order.quantity)
        or _display_refusal(instrument, order)
        or _price_refusal(instrument, order)
    )
    if refusal is not None or order.price is None:
        return refusal
    return value_refusal(account, instrument, order.quantity, order.price)


def _instruction_refusal(order: Order) -> Refusal | None:  # noqa: PLR0911 - one for each instruction
    """Refuse what the order's type or time in force has no use for."""
    order_type, lasts = order.order_type, order.time_in_force
    if order.price is not None and order_type not in _WITH_PRICE:
        return _no_use(order_type, "price")
    if order.stop_price is not None and order_type not in _WITH_STOP_PRICE:
        return _no_use(order_type, "stop_price")
    if order.trail_amount is not None and order_type is not _TRAILING_STOP:
        return _no_use(order_type, "trail_amount")
    if order.display_quantity is not None and (order_type not in _WITH_PRICE or lasts in _AT_ONCE):
        return _no_use(f"{order_type} {lasts}", "display_quantity")
    if order.post_only and (order_type is not OrderType.LIMIT or lasts not in _RESTING):
        return _no_use(f"{order_type} {lasts}", "post_only")
    if lasts in _IN_AUCTION and order_type in _WITH_STOP_PRICE:
        return _no_use(order_type, f"time in force {lasts}")
    if order.expire_time_ns is not None and lasts is not _GTD:
        return _no_use(lasts, "expire_time_ns")
    return None


def _no_use(order: str, instruction: str) -> Refusal:
    return Refusal(Reason.INVALID_INSTRUCTION, f"a {order} order has no use for {instruction}")


def _expire_time_refusal(order: Order, time_ns: TimeNs) -> Refusal | None:
    if order.time_in_force is not _GTD:
        return None
    if order.expire_time_ns is None:
        return Refusal(Reason.INVALID_EXPIRE_TIME, "a GTD order needs an expire_time_ns")
    if order.expire_time_ns <= time_ns:
        return Refusal(Reason.INVALID_EXPIRE_TIME, f"{order.expire_time_ns} is not after {time_ns}")
    return None


def _quantity_refusal(instrument: Instrument, quantity: int) -> Refusal | None:
    if quantity % instrument.lot_size:
        return Refusal(Reason.WRONG_LOT, f"quantity {quantity} is not in lots of {instrument.lot_size}")
    if instrument.max_order_quantity is not None and quantity > instrument.max_order_quantity:
        return Refusal(Reason.ABOVE_MAX_QUANTITY, f"{quantity} is above {instrument.max_order_quantity}")
    return None


def _display_refusal(instrument: Instrument, order: Order) -> Refusal | None:
    shown = order.display_quantity
    if shown is None or (0 < shown <= order.quantity and shown % instrument.lot_size == 0):
        return None
    text = f"display_quantity {shown} is not in lots of {instrument.lot_size} within {order.quantity}"
    return Refusal(Reason.INVALID_DISPLAY_QUANTITY, text)


def _missing_price_refusal(order: Order) -> Refusal | None:
    order_type = order.order_type
    if order.price is None and order_type in _WITH_PRICE:
        return Refusal(Reason.MISSING_PRICE, f"a {order_type} order needs a price")
    if order.stop_price is None and order_type in _NEEDING_STOP_PRICE:
        return Refusal(Reason.MISSING_PRICE, f"a {order_type} order needs a stop_price")
    if order.trail_amount is None and order_type is _TRAILING_STOP:
        return Refusal(Reason.MISSING_PRICE, f"a {order_type} order needs a trail_amount")
    return None


def _price_refusal(instrument: Instrument, order: Order) -> Refusal | None:
    """Refuse prices that cannot be, and a limit outside of the static band; stops may wait anywhere."""
    price = order.price
    prices = (price, order.stop_price, order.trail_amount)
    for given in prices:
        if given is not None and given <= 0:
            return Refusal(Reason.INVALID_PRICE, f"price {given} is not above 0")
    for given in prices:
        if given is not None and given % tick_size_at(instrument, given):
            text = f"price {given} is not in ticks of {tick_size_at(instrument, given)}"
            return Refusal(Reason.WRONG_TICK, text)
    reference, band = instrument.reference_price, instrument.price_band_bps
    if price is None or reference is None or band is None:
        return None
    if abs(price - reference) * BASIS_POINTS > reference * band:
        text = f"price {price} is more than {band} basis points from {reference}"
        return Refusal(Reason.OUTSIDE_BAND, text)
    return None
