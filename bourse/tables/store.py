"""The store of one partition: every table's rows in one RocksDB, at a known position of one changelog.

The position and the identity of the changelog are written in the same batch as the rows, so a store that survives
a crash says itself how far it reaches. A store of another changelog, of a damaged RocksDB, or too old to be
proved against a compacted changelog (whose deletions are kept only so long) is wiped and comes back empty. Damage that
shows only when a row is read ends the worker, and the store is wiped when it is opened next.
"""

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    ColumnFamily,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from bourse.schemas.records import SourceOffset
from bourse.streaming.errors import EngineError, StoreDamaged
from bourse.streaming.stores import Change, ChangelogIdentity, Handled
from bourse.tables.logs import may_be_opened
from bourse.tables.source_offsets import SOURCE_OFFSETS
from bourse.tables.table import RowCodec, StoredTable, TableSpec

PROVABLE_SECONDS = 3 * 24 * 3600
"""Older stores are rebuilt; the changelog keeps deletions (`delete.retention.ms`) for more than twice as long."""

_META = b"meta"
_DAMAGED = "damaged"
"""A file of this name in a store's folder says that rows in it could not be read: its next owner begins anew."""
_MiB = 1 << 20


class Meta(msgspec.Struct, frozen=True):
    """What a store says of itself: whose changelog it follows, how far, and when that was."""

    cluster_id: str
    topic_id: str
    topic: str
    partition: int
    position: int
    written_seconds: int


class Store:
    """Implements `streaming.stores.PartitionStore` over RocksDB."""

    def __init__(
        self, path: Path, identity: ChangelogIdentity, specs: Sequence[TableSpec[Any]], codec: RowCodec
    ) -> None:
        """Open the store at `path`, or an empty one where what is there does not belong to `identity`."""
        self.path = path
        self.identity = identity
        self.position: int | None = None
        self.tables: dict[str, StoredTable[Any]] = {}
        self.attached: Any = None
        """What an agent keeps beside the rows (derived objects); dropped whenever rows change under it."""
        self._specs = specs
        self._codec = codec
        self._batch: WriteBatch | None = None
        self._handles: tuple[Rdict, ColumnFamily] | None = None
        if not self._opens():
            self._open_anew()

    def restore(self, changes: Iterable[Change], position: int) -> None:
        """Apply changelog records as they are, with `position`, in one batch."""
        batch = WriteBatch(raw_mode=True)
        families = {table.prefix: table.family for table in self.tables.values()}
        for key, value in changes:
            name, _, row_key = key.partition(b"/")
            family = families.get(name + b"/")
            if family is None:
                continue
            if value is None:
                batch.delete(row_key, family)
            else:
                batch.put(row_key, value, family)
        self._write(batch, position)

    def ready(self) -> None:
        """Start with cold caches: rows may have changed on disk since an agent last saw them."""
        self.attached = None
        for table in self.tables.values():
            table.forget()

    def note(self, handled: Handled) -> None:
        """Write how far these topics are handled when this cycle is committed."""
        table = self.tables[SOURCE_OFFSETS.name]
        for topic, offset in handled.offsets.items():
            table.put(topic, SourceOffset(offset, handled.mode))

    def handled(self) -> Handled:
        """Return how far each topic is handled; all rows have the one mode, as a change of it writes them all."""
        rows: dict[str, SourceOffset] = dict(self.tables[SOURCE_OFFSETS.name].scan(""))
        mode = next((row.mode for row in rows.values()), "")
        return Handled({topic: row.offset for topic, row in rows.items()}, mode)

    def changes(self) -> list[Change]:
        """Encode this cycle's writes once, for the changelog now and for RocksDB after the commit."""
        batch = WriteBatch(raw_mode=True)
        changes: list[Change] = []
        for table in self.tables.values():
            prefix, family = table.prefix, table.family
            for key, value in table.changes():
                changes.append((prefix + key, value))
                if value is None:
                    batch.delete(key, family)
                else:
                    batch.put(key, value, family)
        self._batch = batch
        return changes

    def commit(self, position: int | None) -> None:
        """Write what `changes` encoded, now that Kafka has committed it."""
        if position is not None and self._batch is not None:
            self._write(self._batch, position)
        self._batch = None
        for table in self.tables.values():
            table.settle()

    def wipe(self) -> None:
        """Delete the files and begin with an empty store."""
        # What cannot be flushed any more is about to be deleted.
        with suppress(Exception):
            self._let_go()
        shutil.rmtree(self.path, ignore_errors=True)
        self._open()

    def close(self) -> None:
        """Flush and let go of the files; StoreDamaged where they cannot be written, and what is missing is in the changelog."""
        try:
            self._let_go()
        except Exception as error:  # noqa: BLE001  (RocksDB reports everything as a bare Exception)
            self._damaged(error)

    def size_bytes(self) -> int:
        """Return the bytes on disk."""
        total = 0
        for file in self.path.rglob("*"):
            # RocksDB takes files away whenever it has merged them.
            with suppress(FileNotFoundError):
                total += file.stat().st_size if file.is_file() else 0
        return total

    def _opens(self) -> bool:
        """Open what is there and return whether to go on with it: the changelog has all that is left behind otherwise.

        Wiping is for the caller: as long as this frame, or what was raised here, has a handle, the files stay locked.
        """
        try:
            self._open()
            meta = self._meta()
        except Exception as error:  # RocksDB reports everything as a bare Exception
            if "/LOCK" in str(error):
                raise  # another process works on it (a damaged block is no lock)
            return False
        if meta is None:
            return True
        if not self._is_proved_by(meta):
            return False
        self.position = meta.position
        return True

    def _open_anew(self) -> None:
        try:
            self.wipe()
        except Exception as error:  # noqa: BLE001  (as above)
            self._damaged(error)

    def _damaged(self, error: Exception) -> NoReturn:
        """End the cycle; where the files are wrong, and not the disk or the machine, see to it that they are not used again."""
        if "corruption" in str(error).lower():
            (self.path / _DAMAGED).touch()
        msg = f"the store of partition {self.identity.partition} at {self.path}: {error}"
        raise StoreDamaged(msg) from error

    def _open(self) -> None:
        if (self.path / _DAMAGED).exists() or not may_be_opened(self.path):
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        cache = Cache(16 * _MiB)
        families = {spec.name: _options(cache) for spec in self._specs}
        rocks = Rdict(str(self.path), _options(cache), families)
        self._handles = rocks, rocks.get_column_family_handle("default")
        self._write_options = WriteOptions()
        for spec in self._specs:
            rows, family = rocks.get_column_family(spec.name), rocks.get_column_family_handle(spec.name)
            encode, decode = self._codec.encoder(spec.row_type), self._codec.decoder(spec.row_type)
            self.tables[spec.name] = StoredTable(spec, rows, family, encode, decode, self._damaged)

    def _meta(self) -> Meta | None:
        raw = None if self._handles is None else self._handles[0].get(_META)
        return None if raw is None else msgspec.json.decode(raw, type=Meta)

    def _is_proved_by(self, meta: Meta) -> bool:
        theirs = (meta.cluster_id, meta.topic_id, meta.topic, meta.partition)
        ours = (
            self.identity.cluster_id,
            self.identity.topic_id,
            self.identity.topic,
            self.identity.partition,
        )
        return theirs == ours and time.time() - meta.written_seconds <= PROVABLE_SECONDS

    def _write(self, batch: WriteBatch, position: int) -> None:
        identity = self.identity
        meta = Meta(
            identity.cluster_id,
            identity.topic_id,
            identity.topic,
            identity.partition,
            position,
            int(time.time()),
        )
        if self._handles is None:
            msg = f"the store of partition {identity.partition} is closed"
            raise EngineError(msg)
        rocks, family = self._handles
        batch.put(_META, msgspec.json.encode(meta), family)
        try:
            rocks.write(batch, self._write_options)
        except Exception as error:  # noqa: BLE001  (RocksDB reports everything as a bare Exception)
            self._damaged(error)
        self.position = position

    def _let_go(self) -> None:
        # RocksDB stays open, and locked, while any handle of it is alive, and an agent that waits for its next
        # frame still has its last one with this store in it: the handles go, whoever holds their holders.
        self.attached = self._batch = None
        for table in self.tables.values():
            table.let_go()
        self.tables.clear()
        self.position = None
        handles, self._handles = self._handles, None
        if handles is not None:
            handles[0].close()


def _options(cache: Cache) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(4 * _MiB)
    options.set_db_write_buffer_size(32 * _MiB)
    options.set_max_total_wal_size(64 * _MiB)
    options.set_keep_log_file_num(2)
    # A filter in front of the memtable too: a look-up of an unused key takes a third of the time.
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_background_jobs(2)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    # Most look-ups of client order ids are for ids that nobody has used yet.
    blocks.set_bloom_filter(10, False)
    options.set_block_based_table_factory(blocks)
    return options
