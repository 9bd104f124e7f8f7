"""A6 for one symbol: what came to its book is played on a naive one, and held to what the book said.

Approved messages come in their order, and so do announcements, but the topics do not say how the two lie to each other.
Updates of the book do: they tell what changed it, one after the other. So each update lets the naive book take in what
comes before its cause, which must change nothing that is seen, and then the cause. Which messages come before an
announcement, `ordering` finds out.
"""

from collections import deque
from typing import Final, NamedTuple

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger, Wrong
from bourse.audit.halts import Halts
from bourse.audit.naive import Impossible, NaiveBook, WrongPhase
from bourse.audit.sessions import Sessions
from bourse.audit.shown import begin_session, is_snapshot_due, problem_of, update_in
from bourse.audit.tally import Tally
from bourse.audit.trading import Fact, Fill
from bourse.schemas.records import (
    ApprovedOrder,
    BookUpdate,
    OrderAction,
    OrderEvent,
    OrderStatus,
    SessionKind,
)

_REJECTED: Final = OrderStatus.REJECTED
_CANCEL_REJECTED: Final = OrderStatus.CANCEL_REJECTED
_REPLACE_REJECTED: Final = OrderStatus.REPLACE_REJECTED
_OPEN: Final = SessionKind.OPEN
_HALT: Final = SessionKind.HALT
_TICK: Final = SessionKind.TICK
_EXPIRED: Final = OrderStatus.EXPIRED
_ENTERING: Final = (OrderAction.NEW, OrderAction.REPLACE)
_DECIDED_BY_BOOK: Final = frozenset(("BAND_BREACHED", "POST_ONLY_WOULD_TAKE", "FOK_NOT_FILLABLE"))
_SESSIONS: Final = "sessions/"


class Message(NamedTuple):
    """An approved message and its id."""

    name: str
    entry: Entry


class Update(NamedTuple):
    """An update of the book and the id of its cause."""

    cause: str
    is_announced: bool
    entry: Entry
    after: int
    """Offset of the last announcement that is known to come before it in its partition."""


class Game:
    """One book, and what waits to be played on it."""

    def __init__(self, sessions: Sessions, halts: Halts) -> None:
        self.book = NaiveBook()
        self.sessions = sessions
        self.halts = halts
        self.market = ""
        self.messages: deque[Message] = deque()
        self.waiting: set[str] = set()
        """The ids of `messages`."""
        self.updates: deque[Update] = deque()
        self.causes: set[str] = set()
        """The ids of what caused `updates`."""
        self.sequence = 0
        self.answers: dict[str, Entry] = {}
        """By id of a message: the book's first record about it."""
        self.refusals: dict[str, Entry] = {}
        """By id of a message that the book refused only after what was due before it."""
        self.woken: set[str] = set()
        """Messages before which orders expired by the time of the message, as no session clock runs."""
        self.tally = Tally()
        self.has_band = False
        """Whether its instrument has a band, so that a refused message may begin a pause, or end one."""
        self.played = 0
        self.unsure: str | None = None
        """What the topics left open on the way here, if something."""

    def copy_of(self) -> "Game":
        """Return a game to play to the end, whatever comes later."""
        other = Game(self.sessions, self.halts)
        other.book = self.book.copy()
        other.messages, other.updates = self.messages.copy(), self.updates.copy()
        other.waiting, other.causes = self.waiting.copy(), self.causes.copy()
        other.answers, other.refusals, other.woken = self.answers.copy(), self.refusals, self.woken
        other.tally = self.tally.copy_of()
        other.has_band = self.has_band
        other.market = self.market
        other.unsure = self.unsure
        return other

    # -- what is read --------------------------------------------------------------------------------------------------

    def message(self, entry: Entry, order: ApprovedOrder) -> None:
        """Take in a message for the book."""
        name = order.event_id or entry.place
        self.messages.append(Message(name, entry))
        self.waiting.add(name)
        self.market = order.market
        if order.price_band_bps is not None:
            self.has_band = True

    def update(self, entry: Entry, cause: str) -> None:
        """Take in what changed of the book."""
        is_announced = is_announcement(cause)
        after = self.halts.last_anchor(entry.partition)
        self.updates.append(Update(cause, is_announced, entry, after))
        self.causes.add(cause)
        for fact in self.tally.told.get(cause, ()) if is_announced else ():
            self.book.gone.discard(fact.order_id)

    def answer(self, entry: Entry, cause: str) -> bool:
        """Take in a record about a message; return False if it only tells of an order that expired before it."""
        if isinstance(entry.record, OrderEvent) and entry.record.status is _EXPIRED:
            self.woken.add(cause)
            return False
        self.answers.setdefault(cause, entry)
        return True

    def refusal(self, name: str) -> str | None:
        """Return the reason for which a message was refused that is answered, or None if it was not."""
        return refusal_of(self.refusals.get(name) or self.answers[name])

    def fact(self, entry: Entry, cause: str, fact: Fact) -> None:
        """Take in what became of an order that did not ask for it."""
        if self.tally.read_fact(entry, cause, fact) or not is_announcement(cause):
            return
        if cause not in self.causes:
            # Where it changed a level, an update will say so.
            self.book.gone.add(fact.order_id)

    # -- what is played ------------------------------------------------------------------------------------------------

    def act(self, *, is_cause: bool) -> None:
        """Let the next message act, and hold what it did to the update that it caused, if it caused one."""
        name, entry = self.messages.popleft()
        self.waiting.discard(name)
        book, reason = self.book, self.refusal(name)
        answer = self.answers.pop(name)
        order = entry.record
        assert isinstance(order, ApprovedOrder)
        update = update_in(self.updates[0].entry) if is_cause else None
        if update is not None and book.session is None:
            begin_session(book, update)
        try:
            fills = self.play_on(book, Message(name, entry), answer, reason, update)
        except WrongPhase as wrong:
            raise Wrong(Equation.A23, entry, str(wrong)) from None
        except Impossible as impossible:
            raise Wrong(Equation.A6, entry, str(impossible)) from None
        if is_cause:
            if reason is None and order.action in _ENTERING:
                update_entry, after = self.updates[0].entry, self.updates[0].after
                self.halts.taken_in(entry, update_entry.partition, after, order.market, order.symbol)
            self._check_update()
        elif book.take_changes():
            raise Wrong(Equation.A6, entry, "it should have changed the book, and no update says so")
        self.played += reason is None
        self._expect(entry, name, fills)

    def play_on(
        self,
        book: NaiveBook,
        message: Message,
        answer: Entry,
        reason: str | None,
        update: BookUpdate | None,
    ) -> list[Fill]:
        """Let a message act on a book, or do the little that a refused one does; return its trades.

        Raises:
            Wrong: it was refused for a reason of the book's that does not hold.
            Impossible: it cannot have been accepted.
        """
        order = message.entry.record
        assert isinstance(order, ApprovedOrder)
        woken: list[Fill] = []
        if book.pause_ends_ns is not None or book.is_opening_due or message.name in self.woken:
            woken = self._woken(book, message, order, answer, reason, update)
        if reason is None:
            fills = book.act(order)
            return woken + fills if woken else fills
        if reason in _DECIDED_BY_BOOK:
            due = book.refuse(order, reason)
            if due != reason:
                why = f"it was refused for {reason}; the naive book would {due or 'take it'}"
                raise Wrong(Equation.A6, message.entry, why)
        return woken

    def _woken(
        self,
        book: NaiveBook,
        message: Message,
        order: ApprovedOrder,
        answer: Entry,
        reason: str | None,
        update: BookUpdate | None,
    ) -> list[Fill]:
        """Do what was due before a message, as far as what the book said about the message tells."""
        ends_pause = (
            update is not None
            and book.pause_ends_ns is not None
            and book.pause_ends_ns <= max(order.event_time_ns, self.sessions.latest_ns)
            and _is_of_a_pause(book, update)
        )
        # A halt that ended by itself lets the next message open the book before it does anything.
        is_in = reason is None and order.action in _ENTERING
        is_woken = message.name in self.woken
        opens = book.is_opening_due and (is_in or is_woken or _is_unasked(answer, order))
        if not (ends_pause or opens or is_woken):
            return []
        # Without a word of orders that expired, the market has a clock, which the message's time is not.
        time_ns = order.event_time_ns if is_woken else 0
        return book.wake(time_ns, ends_pause=ends_pause, opens=opens)

    def announced(self) -> None:
        """Play what the next update's announcement did to the book."""
        cause, _, entry, _ = self.updates[0]
        self.book, fills = self.followed(self.book, self.updates[0])
        self._check_update()
        self.played += 1
        self._expect(entry, cause, fills)

    def followed(self, book: NaiveBook, update: Update) -> tuple[NaiveBook, list[Fill]]:
        """Return a book after an announcement, and its trades.

        Whether the last day of an instrument is over, or was over before, ticks do not tell: then each is tried.
        """
        record, sessions, copy = update_in(update.entry), self.sessions, update.cause
        kind = sessions.kind(copy) if copy.startswith(_SESSIONS) else None
        is_halted = self.halts.is_halted(update.entry.partition, copy, self.market, record.symbol)
        if kind is None:
            return self._of_its_instrument(book, update, is_halted=is_halted)
        # Its last day is not over, is over with this event, or was over before, so that nothing trades any more.
        ways = [(False, is_halted)]
        if sessions.may_have_expired(record.symbol):
            ways += [(True, is_halted), (True, True)]
        tried: list[tuple[NaiveBook, list[Fill]]] = []
        for is_over, is_kept in ways:
            other = book.copy() if len(ways) > 1 else book
            # Other events than these two end a pause anyway, and begin trading again if it is time.
            is_late = not is_kept and (kind is _TICK or kind is _HALT)
            due_ns = book.pause_ends_ns
            ends_pause = is_late and due_ns is not None and due_ns <= record.event_time_ns
            opens = is_late and other.is_opening_due
            fills = other.wake(record.event_time_ns, ends_pause=ends_pause, opens=opens)
            fills = fills + other.announce(kind, is_halted=is_kept)
            other.is_halted = is_halted
            if is_over:
                other.end_all("EXPIRED")
            tried.append((other, fills))
            if len(ways) == 1 or self.is_as_told(other, update):
                return other, fills
        return tried[0]

    def _of_its_instrument(
        self, book: NaiveBook, update: Update, *, is_halted: bool
    ) -> tuple[NaiveBook, list[Fill]]:
        """Return a book after an announcement of its instrument, and its trades: a halt may be over, or it may be delisted."""
        record, other = update_in(update.entry), book.copy()
        due_ns = book.pause_ends_ns
        ends_pause = not is_halted and due_ns is not None and record.paused_until_time_ns != due_ns
        has_expired = any(fact.what == "EXPIRED" for fact in self.tally.told.get(update.cause, {}))
        other.is_halted = is_halted
        fills = other.wake(
            record.event_time_ns if has_expired else 0,
            ends_pause=ends_pause,
            opens=not is_halted and book.is_opening_due,
        )
        if self.sessions.was_delisted(record.symbol):
            delisted = book.copy()
            delisted.is_halted = is_halted
            delisted.delist()
            if self.is_as_told(delisted, update) or not self.is_as_told(other, update):
                return delisted, []
        return other, fills

    def is_as_told(self, book: NaiveBook, update: Update) -> bool:
        """Say whether a book is what an update tells, and has done to orders what is told of its cause."""
        told = self.tally.told.get(update.cause, {}).keys()
        return problem_of(book, update.entry) is None and set(book.facts) == told

    # -- what is compared ----------------------------------------------------------------------------------------------

    def _check_update(self) -> None:
        """Hold the next update to the naive book."""
        cause, _, entry, _ = self.updates.popleft()
        self.causes.discard(cause)
        book, update = self.book, update_in(entry)
        problem = problem_of(book, entry)
        if problem is not None:
            raise Wrong(problem[0], entry, problem[1])
        book.bids.touched, book.asks.touched = {}, {}
        book.pause_ends_ns = update.paused_until_time_ns
        if book.session is None:
            begin_session(book, update)

    def _expect(self, entry: Entry, cause: str, fills: list[Fill]) -> None:
        """Take note of what a cause did on the naive book, to be found in the topics."""
        if fills:
            self.tally.expect_trades(entry, cause, fills)
        facts = self.book.facts
        if facts:
            self.book.facts = []
            for fact in facts:
                self.tally.expect_fact(entry, cause, fact)

    # -- at the end ----------------------------------------------------------------------------------------------------

    def conclude(self, ledger: Ledger) -> None:
        """Judge what is left over at rest: what the naive book has not done, and what it alone has."""
        self.tally.conclude(ledger, self.waiting | self.causes)
        for cause, facts in self.tally.told.items():
            for fact, entry in facts.items():
                silent = is_announcement(cause) and fact.order_id not in self.book.orders
                if not silent and cause not in self.waiting:
                    ledger.fail(Equation.A6, entry, f"on the naive book {fact.order_id} is not {fact.what}")


def _is_of_a_pause(book: NaiveBook, update: BookUpdate) -> bool:
    """Say whether an update tells of another pause, or of a longer or ended one: such a one is a snapshot out of turn."""
    is_out_of_turn = update.is_snapshot and not is_snapshot_due(update)
    return update.paused_until_time_ns != book.pause_ends_ns or is_out_of_turn


def refusal_of(answer: Entry) -> str | None:
    """Return the reason for which a message was refused, or None if it was not."""
    event = answer.record
    if not isinstance(event, OrderEvent):
        return None
    status = event.status
    if status is _REJECTED or status is _CANCEL_REJECTED or status is _REPLACE_REJECTED:
        return event.reason
    return None


def _is_unasked(answer: Entry, order: ApprovedOrder) -> bool:
    """Say whether a book began a message with something else than what the message asks for."""
    event = answer.record
    if not isinstance(event, OrderEvent):
        return True
    is_own = (
        event.order_id in {order.order_id, order.target_order_id} or order.action is OrderAction.MASS_CANCEL
    )
    return not is_own or (event.reason is not None and refusal_of(answer) is None)


def is_announcement(cause: str) -> bool:
    """Say whether an id is that of an announcement."""
    return cause.rpartition("/")[2].startswith("a")
