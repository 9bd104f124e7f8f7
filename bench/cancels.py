"""How late the orders are that a market cancels: what `bench book --latest` draws from.

The real day of `samples/` goes through a book. For each cancel, the resting orders that came later than the one it means are counted,
and all that rest.

    python -m bench cancels
"""

import argparse
from statistics import median, quantiles

from msgspec.structs import replace

from bench.book import Stream, normal
from bench.book_loop import Event, trade
from bourse.cli.trading_day import KNOWN_TRUTH, Row, RowKind, rows
from bourse.pipeline.matching.book import Book
from bourse.schemas.records import RestingOrder
from bourse.schemas.units import Quantity


def later() -> tuple[list[int], list[int]]:
    """Return how many resting orders came later than the cancelled one, and how many rest, for each cancel of the day."""
    book, template = Book(), Stream(0, 0, normal).order()
    came_later: list[int] = []
    resting: list[int] = []
    trades = 0
    for row in rows():
        order_id = str(row.uid)
        if row.kind is RowKind.NEW:
            events: list[Event] = []
            left = trade(book, _order(template, row), events)
            trades += len(events)
            if left.leaves_quantity:
                book.rest(left)
        elif (order := book.get(order_id)) is not None and row.kind is RowKind.MODIF:
            _reduce(book, order, row.quantity)
        elif order is not None:
            # A book has its orders in the order in which they came to rest.
            came_later.append(next(place for place, other in enumerate(reversed([*book])) if other is order))
            resting.append(len(book))
            book.remove(order_id)
    assert (trades, len(came_later), len(book)) == (KNOWN_TRUTH.trades, KNOWN_TRUTH.cancels, 0)
    return came_later, resting


def _order(template: RestingOrder, row: Row) -> RestingOrder:
    assert row.side is not None
    assert row.price is not None
    return replace(
        template,
        order_id=str(row.uid),
        side=row.side,
        price=row.price,
        order_quantity=row.quantity,
        leaves_quantity=row.quantity,
    )


def _reduce(book: Book, order: RestingOrder, less: Quantity) -> None:
    leaves = Quantity(order.leaves_quantity - less)
    if leaves > 0:
        total = Quantity(order.order_quantity - less)
        book.amend(replace(order, order_quantity=total, leaves_quantity=leaves))
    else:
        book.remove(order.order_id)


def main(arguments: list[str]) -> None:
    """Print the figures."""
    argparse.ArgumentParser(prog="python -m bench cancels").parse_args(arguments)
    came_later, resting = later()
    hundredths = quantiles(came_later, n=100)
    print(f"cancels                     {len(came_later):>8,}")
    print(f"resting orders, median      {median(resting):>8,.0f}")
    print(f"most                        {max(resting):>8,}")
    print(f"later ones, mean            {sum(came_later) / len(came_later):>8,.1f}")
    print(f"median                      {median(came_later):>8,.0f}")
    print(f"nine of ten at most         {hundredths[89]:>8,.0f}")
    print(f"ninety-nine of a hundred    {hundredths[98]:>8,.0f}")
    print(f"all                         {max(came_later):>8,}")
