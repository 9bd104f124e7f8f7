"""A15: the rows that the workers keep are what the output topics say.

The changelog folded, row by row and partition by partition, is compared with what the auditor knows from the topics: wallets,
positions, obligations, holds, and the orders that rest or wait. Rows that only guard against repeats, and what is
remembered of markets and books beside their orders, are in no output topic and are not compared.
"""

from collections import Counter
from typing import Final

from bourse.audit.entries import Entry
from bourse.audit.equations import Equation, Ledger
from bourse.audit.holdings import Holding, Holdings
from bourse.audit.identity import Identity
from bourse.audit.lives import LIVE, Life, Lives
from bourse.audit.money import Wallets
from bourse.audit.obligations import Obligations
from bourse.schemas.records import Hold, Obligation, Position, RestingOrder, Wallet

_COMPARED: Final = frozenset(
    ("wallets", "positions", "obligations", "holds", "resting_orders", "waiting_orders")
)


class State:
    """The rows of the tables that are compared, as the changelog has them."""

    def __init__(self) -> None:
        self._rows: dict[str, Entry] = {}
        self._read = 0

    def row(self, entry: Entry) -> None:
        """Take in a row, or that it is deleted."""
        self._read += 1
        key = entry.key or ""
        if key.partition("/")[0] not in _COMPARED:
            return
        if entry.record is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = entry

    def compare(
        self,
        ledger: Ledger,
        identity: Identity,
        wallets: Wallets,
        holdings: Holdings,
        obligations: Obligations,
        lives: Lives,
    ) -> None:
        """Hold every row to what the topics say, and look for rows that should be there."""
        if not self._read:
            ledger.leave_out(Equation.A15, "no changelog was read")
            return
        comparison = _Comparison(ledger, wallets, holdings, obligations, lives)
        for key, entry in self._rows.items():
            table, _, name = key.partition("/")
            if name.startswith("/"):
                continue  # The mark of a market: everything due by a date is settled.
            ledger.looked_at[Equation.A15] += 1
            problem = comparison.problem(name, entry) or _away(identity, table, name, entry)
            if problem is not None:
                ledger.fail(Equation.A15, entry, f"{key}: {problem}")
        comparison.look_for_missing()


def _away(identity: Identity, table: str, name: str, entry: Entry) -> str | None:
    """Say whether a row is in another partition than the account or symbol that it belongs to."""
    side = "symbol" if table in {"resting_orders", "waiting_orders"} else "account"
    parts = name.split("/")
    home = identity.home_of(side, parts[2] if table == "obligations" and len(parts) > 2 else parts[0])  # noqa: PLR2004
    return None if home in {None, entry.partition} else f"its {side} belongs to partition {home}"


class _Comparison:
    """Rows against what the topics say."""

    def __init__(
        self, ledger: Ledger, wallets: Wallets, holdings: Holdings, obligations: Obligations, lives: Lives
    ) -> None:
        self._ledger = ledger
        self._wallets = wallets
        self._holdings = holdings
        self._obligations = obligations
        self._lives = lives
        self._held: set[str] = set()
        self._resting: Counter[str] = Counter()
        self._owed: set[str] = set()

    def problem(self, name: str, entry: Entry) -> str | None:
        """Return how a row differs, or None."""
        match entry.record:
            case Wallet() as row:
                balances = self._wallets.balances.get(_pair(name), (0, 0, 0, entry))
                return _differs((row.available, row.blocked, row.unsettled), balances[:3])
            case Position() as row:
                known = self._holdings.holdings.get(_pair(name), Holding())
                return _differs(
                    (row.quantity, row.settled_quantity, row.cost, row.realised_pnl),
                    (known.quantity, known.settled, known.cost, known.realised),
                )
            case Obligation() as row:
                return self._obligation(row)
            case Hold() | RestingOrder() as row:
                return self._order(name.partition("/")[2], row)
            case _:
                return "it is no row of its table"

    def _obligation(self, row: Obligation) -> str | None:
        self._owed.add(row.settlement_id)
        known = self._obligations.open.get(row.settlement_id)
        if known is None:
            return "no such obligation is open"
        kept = (row.net_quantity, row.net_cash, row.fees, row.trades)
        last = known.last
        return _differs(kept, (last.net_quantity, last.net_cash, last.fees, last.trades))

    def _order(self, order_id: str, row: Hold | RestingOrder) -> str | None:
        if isinstance(row, Hold):
            self._held.add(order_id)
        else:
            self._resting[order_id] += 1
        kept = (row.order_quantity, row.cum_quantity)
        life = self._lives.open.get(order_id)
        if life is None or life.status not in LIVE:
            return "no such order is live"
        return _differs(kept, (life.total, life.cum))

    def look_for_missing(self) -> None:
        """Look for what the topics know and no row remembers."""
        for order_id, life in self._lives.open.items():
            if life.status in LIVE:
                if self._resting[order_id] != 1:
                    self._fail(life, f"order {order_id} is live, and has {self._resting[order_id]} rows")
                if order_id not in self._held and not life.is_outside:
                    self._fail(life, f"order {order_id} is live, and has no hold")
        for settlement_id, obligation in self._obligations.open.items():
            if settlement_id not in self._owed:
                self._ledger.fail(
                    Equation.A15, obligation.entry, f"obligation {settlement_id} is open, and has no row"
                )

    def _fail(self, life: Life, cause: str) -> None:
        self._ledger.fail(Equation.A15, life.entry, cause)


def _pair(name: str) -> tuple[str, str]:
    first, _, second = name.partition("/")
    return first, second


def _differs(kept: tuple[int, ...], known: tuple[int, ...]) -> str | None:
    return None if kept == known else f"the row says {kept}, the topics {known}"
