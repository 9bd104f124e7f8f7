"""What happens to a broker, and to the network before it.

Where there are three, it happens to one of them, and what happens to the network to one or to all.
"""

import signal
from random import Random

from tests.faults.faults import Place, fault
from tests.faults.proxy import Proxy
from tests.faults.world import Going, World


@fault(uses="broker")
def broker_killed(world: World, chance: Random) -> Going:
    """SIGKILL, and started again at once or a little later."""
    node = chance.choice(world.cluster.nodes)
    node.kill()
    yield chance.choice((0.0, 1.0, 3.0))
    node.start_again()
    yield from world.until_cluster_is_whole()
    return True


@fault(uses="broker")
def broker_restarted(world: World, chance: Random) -> Going:
    """SIGTERM and start: it tells nobody, but writes everything to disk."""
    node = chance.choice(world.cluster.nodes)
    node.send(signal.SIGTERM)
    yield from world.until(lambda: node.process() is None, 30)
    node.start_again()
    yield from world.until_cluster_is_whole()
    return True


@fault(uses="broker")
def broker_frozen(world: World, chance: Random) -> Going:
    """SIGSTOP and SIGCONT: connections stay, nothing answers."""
    node = chance.choice(world.cluster.nodes)
    node.send(signal.SIGSTOP)
    yield chance.choice((0.5, 2.0, 5.0))
    node.thaw()
    yield from world.until_cluster_is_whole()
    return True


def _links(world: World, chance: Random) -> list[Proxy]:
    """Choose the way to one broker, or to all that there are."""
    links = [node.proxy for node in world.cluster.nodes]
    return links if chance.random() < 0.5 else [chance.choice(links)]


def _refuse(links: list[Proxy], seconds: float) -> Going:
    for link in links:
        link.refuse()
    yield seconds
    for link in links:
        link.heal()
    return True


def _be_silent(links: list[Proxy], seconds: float) -> Going:
    for link in links:
        link.is_silent = True
    yield seconds
    for link in links:
        link.heal()
    return True


def _lose_replies(links: list[Proxy], seconds: float) -> Going:
    for link in links:
        link.loses_replies = True
    yield seconds
    for link in links:
        link.heal()
    return True


@fault(uses="broker")
def unreachable(world: World, chance: Random) -> Going:
    """Every connection breaks, and new ones are refused."""
    return (yield from _refuse(_links(world, chance), chance.choice((0.5, 2.0, 8.0))))


@fault(uses="broker")
def silent_network(world: World, chance: Random) -> Going:
    """Nothing goes through, and nobody is told; then everything goes through after all."""
    return (yield from _be_silent(_links(world, chance), chance.choice((0.5, 2.0, 6.0))))


@fault(uses="broker")
def replies_lost(world: World, chance: Random) -> Going:
    """What workers ask for is done, and they do not hear of it."""
    return (yield from _lose_replies(_links(world, chance), chance.choice((0.5, 2.0, 4.0))))


# Longer than a session, a transaction and the delivery of a record may last.
LONG_SECONDS = (12.0, 30.0, 60.0)


@fault(uses="broker", place=Place.LONG)
def unreachable_for_long(world: World, chance: Random) -> Going:
    return (yield from _refuse(_links(world, chance), chance.choice(LONG_SECONDS)))


@fault(uses="broker", place=Place.LONG)
def silent_network_for_long(world: World, chance: Random) -> Going:
    """What was sent within that time, also by workers that are long gone, arrives after it."""
    return (yield from _be_silent(_links(world, chance), chance.choice(LONG_SECONDS)))


@fault(uses="broker", place=Place.LONG)
def replies_lost_for_long(world: World, chance: Random) -> Going:
    return (yield from _lose_replies(_links(world, chance), chance.choice(LONG_SECONDS)))


@fault(uses="broker")
def slow_network(world: World, chance: Random) -> Going:
    """Each reply comes 50 to 2,000 ms late."""
    links, seconds = _links(world, chance), chance.choice((0.05, 0.2, 0.5, 2.0))
    for link in links:
        link.delay_seconds = seconds
    yield 4.0
    for link in links:
        link.heal()
    return True


@fault(uses="broker")
def cut_connections(world: World, chance: Random) -> Going:
    """Every connection breaks once."""
    for link in _links(world, chance):
        link.cut()
    yield 0.0
    return True


@fault(uses="broker")
def cut_connections_again_and_again(world: World, chance: Random) -> Going:
    """Every connection breaks, whenever it has just been made again."""
    links = _links(world, chance)
    for _ in range(12):
        for link in links:
            link.cut()
        yield chance.uniform(0.05, 0.4)
    return True
