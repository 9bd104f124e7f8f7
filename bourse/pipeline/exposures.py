"""What an account's live orders add up to, for the limits that look at more than one order.

An exposure follows from the account's holds alone, so it is no table: it is summed up when a limit first asks for it, and
kept in step from then on. Accounts without such limits cost nothing. Whoever writes a hold does so here.
"""

from collections import Counter
from typing import Final

from bourse.pipeline import holds
from bourse.pipeline.money import BASIS_POINTS
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.pipeline.wallets import balances
from bourse.schemas.records import Account, Hold, Instrument, Side

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_SELL: Final = Side.SELL
_BUY: Final = Side.BUY


class Exposure:
    """Live orders of an account: how many, what they may still buy of each symbol, and what is in which OCO group."""

    __slots__ = ("buying", "groups", "open_orders")

    def __init__(self) -> None:
        self.open_orders = 0
        self.buying: Counter[str] = Counter()
        self.groups: dict[str, Counter[str]] = {}

    def add(self, hold: Hold, sign: int) -> None:
        """Count a hold in (1) or out (-1)."""
        self.open_orders += sign
        if hold.side is _BUY:
            self.buying[hold.symbol] += sign * holds.open_quantity(hold)
            if not self.buying[hold.symbol]:
                del self.buying[hold.symbol]
        if hold.oco_group is not None:
            symbols = self.groups.setdefault(hold.oco_group, Counter())
            symbols[hold.symbol] += sign
            if not symbols[hold.symbol]:
                del self.groups[hold.oco_group]


def keep(state: State, key: str, before: Hold | None, after: Hold | None) -> None:
    """Write a hold, or delete it where there is none after."""
    if after is None:
        state.holds.delete(key)
    else:
        state.holds.put(key, after)
    if not state.exposures:
        return
    account_id, _, _ = key.partition("/")
    exposure = state.exposures.get(account_id)
    if exposure is not None:
        if before is not None:
            exposure.add(before, -1)
        if after is not None:
            exposure.add(after, 1)


def exposure_of(state: State, account_id: str) -> Exposure:
    """Return what the account's live orders add up to."""
    exposure = state.exposures.get(account_id)
    if exposure is None:
        exposure = state.exposures[account_id] = Exposure()
        for _, hold in state.holds.scan(f"{account_id}/"):
            exposure.add(hold, 1)
    return exposure


def new_refusal(state: State, account: Account, hold: Hold) -> Refusal | None:
    """Refuse a new order that the account's other live orders leave no room for."""
    group, most = hold.oco_group, account.max_open_orders
    if group is not None:
        others = exposure_of(state, hold.account_id).groups.get(group, {hold.symbol: 1})
        if hold.symbol not in others:
            text = f"the live orders of group {group} are in {', '.join(others)}"
            return Refusal(Reason.GROUP_SPANS_SYMBOLS, text)
    if most is not None and exposure_of(state, hold.account_id).open_orders >= most:
        return Refusal(Reason.TOO_MANY_OPEN_ORDERS, f"{most} orders are open")
    return None


def position_refusal(
    state: State, account: Account, instrument: Instrument, before: Hold | None, after: Hold
) -> Refusal | None:
    """Refuse a buy with which the account could come to hold too much of one instrument.

    What it could come to hold is what it has, and all that its live buys may still fill, at this order's price. A part of
    the account is measured against its cash in the instrument's currency and all that it holds in that currency.
    """
    most, part = account.max_position_value, account.max_concentration_bps
    if after.side is _SELL or (most is None and part is None):
        return None
    was_open = 0 if before is None else holds.open_quantity(before)
    more = holds.open_quantity(after) - was_open
    if before is not None and more <= 0 and holds.last_price(after) <= holds.highest_price(before):
        return None
    symbol = after.symbol
    wallet = balances(state, after.account_id, symbol)
    buying = exposure_of(state, after.account_id).buying.get(symbol, 0) + more
    price = holds.last_price(after) * after.multiplier
    value = (wallet.available + wallet.blocked + wallet.unsettled + buying) * price
    if most is not None and value > most:
        return Refusal(Reason.ABOVE_MAX_POSITION, f"{symbol} could come to {value}, above {most}")
    if part is not None and value * BASIS_POINTS > part * _worth(state, instrument, after.account_id, price):
        text = f"{symbol} could come to {value}, above {part} basis points of the account"
        return Refusal(Reason.ABOVE_MAX_CONCENTRATION, text)
    return None


def _worth(state: State, instrument: Instrument, account_id: str, price: int) -> int:
    """Return the account's cash and holdings in the instrument's currency, the instrument's own at the price given.

    Other holdings count at the account's own last price in them, or at their reference price before it has one.
    """
    worth = 0
    for key, wallet in state.wallets.scan(f"{account_id}/"):
        _, _, asset = key.partition("/")
        amount = wallet.available + wallet.blocked + wallet.unsettled
        if asset == instrument.currency:
            worth += amount
        elif asset == instrument.symbol:
            worth += amount * price
        else:
            worth += amount * _price_of(state, key, asset, instrument.currency)
    return worth


def _price_of(state: State, key: str, asset: str, currency: str) -> int:
    other, position = state.instruments.get(asset), state.positions.get(key)
    if other is None or other.currency != currency:
        return 0
    traded = 0 if position is None else position.market_price
    return (traded or other.reference_price or 0) * other.multiplier
