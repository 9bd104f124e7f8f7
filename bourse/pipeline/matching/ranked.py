"""Order ids by rank, lowest first: a heap that skips the ids which have left or moved, and is swept when they are the most.

Decides nothing; what a rank is (a price, a time) is the caller's.
"""

import heapq
from typing import Final, TypeAlias

FEW: Final = 32
"""As many entries of orders that have left as nobody minds to keep."""

Entry: TypeAlias = tuple[int, int, str]
"""Rank, place among those of one rank, order id."""


class Ranked:
    """Ids by rank and place."""

    __slots__ = ("_entries", "_heap")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._entries: dict[str, Entry] = {}

    def put(self, order_id: str, rank: int, place: int) -> None:
        """Add an id, or move it."""
        entry = self._entries[order_id] = (rank, place, order_id)
        heapq.heappush(self._heap, entry)
        self._sweep()

    def drop(self, order_id: str) -> None:
        """Take out an id, if it is there."""
        if self._entries.pop(order_id, None) is not None:
            self._sweep()

    def lowest(self) -> int | None:
        """Return the lowest rank, or None where there is no id."""
        heap, entries = self._heap, self._entries
        while heap and entries.get(heap[0][2]) != heap[0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take(self, limit: int) -> list[str]:
        """Take out the ids that rank no higher than the limit, and return them, lowest first."""
        taken: list[str] = []
        heap, entries = self._heap, self._entries
        while heap and heap[0][0] <= limit:
            entry = heapq.heappop(heap)
            if entries.get(entry[2]) == entry:
                del entries[entry[2]]
                taken.append(entry[2])
        return taken

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._entries) + FEW:
            self._heap = sorted(self._entries.values())
