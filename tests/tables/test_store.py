"""The store of one partition, on a real RocksDB."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import Wallet
from bourse.streaming.errors import StoreDamaged
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables import logs
from bourse.tables.logs import may_be_opened
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


def test_its_size_can_be_asked_for_while_files_go(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    before = store.size_bytes()
    (store.path / "merged.sst").symlink_to(store.path / "gone")
    monkeypatch.setattr(Path, "is_file", lambda _file: True)
    assert store.size_bytes() >= before > 0
    store.close()


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


def test_a_store_that_cannot_be_flushed_says_so_when_it_closes_and_is_wiped_all_the_same(
    opened: Open,
) -> None:
    for end in (Store.wipe, Store.close):
        store = opened()
        store.restore([(b"wallets/A/EUR", Codec(LocalIds()).encoder(Wallet)(Wallet(5)))], 7)
        # As a full disk does, this keeps RocksDB from writing a file.
        shutil.rmtree(store.path)
        if end is Store.wipe:
            end(store)
            assert store.position is None
            store.close()
        else:
            with pytest.raises(StoreDamaged, match="the store of partition 0"):
                end(store)
    assert opened().position is None


def test_a_store_of_another_changelog_begins_anew(tmp_path: Path, opened: Open) -> None:
    store = opened()
    store.restore([], 7)
    store.close()
    other = open_store(tmp_path, ChangelogIdentity("cluster", "made-anew", "changelog", 0), Codec(LocalIds()))
    assert other.position is None
    other.restore([], 3)
    other.close()
    assert opened().position is None


def test_a_store_too_old_to_be_proved_begins_anew(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.restore([], 7)
    store.close()
    monkeypatch.setattr("bourse.tables.store.PROVABLE_SECONDS", -1)
    assert opened().position is None


def test_a_page_shows_what_is_written_over_what_is_stored(opened: Open) -> None:
    store = opened()
    table = state_of(store).wallets
    for number in range(0, 10, 2):
        table.put(f"ANN/{number}", Wallet(number))
    store.changes()
    store.commit(1)
    # Given 0, 2, 4, 6 and 8 on disk, and this cycle's writes: 2 gone, 4 changed, 3 and 9 new
    table.delete("ANN/2")
    for number in (3, 4, 9):
        table.put(f"ANN/{number}", Wallet(100 + number))
    rows = [
        (f"ANN/{key}", Wallet(value)) for key, value in ((0, 0), (3, 103), (4, 104), (6, 6), (8, 8), (9, 109))
    ]
    for limit in range(1, 8):
        assert table.page("", limit) == rows[:limit]
        for place, (key, _) in enumerate(rows):
            assert table.page(key, limit) == rows[place + 1 : place + 1 + limit]


WALLETS = 5_000


Damage = Callable[[float], Store]


@pytest.fixture
def damaged(opened: Open, tmp_path: Path) -> Damage:
    """Return the function that opens a store of many rows after one bit, so far into its largest file, has changed."""

    def damage(place: float) -> Store:
        codec = Codec(LocalIds())
        store = opened()
        row = codec.encoder(Wallet)(Wallet())
        store.restore(((f"wallets/A{n:04}/{n * 7919}".encode(), row) for n in range(WALLETS)), WALLETS)
        store.close()
        file = max(tmp_path.rglob("*.sst"), key=lambda found: found.stat().st_size)
        content = bytearray(file.read_bytes())
        content[int(len(content) * place)] ^= 1
        file.write_bytes(content)
        return opened()

    return damage


def read_all(table: Any) -> None:
    for number in range(WALLETS):
        table.get(f"A{number:04}/{number * 7919}")


def scan_all(table: Any) -> None:
    table.scan("")


def page_all(table: Any) -> None:
    table.page("", WALLETS)


@pytest.mark.parametrize("read", [read_all, scan_all, page_all])
def test_a_row_that_cannot_be_read_is_never_taken_for_one_that_is_not_there(
    damaged: Damage, opened: Open, read: Callable[[Any], None]
) -> None:
    store = damaged(0.3)
    with pytest.raises(StoreDamaged, match="Corruption"):
        read(store.tables["wallets"])
    store.close()
    # Whoever opens it next begins anew, from the changelog.
    again = opened()
    assert again.position is None
    assert list(again.tables["wallets"].scan("")) == []
    again.restore([], 3)
    again.close()
    assert opened().position == 3


def test_a_store_that_does_not_open_for_its_damage_begins_anew(damaged: Damage) -> None:
    # The blocks that tell what is where stand at the end, and are read at once.
    assert damaged(0.99).position is None


@pytest.fixture
def killed(opened: Open, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a store as SIGKILL leaves it: open, with families and rows that stand in nothing but its logs."""
    codec = Codec(LocalIds())
    store, row = opened(), codec.encoder(Wallet)(Wallet())
    for position in range(1, 4):
        # Several blocks of 32 KB each.
        store.restore(((f"wallets/A{n:04}/{position}".encode(), row) for n in range(WALLETS)), position)
    killed = tmp_path_factory.mktemp("killed")
    shutil.copytree(tmp_path, killed, dirs_exist_ok=True)
    store.close()
    return killed


def manifest_of(killed: Path) -> Path:
    folder = next(killed.rglob("CURRENT")).parent
    return folder / (folder / "CURRENT").read_text().strip()


def ahead_of(killed: Path) -> Path:
    return max(killed.rglob("*.log"), key=lambda file: file.stat().st_size)


def records(content: bytes) -> list[int]:
    """Return where the records of a log begin."""
    places = [0]
    while (place := places[-1]) < len(content):
        after = place + 7 + int.from_bytes(content[place + 4 : place + 6], "little")
        left = 32_768 - after % 32_768
        places.append(after + left * (left < 7))
    return places[:-1]


OPEN = """
import sys
from pathlib import Path
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables.state import open_store

for folder in sys.argv[1:]:
    store = open_store(Path(folder), ChangelogIdentity("cluster", "topic-id", "changelog", 0), Codec(LocalIds()))
    print(store.position, len(list(store.tables["wallets"].scan(""))))
    store.close()
"""


def opened_elsewhere(folders: Iterable[Path]) -> list[str]:
    """Open stores in a process of its own, since RocksDB may not come back; return position and number of rows of each."""
    command = [sys.executable, "-c", OPEN, *map(str, folders)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True
    ).stdout.splitlines()


def test_a_manifest_with_any_wrong_bit_is_not_believed(killed: Path) -> None:
    manifest = manifest_of(killed)
    content = bytearray(manifest.read_bytes())
    assert may_be_opened(manifest.parent)
    # Each takes a write to disk, so not all of them: every bit of what stands before a record, and others here and there.
    heads = {place + byte for place in records(content)[-6:] for byte in range(7)}
    for place in sorted(heads | set(range(0, len(content), 29))):
        for bit in range(8):
            content[place] ^= 1 << bit
            manifest.write_bytes(content)
            assert not may_be_opened(manifest.parent), (place, bit)
            content[place] ^= 1 << bit


@pytest.mark.parametrize("record", range(1, 7))
@pytest.mark.parametrize("bit", [1 << 7, 1 << 8, 1 << 15])
def test_a_manifest_that_seems_to_end_too_early_is_not_believed(
    opened: Open, killed: Path, record: int, bit: int
) -> None:
    identity, manifest = opened().identity, manifest_of(killed)
    content = bytearray(manifest.read_bytes())
    place = records(content)[-record]
    field = slice(place + 4, place + 6)
    content[field] = (int.from_bytes(content[field], "little") ^ bit).to_bytes(2, "little")
    manifest.write_bytes(content)
    again = open_store(killed, identity, Codec(LocalIds()))
    assert again.position is None
    again.restore([], 3)
    again.close()
    assert open_store(killed, identity, Codec(LocalIds())).position == 3


def test_a_manifest_is_looked_at_though_another_log_cannot_be_read(killed: Path) -> None:
    ahead, manifest = ahead_of(killed), manifest_of(killed)
    ahead.unlink()
    ahead.mkdir()
    assert may_be_opened(manifest.parent)
    content = bytearray(manifest.read_bytes())
    content[records(content)[1] + 6] ^= 4
    manifest.write_bytes(content)
    assert not may_be_opened(manifest.parent)


@pytest.mark.parametrize("log", [manifest_of, ahead_of])
def test_a_type_of_record_that_is_none_of_a_log_does_not_keep_a_store_from_opening(
    killed: Path, tmp_path: Path, log: Callable[[Path], Path]
) -> None:
    content = bytearray(log(killed).read_bytes())
    places, copies = records(content), []
    for place in (places[1], places[len(places) // 2], places[-1]):
        for bit in range(8):
            copies.append(tmp_path / f"{place}-{bit}")
            shutil.copytree(killed, copies[-1])
            content[place + 6] ^= 1 << bit
            log(copies[-1]).write_bytes(content)
            content[place + 6] ^= 1 << bit
    # Begun anew, or from an earlier time: never with rows that do not belong to its position.
    whole = {"None 0", *(f"{position} {WALLETS * position}" for position in range(1, 4))}
    assert set(opened_elsewhere(copies)) <= whole - {f"3 {3 * WALLETS}"}


def test_a_copy_of_a_killed_store_is_believed(killed: Path) -> None:
    assert len(ahead_of(killed).read_bytes()) > 3 * 32_768
    assert all(record.is_whole for record in logs._records(ahead_of(killed).read_bytes()))  # noqa: SLF001
    (folder,) = (current.parent.parent for current in killed.rglob("CURRENT"))
    assert opened_elsewhere([folder]) == [f"3 {3 * WALLETS}"]


def test_a_store_that_somebody_works_on_is_left_alone(opened: Open) -> None:
    store = opened()
    store.restore([], 7)
    with pytest.raises(Exception, match="LOCK"):
        opened()
    assert store.position == 7
