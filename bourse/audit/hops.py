"""A1, A21 and the causes of A2: whatever a stage took in has its answer, and every answer has its cause.

Each message of a stage has exactly one output with place 0, so the two are matched one to one, whichever the auditor
reads first; what is matched is forgotten. Positions and settlement are matched leg by leg in `legs`.
"""

from typing import Final

from bourse.audit.entries import Entry, Way, cause_of
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import Announcement, ApprovedOrder, DeadLetter, ValidatedOrder

UNDER_WAY: Final = "the log is not at rest, so what has no answer yet was not judged"
_MOST_IN_A_LETTER: Final = 4_000_000
"""Records of more bytes, which Kafka takes if they are compressed, stay in their topic."""
_ANNOUNCED: Final = frozenset(("instruments", "corporate-actions", "sessions", "participants"))
_READ_BY_NOBODY: Final = frozenset(
    ("settlements", "order-events", "tape", "book-updates", "dead-letters", "market-data", "changelog")
)


class Pairs:
    """Causes and answers that wait for each other, by the id of the cause."""

    def __init__(self, equation: Equation, what: str) -> None:
        """Take the equation, and what a cause is called in a sentence."""
        self.equation = equation
        self.what = what
        self.causes: dict[str, Entry] = {}
        self.answers: dict[str, Entry] = {}
        self.caused = 0
        self.answered = 0

    def cause(self, key: str, entry: Entry, ledger: Ledger) -> Entry | None:
        """Take in a cause; return its answer if it has come already."""
        self.caused += 1
        answer = self.answers.pop(key, None)
        if answer is None:
            if key in self.causes:
                ledger.fail(self.equation, entry, f"this {self.what} is there twice")
            self.causes[key] = entry
        return answer

    def answer(self, key: str, entry: Entry, ledger: Ledger) -> Entry | None:
        """Take in an answer; return its cause if it has come already."""
        self.answered += 1
        cause = self.causes.pop(key, None)
        if cause is None:
            if key in self.answers:
                ledger.fail(self.equation, entry, f"{key} has a second answer")
            self.answers[key] = entry
        return cause

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what is left over; where no cause was read at all, what answers them cannot be judged."""
        ledger.looked_at[self.equation] += self.caused
        if not self.caused:
            return
        if not at_rest:
            if self.causes or self.answers:
                ledger.leave_out(self.equation, UNDER_WAY)
            return
        for entry in self.causes.values():
            ledger.fail(self.equation, entry, f"this {self.what} has no answer")
        for key, entry in self.answers.items():
            ledger.fail(self.equation, entry, f"{key}, its cause, is not there, or was answered before")


class Hops:
    """The ways from stage to stage that need an answer."""

    def __init__(self, ledger: Ledger, partitions: int) -> None:
        self._ledger = ledger
        self._partitions = partitions
        self._intake = Pairs(Equation.A1, "order message")
        self._risk = Pairs(Equation.A2, "input of risk")
        self._matching = Pairs(Equation.A2, "approved message")
        self._poison = Pairs(Equation.A21, "poison record")
        self._copies: dict[str, int] = {}
        self._put_aside: set[str] = set()
        """Places of reference data whose dead letters were read before them."""
        self._announced: dict[str, Entry] = {}
        self._letters = 0
        self._ends: dict[tuple[str, int], int] = {}

    # -- causes ------------------------------------------------------------------------------------------------

    def order(self, entry: Entry) -> None:
        """Take in an order message, whether or not it can be decoded."""
        self._ends[entry.topic, entry.partition] = entry.offset
        self._compare(entry, self._intake.cause(entry.place, entry, self._ledger))

    def command(self, entry: Entry) -> None:
        """Take in a wallet command."""
        self._ends[entry.topic, entry.partition] = entry.offset
        self._compare(entry, self._risk.cause(entry.place, entry, self._ledger))

    def validated(self, entry: Entry, record: ValidatedOrder) -> None:
        """Take in a message for risk."""
        self._ends[entry.topic, entry.partition] = entry.offset
        self._risk.cause(record.event_id or entry.place, entry, self._ledger)

    def approved(self, entry: Entry, record: ApprovedOrder) -> None:
        """Take in a message for a book."""
        self._ends[entry.topic, entry.partition] = entry.offset
        self._matching.cause(record.event_id or entry.place, entry, self._ledger)

    def published(self, entry: Entry) -> None:
        """Take in reference data, which the announcer copies into every partition."""
        self._ends[entry.topic, entry.partition] = entry.offset
        if entry.place in self._put_aside:
            self._put_aside.remove(entry.place)
            return
        self._announced[entry.place] = entry
        self._close_copies(entry.place)

    def passed(self, entry: Entry) -> None:
        """Take in an input that needs no answer."""
        self._ends[entry.topic, entry.partition] = entry.offset

    def poison(self, entry: Entry) -> None:
        """Take in bytes that are no record: whoever reads the topic must put them aside."""
        self._ends[entry.topic, entry.partition] = entry.offset
        if entry.topic in _READ_BY_NOBODY:
            self._ledger.fail(Equation.A2, entry, "this output cannot be decoded")
            return
        if entry.topic == "orders":
            self.order(entry)
        elif entry.topic == "wallet-commands":
            self.command(entry)
        self._compare(entry, self._poison.cause(entry.place, entry, self._ledger))

    # -- answers -----------------------------------------------------------------------------------------------

    def output(self, entry: Entry, event_id: str, way: Way) -> None:
        """Take in the first output of a stage for one of its inputs."""
        match way.stage:
            case "v" if way.path == "v" and event_id.startswith("orders/"):
                cause = self._intake.answer(cause_of(event_id), entry, self._ledger)
                if cause is not None and cause.record is None and not isinstance(entry.record, DeadLetter):
                    self._ledger.fail(Equation.A21, entry, "it answers a message that cannot be decoded")
            case "r":
                self._risk.answer(cause_of(event_id), entry, self._ledger)
            case "m" if not way.from_announcement:
                self._matching.answer(cause_of(event_id), entry, self._ledger)

    def announcement(self, entry: Entry, record: Announcement, way: Way) -> None:
        """Take in the copy of one partition."""
        if way.path != "a":
            return
        if way.places[0] != entry.partition and self._partitions > 1:
            self._ledger.fail(Equation.A2, entry, f"copy {way.places[0]} is in partition {entry.partition}")
        cause = cause_of(record.event_id)
        self._copies[cause] = self._copies.get(cause, 0) + 1
        self._close_copies(cause)

    def _close_copies(self, place: str) -> None:
        if place in self._announced and self._copies.get(place) == self._partitions:
            del self._announced[place], self._copies[place]

    def letter(self, entry: Entry, record: DeadLetter, way: Way) -> None:
        """Take in a dead letter: the answer to whatever it was that no stage could take."""
        self._letters += 1
        place = f"{record.topic}/{record.partition}/{record.offset}"
        end = self._ends.get((record.topic, record.partition), -1)
        if self._announced.pop(place, None) is None and record.topic in _ANNOUNCED and record.offset > end:
            self._put_aside.add(place)
        if way.is_first and record.topic in {"orders", "wallet-commands"}:
            pairs = self._intake if record.topic == "orders" else self._risk
            self._compare(entry, pairs.answer(place, entry, self._ledger))
        elif record.topic in {"validated", "risk-approved"}:
            pairs = self._risk if record.topic == "validated" else self._matching
            named = next((key for key, cause in pairs.causes.items() if cause.place == place), None)
            if named is not None:
                pairs.answer(named, entry, self._ledger)
        if place in self._poison.causes or record.offset > end:
            # Otherwise the original has been read, and could be decoded: a stage had no use for it.
            self._compare(entry, self._poison.answer(place, entry, self._ledger))

    def _compare(self, one: Entry, other: Entry | None) -> None:
        """Compare a dead letter with its original, once both are there."""
        letter, original = (one, other) if isinstance(one.record, DeadLetter) else (other, one)
        if letter is None or original is None or not isinstance(letter.record, DeadLetter):
            return
        if original.value is None or len(original.value) > _MOST_IN_A_LETTER:
            return
        if letter.record.value != original.value:
            self._ledger.fail(Equation.A21, letter, f"its bytes are not those of {original.place}")

    def conclude(self, ledger: Ledger, *, at_rest: bool) -> None:
        """Judge what is left over."""
        for pairs in (self._intake, self._risk, self._matching):
            pairs.conclude(ledger, at_rest=at_rest)
        if self._intake.answered and not self._intake.caused:
            ledger.leave_out(Equation.A1, "no record of `orders` was read")
        self._conclude_letters(ledger, at_rest=at_rest)
        if at_rest:
            for place, entry in self._announced.items():
                copies = self._copies.get(place, 0)
                ledger.fail(
                    Equation.A2, entry, f"{copies} of {self._partitions} partitions have a copy of it"
                )

    def _conclude_letters(self, ledger: Ledger, *, at_rest: bool) -> None:
        ledger.looked_at[Equation.A21] += self._poison.caused + self._letters
        if not at_rest:
            return
        for entry in self._poison.causes.values():
            ledger.fail(Equation.A21, entry, "this poison record has no dead letter")
        for entry in self._poison.answers.values():
            # Its original could be decoded, or was not read: it must at least be there.
            letter = entry.record
            if isinstance(letter, DeadLetter):
                end = self._ends.get((letter.topic, letter.partition))
                if end is not None and letter.offset > end:
                    ledger.fail(Equation.A21, entry, "what it names is not there")
