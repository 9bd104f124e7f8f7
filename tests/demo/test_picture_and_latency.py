"""The picture of a book, and the percentiles."""

from bourse.cli.demo import picture
from bourse.cli.demo.latency import Latencies
from bourse.pipeline.outputs import Topic

MILLISECOND_NS = 10**6


def test_a_picture_has_the_highest_price_at_its_top_and_the_lowest_at_its_bottom() -> None:
    lines = picture.draw([100_0000] + [None] * 143, [None] * 143 + [101_0000])
    assert len(lines) == picture.ROWS
    assert lines[0].plain.startswith("  101.00 ")
    assert lines[0].plain.endswith("⠈")
    assert lines[-1].plain[9] == "⡀"


def test_a_book_that_never_had_a_price_has_no_picture() -> None:
    assert picture.draw([None] * picture.dots(), [None] * picture.dots()) == []


def test_a_price_that_never_moves_is_one_line() -> None:
    lines = picture.draw([100_0000] * picture.dots(), [None] * picture.dots())
    assert [line.plain[9:].strip("⠀") != "" for line in lines] == [False] * 11 + [True]


def test_latency_is_from_the_order_to_what_came_of_it_whichever_is_read_first() -> None:
    latencies = Latencies()
    latencies.arrival(Topic.TRADES, "orders/0/7/v0/r0/m0", 1_030 * MILLISECOND_NS)
    latencies.order("orders/0/7", 1_000)
    latencies.arrival(Topic.TRADES, "orders/0/7/v0/r0/m1", 1_050 * MILLISECOND_NS)
    latencies.arrival(Topic.SETTLEMENTS, "orders/0/7/v0/r0/m0/p0/s0", 1_100 * MILLISECOND_NS)
    trade, settlement = latencies.percentiles()
    assert (trade.way, trade.records, trade.values_ms) == ("order to trade", 2, (30.0, 50.0, 50.0, 50.0))
    assert (settlement.way, settlement.records, settlement.values_ms[0]) == ("order to settlement", 1, 100.0)


def test_what_no_order_caused_has_no_latency() -> None:
    latencies = Latencies()
    latencies.arrival(Topic.SETTLEMENTS, "sessions/0/3/a0/s0", 5)
    assert latencies.percentiles() == []


def test_percentiles_are_nearest_ranks() -> None:
    latencies = Latencies()
    for place in range(100):
        latencies.order(f"orders/0/{place}", 0)
        latencies.arrival(Topic.TRADES, f"orders/0/{place}/v0/r0/m0", (place + 1) * MILLISECOND_NS)
    (trade,) = latencies.percentiles()
    assert trade.values_ms == (50.0, 90.0, 99.0, 100.0)
