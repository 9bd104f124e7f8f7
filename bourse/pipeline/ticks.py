"""Which prices an instrument can have: multiples of a tick size that may grow with the price (MiFID II RTS 11, article 2).

Validation asks for what clients send, risk rounds the prices that it works out itself. Refuses to know whose order it is.
"""

from bourse.schemas.records import Instrument


def tick_size_at(instrument: Instrument, price: int) -> int:
    """Return the tick size of a price: that of the highest band of the tick table that begins at or below it."""
    tick_size: int = instrument.tick_size
    if not instrument.tick_table:
        return tick_size
    for band in instrument.tick_table:
        if band.from_price > price:
            break
        tick_size = band.tick_size
    return tick_size


def rounded_down(instrument: Instrument, price: int) -> int:
    """Return the highest price in ticks at or below a price."""
    return price - price % tick_size_at(instrument, price)


def rounded_up(instrument: Instrument, price: int) -> int:
    """Return the lowest price in ticks at or above a price; each band begins with a price in ticks."""
    rounded = price + -price % tick_size_at(instrument, price)
    return min([rounded, *(band.from_price for band in instrument.tick_table if band.from_price > price)])
