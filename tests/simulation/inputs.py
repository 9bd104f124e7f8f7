"""What the outside sends in a simulation: a market's set-up, a hostile flow, and a clock that runs past every date.

The flow is that of `tests/account_strategies.py`, with what no well-meant client sends among it: bytes that are no
record, records under another's key or in another's partition, and client order ids used again for something else.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from bourse.agents.wire import Wire
from bourse.pipeline.flow import TOPICS, key_of
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent
from bourse.schemas.records import Order, SessionEvent, SessionKind
from tests.account_strategies import (
    ACCOUNTS,
    ASSETS,
    FlowWriter,
    next_event,
    opening_deposits,
    reference_data,
)

POISONED = (Topic.ORDERS, Topic.WALLET_COMMANDS, Topic.ACCOUNTS, Topic.INSTRUMENTS, Topic.SESSIONS)
_ENDS = (SessionKind.CLOSED, SessionKind.HALT)
_BEGINS = (SessionKind.RESUME, SessionKind.OPEN)


class Input(NamedTuple):
    """A record from outside, as its producer hands it to Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int
    is_poison: bool = False
    waits: bool = False
    """Whether it is sent only when all that was sent before has been worked off."""


class InputWriter:
    """Writes the inputs of one simulation."""

    def __init__(self, wire: Wire, partitions: int, dice: Random) -> None:
        self._wire = wire
        self._partitions = partitions
        self._dice = dice
        self._writer = FlowWriter()
        self._reopening: list[SimEvent] = []

    def opening(self, *, is_rich: bool) -> list[Input]:
        """Return instruments, accounts, and deposits for everybody, who then can trade a little or a lot."""
        events = [*opening_deposits(self._writer)]
        if is_rich:
            events += [
                self._writer.deposit(account, asset, 100_000) for account in ACCOUNTS for asset in ASSETS
            ]
        deposits = [self._sent(event) for event in events]
        return [*map(self._sent, reference_data()), deposits[0]._replace(waits=True), *deposits[1:]]

    def flow(self, length: int, poison: float) -> list[Input]:
        """Return what clients do during the day, some of it poisoned."""
        inputs = [self._poison() if self._dice.random() < poison else self._next() for _ in range(length)]
        return [inputs[0]._replace(waits=True), *inputs[1:]]

    def settlement(self) -> list[Input]:
        """Return the ticks that take every market past all settlement dates."""
        return [self._sent(event) for event in self._writer.settle_everything()]

    def _next(self) -> Input:
        if self._reopening:
            return self._sent(self._reopening.pop())
        if self._dice.random() < 0.03 and (orders := [*self._orders()]):
            order = self._dice.choice(orders)
            return self._sent(
                SimEvent(Topic.ORDERS, None, replace(order, quantity=(order.quantity or 0) + 5))
            )
        event = next_event(self._writer, self._dice)
        session = event.record
        if isinstance(session, SessionEvent) and session.kind in _ENDS and self._dice.random() < 0.7:
            # Nothing trades in a market that stays closed.
            self._reopening = [self._writer.session(session.market, kind, 0, None) for kind in _BEGINS]
        return self._sent(event)

    def _orders(self) -> Iterator[Order]:
        return (event.record for event in self._writer.sent if isinstance(event.record, Order))

    def _sent(self, event: SimEvent) -> Input:
        key = event.key or key_of(TOPICS[event.topic], event.record) or ""
        value = self._wire.encoders[type(event.record)](event.record)
        return Input(str(event.topic), key.encode(), value, partition_of(key.encode(), self._partitions))

    def _poison(self) -> Input:
        dice = self._dice
        good = self._sent(self._writer.sent[-1])
        if good.topic not in POISONED:
            good = good._replace(topic=str(dice.choice(POISONED)))
        value = good.value or b""
        kinds = [
            good._replace(value=dice.randbytes(dice.randint(0, 30))),
            good._replace(value=None),
            good._replace(value=value[: dice.randint(0, len(value) - 1)]),
            good._replace(value=b"\0\0\0\xff\xff" + value[5:]),
            good._replace(key=b"NOBODY"),
            good._replace(key=None),
            good._replace(key=b"\xff\xfe"),
        ]
        if self._partitions > 1:
            kinds.append(good._replace(partition=(good.partition + 1) % self._partitions))
        return dice.choice(kinds)._replace(is_poison=True)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's Java clients send a key to: murmur2, as Apache Kafka's `Utils` has it."""
    size, mixer, mask = len(key), 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ size) & mask
    for start in range(0, size - 3, 4):
        k = int.from_bytes(key[start : start + 4], "little") * mixer & mask
        h = (h * mixer & mask) ^ ((k ^ k >> 24) * mixer & mask)
    tail = size % 4
    if tail:
        h = (h ^ int.from_bytes(key[-tail:], "little")) * mixer & mask
    h = (h ^ h >> 13) * mixer & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions
