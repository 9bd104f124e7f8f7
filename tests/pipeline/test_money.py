"""Fees round down, parts never cost more than the whole, and only valuations are cut to what can be written."""

from hypothesis import given
from hypothesis import strategies as st

from bourse.pipeline.money import fee, fits, saturated, with_fee
from bourse.schemas.units import INT64_MAX, INT64_MIN

values = st.integers(0, 10**18)
basis_points = st.integers(0, 10_000)


@given(st.lists(values, max_size=5), basis_points)
def test_fees_of_parts_never_exceed_the_fee_of_the_whole(parts: list[int], bps: int) -> None:
    assert sum(fee(part, bps) for part in parts) <= fee(sum(parts), bps)


@given(values, basis_points, st.integers(0, 10_000))
def test_a_value_with_its_highest_fee_covers_any_lower_one(value: int, bps: int, lower: int) -> None:
    assert with_fee(value, bps) >= value + fee(value, min(bps, lower))
    assert fee(value, 0) == 0
    assert fee(value, 10_000) == value


def test_a_fee_is_rounded_down() -> None:
    assert (fee(9_999, 1), fee(10_000, 1), fee(19_999, 1)) == (0, 1, 1)


def test_what_fits_is_what_a_long_can_say() -> None:
    assert fits(INT64_MAX)
    assert fits(INT64_MIN)
    assert not fits(INT64_MAX + 1)
    assert not fits(INT64_MIN - 1)
    assert [saturated(x) for x in (INT64_MAX + 1, INT64_MIN - 1, 5)] == [INT64_MAX, INT64_MIN, 5]
