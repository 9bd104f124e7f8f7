"""A6: the trades and the depth of each symbol are those of a naive book over the same messages.

Sorts what is read by symbol, and lets each symbol's game go on. The first offence of a symbol leaves it out from there
on, as everything after it would be another, and so does what the topics cannot tell; the report says so.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

from bourse.audit.entries import Entry, Way, cause_of
from bourse.audit.equations import Equation, Ledger, Wrong
from bourse.audit.halts import Halts
from bourse.audit.ordering import Play
from bourse.audit.playing import Game, is_announcement, refusal_of
from bourse.audit.sessions import Sessions
from bourse.audit.shown import joined
from bourse.audit.trading import Fact, Fill
from bourse.schemas.records import (
    Announcement,
    ApprovedOrder,
    BookUpdate,
    Liquidity,
    OrderEvent,
    OrderStatus,
    Trade,
)

_TRIGGERED: Final = OrderStatus.TRIGGERED
_EXPIRED: Final = OrderStatus.EXPIRED
_CANCELLED: Final = OrderStatus.CANCELLED
_REPLACED: Final = OrderStatus.REPLACED
_TAKER: Final = Liquidity.TAKER
_MOST_WAITING: Final = 20_000
"""Messages or updates of one symbol; more wait only where something is missing."""
_MISSING: Final = "something that its updates wait for is missing"


class Books:
    """The naive books of all symbols."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._plays: dict[str, Play] = {}
        self._left_out: dict[str, str] = {}
        self._parts: defaultdict[str, list[Entry]] = defaultdict(list)
        """By symbol: what has come of an update that is spread over several."""
        self._sessions = Sessions()
        self._halts = Halts()
        self._undecided: set[str] = set()
        """Messages of which only orders are known that expired before them."""
        self._terms: dict[str, tuple[str, str, int]] = {}
        """By symbol: market, currency and multiplier of its first version."""
        self._played = 0
        """What was played of symbols that were left out."""

    def _play_of(self, symbol: str) -> Play | None:
        """Return the play of a symbol, or None if it is left out."""
        play = self._plays.get(symbol)
        if play is None and symbol not in self._left_out:
            play = self._plays[symbol] = Play(Game(self._sessions, self._halts))
        return play

    # -- what is read --------------------------------------------------------------------------------------------------

    def approved(self, entry: Entry, order: ApprovedOrder) -> None:
        """Take in a message for a book."""
        play = self._play_of(order.symbol)
        if play is not None:
            play.game.message(entry, order)
            self._go_on(order.symbol, play)

    def answer(self, entry: Entry, event_id: str, symbol: str) -> None:
        """Take in the first output of a book for a message: it tells whether it was accepted."""
        play = self._play_of(symbol)
        if play is not None:
            cause = cause_of(event_id)
            if not play.game.answer(entry, cause):
                self._undecided.add(cause)
            elif play.game.updates or refusal_of(entry) is not None:
                self._go_on(symbol, play)

    def event(self, entry: Entry, event: OrderEvent, way: Way) -> None:
        """Take in what a book says of an order: what became of it unasked, and how a message went on."""
        status = event.status
        is_unasked = status is _TRIGGERED or status is _EXPIRED
        if event.reason is None and not is_unasked and not self._undecided:
            return
        is_fact = is_unasked or (event.reason is not None and (status is _CANCELLED or status is _REPLACED))
        is_late_refusal = not way.is_first and refusal_of(entry) is not None
        if way.stage != "m" or not (is_fact or is_late_refusal or self._undecided):
            return
        symbol, cause = event.symbol or "", cause_of(event.event_id)
        play = self._play_of(symbol)
        if play is None:
            return
        if is_late_refusal:
            play.game.refusals[cause] = entry
        if cause in self._undecided and play.game.answer(entry, cause):
            self._undecided.discard(cause)
        if is_fact:
            what = str(status if is_unasked else event.reason)
            play.game.fact(entry, cause, Fact(event.order_id, what, event.leaves_quantity))
        self._go_on(symbol, play)

    def update(self, entry: Entry, update: BookUpdate) -> None:
        """Take in what changed of a book."""
        cause = cause_of(update.event_id)
        if is_announcement(cause):
            self._halts.anchor(entry.partition, cause)
        play = self._play_of(update.symbol)
        if play is None:
            return
        play.game.sequence += 1
        if update.sequence != play.game.sequence:
            self._leave_out(update.symbol, "updates are missing, see A20")
        elif (whole := self._whole(entry, update)) is not None:
            play.game.update(whole, cause)
            self._go_on(update.symbol, play)

    def _whole(self, entry: Entry, update: BookUpdate) -> Entry | None:
        """Return an update with all that it tells, or None where it is spread over several and another one is to come."""
        if update.parts == 1:
            return entry
        parts = self._parts[update.symbol]
        parts.append(entry)
        return None if update.part + 1 < update.parts else joined(self._parts.pop(update.symbol))

    def announcement(self, entry: Entry, announcement: Announcement) -> None:
        """Take in a session event or an instrument."""
        instrument = announcement.instrument
        if instrument is not None:
            terms = instrument.market, instrument.currency, instrument.multiplier
            if self._terms.setdefault(instrument.symbol, terms) != terms:
                return  # a dead letter: nobody follows it
        self._sessions.learn(announcement)
        self._halts.learn(entry, announcement)

    def trade(self, entry: Entry, trade: Trade) -> None:
        """Take in the leg of the order that took."""
        if trade.liquidity is not _TAKER:
            return
        play = self._play_of(trade.symbol)
        if play is not None:
            game, fill = play.game, Fill(trade.order_id, trade.contra_order_id, trade.price, trade.quantity)
            self._guard(
                trade.symbol, play, lambda: game.tally.read_trade(entry, cause_of(trade.event_id), fill)
            )

    def _leave_out(self, symbol: str, why: str) -> None:
        self._left_out[symbol] = why
        play = self._plays.pop(symbol, None)
        self._played += 0 if play is None else play.game.played

    # -- playing -------------------------------------------------------------------------------------------------------

    def _go_on(self, symbol: str, play: Play) -> None:
        """Play everything whose turn it is."""
        if play.game.updates or play.game.answers:
            self._guard(symbol, play, play.go_on)

    def _guard(self, symbol: str, play: Play, go_on: Callable[[], None]) -> None:
        """Play; leave the symbol out where it goes wrong."""
        why = _guarded(self._ledger, play, go_on)
        if why is not None:
            self._leave_out(symbol, why)
        elif len(play.game.messages) > _MOST_WAITING or len(play.game.updates) > _MOST_WAITING:
            self._leave_out(symbol, _MISSING)

    # -- at the end ----------------------------------------------------------------------------------------------------

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what is left over, and say which symbols were left out."""
        self._halts.conclude(ledger)
        ledger.looked_at[Equation.A6] += self._played
        ledger.looked_at[Equation.A6] += sum(play.game.played for play in self._plays.values())
        left_out = Counter(self._left_out.values())
        for play in self._plays.values() if at_rest else ():
            why = _conclude(ledger, play)
            if why is not None:
                left_out[why] += 1
        if left_out:
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(left_out.items()))
            count = left_out.total()
            symbols = "1 symbol" if count == 1 else f"{count:,} symbols"
            ledger.leave_out(Equation.A6, f"not checked: {symbols} ({reasons})")


def _guarded(ledger: Ledger, play: Play, go_on: Callable[[], None]) -> str | None:
    """Play; return why the symbol is left out from here on, if it is."""
    try:
        go_on()
    except Wrong as wrong:
        if play.game.unsure is not None:
            return play.game.unsure
        ledger.fail(wrong.equation, wrong.entry, wrong.cause)
        return "the first offence and what came after it"
    return None


def _conclude(ledger: Ledger, play: Play) -> str | None:
    """Play a game to the end, at rest, and judge it; return why its symbol is left out, if it is."""
    if play.game.messages or play.game.updates:
        play = play.copy_of()
        why = _guarded(ledger, play, lambda: play.go_on(to_the_end=True))
        ledger.looked_at[Equation.A6] += play.game.played
        if why is not None:
            return why
        if play.game.updates:
            return _MISSING  # A2 says so.
    play.game.conclude(ledger)
    return None
