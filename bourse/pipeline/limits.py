"""How much one order may be for. Decides by the value and quantity alone; refuses to know who can pay.

Validation asks for new orders with a price, risk for those without and for replaces whose price only the hold knows.
"""

from bourse.pipeline.money import BASIS_POINTS, fits, with_fee
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import Account, Instrument
from bourse.schemas.units import Price


def highest_fee_bps(instrument: Instrument) -> int:
    """Return the fee that a fill can cost at most, whichever side of the book it is on."""
    return max(instrument.maker_fee_bps, instrument.taker_fee_bps)


def affordable_price(account: Account, instrument: Instrument, quantity: int, available: int) -> Price:
    """Return the highest price at which a buy is within the available cash, with its fee, and within the limits of value."""
    value = available * BASIS_POINTS // (BASIS_POINTS + highest_fee_bps(instrument))
    limits = (instrument.max_order_value, account.max_order_value)
    value = max(0, min([value, *(limit for limit in limits if limit is not None)]))
    return Price(value // (quantity * instrument.multiplier))


def value_refusal(account: Account, instrument: Instrument, quantity: int, price: int) -> Refusal | None:
    """Return why an order of that value is too big, or None."""
    value = quantity * price * instrument.multiplier
    if not fits(with_fee(value, highest_fee_bps(instrument))):
        return Refusal(Reason.VALUE_OVERFLOW, f"{quantity} at {price} is more than can be counted")
    if instrument.max_order_value is not None and value > instrument.max_order_value:
        return Refusal(
            Reason.ABOVE_MAX_VALUE, f"{value} is above the instrument's {instrument.max_order_value}"
        )
    if account.max_order_value is not None and value > account.max_order_value:
        return Refusal(Reason.ABOVE_MAX_VALUE, f"{value} is above the account's {account.max_order_value}")
    return None
