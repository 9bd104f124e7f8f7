"""Which message or announcement of a symbol is played next.

What changed the book has an update, and so a place. What did not, lies somewhere between its neighbours: a message that
did not may have come before or after the announcements around it. An order is looked for in which the naive book does
to each order what is told of it, messages as early as they can be. Where several are possible and what they leave differs, the game
is unsure from there on: what it finds afterwards leaves its symbol out, and is no offence.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Final

from bourse.audit.equations import Wrong
from bourse.audit.naive import Impossible, NaiveBook
from bourse.audit.playing import Game, Message, Update
from bourse.audit.shown import update_in
from bourse.schemas.records import ApprovedOrder, OrderEvent, OrderStatus

_MOST_TRIES: Final = 500
_MOST_PATHS: Final = 20
_UNSURE: Final = "the topics do not say on which side of a phase an order was changed"


class Play:
    """A game, and the order in which it is played."""

    __slots__ = ("game", "path")

    def __init__(self, game: Game) -> None:
        """Take what is played."""
        self.game = game
        self.path: deque[bool] = deque()
        """Which of the next messages and announcements come first: True stands for a message."""

    def copy_of(self) -> "Play":
        """Return another play of a copy of the game."""
        other = Play(self.game.copy_of())
        other.path = self.path.copy()
        return other

    def go_on(self, *, to_the_end: bool = False) -> None:
        """Play everything whose turn it is; to the end, also what may have something before it that was not read yet.

        Raises:
            Wrong: a record is not what the naive book makes it.
        """
        while self._step(to_the_end=to_the_end):
            pass

    def _step(self, *, to_the_end: bool) -> bool:
        """Play one message or announcement; return whether there was one whose turn it is."""
        game = self.game
        message = game.messages[0] if game.messages else None
        answer = None if message is None else game.answers.get(message.name)
        if message is not None and answer is not None and self._is_refused_for_good(message.name):
            game.act(is_cause=False)
            return True
        if not game.updates:
            if answer is None or not to_the_end:
                return False
            game.act(is_cause=False)
            return True
        update = game.updates[0]
        if update.is_announced:
            return self._step_around(update, to_the_end=to_the_end)
        if message is None or answer is None or update.cause not in game.waiting:
            return False
        game.act(is_cause=message.name == update.cause)
        return True

    def _is_refused_for_good(self, name: str) -> bool:
        """Say whether the next message was refused and did nothing else."""
        game = self.game
        if game.refusal(name) is None or game.has_band or name in game.woken or name in game.causes:
            return False
        return not game.book.is_opening_due and not (game.updates and game.updates[0].is_announced)

    def _step_around(self, update: Update, *, to_the_end: bool) -> bool:
        """Play an announcement, or a message that may have come before it: no update tells when it came."""
        game = self.game
        if update.cause.startswith("sessions/") and game.sessions.kind(update.cause) is None:
            return False
        if not self.path:
            around = self._around()
            if around is not None or to_the_end:
                self._find_path([*game.messages] if around is None else around)
            else:
                # A message that is about to change the book came later; of others it may still be told.
                first = game.messages[0] if game.messages else None
                is_read = first is not None and first.name in game.answers
                if first is None or not is_read or self._is_silent(game.book.copy(), first):
                    return False
        if self.path and self.path.popleft():
            game.act(is_cause=False)
        else:
            game.announced()
        return True

    def _around(self) -> list[Message] | None:
        """Return the messages before the next one that changed the book, or None if none is known to have."""
        game = self.game
        around: list[Message] = []
        for message in game.messages:
            if message.name not in game.answers:
                return None
            if message.name in game.causes:
                return around
            around.append(message)
        return None

    def _find_path(self, messages: list[Message]) -> None:
        """Find an order of messages and the next announcements in which the naive book does all that is told of them."""
        game = self.game
        announced = [*takewhile(lambda update: update.is_announced, game.updates)]
        read = [*takewhile(lambda message: message.name in game.answers, messages)]
        paths = self._paths(read, announced)
        path, book = next(paths, (deque[bool](), None))
        while path and path[-1]:
            path.pop()  # What comes behind all of these announcements needs no place among them.
        self.path = path
        if book is not None:
            meant = [_meant(message) for message in read]
            others = islice(paths, _MOST_PATHS)
            if any(other.tell_of(name) != book.tell_of(name) for _, other in others for name in meant):
                game.unsure = _UNSURE

    def _paths(
        self, messages: list[Message], announced: list[Update]
    ) -> Iterator[tuple[deque[bool], NaiveBook]]:
        """Yield the orders that are possible, messages as early as they can be: True for a message; and the book after."""
        ways: list[tuple[NaiveBook, deque[bool], int, int]] = [(self.game.book.copy(), deque(), 0, 0)]
        for _ in range(_MOST_TRIES + len(messages)):
            if not ways:
                return
            book, path, played, told = ways.pop()
            if played == len(messages) and told == len(announced):
                yield path, book
                continue
            if told < len(announced):
                other = self._followed_as_told(book.copy(), announced[told])
                if other is not None:
                    ways.append((other, deque([*path, False]), played, told + 1))
            if played < len(messages):
                other = book.copy()
                if self._is_silent(other, messages[played]):
                    ways.append((other, deque([*path, True]), played + 1, told))

    def _followed_as_told(self, book: NaiveBook, update: Update) -> NaiveBook | None:
        """Return a book after an announcement, or None if something else is told of what it did."""
        book, _ = self.game.followed(book, update)
        if not self.game.is_as_told(book, update):
            return None
        book.facts = []
        book.take_changes()
        # The next announcement is followed from here on, and may end a pause that this one began.
        book.pause_ends_ns = update_in(update.entry).paused_until_time_ns
        return book

    def _is_silent(self, book: NaiveBook, message: Message) -> bool:
        """Let a message act on a book; say whether it could, and does no more than is told of it."""
        game, answer = self.game, self.game.answers[message.name]
        try:
            fills = game.play_on(book, message, answer, game.refusal(message.name), None)
        except (Impossible, Wrong):
            return False
        first = answer.record
        if isinstance(first, OrderEvent):
            if first.status is OrderStatus.CANCELLED and first.order_id == _order(message).order_id and fills:
                return False
            filled = book.filled(first.order_id)
            if first.status is OrderStatus.REPLACED and filled not in {None, first.cum_quantity}:
                return False
        elif not fills:
            return False  # It began with a trade.
        facts, book.facts = book.facts, []
        return not book.take_changes() and set(facts) == game.tally.told.get(message.name, {}).keys()


def _order(message: Message) -> ApprovedOrder:
    order = message.entry.record
    assert isinstance(order, ApprovedOrder)
    return order


def _meant(message: Message) -> str:
    return _order(message).target_order_id or _order(message).order_id
