"""What a book shows, held to an update of it: levels, best prices, phase, and the price that a call indicates."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from bourse.audit.call import call_price
from bourse.audit.entries import Entry
from bourse.audit.equations import Equation
from bourse.audit.levels import BUY
from bourse.audit.naive import NaiveBook
from bourse.schemas.records import BookOrder, BookOrderAction, BookUpdate, SessionKind, Side

_SNAPSHOT_EVERY: Final = 1_000


def update_in(entry: Entry) -> BookUpdate:
    """Return the update that an entry holds."""
    update = entry.record
    assert isinstance(update, BookUpdate)
    return update


def is_snapshot_due(update: BookUpdate) -> bool:
    """Say whether one of the numbers of an update, of which this is the first part, asks for a snapshot."""
    last = update.sequence + update.parts - 1
    return last // _SNAPSHOT_EVERY != (update.sequence - 1) // _SNAPSHOT_EVERY


def joined(parts: Sequence[Entry]) -> Entry:
    """Return the first of the updates that one update is spread over, with what all of them tell."""
    updates = [update_in(part) for part in parts]
    whole = replace(
        updates[0],
        changes=tuple(level for update in updates for level in update.changes),
        orders=tuple(order for update in updates for order in update.orders),
    )
    return parts[0]._replace(record=whole)


def problem_of(book: NaiveBook, entry: Entry) -> tuple[Equation, str] | None:
    """Compare what an update tells with a naive book."""
    update = update_in(entry)
    problem = _level_problem(book, update)
    if problem is None and update.orders:
        problem = _order_problem(book, update)
    if problem is not None:
        return Equation.A6, problem
    bid, ask = book.bids.best(), book.asks.best()
    if update.best_bid != bid or update.best_ask != ask:
        told = f"{update.best_bid} and {update.best_ask}"
        return Equation.A20, f"its best prices are {told}, its levels make {bid} and {ask}"
    is_plain = (
        update.phase is SessionKind.OPEN
        and update.phase is book.session
        and update.paused_until_time_ns is None
    )
    if book.session is not None and (not is_plain or book.is_paused or book.is_halted or book.is_crossed()):
        shown, until = book.shown_phase, update.paused_until_time_ns
        if update.phase is not shown or (until is None) is book.is_paused:
            return (
                Equation.A23,
                f"it is {_phase(update.phase, until is not None)}, and should be {_phase(shown, book.is_paused)}",
            )
    if update.indicative_price is not None:
        call = call_price(book, book.reference)
        if call != (update.indicative_price, update.indicative_quantity, update.indicative_surplus):
            return Equation.A6, f"it indicates {update.indicative_price}; the naive book {call}"
    return None


def _level_problem(book: NaiveBook, update: BookUpdate) -> str | None:
    bids = book.bids.changes() if book.bids.touched else {}
    asks = book.asks.changes() if book.asks.touched else {}
    for level in update.changes:
        half, changes = (book.bids, bids) if level.side is BUY else (book.asks, asks)
        changes.pop(level.price, None)
        due = half.level(level.price)
        if due != (level.quantity, level.orders):
            told = f"{level.quantity} in {level.orders} orders at {level.price} ({level.side})"
            return f"{told}; the naive book has {due[0]} in {due[1]}"
    if bids or asks:
        price, due = next(iter((bids or asks).items()))
        return f"it does not tell that {due[0]} are left at {price}"
    return None


def _order_problem(book: NaiveBook, update: BookUpdate) -> str | None:
    """Hold the orders that an update tells of to those of a naive book: what they display, and who comes first."""
    in_line: defaultdict[tuple[Side, int], list[BookOrder]] = defaultdict(list)
    for order in update.orders:
        live = book.half(order.side).queue(order.price).get(order.order_id)
        if order.action is not BookOrderAction.DELETE:
            in_line[order.side, order.price].append(order)
            if live is None or live.shown != order.quantity:
                due = "does not have it there" if live is None else f"displays {live.shown}"
                return (
                    f"order {order.order_id} displays {order.quantity} at {order.price}; the naive book {due}"
                )
        elif order.order_id in book.orders:
            return f"order {order.order_id} is gone; the naive book has it"
    for (side, price), orders in in_line.items():
        told = {order.order_id: order.place for order in orders}
        if len(told) > 1:
            line = [order_id for order_id in book.half(side).queue(price) if order_id in told]
            if line != sorted(told, key=told.__getitem__):
                return f"of its orders at {price} others come first than on the naive book, where it is {line[0]}"
    return None


def _phase(phase: SessionKind | None, is_paused: bool) -> str:  # noqa: FBT001 - a fact of the book
    return f"{phase}, paused" if is_paused else str(phase)


def begin_session(book: NaiveBook, update: BookUpdate) -> None:
    """Take the phase of a book that was in none yet from its first update."""
    is_open = update.phase is SessionKind.HALT or update.paused_until_time_ns is not None
    book.session = SessionKind.OPEN if is_open else update.phase
