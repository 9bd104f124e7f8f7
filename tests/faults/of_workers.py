"""What happens to workers."""

import signal
from random import Random

from tests.faults import worker as at
from tests.faults.faults import fault
from tests.faults.world import Going, World

STRIKE_SECONDS = 6.0
"""How long a fault waits for a worker to come to the point of its cycle that it is for."""


@fault()
def kill(world: World, chance: Random) -> Going:
    """SIGKILL at a random moment; the worker is back at once, or after its session has ended."""
    with world.holding(chance) as name:
        if name is None:
            return False
        world.kill(name)
        yield chance.choice((0.0, 0.5, 1.2 * world.settings.session_timeout_ms / 1000))
    return True


@fault()
def kill_everyone(world: World, _chance: Random) -> Going:
    """SIGKILL of all workers at the same moment."""
    for name in sorted(world.wanted - world.held):
        if world.is_running(name):
            world.kill(name)
    yield 0.0


@fault()
def kill_again_and_again(world: World, chance: Random) -> Going:
    """SIGKILL of the same worker at four moments of its start."""
    with world.holding(chance) as name:
        if name is None:
            return False
        for seconds in (0.0, *(chance.uniform(0.5, 2.5) for _ in range(3))):
            yield seconds
            world.kill(name)
            world.start(name)
    return True


def _kill_at(world: World, chance: Random, point: str) -> Going:
    with world.holding(chance) as name:
        if name is None:
            return False
        order = world.tell(name, point, "kill")
        struck = yield from world.until(lambda: not order.exists(), STRIKE_SECONDS)
        order.unlink(missing_ok=True)
        return struck


@fault()
def kill_amid_a_cycle(world: World, chance: Random) -> Going:
    return (yield from _kill_at(world, chance, at.WRITTEN))


@fault()
def kill_before_commit(world: World, chance: Random) -> Going:
    return (yield from _kill_at(world, chance, at.PRODUCED))


@fault()
def kill_between_commit_and_rocksdb(world: World, chance: Random) -> Going:
    return (yield from _kill_at(world, chance, at.COMMITTED))


@fault()
def kill_within_restore(world: World, chance: Random) -> Going:
    """Killed while it reads the changelog, for a state folder that it has lost."""
    with world.holding(chance) as name:
        if name is None:
            return False
        world.kill(name)
        world.lose(world.state(name))
        order = world.tell(name, at.RESTORING, "kill")
        world.start(name)
        struck = yield from world.until(lambda: not order.exists(), 2 * STRIKE_SECONDS)
        order.unlink(missing_ok=True)
        return struck


def _kill_in_rebalance(world: World, chance: Random, point: str) -> Going:
    with world.holding(chance) as name:
        if name is None:
            return False
        order = world.tell(name, point, "kill")
        with world.guest() as guest:
            world.want(guest)
            struck = yield from world.until(lambda: not order.exists(), 2 * STRIKE_SECONDS)
            order.unlink(missing_ok=True)
        return struck


@fault()
def kill_within_rebalance_when_assigned(world: World, chance: Random) -> Going:
    return (yield from _kill_in_rebalance(world, chance, at.ASSIGNING))


@fault()
def kill_within_rebalance_when_revoked(world: World, chance: Random) -> Going:
    return (yield from _kill_in_rebalance(world, chance, at.REVOKING))


@fault()
def rolling_restart(world: World, _chance: Random) -> Going:
    """SIGTERM of one worker after the other, each with time to come back."""
    for name in sorted(world.wanted - world.held):
        if name in world.held or not world.is_running(name):
            continue
        world.held.add(name)
        yield from world.stop(name)
        world.held.discard(name)
        yield 3.0
    return True


@fault()
def freeze(world: World, chance: Random) -> Going:
    """SIGSTOP at a random moment for longer than its session, then SIGCONT: what it writes then nobody may read."""
    with world.holding(chance) as name:
        if name is None:
            return False
        world.signal(name, signal.SIGSTOP)
        yield 1.5 * world.settings.session_timeout_ms / 1000
        world.signal(name, signal.SIGCONT)
    return True


def _freeze_at(world: World, chance: Random, point: str) -> Going:
    with world.holding(chance) as name:
        if name is None:
            return False
        order = world.tell(name, point, "stop")
        struck = yield from world.until(lambda: not order.exists(), STRIKE_SECONDS)
        order.unlink(missing_ok=True)
        if struck:
            yield 1.5 * world.settings.session_timeout_ms / 1000
        # Told or not: it may have stopped between the last look and the removal of its order.
        if world.is_running(name):
            world.signal(name, signal.SIGCONT)
        return struck


@fault()
def zombie_with_outputs(world: World, chance: Random) -> Going:
    return (yield from _freeze_at(world, chance, at.WRITTEN))


@fault()
def zombie_before_commit(world: World, chance: Random) -> Going:
    return (yield from _freeze_at(world, chance, at.PRODUCED))


@fault()
def zombie_before_rocksdb(world: World, chance: Random) -> Going:
    return (yield from _freeze_at(world, chance, at.COMMITTED))


@fault()
def namesake(world: World, chance: Random) -> Going:
    """A second worker of the same name with a folder of its own fences the first; then the first comes back."""
    with world.holding(chance) as name:
        if name is None:
            return False
        first = world.workers.running[name]
        world.start(name, BOURSE_DATA_DIR=str(world.settings.data_dir / "elsewhere"))
        yield from world.until(lambda: first.poll() is not None, 15)
        second = world.workers.running[name]
        yield chance.uniform(0.0, 2.0)
        for process in (first, second):
            process.kill()
            process.wait()
    return True


@fault()
def joins_and_leaves(world: World, chance: Random) -> Going:
    """Two more workers join; both go again, politely or not, before or after the group has settled."""
    with world.guest() as one, world.guest() as other:
        for guest in (one, other):
            world.want(guest)
            yield chance.uniform(0.5, 2.5)
        for guest in (one, other):
            yield chance.uniform(0.0, 1.5)
            if chance.random() < 0.5 and world.is_running(guest):
                world.kill(guest)
    return True


@fault()
def stalled_event_loop(world: World, chance: Random) -> Going:
    """The event loop stands still within a cycle for longer than the session; librdkafka goes on by itself."""
    with world.holding(chance) as name:
        if name is None:
            return False
        seconds = 1.2 * world.settings.session_timeout_ms / 1000
        order = world.tell(name, at.BEGUN, "stall", seconds)
        struck = yield from world.until(lambda: not order.exists(), STRIKE_SECONDS)
        order.unlink(missing_ok=True)
        yield seconds if struck else 0.0
        return struck


@fault()
def transaction_timeout(world: World, chance: Random) -> Going:
    """A cycle takes longer than the broker lets a transaction live."""
    with world.holding(chance) as name:
        if name is None:
            return False
        seconds = 1.5 + world.settings.transaction_timeout_ms / 1000
        order = world.tell(name, at.WRITTEN, "stall", seconds)
        struck = yield from world.until(lambda: not order.exists(), STRIKE_SECONDS)
        order.unlink(missing_ok=True)
        yield seconds if struck else 0.0
        return struck
