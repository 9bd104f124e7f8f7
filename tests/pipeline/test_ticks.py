"""Prices in ticks: a table by price, and rounding that never leaves the ticks nor goes the wrong way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bourse.pipeline.ticks import rounded_down, rounded_up, tick_size_at
from bourse.schemas.records import Instrument, TickBand

BY_PRICE = Instrument("AAA", tick_size=2, tick_table=(TickBand(10, 5), TickBand(35, 7), TickBand(100, 100)))
FLAT = Instrument("AAA", tick_size=3)


@pytest.mark.parametrize(
    ("price", "tick_size"), [(1, 2), (9, 2), (10, 5), (34, 5), (35, 7), (99, 7), (100, 100)]
)
def test_the_highest_band_that_begins_at_or_below_a_price_says_its_tick(price: int, tick_size: int) -> None:
    assert tick_size_at(BY_PRICE, price) == tick_size
    assert tick_size_at(FLAT, price) == 3


@given(st.sampled_from([BY_PRICE, FLAT]), st.integers(0, 1_000))
def test_rounding_finds_the_next_price_in_ticks_on_either_side(instrument: Instrument, price: int) -> None:
    in_ticks = [p for p in range(1_200) if p % tick_size_at(instrument, p) == 0]
    assert rounded_down(instrument, price) == max(p for p in in_ticks if p <= price)
    assert rounded_up(instrument, price) == min(p for p in in_ticks if p >= price)
