"""The worst price at which an order without a limit may trade: what a buy is blocked for, and where the book stops.

A MARKET order is measured from the instrument's reference price, a STOP from its stop price, a TRAILING_STOP from where
it starts to trail, from there on as far as its distance is changed. `collar_bps` says how far it may reach from there, for a MARKET order no further than the static band.
Without a collar a sell may trade at any price, as it costs nobody's cash, and a buy as far as it is blocked for: see
`UNCOLLARED_STOP_BPS` and `UNCOLLARED_MARKET_BPS`, and docs/market-rules.md for the whole table.
"""

from typing import Final

from bourse.pipeline import holds
from bourse.pipeline.money import BASIS_POINTS, fits
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.ticks import rounded_down, rounded_up
from bourse.schemas.records import Hold, Instrument, OrderType, Side, ValidatedOrder
from bourse.schemas.units import INT64_MAX, Price

WITH_LIMIT: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
"""The types that need no such price: they name one themselves."""
UNCOLLARED_STOP_BPS: Final = 1_000
"""How far above its trigger a stop to buy may pay where the instrument has no collar: what it blocks may be blocked for days."""
UNCOLLARED_MARKET_BPS: Final = 10_000
"""How far above the reference price a market buy may pay then, if the account has as much: its block is back in a moment."""


def protective_price(
    instrument: Instrument, order: ValidatedOrder, side: Side, affordable: Price
) -> Price | Refusal | None:
    """Return the worst price of an order without a limit, None where any will do, or why it cannot be blocked for.

    `affordable` is the highest price at which the account can pay for all of a buy.
    """
    start = _start(instrument, order, side)
    reach = _reach(instrument, order.order_type)
    if side is Side.BUY:
        worst = _highest(instrument, order, start, reach, affordable)
        return worst if isinstance(worst, Refusal) else _countable(worst)
    if start is None or reach is None:
        return None
    return _countable(_lowest(instrument, start, reach))


def moved_price(instrument: Instrument, hold: Hold, trail_amount: int) -> Price | Refusal | None:
    """Return the worst price of a trailing stop that is to have another distance: it moves as far as its stop price does.

    Of replaces under way the book may take any: from the price that reaches furthest, by the greatest change.
    """
    further = trail_amount - min(
        [hold.trail_amount, *(row.trail_amount or INT64_MAX for row in hold.pending)]
    )
    if hold.side is Side.BUY:
        return _countable(_in_ticks(instrument, holds.highest_price(hold) + further))
    lowest = min([hold.price, *(row.price or INT64_MAX for row in hold.pending)])
    return _countable(rounded_up(instrument, max(1, lowest - further))) if lowest else None


def _countable(worst: int) -> Price | Refusal:
    """Refuse a price that no record can hold; not for the value to tell, as nothing is worth nothing at any price."""
    if fits(worst):
        return Price(worst)
    return Refusal(Reason.VALUE_OVERFLOW, f"a price of {worst} is more than can be counted")


def _lowest(instrument: Instrument, start: int, reach: int) -> Price:
    """Return the lowest price that a sell may get."""
    lowest = -(-start * (BASIS_POINTS - reach) // BASIS_POINTS)
    return Price(rounded_up(instrument, max(1, lowest)))


def _highest(
    instrument: Instrument, order: ValidatedOrder, start: int | None, reach: int | None, affordable: Price
) -> Price | Refusal:
    """Return the highest price that a buy may pay."""
    is_stop = order.order_type is not OrderType.MARKET
    if start is None and is_stop:
        text = f"{instrument.symbol} has no reference price to trail from: give a stop_price"
        return Refusal(Reason.NO_REFERENCE_PRICE, text)
    if start is None:
        return _in_ticks(instrument, affordable)
    if reach is not None or is_stop:
        return _above(instrument, start, UNCOLLARED_STOP_BPS if reach is None else reach)
    # Never below the start: who cannot pay that much is refused for want of cash.
    furthest = _above(instrument, start, UNCOLLARED_MARKET_BPS)
    return min(furthest, max(_above(instrument, start, 0), _in_ticks(instrument, affordable)))


def _start(instrument: Instrument, order: ValidatedOrder, side: Side) -> int | None:
    """Return the price that the collar is measured from, None if there is none."""
    reference = instrument.reference_price or None
    if order.order_type is OrderType.MARKET:
        return reference
    if order.stop_price is not None:
        return order.stop_price
    if side is Side.SELL or reference is None or order.trail_amount is None:
        # It starts at its distance from the last price, which only the book knows; a sell needs no cash for it.
        return None
    return reference + order.trail_amount


def _reach(instrument: Instrument, order_type: OrderType) -> int | None:
    """Return how far an order may reach, in basis points of where it starts; None for as far as it likes."""
    limits = [instrument.collar_bps]
    if order_type is OrderType.MARKET:
        limits.append(instrument.price_band_bps)
    return min((limit for limit in limits if limit is not None), default=None)


def _above(instrument: Instrument, start: int, reach: int) -> Price:
    return _in_ticks(instrument, start * (BASIS_POINTS + reach) // BASIS_POINTS)


def _in_ticks(instrument: Instrument, price: int) -> Price:
    return Price(rounded_down(instrument, price) or instrument.tick_size)
