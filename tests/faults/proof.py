"""What must hold when everything is at rest, read from Kafka and from the state folders alone."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bourse.audit import Equation
from bourse.cli.audit import audit_kafka
from bourse.streaming.stores import ChangelogIdentity
from bourse.streaming.transport import EXIT_FAILED
from bourse.tables.state import TABLES, open_store
from bourse.tables.table import StoredTable
from tests.audit.logs import failures
from tests.faults.world import World


def check(world: World) -> None:
    """Check all of it; raises AssertionError with what is wrong. Workers run when it begins, and are stopped."""
    check_input_is_all_there(world)
    check_audit(world)
    stop_all(world)
    assert not world.stops(), world.stops()
    if world.changelog_is_whole:
        check_stores(world)


def check_audit(world: World) -> None:
    """No equation is broken; which of them a schedule is about is its own affair."""
    failed = failures(audit_kafka(replay=True))
    if not world.changelog_is_whole:
        failed.pop(Equation.A15, None)
    assert not failed, failed


def check_input_is_all_there(world: World) -> None:
    """What was published is in the topics, each record once."""
    held = Counter(m.topic() for m in world.workers.messages(*world.sent))
    assert held == {world.settings.topic(topic): count for topic, count in world.sent.items()}


def stop_all(world: World) -> None:
    """Stop every worker politely, so that nobody holds the stores.

    One that hung in a call when the last fault ended may have stopped by itself meanwhile; why is in its log.
    """
    world.wanted.clear()
    for process in world.workers.running.values():
        process.terminate()
    for name, process in world.workers.running.items():
        assert process.wait(30) in {0, EXIT_FAILED}, world.workers.log(name)[-5_000:]


def check_stores(world: World) -> None:
    """Each store of each worker has the rows of the changelog, up to where it says that it stands."""
    changelogs: defaultdict[int, list[Any]] = defaultdict(list)
    for message in world.workers.messages("changelog"):
        changelogs[message.partition()].append(message)
    topic = world.settings.topic("changelog")
    cluster = world.admin.list_topics(timeout=10).cluster_id
    checked = 0
    for folder in sorted(world.settings.state_dir.glob("*/[0-9]*")):
        partition = int(folder.name)
        identity = ChangelogIdentity(cluster, world.changelog_id(), topic, partition)
        position, rows = _rows(folder.parent, identity, world)
        expected: dict[bytes, bytes] = {}
        for message in changelogs[partition]:
            if message.offset() < position:
                if message.value() is None:
                    expected.pop(message.key(), None)
                else:
                    expected[message.key()] = message.value()
        assert rows == expected, f"the store {folder} is not its changelog up to {position}"
        checked += bool(rows)
    assert checked, "there is no store with rows"


def _encoded(table: StoredTable[Any], encode: Callable[[Any], bytes]) -> Iterator[tuple[str, bytes]]:
    return ((key, encode(row)) for key, row in table.scan(""))


def _rows(folder: Path, identity: ChangelogIdentity, world: World) -> tuple[int, dict[bytes, bytes]]:
    store = open_store(folder, identity, world.workers.wire.codec)
    rows = {
        f"{spec.name}/{key}".encode(): value
        for spec in TABLES
        for key, value in _encoded(store.tables[spec.name], world.workers.wire.encoders[spec.row_type])
    }
    position = store.position or 0
    store.close()
    return position, rows
