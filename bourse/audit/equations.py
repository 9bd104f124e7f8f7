"""What an auditor promises: the equations, and what it says about each of them.

Decides what a result is. An equation that nothing was looked at for, or that cannot be judged, is never PASSED.
"""

from collections import Counter
from enum import StrEnum
from typing import Final, NamedTuple

from bourse.audit.entries import Entry


class Equation(StrEnum):
    """The equations, by the numbers that docs/audit.md explains them under."""

    A1 = "A1"
    A2 = "A2"
    A3 = "A3"
    A4 = "A4"
    A5 = "A5"
    A6 = "A6"
    A7 = "A7"
    A8 = "A8"
    A9 = "A9"
    A10 = "A10"
    A11 = "A11"
    A12 = "A12"
    A13 = "A13"
    A14 = "A14"
    A15 = "A15"
    A16 = "A16"
    A17 = "A17"
    A18 = "A18"
    A19 = "A19"
    A20 = "A20"
    A21 = "A21"
    A22 = "A22"
    A23 = "A23"


STATEMENTS: Final = {
    Equation.A1: "every order message has one answer",
    Equation.A2: "every event_id is there once, and has its cause",
    Equation.A3: "every order lives one life",
    Equation.A4: "order = cum + leaves, and cum = the sum of its trades",
    Equation.A5: "every trade has two legs and a print, within both limits",
    Equation.A6: "trades and depth are those of a naive book",
    Equation.A7: "cash in wallets + fees = cash brought in, trade by trade",
    Equation.A8: "shares in wallets = shares brought in, trade by trade",
    Equation.A9: "nothing available or blocked is negative",
    Equation.A10: "blocked = what live orders must reserve",
    Equation.A11: "every balance and holding follows from the one before",
    Equation.A12: "positions, costs and profits are those of the trades",
    Equation.A13: "every trade leg moved one position",
    Equation.A14: "every trade leg is in one obligation, due and settled on its date",
    Equation.A15: "the state of the workers is what the topics say",
    Equation.A16: "the records are chained by hash",
    Equation.A17: "simulating the approved orders again gives the same trades",
    Equation.A18: "a repeated request changes nothing",
    Equation.A19: "records of one source stay in its order, and of one key in one partition",
    Equation.A20: "no book is ever crossed, and none of its updates is missing",
    Equation.A21: "every poison record is a dead letter, with its bytes",
    Equation.A22: "nothing is under way: no lag, no open transaction, every partition owned",
    Equation.A23: "every accepted order was within its limits, in a phase that takes it",
}


class Result(StrEnum):
    """What became of an equation."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    NOT_CHECKED = "NOT CHECKED"


class Offence(NamedTuple):
    """A record that breaks an equation: where it stands, its event_id if it has one, and what is wrong with it."""

    place: str
    event_id: str | None
    cause: str


class Finding(NamedTuple):
    """What was found about one equation.

    `looked_at` counts the records (or, at rest, the balances) that the check really compared with something. `first` is
    the first offence of `offences`. `reason` says why an equation was not checked, or what of it was left out.
    """

    equation: Equation
    statement: str
    result: Result
    looked_at: int
    offences: int
    first: Offence | None
    reason: str | None


class Report(NamedTuple):
    """All findings, in the order of the equations."""

    records: int
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings of equations that do not hold."""
        return tuple(finding for finding in self.findings if finding.result is Result.FAILED)

    def with_finding(self, finding: Finding) -> "Report":
        """Return the report with another verdict on one equation, which was reached elsewhere."""
        return self._replace(
            findings=tuple(finding if one.equation is finding.equation else one for one in self.findings)
        )

    def finding(self, equation: Equation) -> Finding:
        """Return what was found about one equation."""
        return next(finding for finding in self.findings if finding.equation is equation)


class Ledger:
    """What was found so far: offences as they are met, and, when a report is made, how much was looked at."""

    def __init__(self) -> None:
        self.looked_at: Counter[Equation] = Counter()
        self._offences: Counter[Equation] = Counter()
        self._first: dict[Equation, Offence] = {}
        self._reasons: dict[Equation, list[str]] = {}

    def copy(self) -> "Ledger":
        """Return a ledger to conclude in, so that a report changes nothing for what is fed after it."""
        other = Ledger()
        other.looked_at = self.looked_at.copy()
        other._offences = self._offences.copy()
        other._first = self._first.copy()
        other._reasons = {key: list(reasons) for key, reasons in self._reasons.items()}
        return other

    def fail(self, equation: Equation, entry: Entry, cause: str) -> None:
        """Note that a record breaks an equation."""
        self.fail_at(equation, Offence(entry.place, getattr(entry.record, "event_id", None) or None, cause))

    def fail_at(self, equation: Equation, offence: Offence) -> None:
        """Note an offence; the first one of an equation is kept."""
        self._offences[equation] += 1
        self._first.setdefault(equation, offence)

    def leave_out(self, equation: Equation, reason: str) -> None:
        """Note that an equation, or a part of it, was not checked."""
        self._reasons.setdefault(equation, []).append(reason)

    def finding(self, equation: Equation) -> Finding:
        """Return the verdict on an equation."""
        looked_at, offences = self.looked_at[equation], self._offences[equation]
        reasons = self._reasons.get(equation, [])
        if offences:
            result = Result.FAILED
        elif looked_at:
            result = Result.PASSED
        else:
            result = Result.NOT_CHECKED
            reasons = reasons or ["there is no record that it is about"]
        return Finding(
            equation,
            STATEMENTS[equation],
            result,
            looked_at,
            offences,
            self._first.get(equation),
            "; ".join(reasons) or None,
        )

    def report(self, records: int) -> Report:
        """Return all verdicts."""
        return Report(records, tuple(map(self.finding, Equation)))


class Wrong(Exception):  # noqa: N818 - it is the market's error, not the program's
    """A record that is not what the naive book makes it."""

    def __init__(self, equation: Equation, entry: Entry, cause: str) -> None:
        """Take the equation that it breaks, the record, and why."""
        super().__init__(cause)
        self.equation = equation
        self.entry = entry
        self.cause = cause
