"""What happens to one of three brokers that keep three copies of everything: the market goes on while it is away."""

import signal
from collections.abc import Callable
from random import Random

from tests.faults.cluster import FaultyBroker
from tests.faults.faults import Place, fault
from tests.faults.world import Going, World

FREEZE_SECONDS = 5.0
"""Longer than a broker's session: others lead meanwhile, and it does not know when it wakes up."""


def _lose(world: World, chance: Random, node: FaultyBroker, end: Callable[[], None]) -> Going:
    """Take a node away, see the market go on without it, bring it back, and have every partition led by its first replica."""
    end()
    yield from world.until(lambda: node.process() is None, 30)
    yield from world.until_it_goes_on()
    yield chance.choice((0.0, 2.0))
    node.start_again()
    yield from world.until_cluster_is_whole()
    world.elect_preferred_leaders()
    return True


def _leader(world: World, chance: Random) -> FaultyBroker:
    """Return the node that leads a partition of what workers read, write, or restore from."""
    topic = chance.choice(("orders", "risk-approved", "trades", "changelog"))
    return world.leader(world.settings.topic(topic), chance.randrange(world.plan.partitions))


def _transaction_coordinator(world: World, chance: Random) -> FaultyBroker:
    worker = chance.choice(sorted(world.wanted))
    return world.coordinator("__transaction_state", f"{world.settings.group}-{worker}")


@fault(uses="broker", place=Place.REPLICATED)
def leader_killed(world: World, chance: Random) -> Going:
    node = _leader(world, chance)
    return (yield from _lose(world, chance, node, node.kill))


@fault(uses="broker", place=Place.REPLICATED)
def transaction_coordinator_killed(world: World, chance: Random) -> Going:
    node = _transaction_coordinator(world, chance)
    return (yield from _lose(world, chance, node, node.kill))


@fault(uses="broker", place=Place.REPLICATED)
def group_coordinator_killed(world: World, chance: Random) -> Going:
    node = world.coordinator("__consumer_offsets", world.settings.group)
    return (yield from _lose(world, chance, node, node.kill))


@fault(uses="broker", place=Place.REPLICATED)
def controller_killed(world: World, chance: Random) -> Going:
    """The node that leads the cluster's own metadata."""
    node = world.cluster.controller()
    return (yield from _lose(world, chance, node, node.kill))


@fault(uses="broker", place=Place.REPLICATED)
def leader_stopped(world: World, chance: Random) -> Going:
    """SIGTERM: it hands its partitions over before it goes."""
    node = _leader(world, chance)
    return (yield from _lose(world, chance, node, lambda: node.send(signal.SIGTERM)))


@fault(uses="broker", place=Place.REPLICATED)
def transaction_coordinator_stopped(world: World, chance: Random) -> Going:
    node = _transaction_coordinator(world, chance)
    return (yield from _lose(world, chance, node, lambda: node.send(signal.SIGTERM)))


@fault(uses="broker", place=Place.REPLICATED)
def leader_frozen(world: World, chance: Random) -> Going:
    """It wakes up in the belief that it still leads."""
    node = _leader(world, chance)
    node.send(signal.SIGSTOP)
    yield FREEZE_SECONDS
    yield from world.until_it_goes_on()
    node.thaw()
    yield from world.until_cluster_is_whole()
    world.elect_preferred_leaders()
    return True


@fault(uses="broker", place=Place.REPLICATED)
def leader_loses_its_disk(world: World, chance: Random) -> Going:
    """SIGKILL, and everything that it held is gone: it comes back empty."""
    node = _leader(world, chance)

    def lose() -> None:
        node.kill()
        node.lose_disk()

    return (yield from _lose(world, chance, node, lose))


@fault(uses="broker", place=Place.REPLICATED)
def brokers_restarted_in_turn(world: World, _chance: Random) -> Going:
    """SIGTERM and start of one after the other, as in an upgrade."""
    for node in world.cluster.nodes:
        node.send(signal.SIGTERM)
        yield from world.until(lambda node=node: node.process() is None, 30)  # type: ignore[misc]
        node.start_again()
        yield from world.until_cluster_is_whole()
    world.elect_preferred_leaders()
    return True
