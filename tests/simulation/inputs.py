"""What the outside sends in a simulation: a market's set-up, a hostile flow, and a clock that runs past every date.

The flow is that of `tests/account_strategies.py`, with orders of every type and instruction, and what no well-meant
client sends among it: bytes that are no record, records under another's key or in another's partition, and client order
ids used again for something else.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from msgspec.structs import replace

from bourse.agents.wire import Wire
from bourse.pipeline.envelope import key_of
from bourse.pipeline.flow import TOPICS
from bourse.pipeline.matching.pauses import MAX_EXTENSIONS
from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent
from bourse.schemas.records import (
    Instrument,
    Order,
    OrderAction,
    OrderType,
    SelfTradePrevention,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
)
from bourse.schemas.units import Price
from tests.account_strategies import (
    ACCOUNTS,
    ASSETS,
    NINE_O_CLOCK_NS,
    SYMBOLS,
    FlowWriter,
    next_event,
    opening_deposits,
    reference_data,
)

POISONED = (Topic.ORDERS, Topic.WALLET_COMMANDS, Topic.ACCOUNTS, Topic.INSTRUMENTS, Topic.SESSIONS)
QUEUES_UP = 0.6
BEST_BID, BEST_ASK = Price(300), Price(310)
_ENDS = (SessionKind.CLOSED, SessionKind.HALT)
_BEGINS = (
    # The last one is sent first.
    (SessionKind.OPEN, SessionKind.RESUME),
    (SessionKind.OPEN, SessionKind.OPENING_AUCTION, SessionKind.PRE_OPEN, SessionKind.RESUME),
    (SessionKind.OPEN, SessionKind.RESUME, SessionKind.CLOSING_AUCTION),
)
_INSTRUCTIONS: tuple[dict[str, Any], ...] = (
    {"order_type": OrderType.MARKET, "price": None},
    {"order_type": OrderType.STOP, "price": None, "stop_price": BEST_ASK},
    {"order_type": OrderType.STOP_LIMIT, "stop_price": BEST_BID},
    {"order_type": OrderType.TRAILING_STOP, "price": None, "trail_amount": 10},
    {"display_quantity": 5},
    {"time_in_force": TimeInForce.FOK},
    {"time_in_force": TimeInForce.AT_OPEN},
    {"time_in_force": TimeInForce.AT_CLOSE},
    {"time_in_force": TimeInForce.GTD, "expire_time_ns": NINE_O_CLOCK_NS + 10**12},
    {"post_only": True},
    {"oco_group": "either"},
    *({"self_trade_prevention": way} for way in SelfTradePrevention),
)


# Sessions are all at one time here: a pause is over with the next of them.
_SPECIAL_TERMS: dict[str, Any] = {
    "price_band_bps": 250,
    "pause_time_ns": 0,
    "volatility_auction": True,
    "depth_by_order": True,
}


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
        self._hot = dice.choice((None, None, *SYMBOLS))
        self._special = dice.choice((0, 0, 0.2, 0.6))
        self._reopening: list[SimEvent] = []

    def opening(self, *, is_rich: bool) -> list[Input]:
        """Return instruments, accounts, and deposits for everybody, who then can trade a little or a lot."""
        events = [*opening_deposits(self._writer)]
        if is_rich:
            events += [
                self._writer.deposit(account, asset, 100_000) for account in ACCOUNTS for asset in ASSETS
            ]
        deposits = [self._sent(event) for event in events]
        return [*map(self._sent, self._reference_data()), deposits[0]._replace(waits=True), *deposits[1:]]

    def _reference_data(self) -> Iterator[SimEvent]:
        """Yield instruments and accounts; on a special day instruments with a band, auctions of their own and depth by order."""
        for event in reference_data():
            instrument = event.record
            if self._special and isinstance(instrument, Instrument):
                event = event._replace(record=replace(instrument, **_SPECIAL_TERMS))  # noqa: PLW2901
            yield event

    def flow(self, length: int, poison: float) -> list[Input]:
        """Return what clients do during the day, some of it poisoned."""
        inputs = [self._poison() if self._dice.random() < poison else self._next() for _ in range(length)]
        return [inputs[0]._replace(waits=True), *inputs[1:]]

    def settlement(self) -> list[Input]:
        """Return the ticks that take every market past all settlement dates, those of trades that the ticks themselves bring too.

        A tick ends a pause, perhaps with an auction, or extends its call; and an auction sets off stops, which may begin another pause. So
        markets close before the last ticks.
        """
        ticks = [event for _ in range(MAX_EXTENSIONS + 2) for event in self._writer.settle_everything()]
        last = (*self._writer.close_everything(), *self._writer.settle_everything())
        return [self._sent(event) for event in (*ticks, *last)]

    def _next(self) -> Input:
        if self._reopening:
            return self._sent(self._reopening.pop())
        if self._dice.random() < 0.03 and (orders := [*self._orders()]):
            order = self._dice.choice(orders)
            return self._sent(
                SimEvent(Topic.ORDERS, None, replace(order, quantity=(order.quantity or 0) + 5))
            )
        event = self._shaped(next_event(self._writer, self._dice))
        session = event.record
        if isinstance(session, SessionEvent) and session.kind in _ENDS and self._dice.random() < 0.7:
            # Nothing trades in a market that stays closed.
            phases = self._dice.choice(_BEGINS)
            self._reopening = [self._writer.session(session.market, kind, 0, None) for kind in phases]
        return self._sent(event)

    def _shaped(self, event: SimEvent) -> SimEvent:
        """Return a new order with what this day is like; a repeat must stay what it is."""
        order = event.record
        if not isinstance(order, Order) or order.action is not OrderAction.NEW:
            return event
        if event is not self._writer.sent[-1]:
            return event
        if self._hot is not None:
            order = self._in_the_hot_symbol(order, self._hot)
        if self._dice.random() < self._special:
            order = replace(order, **self._dice.choice(_INSTRUCTIONS))
        event = self._writer.sent[-1] = event._replace(record=order)
        return event

    def _in_the_hot_symbol(self, order: Order, symbol: str) -> Order:
        """Return an order for what everybody wants, most at the best prices, so that orders queue up there."""
        price = order.price
        if self._dice.random() < QUEUES_UP:
            price = BEST_BID if order.side is Side.BUY else BEST_ASK
        return replace(order, symbol=symbol, price=price)

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
