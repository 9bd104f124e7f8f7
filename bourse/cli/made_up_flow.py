"""Orders of nobody: a seeded flow on made-up instruments, which keeps partitions busy while a real day runs.

Decides prices, sizes and who sends what; the same seed gives the same orders. Refuses to know the books: what a cancel or a
replace points at may have traded already, as in life.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bourse.schemas.records import Instrument, Order, OrderAction, Side, TimeInForce
from bourse.schemas.units import Price, Quantity, TimeNs

TICK: Final = Price(100)
REFERENCE_PRICE: Final = Price(200_000)
MAKER_FEE_BPS: Final = 1
TAKER_FEE_BPS: Final = 3
_CANCELS: Final = 0.12
_REPLACES: Final = 0.06
_AGGRESSIVE: Final = 0.45
_IMMEDIATE: Final = 0.10
_MEMORY: Final = 50


@dataclass(slots=True)
class _Market:
    """What the flow remembers of one instrument: where its price is, and the last orders it sent."""

    symbol: str
    owners: list[str]
    middle: int = REFERENCE_PRICE
    sent: int = 0
    recent: list[Order] = field(default_factory=list)

    def next_id(self) -> str:
        self.sent += 1
        return f"{self.symbol.lower()}-{self.sent}"


class MadeUpFlow:
    """A flow of orders for some instruments, each traded by its own accounts."""

    def __init__(
        self,
        owners: Mapping[str, list[str]],
        market: str,
        orders: int,
        span_ns: tuple[TimeNs, TimeNs],
        seed: int,
    ) -> None:
        """Take the accounts by symbol, the market, how many orders, the time that they spread over, and a seed."""
        self.owners = owners
        self._market = market
        self._orders = orders
        self._span_ns = span_ns
        self._seed = seed

    @property
    def accounts(self) -> list[str]:
        """All accounts."""
        return [account_id for owners in self.owners.values() for account_id in owners]

    def instruments(self) -> list[Instrument]:
        """Return the instruments."""
        return [
            Instrument(
                symbol,
                name=f"{symbol.title()} (made up)",
                market=self._market,
                tick_size=TICK,
                reference_price=REFERENCE_PRICE,
                maker_fee_bps=MAKER_FEE_BPS,
                taker_fee_bps=TAKER_FEE_BPS,
            )
            for symbol in self.owners
        ]

    def orders(self) -> Iterator[Order]:
        """Yield the orders in the order of their times."""
        rng = random.Random(self._seed)  # noqa: S311 - repeatable on purpose
        markets = [_Market(symbol, owners) for symbol, owners in self.owners.items()]
        for time_ns in sorted(rng.randrange(*self._span_ns) for _ in range(self._orders)):
            yield _order(rng, rng.choice(markets), TimeNs(time_ns))


def _order(rng: random.Random, market: _Market, time_ns: TimeNs) -> Order:
    choice = rng.random()
    if not market.recent or choice >= _CANCELS + _REPLACES:
        order = _new(rng, market, time_ns)
        market.recent = [*market.recent[-_MEMORY:], order]
        return order
    target = rng.choice(market.recent)
    if choice < _CANCELS:
        market.recent.remove(target)
        return _request(OrderAction.CANCEL, market, target, time_ns)
    quantity = Quantity(max(1, target.quantity + rng.randint(-50, 50)))
    return _request(OrderAction.REPLACE, market, target, time_ns, quantity)


def _new(rng: random.Random, market: _Market, time_ns: TimeNs) -> Order:
    market.middle = max(100 * TICK, market.middle + rng.randint(-1, 1) * TICK)
    side = rng.choice((Side.BUY, Side.SELL))
    ticks = rng.randint(0, 3) if rng.random() < _AGGRESSIVE else -rng.randint(1, 10)
    price = market.middle + (ticks if side is Side.BUY else -ticks) * TICK
    return Order(
        OrderAction.NEW,
        market.next_id(),
        rng.choice(market.owners),
        symbol=market.symbol,
        side=side,
        time_in_force=TimeInForce.IOC if rng.random() < _IMMEDIATE else TimeInForce.DAY,
        quantity=Quantity(rng.randint(1, 200)),
        price=Price(price),
        sent_time_ns=time_ns,
    )


def _request(
    action: OrderAction,
    market: _Market,
    target: Order,
    time_ns: TimeNs,
    quantity: Quantity = Quantity(0),  # noqa: B008
) -> Order:
    return Order(
        action,
        market.next_id(),
        target.account_id,
        target_client_order_id=target.client_order_id,
        symbol=market.symbol,
        quantity=quantity,
        sent_time_ns=time_ns,
    )
