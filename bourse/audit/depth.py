"""A20: what the books' updates say: never crossed while trading is continuous, and none missing."""

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import BookUpdate, SessionKind


class Depth:
    """The last update of each book."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sequences: dict[str, int] = {}
        self._updates = 0

    def update(self, entry: Entry, update: BookUpdate) -> None:
        """Take in one update."""
        self._updates += 1
        before = self._sequences.get(update.symbol, 0)
        if update.sequence != before + 1:
            cause = f"update {update.sequence} of {update.symbol} follows update {before}"
            self._ledger.fail(Equation.A20, entry, cause)
        self._sequences[update.symbol] = update.sequence
        bid, ask = update.best_bid, update.best_ask
        is_crossed = bid is not None and ask is not None and bid >= ask
        if is_crossed and update.phase is SessionKind.OPEN:
            self._ledger.fail(Equation.A20, entry, f"{update.symbol} has a bid of {bid} and an ask of {ask}")

    def conclude(self, ledger: Ledger) -> None:
        """Add how many updates were looked at."""
        ledger.looked_at[Equation.A20] += self._updates
