"""The store of one partition, on a real RocksDB."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables.state import open_store, state_of
from bourse.tables.store import Store

Open = Callable[[], Store]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    identity = ChangelogIdentity("cluster", "topic-id", "changelog", 0)
    return lambda: open_store(tmp_path, identity, Codec(LocalIds()))


def test_a_store_that_was_closed_opens_again_while_an_agent_still_holds_it(opened: Open) -> None:
    store = opened()
    state, table = state_of(store), store.tables["wallets"]
    rows = table.scan("")
    store.restore([], 7)
    store.close()
    # A partition that goes and comes back: the agent's last frame still has the old store, its state and tables.
    assert opened().position == 7
    assert (state, table, list(rows)) is not None


def test_a_wiped_store_is_empty_and_takes_writes(opened: Open) -> None:
    store = opened()
    held = state_of(store), store.tables["wallets"]
    store.restore([], 7)
    store.wipe()
    assert store.position is None
    store.restore([], 3)
    store.close()
    assert opened().position == 3
    assert held is not None
