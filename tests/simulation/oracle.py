"""Whether what a simulation left behind is right: read from the logs when everything is at rest.

`check` raises Finding with what is wrong. It has three sources that share no code with the engine: the schedule's own
account of what was sent, the pure stages run over what each committed transaction took in, and an auditor that
reads the outputs alone.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from bourse.audit import Auditor, Entry
from bourse.audit.entries import TOPIC_RECORDS
from bourse.pipeline.matching.naive import NaiveBook
from bourse.pipeline.outputs import Topic
from bourse.pipeline.state import State
from bourse.schemas.codec import DecodeError
from bourse.schemas.records import SourceOffset
from bourse.streaming.carry import Carry
from bourse.streaming.frames import Record
from bourse.tables.source_offsets import SOURCE_OFFSETS
from bourse.tables.state import TABLES
from tests.simulation.kafka import Log, Transaction
from tests.simulation.process import CHANGELOG, Delivered, Stages, handed_over, stages_for
from tests.simulation.world import Finding, World

_RANK = {topic: rank for rank, topic in enumerate(TOPIC_RECORDS)}
AUDITOR_SAYS = "the auditor says:"


def check(world: World) -> None:
    """Check everything."""
    check_reasons(world)
    check_logs(world)
    check_intake(world)
    check_equal_to_the_pure_stages(world)
    check_outputs(world)


def expect(truth: object, text: str) -> None:
    if not truth:
        raise Finding(text)


def check_reasons(world: World) -> None:
    """No worker stopped by itself where nothing happened that it has to stop for; rebalances are not such a thing."""
    if world.plan.is_gentle and not world.kafka.time_outs:
        expect(not world.errors, f"a worker stops for nothing: {world.errors}")


def check_logs(world: World) -> None:
    """Nothing is undecided, and whatever is committed was written by a transaction or from outside."""
    for place, log in world.kafka.logs.items():
        expect(log.stable == log.end, f"{place} has a transaction that nobody decides")
    sent = Counter((record.topic, record.partition) for record in world.sent)
    for place, log in world.kafka.logs.items():
        outside = sum(entry.transaction is None for _, entry in log.committed())
        expect(
            outside == sent[place],
            f"{place}: {outside} records outside of any transaction, {sent[place]} sent",
        )


def check_intake(world: World) -> None:
    """Each committed record of each topic that is read was taken in once, in order, by one committed transaction."""
    taken: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for transaction in world.kafka.history:
        for delivered in _deliveries(transaction):
            place = (delivered.topic, delivered.partition)
            taken[place] += [record.offset for record in delivered.records]
    for topic, partition in world.kafka.logs:
        if topic not in stages_for(world.plan.partitions).readers:
            continue
        log = world.kafka.logs[topic, partition]
        there = [
            offset
            for offset, entry in log.committed()
            if entry.transaction is None or topic not in handed_over(entry.transaction.carry)
        ]
        found = taken[topic, partition]
        expect(
            found == there, f"{topic}/{partition} holds {_gist(there, found)}, taken in {_gist(found, there)}"
        )


def _gist(these: list[int], others: list[int]) -> str:
    twice = [offset for offset, count in Counter(these).items() if count > 1]
    only = sorted(set(these) - set(others))
    return f"{len(these)} records (only here: {only[:5]}, twice: {twice[:5]})"


def _deliveries(transaction: Transaction) -> list[Delivered]:
    return transaction.taken_in  # type: ignore[return-value]


# -- the pure stages ----------------------------------------------------------------------------------------------


class Sheet:
    """A frame of the pure run: records, a state in memory, and a list that takes what is sent."""

    def __init__(self, run: "PureRun", topic: str, partition: int, records: list[Record]) -> None:
        self.topic = topic
        self.partition = partition
        self.store = run.stores[partition]
        self.first_timestamp_ms = 0
        self._run = run
        self._records = records

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int, passed: object = None
    ) -> None:
        self._run.outputs.append(((topic, partition), key, value))
        if passed is not None:
            self._run.hand_over((topic, partition), Record(-1, 0, key, value, passed))


class NaiveBooks(dict[str, NaiveBook]):
    """Books that are lists, made when they are first asked for."""

    def get(self, symbol: str, _default: object = None) -> NaiveBook:
        return self.setdefault(symbol, NaiveBook())


class PureRun:
    """The stages over states in memory and naive books, cycle by cycle as they were committed."""

    def __init__(self, stages: Stages, partitions: int) -> None:
        self.stores = [SimpleNamespace(attached=State.in_memory()) for _ in range(partitions)]
        for store in self.stores:
            store.attached.order_books = NaiveBooks()
        self.outputs: list[tuple[tuple[str, int], bytes | None, bytes | None]] = []
        self._readers = stages.readers
        self._wire = stages.wire
        self._handed: dict[tuple[str, int], list[Record]] = {}
        self._handed_over: frozenset[str] = frozenset()
        self._handled: list[dict[str, SourceOffset]] = [{} for _ in range(partitions)]

    def cycle(self, deliveries: list[Delivered]) -> list[tuple[tuple[str, int], bytes | None, bytes | None]]:
        """Return what a cycle writes."""
        self.outputs = []
        for delivered in deliveries:
            self._handed_over = handed_over(delivered.carry)
            self._run(delivered.topic, delivered.partition, delivered.records)
            while self._handed:
                place = next(iter(self._handed))
                self._run(*place, self._handed.pop(place))
        return self.outputs

    def note(self, transaction: Transaction) -> None:
        """Take from a transaction how far its sources are handled; that it is so is `check_intake`'s matter."""
        for (topic, partition), offset in transaction.offsets.items():
            self._handled[partition][topic] = SourceOffset(offset, transaction.carry)

    def hand_over(self, place: tuple[str, int], record: Record) -> None:
        if place[0] in self._handed_over:
            self._handed.setdefault(place, []).append(record)

    def _run(self, topic: str, partition: int, records: list[Record]) -> None:
        for runner in self._readers[topic]:
            runner.run(Sheet(self, topic, partition, records))  # type: ignore[arg-type]

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """Return every row of a partition, as it stands in a changelog."""
        state = self.stores[partition].attached
        return {
            f"{table.name}/{key}".encode(): self._wire.codec.encoder(table.row_type)(row)
            for table in TABLES
            for key, row in self._table(table.name, partition, state).items()
        }

    def _table(self, name: str, partition: int, state: State) -> Mapping[str, Any]:
        if name == SOURCE_OFFSETS.name:
            return self._handled[partition]
        rows: Mapping[str, Any] = getattr(state, name).rows
        return rows


def check_equal_to_the_pure_stages(world: World) -> None:
    """Outputs, changelog and stores are those of the stages without engine, tables, caches and faults."""
    # These hand over all that any of them does.
    stages = stages_for(world.plan.partitions, Carry.TOGETHER)
    pure = PureRun(stages, world.plan.partitions)
    for transaction in world.kafka.history:
        written = [
            (place, entry.key, entry.value) for place, entry in transaction.written if place[0] != CHANGELOG
        ]
        expected = pure.cycle(_deliveries(transaction))
        if written != expected:
            raise Finding(_difference(written, expected))
        if any(place[0] == CHANGELOG for place, _ in transaction.written):
            pure.note(transaction)
    stores = {partition: (rows, store) for partition, rows, store in world.stores()}
    for partition in range(world.plan.partitions):
        log = world.kafka.logs[CHANGELOG, partition]
        rows = pure.rows(partition)
        expect(
            _folded(log) == rows, f"the changelog of partition {partition} is not what the stages remember"
        )
        on_disk, store = stores[partition]
        flat = {f"{t.name}/".encode() + key: row for t in TABLES for key, row in on_disk[t.name].items()}
        expect(flat == rows, f"the store of partition {partition} is not its changelog")
        left = log.next_committed(store.position or 0)
        expect(
            left == log.end,
            f"the store of partition {partition} stands at {store.position}, {log.end} is the end",
        )


def _folded(log: Log) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    for _, entry in log.committed():
        assert entry.key is not None
        if entry.value is None:
            rows.pop(entry.key, None)
        else:
            rows[entry.key] = entry.value
    return rows


def _difference(written: list[Any], expected: list[Any]) -> str:
    for number, (ours, theirs) in enumerate(zip(written, expected, strict=False)):
        if ours != theirs:
            return f"output {number} of a cycle is {ours}, the pure stages write {theirs}"
    return f"a cycle wrote {len(written)} records, the pure stages write {len(expected)}"


# -- the outputs alone ----------------------------------------------------------------------------------------------


def check_outputs(world: World) -> None:
    """The auditor, which shares nothing with the stages, finds every equation to hold that it checks."""
    auditor = Auditor(world.plan.partitions)
    # In the order in which `bourse audit` reads them.
    for entry in heapq.merge(*_entries(world), key=lambda entry: (entry.timestamp_ms, _RANK[entry.topic])):
        auditor.feed(entry)
    report = auditor.report()
    offences = [
        f"{failed.equation}, {failed.statement}: {failed.first.place}: {failed.first.cause}"
        for failed in report.failed
        if failed.first is not None
    ]
    expect(not offences, AUDITOR_SAYS + "\n" + "\n".join(offences))
    expect(not auditor.owes(), "audit: not everything is settled")
    letters = sum(
        1 for (t, _), log in world.kafka.logs.items() if t == Topic.DEAD_LETTERS for _ in log.committed()
    )
    poison = sum(record.is_poison for record in world.sent)
    expect(letters == poison, f"{letters} dead letters for {poison} records that nobody can read")


def _entries(world: World) -> Iterator[Iterator[Entry]]:
    """Yield the committed records of each topic partition, decoded."""
    decoders = stages_for(world.plan.partitions).wire.decoders
    for (topic, partition), log in world.kafka.logs.items():
        if topic != CHANGELOG:
            yield _decoded(topic, partition, log, decoders[Topic(topic)])


def _decoded(topic: str, partition: int, log: Log, decode: Callable[[Any], Any]) -> Iterator[Entry]:
    for offset, (key, value, timestamp_ms, _) in log.committed():
        assert timestamp_ms is not None
        try:
            record = decode(value)
        except DecodeError:
            record = None
        text = None if key is None else key.decode(errors="replace")
        yield Entry(topic, partition, offset, timestamp_ms, text, record, value)
