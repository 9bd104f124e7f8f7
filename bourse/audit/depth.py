"""A20: what the books' updates say.

Never crossed while trading is continuous, none and no part of one missing, snapshots when they are due, orders that make
the levels.
"""

from typing import Final, TypeAlias

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.audit.shown import is_snapshot_due, update_in
from bourse.schemas.records import BookOrder, BookOrderAction, BookUpdate, SessionKind, Side

Place: TypeAlias = tuple[Side, int]
"""A side and a price."""
Level: TypeAlias = tuple[int, int]
"""The quantity shown at a price, and the number of orders."""
_NOTHING: Final = (0, 0)
_DELETE: Final = BookOrderAction.DELETE


class OrdersTold:
    """The orders of one book as its updates tell of them, and the levels that they are to make."""

    __slots__ = ("_levels", "_made", "_orders", "_touched")

    def __init__(self) -> None:
        self._orders: dict[str, BookOrder] = {}
        self._levels: dict[Place, Level] = {}
        """As they are told."""
        self._made: dict[Place, Level] = {}
        """As the orders make them."""
        self._touched: set[Place] = set()

    def update(self, update: BookUpdate) -> str | None:
        """Take in one update; return what is wrong with its orders, once all parts of it are there."""
        if update.is_snapshot and not update.part:
            self._orders, self._levels, self._made = {}, {}, {}
        for level in update.changes:
            self._levels[level.side, level.price] = (level.quantity, level.orders)
            self._touched.add((level.side, level.price))
        for order in update.orders:
            before = self._orders.pop(order.order_id, None)
            if before is not None:
                self._count(before, -1)
            if order.action is not _DELETE:
                self._orders[order.order_id] = order
                self._count(order, 1)
        if update.part + 1 < update.parts:
            return None
        touched, self._touched = self._touched, set()
        return next(filter(None, map(self._problem, sorted(touched))), None)

    def _count(self, order: BookOrder, sign: int) -> None:
        place = (order.side, order.price)
        quantity, orders = self._made.get(place, _NOTHING)
        self._made[place] = (quantity + sign * order.quantity, orders + sign)
        self._touched.add(place)

    def _problem(self, place: Place) -> str | None:
        """Compare a level with its orders, and forget it where it is empty."""
        told, made = self._levels.get(place, _NOTHING), self._made.get(place, _NOTHING)
        if told == made == _NOTHING:
            self._levels.pop(place, None)
            self._made.pop(place, None)
        if told == made:
            return None
        side, price = place
        return f"it tells of {told[0]} at {price} ({side}), in {told[1]} orders; those it tells of are {made[0]} in {made[1]}"


class Depth:
    """The last update of each book."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sequences: dict[str, int] = {}
        self._unfinished: dict[str, Entry] = {}
        """The last one of those that are spread over several, while another one is to come."""
        self._orders: dict[str, OrdersTold] = {}
        """Of books that tell of their orders."""
        self._updates = 0

    def update(self, entry: Entry, update: BookUpdate) -> None:
        """Take in one update."""
        self._updates += 1
        before = self._sequences.get(update.symbol, 0)
        if update.sequence != before + 1:
            cause = f"update {update.sequence} of {update.symbol} follows update {before}"
            self._ledger.fail(Equation.A20, entry, cause)
        self._sequences[update.symbol] = update.sequence
        problem = self._part_problem(entry, update)
        if problem is not None:
            self._ledger.fail(Equation.A20, entry, problem)
        bid, ask = update.best_bid, update.best_ask
        is_crossed = bid is not None and ask is not None and bid >= ask
        if is_crossed and update.phase is SessionKind.OPEN:
            self._ledger.fail(Equation.A20, entry, f"{update.symbol} has a bid of {bid} and an ask of {ask}")
        if update.orders or update.symbol in self._orders:
            self._told(entry, update)

    def _part_problem(self, entry: Entry, update: BookUpdate) -> str | None:
        """Say what is wrong with the place of an update among those that it is spread over."""
        unfinished = self._unfinished.pop(update.symbol, None)
        before = None if unfinished is None else update_in(unfinished)
        due = (0, update.parts) if before is None else (before.part + 1, before.parts)
        if (update.part, update.parts) != due:
            return f"it is part {update.part} of {update.parts}, and should be {due[0]} of {due[1]}"
        if update.part + 1 < update.parts:
            self._unfinished[update.symbol] = entry
        if update.part == 0 and not update.is_snapshot and is_snapshot_due(update):
            return f"update {update.sequence} of {update.symbol} should be a snapshot"
        return None

    def _told(self, entry: Entry, update: BookUpdate) -> None:
        """Hold the orders that a book tells of to its levels."""
        if update.is_snapshot and not update.orders:
            # It tells of levels alone from now on; or there are no orders, and the next one begins a new account.
            del self._orders[update.symbol]
            return
        problem = self._orders.setdefault(update.symbol, OrdersTold()).update(update)
        if problem is not None:
            self._ledger.fail(Equation.A20, entry, problem)

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Add how many updates were looked at, and judge what is left over."""
        for entry in self._unfinished.values() if at_rest else ():
            update = update_in(entry)
            ledger.fail(Equation.A20, entry, f"nothing follows part {update.part} of {update.parts}")
        ledger.looked_at[Equation.A20] += self._updates
