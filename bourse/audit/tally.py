"""What the naive book of a symbol did and what the topics tell, as far as only one of the two is known yet.

Topics are read at their own paces: a trade may be read before the message that made it is played, or after. What is
found on both sides is struck off; what one of them alone has at rest is an offence.
"""

from collections import deque

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger, Wrong
from bourse.audit.trading import Fact, Fill


class Tally:
    """The trades and facts of a symbol that were played and not read yet, and those that were read and not played yet."""

    def __init__(self) -> None:
        self.predicted: dict[str, tuple[Entry, deque[Fill]]] = {}
        """By id of a cause: its record, and its trades on the naive book that were not read yet."""
        self.actual: dict[str, deque[tuple[Entry, Fill]]] = {}
        """By id of a cause: trades that were read, and not found on the naive book yet."""
        self.due: dict[str, dict[Fact, Entry]] = {}
        """By id of a cause: facts of the naive book that were not read yet."""
        self.told: dict[str, dict[Fact, Entry]] = {}
        """By id of a cause: facts that were read, and not found on the naive book yet."""

    def copy_of(self) -> "Tally":
        """Return a tally that goes on from here by itself."""
        other = Tally()
        other.predicted = {cause: (entry, fills.copy()) for cause, (entry, fills) in self.predicted.items()}
        other.actual = {cause: fills.copy() for cause, fills in self.actual.items()}
        other.due = {cause: facts.copy() for cause, facts in self.due.items()}
        other.told = {cause: facts.copy() for cause, facts in self.told.items()}
        return other

    def read_trade(self, entry: Entry, cause: str, fill: Fill) -> None:
        """Take in a trade, told by the order that took; raises Wrong if the naive book has another one."""
        self.actual.setdefault(cause, deque()).append((entry, fill))
        if cause in self.predicted:
            self._compare(cause)

    def expect_trades(self, entry: Entry, cause: str, fills: list[Fill]) -> None:
        """Take in the trades of the naive book by a cause; raises Wrong if others were read."""
        self.predicted[cause] = (entry, deque(fills))
        self._compare(cause)

    def read_fact(self, entry: Entry, cause: str, fact: Fact) -> bool:
        """Take in what became of an order that did not ask for it; return whether the naive book has done it already."""
        return _meet(self.due, self.told, cause, fact, entry)

    def expect_fact(self, entry: Entry, cause: str, fact: Fact) -> None:
        """Take in what the naive book did to an order that did not ask for it."""
        _meet(self.told, self.due, cause, fact, entry)

    def conclude(self, ledger: Ledger, unplayed: set[str]) -> None:
        """Judge at rest the trades of either side, but for causes that are still unplayed, and what the naive book alone did."""
        for cause, legs in self.actual.items():
            if cause not in unplayed:
                ledger.fail(Equation.A6, legs[0][0], "the naive book has no such trade")
        for entry, fills in self.predicted.values():
            ledger.fail(Equation.A6, entry, f"the naive book trades {_words(fills[0])}, and it does not")
        for facts in self.due.values():
            for fact, entry in facts.items():
                ledger.fail(Equation.A6, entry, f"on the naive book {fact.order_id} is {fact.what} by it")

    def _compare(self, cause: str) -> None:
        """Compare the trades of a cause with those of the naive book, as far as both are there.

        What one order took comes in its order; orders of other accounts may be read earlier or later.
        """
        predicted = self.predicted[cause][1]
        actual = self.actual.get(cause)
        while actual and predicted:
            entry, fill = actual.popleft()
            if fill == predicted[0]:
                predicted.popleft()
                continue
            expected = next((other for other in predicted if other.taker == fill.taker), predicted[0])
            predicted.remove(expected)
            if fill != expected:
                raise Wrong(
                    Equation.A6, entry, f"it trades {_words(fill)}; the naive book {_words(expected)}"
                )
        if not predicted:
            del self.predicted[cause]
        if actual is not None and not actual:
            del self.actual[cause]


def _meet(
    awaited: dict[str, dict[Fact, Entry]],
    kept: dict[str, dict[Fact, Entry]],
    cause: str,
    fact: Fact,
    entry: Entry,
) -> bool:
    """Strike a fact off those that await it and return True, or keep it until they do."""
    there = awaited.get(cause)
    if there is None or fact not in there:
        kept.setdefault(cause, {})[fact] = entry
        return False
    del there[fact]
    if not there:
        del awaited[cause]
    return True


def _words(fill: Fill) -> str:
    return f"{fill.quantity} at {fill.price} with {fill.maker}"
