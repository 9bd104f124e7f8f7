"""How an update is spread over several, where it tells of more than one record takes.

Decides how much there is in one, and that each has a number of its own. Refuses to know what it tells, and why.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from bourse.schemas.records import BookLevel, BookOrder, BookUpdate

MOST: Final = 5_000
"""The most levels, and the most orders, in one update: with the largest numbers a tenth of what its topic takes."""


def count(levels: Sequence[BookLevel], orders: Sequence[BookOrder]) -> int:
    """Return how many updates it takes to tell of so many levels and orders: one at least."""
    return max(1, -(-max(len(levels), len(orders)) // MOST))


def spread(
    update: BookUpdate, levels: Sequence[BookLevel], orders: Sequence[BookOrder]
) -> Iterator[BookUpdate]:
    """Yield an update with its levels and orders, and further ones for what is more than one takes.

    Each has the number after the one before. The first alone has the flag of a snapshot: who comes in between waits for the next.
    """
    parts = count(levels, orders)
    for part in range(parts):
        portion = slice(part * MOST, (part + 1) * MOST)
        yield replace(
            update,
            sequence=update.sequence + part,
            changes=tuple(levels[portion]),
            is_snapshot=update.is_snapshot and part == 0,
            orders=tuple(orders[portion]),
            part=part,
            parts=parts,
        )
