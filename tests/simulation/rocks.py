"""RocksDB in memory, so that a store opens in microseconds: the real one takes 20 to 35 ms, a seed opens a dozen.

`Rdict` and `WriteBatch` follow rocksdict as `bourse.tables.store` uses it, so the store's own code runs as it is: its
batches, its position, its proofs. A batch is there whole or not at all, and what was written outlives its process.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from bourse.tables import store as store_module

Rows = dict[bytes, bytes]
Content = dict[str, Rows]
"""Rows by column family."""


class Disk:
    """Every folder of every worker."""

    def __init__(self, wall_seconds: Callable[[], float]) -> None:
        self.wall_seconds = wall_seconds
        self.folders: dict[str, Content] = {}
        self.users: dict[str, Any] = {}
        """The process that has a folder open: RocksDB locks it."""
        self.about_to_write: Callable[[str, str], None] = lambda _path, _when: None

    def copy(self, root: str) -> dict[str, Content]:
        """Return a copy of all folders below `root`."""
        return {
            path: {family: dict(rows) for family, rows in content.items()}
            for path, content in self.folders.items()
            if path.startswith(f"{root}/")
        }

    def replace(self, root: str, folders: dict[str, Content]) -> None:
        """Put `folders` in the place of all folders below `root`."""
        for path in [path for path in self.folders if path.startswith(f"{root}/")]:
            del self.folders[path]
        for path, content in folders.items():
            self.folders[path] = {family: dict(rows) for family, rows in content.items()}

    def let_go(self, root: str) -> None:
        """Unlock the folders below `root`: their process is gone."""
        for path in [path for path in self.users if path.startswith(f"{root}/")]:
            del self.users[path]


class Folder:
    """A path on the simulated disk, as far as a store walks it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self._path}/{name}")

    def __str__(self) -> str:
        return self._path

    def mkdir(self, **_how: bool) -> None: ...

    def exists(self) -> bool:
        """Only asked of the mark of a damaged store: nothing is ever damaged here."""
        return False

    def read_text(self) -> str:
        """Only asked of the name of a manifest: there are no files here."""
        raise FileNotFoundError(self._path)


_disk: list[Disk] = []


class Rdict:
    """An open RocksDB, or one column family of it."""

    def __init__(self, path: str, _options: object, families: dict[str, object]) -> None:
        disk = _disk[-1]
        if path in disk.users:
            msg = f"IO error: lock hold by current process: {path}/LOCK"
            raise Exception(msg)  # noqa: TRY002  (as rocksdict does)
        disk.users[path] = self
        content = disk.folders.setdefault(path, {})
        for name in ("default", *families):
            content.setdefault(name, {})
        self._disk, self._path, self._content = disk, path, content

    def get_column_family(self, name: str) -> "Family":
        return Family(self._content[name])

    def get_column_family_handle(self, name: str) -> str:
        return name

    def get(self, key: bytes) -> bytes | None:
        return self._content["default"].get(key)

    def write(self, batch: "WriteBatch", _options: object) -> None:
        self._disk.about_to_write(self._path, "before")
        for key, value, family in batch.writes:
            if value is None:
                self._content[family].pop(key, None)
            else:
                self._content[family][key] = value
        self._disk.about_to_write(self._path, "after")

    def close(self) -> None:
        if self._disk.users.get(self._path) is self:
            del self._disk.users[self._path]


class Family:
    """The rows of one column family."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.get = rows.get

    def iter(self) -> "Cursor":
        return Cursor(self._rows)


class Cursor:
    """An iterator over rows in the order of their keys."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._left: list[bytes] = []

    def seek(self, key: bytes) -> None:
        self._left = sorted((k for k in self._rows if k >= key), reverse=True)

    def valid(self) -> bool:
        return bool(self._left)

    def key(self) -> bytes:
        return self._left[-1]

    def value(self) -> bytes:
        return self._rows[self._left[-1]]

    def next(self) -> None:
        self._left.pop()

    def status(self) -> None: ...


class WriteBatch:
    """Writes that become visible together."""

    def __init__(self, *, raw_mode: bool) -> None:
        assert raw_mode
        self.writes: list[tuple[bytes, bytes | None, str]] = []

    def put(self, key: bytes, value: bytes, family: str) -> None:
        self.writes.append((key, value, family))

    def delete(self, key: bytes, family: str) -> None:
        self.writes.append((key, None, family))


@contextlib.contextmanager
def in_place_of_rocksdb(disk: Disk) -> Iterator[None]:
    """Let stores open on `disk`, and live by its clock, until the end of the block."""
    stand_ins = {
        "Rdict": Rdict,
        "WriteBatch": WriteBatch,
        "time": SimpleNamespace(time=disk.wall_seconds),
        "shutil": SimpleNamespace(rmtree=lambda path, **_how: disk.folders.pop(str(path), None)),
    }
    real = {name: getattr(store_module, name) for name in stand_ins}
    _disk.append(disk)
    for name, stand_in in stand_ins.items():
        setattr(store_module, name, stand_in)
    try:
        yield
    finally:
        for name, original in real.items():
            setattr(store_module, name, original)
        _disk.pop()
