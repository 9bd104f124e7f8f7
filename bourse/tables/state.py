"""All tables together, and a partition's state over them as the stages see it."""

from pathlib import Path
from typing import Any, Final

from bourse.pipeline.state import State
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables.accounts import ACCOUNTS
from bourse.tables.asset_totals import ASSET_TOTALS
from bourse.tables.books import BOOKS
from bourse.tables.client_orders import CLIENT_ORDERS
from bourse.tables.halts import HALTS
from bourse.tables.holds import HOLDS
from bourse.tables.instruments import INSTRUMENTS
from bourse.tables.markets import MARKETS
from bourse.tables.message_rates import MESSAGE_RATES
from bourse.tables.obligations import OBLIGATIONS
from bourse.tables.participants import PARTICIPANTS
from bourse.tables.positions import POSITIONS
from bourse.tables.resting_orders import RESTING_ORDERS
from bourse.tables.source_offsets import SOURCE_OFFSETS
from bourse.tables.store import Store
from bourse.tables.sweeps import SWEEPS
from bourse.tables.table import RowCodec, TableSpec
from bourse.tables.waiting_orders import WAITING_ORDERS
from bourse.tables.wallet_requests import WALLET_REQUESTS
from bourse.tables.wallets import WALLETS

TABLES: Final[tuple[TableSpec[Any], ...]] = (
    ACCOUNTS,
    PARTICIPANTS,
    INSTRUMENTS,
    MARKETS,
    HALTS,
    MESSAGE_RATES,
    CLIENT_ORDERS,
    WALLET_REQUESTS,
    ASSET_TOTALS,
    SWEEPS,
    WALLETS,
    HOLDS,
    POSITIONS,
    OBLIGATIONS,
    RESTING_ORDERS,
    WAITING_ORDERS,
    BOOKS,
    SOURCE_OFFSETS,
)


def open_store(folder: Path, identity: ChangelogIdentity, codec: RowCodec) -> Store:
    """Open the store of `identity`'s partition below `folder`."""
    return Store(folder / str(identity.partition), identity, TABLES, codec)


def state_of(store: Store) -> State:
    """Return the state over a store's tables, the same object until rows change under it."""
    if store.attached is None:
        store.attached = _state(store)
    state: State = store.attached
    return state


def _state(store: Store) -> State:
    tables = store.tables
    return State(
        accounts=tables["accounts"],
        participants=tables["participants"],
        instruments=tables["instruments"],
        markets=tables["markets"],
        halts=tables["halts"],
        message_rates=tables["message_rates"],
        client_orders=tables["client_orders"],
        wallet_requests=tables["wallet_requests"],
        asset_totals=tables["asset_totals"],
        sweeps=tables["sweeps"],
        wallets=tables["wallets"],
        holds=tables["holds"],
        positions=tables["positions"],
        obligations=tables["obligations"],
        resting_orders=tables["resting_orders"],
        waiting_orders=tables["waiting_orders"],
        books=tables["books"],
    )
