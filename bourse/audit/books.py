"""A6: the trades and the depth of each symbol are those of a naive book over the same messages.

Approved messages come in their order, but the topics do not say where a session event came in between. Book updates do:
they tell what changed the book, one after the other. So each update lets the naive book take in the messages up to the one
that caused it; those before must change nothing. Whether a message was accepted, its first output tells.

What a naive book does not know (`naive.unknown`) leaves its symbol out from there on, and the report says so.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from copy import deepcopy
from typing import Final

from bourse.audit.entries import Entry, cause_of
from bourse.audit.equations import Equation, Ledger
from bourse.audit.naive import Fill, Impossible, NaiveBook, Unknown, unknown
from bourse.schemas.records import (
    Announcement,
    ApprovedOrder,
    BookUpdate,
    Liquidity,
    OrderAction,
    OrderEvent,
    OrderStatus,
    SessionEvent,
    SessionKind,
    Side,
    Trade,
)

_REFUSED: Final = frozenset((OrderStatus.REJECTED, OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED))
_DECIDED_BY_BOOK: Final = frozenset(("POST_ONLY_WOULD_TAKE", "FOK_NOT_FILLABLE"))
_PHASES: Final = frozenset(SessionKind) - {SessionKind.HALT, SessionKind.TICK}
_TAKING_BACK: Final = frozenset((OrderAction.CANCEL, OrderAction.MASS_CANCEL))
_MOST_WAITING: Final = 20_000
"""Messages or updates of one symbol; more wait only where something is missing."""


class _Symbol:
    """One book, and what waits to be played on it."""

    __slots__ = ("actual", "answers", "book", "messages", "predicted", "sequence", "updates", "waiting")

    def __init__(self) -> None:
        self.book = NaiveBook()
        self.messages: deque[Entry] = deque()
        self.updates: deque[Entry] = deque()
        self.sequence = 0
        self.answers: dict[str, str] = {}
        """By id of a message: the reason for which the book refused it, or nothing if it was accepted."""
        self.waiting: set[str] = set()
        """The ids of `messages`."""
        self.predicted: dict[str, tuple[Entry, deque[Fill]]] = {}
        """By id of a message: the message, and its trades on the naive book that were not read yet."""
        self.actual: dict[str, deque[tuple[Entry, Fill]]] = {}
        """By id of a message: trades that were read, and not found on the naive book yet."""


class _Wrong(Exception):  # noqa: N818 - it is the market's error, not the program's
    """A record that is not what the naive book makes it."""

    def __init__(self, equation: Equation, entry: Entry, cause: str) -> None:
        super().__init__(cause)
        self.equation = equation
        self.entry = entry
        self.cause = cause


class Books:
    """The naive books of all symbols."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._symbols: defaultdict[str, _Symbol] = defaultdict(_Symbol)
        self._left_out: dict[str, str] = {}
        self._phases: dict[str, SessionEvent] = {}
        """By place in `sessions`: a few for each market and day."""
        self._sessions_read: dict[str, int] = {}
        """By partition of `sessions`: the last offset that was announced."""
        self._played = 0

    # -- what is read --------------------------------------------------------------------------------------------

    def approved(self, entry: Entry, order: ApprovedOrder) -> None:
        """Take in a message for a book."""
        if order.symbol in self._left_out:
            return
        feature = unknown(order) if order.action is OrderAction.NEW else None
        if feature is not None:
            self._leave_out(order.symbol, feature)
            return
        symbol = self._symbols[order.symbol]
        symbol.messages.append(entry)
        symbol.waiting.add(_id(entry))
        self._play(order.symbol, symbol)

    def answer(self, entry: Entry, event_id: str, name: str) -> None:
        """Take in the first output of a book for a message: it tells whether it was accepted."""
        if name in self._left_out:
            return
        event = entry.record
        is_refusal = isinstance(event, OrderEvent) and event.status in _REFUSED
        symbol = self._symbols[name]
        symbol.answers[cause_of(event_id)] = str(getattr(event, "reason", None)) if is_refusal else ""
        self._play(name, symbol)

    def update(self, entry: Entry, update: BookUpdate) -> None:
        """Take in what changed of a book."""
        if update.symbol in self._left_out:
            return
        if update.phase is SessionKind.HALT:
            self._leave_out(update.symbol, "pauses")
            return
        symbol = self._symbols[update.symbol]
        symbol.sequence += 1
        if update.sequence != symbol.sequence:
            self._leave_out(update.symbol, "updates are missing, see A20")
            return
        if update.part:
            return  # More of the orders behind the levels that the first part has told.
        symbol.updates.append(entry)
        self._play(update.symbol, symbol)

    def announcement(self, announcement: Announcement) -> None:
        """Take in a phase of a market or symbol; only a close changes a book that has collected no orders."""
        session = announcement.session
        if session is None:
            return
        place = cause_of(announcement.event_id)
        if session.kind in _PHASES:
            self._phases[place] = session
        _, partition, offset = place.split("/")
        self._sessions_read[partition] = max(self._sessions_read.get(partition, -1), int(offset))

    def trade(self, entry: Entry, trade: Trade) -> None:
        """Take in the leg of the order that took."""
        if trade.liquidity is not Liquidity.TAKER or trade.symbol in self._left_out:
            return
        symbol = self._symbols[trade.symbol]
        cause = cause_of(trade.event_id)
        symbol.actual.setdefault(cause, deque()).append((entry, _fill(trade)))
        if cause in symbol.predicted:
            self._guard(trade.symbol, symbol, lambda: _compare(symbol, cause))

    def _leave_out(self, name: str, why: str) -> None:
        self._left_out[name] = why
        self._symbols.pop(name, None)

    # -- playing ---------------------------------------------------------------------------------------------------

    def _play(self, name: str, symbol: _Symbol) -> None:
        """Play everything whose turn it is."""
        if symbol.updates or symbol.answers:
            self._guard(name, symbol, lambda: self._steps(symbol))

    def _guard(self, name: str, symbol: _Symbol, play: Callable[[], None]) -> None:
        """Play; leave the symbol out where it comes upon something that the naive book does not know, or goes wrong."""
        try:
            play()
        except Unknown as feature:
            self._leave_out(name, str(feature))
        except _Wrong as wrong:
            self._ledger.fail(wrong.equation, wrong.entry, wrong.cause)
            self._leave_out(name, "the first offence and what came after it")
        if len(symbol.messages) > _MOST_WAITING or len(symbol.updates) > _MOST_WAITING:
            self._leave_out(name, "something that its updates wait for is missing")

    def _steps(self, symbol: _Symbol) -> None:
        while self._step(symbol):
            pass

    def _step(self, symbol: _Symbol) -> bool:
        """Play one message or announcement; return whether there was one whose turn it is."""
        message = symbol.messages[0] if symbol.messages else None
        answer = None if message is None else symbol.answers.get(_id(message))
        if message is not None and answer:
            _check_refusal(symbol, message, answer)
            _forget_first(symbol)
            return True
        if not symbol.updates or (message is not None and answer is None):
            return False
        cause = cause_of(_id(symbol.updates[0]))
        is_announced = cause.rpartition("/")[2].startswith("a")
        if is_announced and (message is None or not _changes_nothing(symbol, message)):
            return self._announced(symbol, cause)
        if message is None or not (is_announced or cause in symbol.waiting):
            return False
        _forget_first(symbol)
        _act(symbol, message, is_cause=_id(message) == cause)
        self._played += 1
        return True

    def _announced(self, symbol: _Symbol, copy: str) -> bool:
        """Play what an announcement did to the book, once it was read."""
        topic, partition, offset, _ = copy.split("/")
        if topic == "instruments":
            symbol.book.clear()
        else:
            session = self._phases.get(cause_of(copy))
            if session is None:
                if int(offset) <= self._sessions_read.get(partition, -1):
                    message = "session events that are no phase"
                    raise Unknown(message)
                return False
            if session.kind is SessionKind.CLOSED:
                symbol.book.expire_day(session.market)
        _check_depth(symbol, symbol.updates.popleft())
        self._played += 1
        return True

    # -- at the end --------------------------------------------------------------------------------------------------

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what is left over, and say which symbols were left out."""
        ledger.looked_at[Equation.A6] += self._played
        missing = 0
        if at_rest:
            for symbol in self._symbols.values():
                missing += bool(symbol.updates)
                _conclude(ledger, symbol)
        why = Counter(self._left_out.values())
        if missing:
            why["something that its updates wait for is missing"] += missing
        if why:
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(why.items()))
            count = why.total()
            symbols = "1 symbol" if count == 1 else f"{count:,} symbols"
            ledger.leave_out(Equation.A6, f"not checked: {symbols} ({reasons})")


def _conclude(ledger: Ledger, symbol: _Symbol) -> None:
    """Judge what is left at rest: trades on one side only, and messages that should have done something."""
    if symbol.updates:
        return  # What they wait for is missing, which A2 says.
    for cause, legs in symbol.actual.items():
        if cause not in symbol.waiting:
            ledger.fail(Equation.A6, legs[0][0], "the naive book has no such trade")
    for message, fills in symbol.predicted.values():
        ledger.fail(Equation.A6, message, f"the naive book trades {_words(fills[0])}, and it does not")
    book = deepcopy(symbol.book) if symbol.messages else symbol.book
    for message in symbol.messages:
        if symbol.answers.get(_id(message)) == "":
            order = message.record
            assert isinstance(order, ApprovedOrder)
            try:
                trades = book.act(order)
            except (Impossible, Unknown):
                return
            if book.take_changes():
                ledger.fail(Equation.A6, message, "it should have changed the book, and no update says so")
                return
            # Trades change nothing that is shown where an iceberg shows as much again.
            if trades != [fill for _, fill in symbol.actual.get(_id(message), ())]:
                ledger.fail(Equation.A6, message, "its trades are not those of the naive book")
                return


def _changes_nothing(symbol: _Symbol, message: Entry) -> bool:
    """Say whether an accepted replace leaves the book as it is: no update tells when it came, but its order was there."""
    order = message.record
    if not isinstance(order, ApprovedOrder) or order.action is not OrderAction.REPLACE:
        return False
    book = deepcopy(symbol.book)
    try:
        return not book.act(order) and not book.take_changes()
    except (Impossible, Unknown):
        return False


def _act(symbol: _Symbol, message: Entry, *, is_cause: bool) -> None:
    """Let an accepted message act, and hold what it did to the update that it caused, if it caused one."""
    order = message.record
    assert isinstance(order, ApprovedOrder)
    if is_cause and order.action not in _TAKING_BACK:
        _require_trading(symbol.updates[0])
    try:
        fills = symbol.book.act(order)
    except Impossible as impossible:
        raise _Wrong(Equation.A6, message, str(impossible)) from None
    if is_cause:
        _check_depth(symbol, symbol.updates.popleft())
    elif symbol.book.take_changes():
        raise _Wrong(Equation.A6, message, "it should have changed the book, and no update says so")
    if fills:
        symbol.predicted[_id(message)] = (message, deque(fills))
        _compare(symbol, _id(message))


def _require_trading(entry: Entry) -> None:
    """Leave out what is collected for an auction."""
    update = entry.record
    assert isinstance(update, BookUpdate)
    if update.phase is not SessionKind.OPEN:
        message = "auctions"
        raise Unknown(message)


def _compare(symbol: _Symbol, cause: str) -> None:
    """Compare the trades of a message with those of the naive book, as far as both are there."""
    predicted = symbol.predicted[cause][1]
    actual = symbol.actual.get(cause)
    while actual and predicted:
        entry, fill = actual.popleft()
        expected = predicted.popleft()
        if fill != expected:
            cause_ = f"it trades {_words(fill)}; the naive book {_words(expected)}"
            raise _Wrong(Equation.A6, entry, cause_)
    if not predicted:
        del symbol.predicted[cause]
    if actual is not None and not actual:
        del symbol.actual[cause]


def _check_refusal(symbol: _Symbol, message: Entry, reason: str) -> None:
    """Check a refusal that only the book decides."""
    order = message.record
    assert isinstance(order, ApprovedOrder)
    if reason in _DECIDED_BY_BOOK and order.action is OrderAction.NEW:
        due = symbol.book.would_refuse(order)
        if due != reason:
            cause = f"it was refused for {reason}; the naive book would {due or 'take it'}"
            raise _Wrong(Equation.A6, message, cause)


def _check_depth(symbol: _Symbol, entry: Entry) -> None:
    """Compare the levels that an update tells with those of the naive book, and its best prices."""
    update, book = entry.record, symbol.book
    assert isinstance(update, BookUpdate)
    changes = book.take_changes()
    for level in update.changes:
        key = (level.side, level.price)
        changes.pop(key, None)
        if book.level(*key) != (level.quantity, level.orders):
            quantity, orders = book.level(*key)
            cause = (
                f"{level.quantity} in {level.orders} orders at {level.price} ({level.side});"
                f" the naive book has {quantity} in {orders}"
            )
            raise _Wrong(Equation.A6, entry, cause)
    if changes:
        (side, price), (quantity, _) = next(iter(changes.items()))
        cause = f"it does not tell that {quantity} are left at {price} ({side})"
        raise _Wrong(Equation.A6, entry, cause)
    best = (book.best(Side.BUY), book.best(Side.SELL))
    if best != (update.best_bid, update.best_ask):
        told = (update.best_bid, update.best_ask)
        raise _Wrong(Equation.A20, entry, f"its best prices are {told}, its levels make {best}")


def _forget_first(symbol: _Symbol) -> None:
    name = _id(symbol.messages.popleft())
    symbol.waiting.discard(name)
    symbol.answers.pop(name, None)


def _id(entry: Entry) -> str:
    return getattr(entry.record, "event_id", "") or entry.place


def _fill(trade: Trade) -> Fill:
    return Fill(trade.contra_order_id, trade.price, trade.quantity)


def _words(fill: Fill) -> str:
    return f"{fill.quantity} at {fill.price} with {fill.maker}"
