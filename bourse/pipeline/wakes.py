"""When each book of a partition has something to do by the clock: an order that expires, a pause that ends.

Derived from the rows of `books`, so that a tick of the clock concerns the books that are due and no others.
"""

from typing import TYPE_CHECKING

from bourse.schemas.records import BookState
from bourse.schemas.units import TimeNs

if TYPE_CHECKING:  # that room imports this one
    from bourse.pipeline.state import Table


class Wakes:
    """Times by symbol."""

    __slots__ = ("_books", "_times")

    def __init__(self, books: "Table[BookState]") -> None:
        self._books = books
        self._times: dict[str, TimeNs] | None = None  # read when it is first asked for

    def learn(self, symbol: str, time_ns: TimeNs | None) -> None:
        """Take note of what a book's row says now."""
        if self._times is None:
            return
        if time_ns is None:
            self._times.pop(symbol, None)
        else:
            self._times[symbol] = time_ns

    def due(self, time_ns: TimeNs) -> list[str]:
        """Return the symbols of the books that have something to do by that time, in their order."""
        if self._times is None:
            self._times = {
                symbol: row.wake_time_ns
                for symbol, row in self._books.scan("")
                if row.wake_time_ns is not None
            }
        return sorted(symbol for symbol, due_ns in self._times.items() if due_ns <= time_ns)
