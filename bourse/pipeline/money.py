"""Exact amounts. Decides how fees are rounded and what fits in a record; refuses to know whose money it is.

Everything is an integer: cash in 1/10,000 of the currency unit, so that price x quantity is exact.
"""

from typing import Final

from bourse.schemas.units import INT64_MAX, INT64_MIN, Cash

BASIS_POINTS: Final = 10_000


def fee(value: int, bps: int) -> Cash:
    """Return the fee on a value, in cash units, rounded down; for the same bps, fees of parts never exceed that of the whole."""
    return Cash(value * bps // BASIS_POINTS)


def with_fee(value: int, bps: int) -> Cash:
    """Return a value and the highest fee that it can cost."""
    return Cash(value + value * bps // BASIS_POINTS)


def fits(amount: int) -> bool:
    """Say whether an amount can be written as a `long`."""
    return INT64_MIN <= amount <= INT64_MAX


def saturated(amount: int) -> Cash:
    """Return a valuation, held to what a `long` can say.

    Only for figures that nobody is paid (cost, market value, profit): balances are refused or stop the worker instead.
    """
    if INT64_MIN <= amount <= INT64_MAX:
        return Cash(amount)
    return Cash(INT64_MAX if amount > 0 else INT64_MIN)
