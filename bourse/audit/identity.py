"""A2 and A19: every event_id once, in the order of its source, in the partition of its key.

Remembering every id would take memory without end, so uniqueness is proved from order. All records of one topic
partition that came the same way from one source partition are a *lane*; along a lane, source offsets and places must
rise, so no id can be there twice. Behind a book the order of a source is kept for each symbol, so there a lane is one
symbol's. What the lanes cannot order are the wallet transactions of fills and releases (cash of several symbols meets in
one wallet): a repeat of those breaks the wallet's chain (A11), or is found among the last ids of the partition.

The last ids of each topic partition are kept as well, a bounded number: they tell a repeat (A2) from a late record (A19).
"""

from collections import defaultdict
from typing import Final, TypeAlias

from bourse.audit.entries import NO_WAY, Entry, Way, Ways
from bourse.audit.equations import Equation, Ledger

Lane: TypeAlias = tuple[str, int, str, str, str, str]
"""Topic, partition, source topic, source partition, path, and the symbol behind a book."""

Spot: TypeAlias = tuple[int, tuple[int, ...]]
"""Source offset and places: rises along a lane."""

_WINDOW: Final = 8192
_POSITION_PARTS: Final = 3
_UNLANED: Final = "wallet-transactions"


class _Recent:
    """The last ids of a topic partition: at least the last 8,192, at most twice as many."""

    __slots__ = ("forgot", "old", "young")

    def __init__(self) -> None:
        self.young: set[str] = set()
        self.old: set[str] = set()
        self.forgot = False

    def add(self, event_id: str) -> None:
        self.young.add(event_id)
        if len(self.young) >= _WINDOW:
            self.forgot = bool(self.old) or self.forgot
            self.old, self.young = self.young, set()

    def has(self, event_id: str) -> bool:
        return event_id in self.young or event_id in self.old


class Identity:
    """Reads the ids of output records, and holds each to its lane and its key's partition."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ways = Ways()
        self._last: dict[Lane, Spot] = {}
        self._recent: defaultdict[tuple[str, int], _Recent] = defaultdict(_Recent)
        self._homes: dict[str, dict[str, int]] = {"account": {}, "symbol": {}}
        self._ids = 0
        self._strange = 0

    def way_of(self, entry: Entry, event_id: str, symbol: str) -> Way:
        """Check an output's id against what was before it, and return the way that it tells."""
        self._ids += 1
        recent = self._recent[entry.topic, entry.partition]
        try:
            topic, partition, offset, steps = event_id.split("/", _POSITION_PARTS)
            way = self._ways[steps]
            spot = (int(offset), way.places)
        except ValueError:
            way = NO_WAY
        if way is NO_WAY or (way.from_book and entry.topic == _UNLANED):
            self._strange += way is NO_WAY
            if recent.has(event_id):
                self._ledger.fail(Equation.A2, entry, "its id is there twice")
        else:
            lane = (entry.topic, entry.partition, topic, partition, way.path, symbol if way.from_book else "")
            last = self._last.get(lane)
            if last is None or spot > last:
                self._last[lane] = spot
            else:
                self._blame(entry, event_id, recent, lane, last)
        recent.add(event_id)
        return way

    def _blame(self, entry: Entry, event_id: str, recent: _Recent, lane: Lane, last: Spot) -> None:
        """Tell whether an id that does not follow its lane's last one is a repeat, or late."""
        if recent.has(event_id):
            self._ledger.fail(Equation.A2, entry, "its id is there twice")
            return
        offset, places = last
        after = f"{lane[2]}/{lane[3]}/{offset} ({lane[4]} {'.'.join(map(str, places))})"
        self._ledger.fail(Equation.A19, entry, f"it comes after what {after} caused")
        if recent.forgot:
            self._ledger.fail(Equation.A2, entry, f"it is late, and may be a repeat: it comes after {after}")

    def at_home(self, entry: Entry, side: str, own: str) -> None:
        """Check that a record has its key, and that the key has one partition on its side of the flow."""
        if entry.key is not None and entry.key != own:
            self._ledger.fail(Equation.A19, entry, f"its key is {entry.key!r}, its {side} {own!r}")
        home = self._homes[side].setdefault(own, entry.partition)
        if home != entry.partition:
            self._ledger.fail(
                Equation.A19, entry, f"{side} {own!r} is in partition {home} and in {entry.partition}"
            )

    def home_of(self, side: str, own: str) -> int | None:
        """Return the partition of an account or symbol, if a record has told it."""
        return self._homes[side].get(own)

    def conclude(self, ledger: Ledger) -> None:
        """Add how many ids were looked at."""
        ledger.looked_at[Equation.A2] += self._ids
        ledger.looked_at[Equation.A19] += self._ids - self._strange
        if self._strange:
            ledger.leave_out(
                Equation.A19, f"{self._strange:,} ids that come from no position tell no order of theirs"
            )
