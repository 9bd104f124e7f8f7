"""The benchmark's seeded order flow: 200 symbols, 1,000 accounts, about half of the orders trading.

All accounts that trade a symbol share a partition, so the orders of a symbol reach its book in the order in which
they were published, and the trades do not depend on how partitions interleave.
"""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass

from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    OrderType,
    Record,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Price, Quantity
from bourse.streaming.partitioner import Partitioner

SYMBOLS = 200
ACCOUNTS = 1_000
SYMBOLS_PER_ACCOUNT = 8
REFERENCE_PRICE = Price(1_000_000)
TICK = Price(1_000)
MARKET = "XMAD"
DAY = dt.date(2026, 1, 5)
PLENTY = 10**15
CANCEL_EVERY = 4
AGGRESSIVE, PASSIVE = 2, 8


@dataclass(frozen=True, slots=True)
class Market:
    """Who trades what: for each symbol the accounts that trade it."""

    traders: dict[str, list[str]]

    @property
    def accounts(self) -> list[str]:
        """Every account once."""
        return sorted({account for accounts in self.traders.values() for account in accounts})


def market(partitions: int, symbols: int = SYMBOLS, accounts: int = ACCOUNTS) -> Market:
    """Return the market for a number of partitions: the traders of a symbol all hash to one partition."""
    partition_of = Partitioner(partitions)
    groups: list[list[str]] = [[] for _ in range(partitions)]
    for number in range(accounts):
        account = f"ACC{number:05d}"
        groups[partition_of[account]].append(account)
    chance = random.Random(1)
    traders = {}
    for number in range(symbols):
        group = groups[number % partitions]
        size = max(2, len(group) * SYMBOLS_PER_ACCOUNT * partitions // symbols)
        traders[f"SYM{number:03d}"] = chance.sample(group, min(size, len(group)))
    return Market(traders)


def reference_data(market_: Market) -> Iterator[tuple[str, str, Record]]:
    """Yield topic, key and record of what must be there before the first order."""
    for symbol in market_.traders:
        yield (
            "instruments",
            symbol,
            Instrument(symbol=symbol, market=MARKET, tick_size=TICK, maker_fee_bps=1, taker_fee_bps=2,
                       reference_price=REFERENCE_PRICE),
        )  # fmt: skip
    for account in market_.accounts:
        yield "accounts", account, Account(account_id=account)
    yield "sessions", MARKET, SessionEvent(MARKET, SessionKind.OPEN, None, DAY)
    for account in market_.accounts:
        yield "wallet-commands", account, WalletCommand(WalletAction.DEPOSIT, "cash", account, "EUR", PLENTY)
    for symbol, accounts in market_.traders.items():
        for account in accounts:
            command = WalletCommand(WalletAction.DEPOSIT, symbol, account, symbol, 10**9)
            yield "wallet-commands", account, command


def orders(market_: Market, seed: int = 7) -> Iterator[Order]:
    """Yield limit orders without end: prices around a slow walk, every fourth message a cancel of an earlier one."""
    chance = random.Random(seed)
    symbols = list(market_.traders)
    walk: dict[str, int] = dict.fromkeys(symbols, REFERENCE_PRICE)
    recent: list[tuple[str, str, str]] = []
    number = 0
    while True:
        number += 1
        if recent and number % CANCEL_EVERY == 0:
            client_order_id, account, symbol = recent.pop(chance.randrange(len(recent)))
            yield Order(OrderAction.CANCEL, f"x{number}", account, client_order_id, symbol)
            continue
        symbol = symbols[chance.randrange(len(symbols))]
        traders = market_.traders[symbol]
        account = traders[chance.randrange(len(traders))]
        walk[symbol] += chance.randrange(-1, 2) * TICK
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        # Most prices are a little away from the walk: about half of the orders find someone to trade with.
        away = chance.randrange(-AGGRESSIVE, PASSIVE) * TICK
        price = walk[symbol] - away if side is Side.BUY else walk[symbol] + away
        client_order_id = f"o{number}"
        recent.append((client_order_id, account, symbol))
        if len(recent) > 2_000:
            recent.pop(0)
        yield Order(
            OrderAction.NEW, client_order_id, account, None, symbol, side, OrderType.LIMIT, TimeInForce.DAY,
            Quantity(chance.randrange(1, 200)), Price(price),
        )  # fmt: skip
