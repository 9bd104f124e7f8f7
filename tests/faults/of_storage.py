"""What happens to state folders, and to the changelog they are made from."""

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from random import Random

from confluent_kafka import TopicPartition

from tests.faults.faults import Place, fault
from tests.faults.world import Going, World

_DISK_MIB = 24


def _stop(world: World, name: str, *, gently: bool) -> Generator[float, None, Path]:
    """End a worker and return its state folder."""
    if gently:
        yield from world.stop(name)
    else:
        world.kill(name)
    return world.state(name)


@fault()
def state_lost(world: World, chance: Random) -> Going:
    """The state folder is deleted while its worker is down."""
    with world.holding(chance) as name:
        if name is None:
            return False
        world.lose((yield from _stop(world, name, gently=False)))
    return True


def _flip(world: World, chance: Random, pattern: str, *, gently: bool) -> Going:
    with world.holding(chance) as name:
        if name is None:
            return False
        world.expected |= {"StoreDamaged"}
        folder = yield from _stop(world, name, gently=gently)
        files = sorted(f for f in folder.rglob(pattern) if f.stat().st_size)
        for file in files:
            _flip_bytes(file, chance)
        return bool(files)


def _flip_bytes(file: Path, chance: Random) -> None:
    """Change one bit, which may show much later, or one in each 2 KB, which shows at once."""
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1 + len(content) // 2_000))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


@fault()
def flipped_bytes_in_sst(world: World, chance: Random) -> Going:
    # A polite stop writes what is in memory to such files.
    return (yield from _flip(world, chance, "*.sst", gently=True))


@fault()
def flipped_bytes_in_wal(world: World, chance: Random) -> Going:
    return (yield from _flip(world, chance, "*.log", gently=False))


@fault()
def flipped_bytes_in_manifest(world: World, chance: Random) -> Going:
    return (yield from _flip(world, chance, "MANIFEST-*", gently=False))


@fault()
def flipped_bytes_in_current(world: World, chance: Random) -> Going:
    return (yield from _flip(world, chance, "CURRENT", gently=False))


@fault()
def sst_lost(world: World, chance: Random) -> Going:
    """One of the files with rows is gone."""
    with world.holding(chance) as name:
        if name is None:
            return False
        files = sorted((yield from _stop(world, name, gently=True)).rglob("*.sst"))
        if files:
            chance.choice(files).unlink()
        return bool(files)


@fault()
def wal_cut_short(world: World, chance: Random) -> Going:
    """The end of the write-ahead log is missing, as after a crash of the machine."""
    with world.holding(chance) as name:
        if name is None:
            return False
        folder = yield from _stop(world, name, gently=False)
        files = sorted(f for f in folder.rglob("*.log") if f.stat().st_size)
        for file in files:
            os.truncate(file, chance.randrange(file.stat().st_size))
        return bool(files)


@fault()
def state_of_another_worker(world: World, chance: Random) -> Going:
    """The folder is replaced by a copy of another worker's, taken while that one was writing."""
    with world.holding(chance) as name:
        if name is None:
            return False
        folder = yield from _stop(world, name, gently=False)
        others = sorted(other for other in folder.parent.iterdir() if other != folder)
        if others:
            world.lose(folder)
            _copy(chance.choice(others), folder)
        return bool(others)


@fault()
def state_of_an_older_time(world: World, chance: Random) -> Going:
    """The folder is replaced by a copy of itself from a few seconds before."""
    with world.holding(chance) as name:
        if name is None:
            return False
        folder, older = world.state(name), world.settings.data_dir / f"older-{name}"
        yield from world.stop(name)
        _copy(folder, older)
        world.start(name)
        yield 5.0
        world.kill(name)
        world.lose(folder)
        older.replace(folder)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a folder whose files may vanish meanwhile."""
    for file in source.rglob("*"):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file() and file.name not in {"lock", "LOCK"}:
            try:
                shutil.copyfile(file, copy)
            except FileNotFoundError:
                continue


def can_mount() -> bool:
    """Return whether this user may mount a small file system; without it the disk cannot be made full."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@fault()
def disk_full(world: World, chance: Random) -> Going:
    """The state folder's disk has no room left for a while."""
    if not can_mount():
        return False
    with world.holding(chance) as name:
        if name is None:
            return False
        folder = yield from _stop(world, name, gently=False)
        world.lose(folder)
        folder.mkdir()
        options = f"size={_DISK_MIB}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)  # noqa: S607
        try:
            world.start(name)
            yield 4.0
            world.expected |= {"StoreDamaged"}
            filler = folder / "filler"
            _fill(filler)
            stopped = yield from world.until(lambda: not world.is_running(name), 6)
            if stopped:
                # And once more, with no room to start in.
                world.start(name)
                yield 3.0
            filler.unlink()
            if not world.is_running(name):
                world.start(name)
            yield 3.0
        finally:
            if world.is_running(name):
                world.kill(name)
            subprocess.run(["umount", str(folder)], check=True)  # noqa: S607
    return True


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65_536):
                pass
        except OSError:
            return


@fault(uses="broker", place=Place.ALONE)
def changelog_truncated(world: World, chance: Random) -> Going:
    """The changelog has lost its beginning, and the worker its folder: it must stop, not go on with half of the rows."""
    name = next(iter(world.wanted))
    world.expected |= {"ChangelogTruncated"}
    world.held.add(name)
    yield from world.stop(name)
    kept = world.settings.data_dir / "kept"
    world.state(name).rename(kept)
    _truncate_changelog(world)
    world.start(name)
    stopped = yield from world.until(lambda: not world.is_running(name), 30)
    assert stopped, "a worker goes on without the rows that the changelog has lost"
    assert "ChangelogTruncated" in world.workers.log(name), world.workers.log(name)[-3_000:]
    # With the folder it can go on.
    world.lose(world.state(name))
    kept.rename(world.state(name))
    world.held.discard(name)
    for _ in range(chance.randrange(100, 300)):
        order = chance.choice(world.recent)
        world.send("orders", order.account_id, order)
    return True


def _truncate_changelog(world: World) -> None:
    topic = world.settings.topic("changelog")
    world.changelog_is_whole = False
    world.set_cleanup_policy(topic, "compact,delete")
    # The last one is the mark of a commit, behind which no store says that it stands.
    places = [TopicPartition(topic, p, end - 1) for p, end in enumerate(world.ends("changelog")) if end]
    for deleted in world.admin.delete_records(places).values():
        deleted.result()
