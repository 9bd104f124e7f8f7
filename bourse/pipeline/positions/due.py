"""Which holdings have something to settle on which date: an index over their rows, so that a new date costs what is due."""

import datetime as dt
from collections import defaultdict


class DueHoldings:
    """Keys of holdings by market and settlement date. A key may be in it whose entry has netted to nothing since."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: defaultdict[str, defaultdict[dt.date, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(self, market: str, date: dt.date, key: str) -> None:
        """Remember that a holding has something to settle."""
        self._keys[market][date].add(key)

    def take(self, market: str, date: dt.date) -> list[str]:
        """Return the holdings with something to settle on or before a date, in key order, and forget them."""
        dates = self._keys[market]
        due = [dates.pop(earlier) for earlier in sorted(dates) if earlier <= date]
        return sorted(set().union(*due))
