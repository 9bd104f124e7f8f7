"""What happens to the broker, and to the network before it."""

import signal
from random import Random

from tests.faults.faults import fault
from tests.faults.world import Going, World


@fault(uses="broker")
def broker_killed(world: World, chance: Random) -> Going:
    """SIGKILL, and started again at once or a little later."""
    world.node.kill()
    yield chance.choice((0.0, 1.0, 3.0))
    world.node.start_again()
    yield from world.until(world.broker_answers, 40)
    return True


@fault(uses="broker")
def broker_restarted(world: World, _chance: Random) -> Going:
    """SIGTERM and start: it tells nobody, but writes everything to disk."""
    world.node.send(signal.SIGTERM)
    yield from world.until(lambda: world.node.process() is None, 30)
    world.node.start_again()
    yield from world.until(world.broker_answers, 40)
    return True


@fault(uses="broker")
def broker_frozen(world: World, chance: Random) -> Going:
    """SIGSTOP and SIGCONT: connections stay, nothing answers."""
    world.node.send(signal.SIGSTOP)
    yield chance.choice((0.5, 2.0, 5.0))
    world.node.send(signal.SIGCONT)
    return True


@fault(uses="broker")
def unreachable(world: World, chance: Random) -> Going:
    """Every connection breaks, and new ones are refused."""
    world.proxy.refuse()
    yield chance.choice((0.5, 2.0, 8.0))
    world.proxy.heal()
    return True


@fault(uses="broker")
def silent_network(world: World, chance: Random) -> Going:
    """Nothing goes through, and nobody is told; then everything goes through after all."""
    world.proxy.is_silent = True
    yield chance.choice((0.5, 2.0, 6.0))
    world.proxy.heal()
    return True


@fault(uses="broker")
def replies_lost(world: World, chance: Random) -> Going:
    """What workers ask for is done, and they do not hear of it."""
    world.proxy.loses_replies = True
    yield chance.choice((0.5, 2.0, 4.0))
    world.proxy.heal()
    return True


@fault(uses="broker")
def slow_network(world: World, chance: Random) -> Going:
    """Each reply comes 50 to 2,000 ms late."""
    world.proxy.delay_seconds = chance.choice((0.05, 0.2, 0.5, 2.0))
    yield 4.0
    world.proxy.heal()
    return True


@fault(uses="broker")
def cut_connections(world: World, _chance: Random) -> Going:
    """Every connection breaks once."""
    world.proxy.cut()
    yield 0.0
    return True


@fault(uses="broker")
def cut_connections_again_and_again(world: World, chance: Random) -> Going:
    """Every connection breaks, whenever it has just been made again."""
    for _ in range(12):
        world.proxy.cut()
        yield chance.uniform(0.05, 0.4)
    return True
