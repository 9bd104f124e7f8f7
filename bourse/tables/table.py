"""One table of one partition: a cycle's writes over decoded rows over RocksDB.

Rows are frozen, so a write replaces a row and undoing a cycle is forgetting its writes. Reads see this cycle's
writes; RocksDB sees them only after Kafka has committed them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, NoReturn, Protocol, TypeVar

from rocksdict import ColumnFamily, Rdict

from bourse.schemas.records import Record

R = TypeVar("R", bound=Record)


class RowCodec(Protocol):
    """Turns rows into bytes and back, by type of row."""

    def encoder(self, record_type: type[R], /) -> Callable[[R], bytes]:
        """Return the encoder of a row type."""

    def decoder(self, record_type: type[R], /) -> Callable[[bytes], R]:
        """Return the decoder of a row type."""


@dataclass(frozen=True, slots=True)
class TableSpec(Generic[R]):
    """A table by name (its column family and the first part of its changelog keys) and type of row.

    `cached` bounds the decoded rows that are held in memory for each partition.
    """

    name: str
    row_type: type[R]
    cached: int = 20_000


class StoredTable(Generic[R]):
    """Rows by string key; implements `pipeline.state.Table`."""

    __slots__ = (
        "_bound",
        "_decode",
        "_encode",
        "_report",
        "_rocks",
        "_rows",
        "_written",
        "family",
        "prefix",
    )

    def __init__(
        self,
        spec: TableSpec[R],
        rocks: Rdict,
        family: ColumnFamily,
        encode: Callable[[R], bytes],
        decode: Callable[[bytes], R],
        report: Callable[[Exception], NoReturn],
    ) -> None:
        """Read from `rocks`, the open column family; `family` is its handle for batches.

        `report` is told what RocksDB says when rows cannot be read, and raises.
        """
        self.family = family
        self.prefix = f"{spec.name}/".encode()
        self._rocks = rocks
        self._bound = spec.cached
        self._encode = encode
        self._decode = decode
        self._report = report
        self._rows: dict[str, R | None] = {}
        self._written: dict[str, R | None] = {}

    def get(self, key: str) -> R | None:
        """Return the row of a key, or None."""
        try:
            return self._rows[key]
        except KeyError:
            raw = self._read(key.encode())
            row = None if raw is None else self._decode(raw)
            self._rows[key] = row
            return row

    def put(self, key: str, row: R) -> None:
        """Write the row of a key."""
        self._rows[key] = self._written[key] = row

    def delete(self, key: str) -> None:
        """Remove the row of a key, if there is one."""
        self._rows[key] = self._written[key] = None

    def scan(self, prefix: str) -> Iterator[tuple[str, R]]:
        """Iterate over the rows whose keys begin with `prefix`, in key order; writes meanwhile are safe."""
        found: dict[str, R | None] = self._stored(prefix.encode())
        found.update((key, row) for key, row in self._written.items() if key.startswith(prefix))
        return iter(sorted(((k, row) for k, row in found.items() if row is not None), key=_key))

    def page(self, after: str, limit: int) -> list[tuple[str, R]]:
        """Return the first rows whose keys come after `after`, in key order, no more than `limit`."""
        found: list[tuple[str, R]] = []
        written, last = self._written, None
        for raw_key, raw in self._walk(f"{after}\0".encode()):
            if len(found) == limit:
                break
            last = raw_key.decode()
            if last not in written:
                found.append((last, self._decode(raw)))
        else:
            last = None
        found.extend(
            (key, row)
            for key, row in written.items()
            if row is not None and key > after and (last is None or key <= last)
        )
        return sorted(found, key=_key)[:limit]

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return this cycle's writes as key and encoded row, each key once."""
        encode = self._encode
        return [(key.encode(), None if row is None else encode(row)) for key, row in self._written.items()]

    def settle(self) -> None:
        """Forget that this cycle's writes were new: they are on disk now."""
        self._written.clear()
        if len(self._rows) > self._bound:
            self._rows.clear()

    def forget(self) -> None:
        """Drop writes and cached rows: disk is right, memory may not be."""
        self._written.clear()
        self._rows.clear()

    def let_go(self) -> None:
        """Drop the handles of RocksDB; the table is of no use afterwards."""
        del self._rocks, self.family
        self.forget()

    def _read(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._rocks.get(key)
        except Exception as error:  # noqa: BLE001  (RocksDB reports everything as a bare Exception)
            self._report(error)
        return value

    def _stored(self, prefix: bytes) -> dict[str, R | None]:
        within = takewhile(lambda row: row[0].startswith(prefix), self._walk(prefix))
        return {key.decode(): self._decode(raw) for key, raw in within}

    def _walk(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is on disk from a key on."""
        rows = self._rocks.iter()
        rows.seek(start)
        while rows.valid():
            yield rows.key(), rows.value()
            rows.next()
        try:
            # At a block that cannot be read an iterator ends as it does after the last row; only this tells of it.
            rows.status()
        except Exception as error:  # noqa: BLE001  (as above)
            self._report(error)


def _key(item: tuple[str, object]) -> str:
    return item[0]
