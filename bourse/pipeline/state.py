"""What the stages remember for one partition, as they see it: tables of frozen rows, and books derived from rows.

Where rows are kept (RocksDB, changelog) and when they become durable is for the table layer; a stage only gets, puts,
deletes and scans.
"""

from collections.abc import Iterator
from heapq import nsmallest
from typing import TYPE_CHECKING, Protocol, TypeVar

from bourse.pipeline.wakes import Wakes
from bourse.schemas.records import (
    Account,
    AssetTotal,
    BookState,
    ClientOrder,
    Halt,
    Hold,
    Instrument,
    MarketState,
    MessageRate,
    Obligation,
    Participant,
    Position,
    RestingOrder,
    Sweep,
    Wallet,
    WalletRequest,
)

if TYPE_CHECKING:  # these rooms import this one
    from bourse.pipeline.exposures import Exposure
    from bourse.pipeline.markets import Standing
    from bourse.pipeline.matching.book import Book
    from bourse.pipeline.positions.due import DueHoldings

R = TypeVar("R")


class Table(Protocol[R]):
    """One table of one partition: rows by key."""

    def get(self, key: str) -> R | None:
        """Return the row of a key, or None."""
        ...

    def put(self, key: str, row: R) -> None:
        """Write the row of a key."""
        ...

    def delete(self, key: str) -> None:
        """Remove the row of a key, if there is one."""
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, R]]:
        """Iterate over the rows whose keys begin with `prefix`, in key order; puts and deletes meanwhile are safe."""
        ...

    def page(self, after: str, limit: int) -> list[tuple[str, R]]:
        """Return the first rows whose keys come after `after`, in key order, no more than `limit`."""
        ...


class MemoryTable(Table[R]):
    """A table in memory, for simulation and tests."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[str, R] = {}

    def get(self, key: str) -> R | None:
        """Return the row of a key, or None."""
        return self.rows.get(key)

    def put(self, key: str, row: R) -> None:
        """Write the row of a key."""
        self.rows[key] = row

    def delete(self, key: str) -> None:
        """Remove the row of a key, if there is one."""
        self.rows.pop(key, None)

    def scan(self, prefix: str) -> Iterator[tuple[str, R]]:
        """Iterate over a copy of the rows whose keys begin with `prefix`, in key order."""
        return iter(sorted((item for item in self.rows.items() if item[0].startswith(prefix)), key=_key))

    def page(self, after: str, limit: int) -> list[tuple[str, R]]:
        """Return the first rows whose keys come after `after`, in key order, no more than `limit`."""
        return nsmallest(limit, (item for item in self.rows.items() if item[0] > after), key=_key)


def _key(item: tuple[str, object]) -> str:
    return item[0]


class State:
    """All tables of one partition, and what is derived from them: order books, wakes, exposures, dues, currencies and standings."""

    __slots__ = (
        "accounts",
        "asset_totals",
        "books",
        "client_orders",
        "currencies",
        "due_holdings",
        "exposures",
        "halts",
        "holds",
        "instruments",
        "markets",
        "message_rates",
        "obligations",
        "order_books",
        "participants",
        "positions",
        "resting_orders",
        "standings",
        "sweeps",
        "waiting_orders",
        "wakes",
        "wallet_requests",
        "wallets",
    )

    def __init__(
        self,
        *,
        accounts: Table[Account],
        participants: Table[Participant],
        instruments: Table[Instrument],
        markets: Table[MarketState],
        halts: Table[Halt],
        message_rates: Table[MessageRate],
        client_orders: Table[ClientOrder],
        wallet_requests: Table[WalletRequest],
        asset_totals: Table[AssetTotal],
        sweeps: Table[Sweep],
        wallets: Table[Wallet],
        holds: Table[Hold],
        positions: Table[Position],
        obligations: Table[Obligation],
        resting_orders: Table[RestingOrder],
        waiting_orders: Table[RestingOrder],
        books: Table[BookState],
    ) -> None:
        self.accounts = accounts
        self.participants = participants
        self.instruments = instruments
        self.markets = markets
        self.halts = halts
        self.message_rates = message_rates
        self.client_orders = client_orders
        self.wallet_requests = wallet_requests
        self.asset_totals = asset_totals
        self.sweeps = sweeps
        self.wallets = wallets
        self.holds = holds
        self.positions = positions
        self.obligations = obligations
        self.resting_orders = resting_orders
        self.waiting_orders = waiting_orders
        self.books = books
        self.order_books: dict[str, Book] = {}
        self.exposures: dict[str, Exposure] = {}
        self.wakes = Wakes(books)
        self.due_holdings: DueHoldings | None = None
        self.currencies: set[str] | None = None
        self.standings: dict[tuple[str, str], Standing] = {}

    @classmethod
    def in_memory(cls) -> "State":
        """Return an empty state whose tables live in memory."""
        return cls(
            accounts=MemoryTable(),
            participants=MemoryTable(),
            instruments=MemoryTable(),
            markets=MemoryTable(),
            halts=MemoryTable(),
            message_rates=MemoryTable(),
            client_orders=MemoryTable(),
            wallet_requests=MemoryTable(),
            asset_totals=MemoryTable(),
            sweeps=MemoryTable(),
            wallets=MemoryTable(),
            holds=MemoryTable(),
            positions=MemoryTable(),
            obligations=MemoryTable(),
            resting_orders=MemoryTable(),
            waiting_orders=MemoryTable(),
            books=MemoryTable(),
        )
