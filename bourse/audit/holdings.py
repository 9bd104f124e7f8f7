"""A11 and A12 of positions: each follows from the one before it, and its cost and profit are those of its trades.

Cost is the average kind: what is sold takes its share of the cost, rounded down, and the last unit the rest. Figures that
nobody is paid stop at what 64 bits can say.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.schemas.records import Instrument, PositionCause, PositionUpdated, Side
from bourse.schemas.units import INT64_MAX, INT64_MIN

Holder: TypeAlias = tuple[str, str]
"""An account and a symbol."""


@dataclass(slots=True)
class Holding:
    """A position, folded from what changed it."""

    quantity: int = 0
    settled: int = 0
    cost: int = 0
    realised: int = 0
    has_outside: bool = False
    """Whether some of its trades were of orders that came in behind risk, which moved no wallet."""
    entry: Entry | None = None


class Holdings:
    """Every position as its updates tell it, and as it should be."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.holdings: defaultdict[Holder, Holding] = defaultdict(Holding)
        self._references: defaultdict[str, set[int]] = defaultdict(set)
        self._updates = 0

    def instrument(self, instrument: Instrument) -> None:
        """Take in a reference price, at which deposits may come in."""
        self._references[instrument.symbol].add(instrument.reference_price or 0)

    def update(self, entry: Entry, update: PositionUpdated) -> None:
        """Take in one change of a position."""
        self._updates += 1
        holding = self.holdings[update.account_id, update.symbol]
        quantity, settled = update.quantity, update.settled_quantity
        if quantity != holding.quantity + update.quantity_delta:
            cause = f"{quantity} does not follow from {holding.quantity} and {update.quantity_delta}"
            self._ledger.fail(Equation.A11, entry, cause)
        if settled != holding.settled + update.settled_delta:
            cause = f"{settled} settled do not follow from {holding.settled} and {update.settled_delta}"
            self._ledger.fail(Equation.A11, entry, cause)
        self._value(entry, holding, update)
        holding.quantity, holding.settled = quantity, settled
        holding.cost, holding.realised, holding.entry = update.cost, update.realised_pnl, entry

    def _value(self, entry: Entry, holding: Holding, update: PositionUpdated) -> None:
        cost, realised = holding.cost, holding.realised
        match update.cause:
            case PositionCause.TRADE:
                holding.has_outside |= not update.held
                cost, realised = _traded(holding, update)
            case PositionCause.DEPOSIT:
                cost = self._deposited(holding, update)
            case PositionCause.WITHDRAWAL:
                left = holding.quantity + update.quantity_delta
                cost -= cost * -update.quantity_delta // holding.quantity if left > 0 else cost
        cost, realised = _saturated(cost), _saturated(realised)
        average = update.cost // (update.quantity * update.multiplier) if update.quantity else 0
        if (update.cost, update.realised_pnl, update.average_price) != (cost, realised, average):
            cause = (
                f"cost {update.cost}, profit {update.realised_pnl}, average {update.average_price};"
                f" its trades make {cost}, {realised}, {average}"
            )
            self._ledger.fail(Equation.A12, entry, cause)
        value = update.quantity * update.market_price * update.multiplier
        valued = (update.market_value, update.unrealised_pnl)
        if valued != (_saturated(value), _saturated(value - update.cost)):
            self._ledger.fail(Equation.A12, entry, f"{valued} is not its value at {update.market_price}")

    def _deposited(self, holding: Holding, update: PositionUpdated) -> int:
        """Return the cost after a deposit, at whichever reference price was announced; its own where none is known yet."""
        references = self._references.get(update.symbol)
        if references is None:
            return update.cost
        units = update.quantity_delta * update.multiplier
        costs = {holding.cost + units * reference for reference in (0, *references)}
        return update.cost if update.cost in {_saturated(cost) for cost in costs} else min(costs)

    def conclude(self, ledger: Ledger) -> None:
        """Add how many updates were looked at."""
        ledger.looked_at[Equation.A11] += self._updates
        ledger.looked_at[Equation.A12] += self._updates


def _traded(holding: Holding, update: PositionUpdated) -> tuple[int, int]:
    """Return cost and profit after a trade: first what it closes, at its share of the cost, then what it opens."""
    price = (update.price or 0) * update.multiplier
    change: int = update.quantity_delta
    held, cost, realised = holding.quantity, holding.cost, holding.realised
    if held * change < 0:
        closed = min(abs(held), abs(change))
        taken = cost if closed == abs(held) else cost * closed // abs(held)
        cost -= taken
        part = closed if update.side is Side.BUY else -closed
        realised -= part * price + taken
        change -= part
    return cost + change * price, realised


def _saturated(amount: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, amount))
