"""What careless, hostile or busy producers send between good orders."""

import datetime as dt
import io
from collections.abc import Iterator
from itertools import islice
from random import Random

import fastavro
import msgspec

from bench.orders import REFERENCE_PRICE, TICK
from bourse.schemas.ids import earlier_versions
from bourse.schemas.records import Order, OrderAction, OrderType, Side, TimeInForce
from tests.faults.faults import fault
from tests.faults.poison import poison_for
from tests.faults.world import Going, World


@fault()
def poison(world: World, chance: Random) -> Going:
    """A hundred records that nobody can read, of every kind and in every topic that anybody may write to."""
    kinds = poison_for(world.settings, world.workers.wire)
    for name in chance.choices(sorted(kinds), k=100):
        world.raw(*kinds[name])
    yield 0.0
    return True


@fault()
def retries(world: World, chance: Random) -> Going:
    """Orders that were sent before come again, some of them changed under the same id."""
    for order in chance.choices(world.recent, k=100) if world.recent else []:
        again = order
        if chance.random() < 0.3:
            again = msgspec.structs.replace(order, quantity=order.quantity + 1)
        world.send("orders", again.account_id, again)
    yield 0.0
    return bool(world.recent)


@fault()
def old_schema(world: World, chance: Random) -> Going:
    """Orders of a producer that has an earlier version of the schema."""
    versions = earlier_versions("Order")
    for order in _orders(world, chance, 100):
        version = chance.choice(versions)
        body = io.BytesIO()
        plain = msgspec.to_builtins(order, builtin_types=(bytes, dt.date))
        fastavro.schemaless_writer(body, version.parsed, plain)
        header = b"\0" + version.local_id().to_bytes(4, "big")
        world.raw("orders", order.account_id.encode(), header + body.getvalue())
    yield 0.0
    return True


@fault()
def hot_symbol(world: World, chance: Random) -> Going:
    """Everybody wants the same symbol."""
    symbol = chance.choice(sorted(world.market.traders))
    for order in _orders(world, chance, 300, symbol=symbol):
        world.send("orders", order.account_id, order)
    yield 0.0
    return True


@fault()
def hot_account(world: World, chance: Random) -> Going:
    """One account sends more than all others."""
    account = chance.choice(world.market.accounts)
    for order in _orders(world, chance, 300, account=account):
        world.send("orders", order.account_id, order)
    yield 0.0
    return True


def _orders(
    world: World, chance: Random, count: int, *, symbol: str | None = None, account: str | None = None
) -> Iterator[Order]:
    """Yield limit orders around the reference price, of one symbol or account if one is given."""
    pairs = [
        (trader, traded)
        for traded, traders in world.market.traders.items()
        for trader in traders
        if symbol in {None, traded} and account in {None, trader}
    ]
    label = f"f{chance.randrange(2**31)}"
    for number in islice(range(count), count if pairs else 0):
        trader, traded = chance.choice(pairs)
        price = REFERENCE_PRICE + chance.randrange(-5, 6) * TICK
        side = chance.choice((Side.BUY, Side.SELL))
        yield Order(
            OrderAction.NEW, f"{label}-{number}", trader, None, traded, side, OrderType.LIMIT,
            TimeInForce.DAY, chance.randrange(1, 200), price,
        )  # fmt: skip
