"""A book as one would explain it to a newcomer: queues by price, the best price first, at a price the oldest first.

It shares nothing with the books that the market runs, and knows less than they do: limit and market orders, immediate or
resting, icebergs, post-only orders, cancels and replaces, in continuous trading. `unknown` names what it does not know, and
whoever asks for that has to leave the symbol out. To teach it more, take the feature out of `unknown` and give it its
rule here: orders enter by `enter`, meet by `_meet`, and leave by `remove`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, NamedTuple

from bourse.schemas.records import (
    ApprovedOrder,
    OrderAction,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

_RESTS: Final = frozenset((TimeInForce.DAY, TimeInForce.GTC))
_AT_ONCE: Final = frozenset((TimeInForce.IOC, TimeInForce.FOK))
_KNOWN_TYPES: Final = frozenset((OrderType.LIMIT, OrderType.MARKET))
_OPPOSITE: Final = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
_BASIS_POINTS: Final = 10_000


def unknown(order: ApprovedOrder) -> str | None:
    """Return what of a new order the naive book does not know, or None if it knows all of it."""
    if order.order_type not in _KNOWN_TYPES:
        return "stop orders"
    if order.time_in_force not in _RESTS | _AT_ONCE:
        return f"{order.time_in_force} orders"
    if order.self_trade_prevention is not SelfTradePrevention.NONE:
        return "self-trade prevention"
    if order.oco_group is not None:
        return "OCO groups"
    return None


class Unknown(Exception):  # noqa: N818 - it is no error: the book came to where its knowledge ends
    """What a book came upon and does not know."""


class Impossible(Exception):  # noqa: N818 - it is the market's error, not the program's
    """A message that was accepted and cannot have been; the text says why."""


class Fill(NamedTuple):
    """One trade of the order that came: with which resting order, at its price, how much."""

    maker: str
    price: int
    quantity: int


class Resting:
    """An order in the book."""

    __slots__ = (
        "account_id",
        "display",
        "left",
        "market",
        "order_id",
        "price",
        "shown",
        "side",
        "total",
        "until",
    )

    def __init__(self, order: ApprovedOrder, side: Side, price: int) -> None:
        self.order_id = order.order_id
        self.account_id = order.account_id
        self.market = order.market
        self.side = side
        self.price = price
        self.total: int = order.quantity
        self.left: int = order.quantity
        self.display: int | None = order.display_quantity
        self.shown = 0
        self.until = order.time_in_force

    def reaches(self, price: int) -> bool:
        """Say whether it may trade at a price."""
        return price <= self.price if self.side is Side.BUY else price >= self.price

    def show(self) -> None:
        """Show what is left, or the next part of an iceberg."""
        self.shown = self.left if self.display is None else min(self.left, self.display)


class _Queue:
    """The orders at a price, the oldest first, and what they show together."""

    __slots__ = ("orders", "shown")

    def __init__(self) -> None:
        self.orders: dict[str, Resting] = {}
        self.shown = 0


class NaiveBook:
    """The resting orders of one symbol."""

    def __init__(self) -> None:
        self.orders: dict[str, Resting] = {}
        self._queues: dict[Side, dict[int, _Queue]] = {Side.BUY: {}, Side.SELL: {}}
        self._prices: dict[Side, list[int]] = {Side.BUY: [], Side.SELL: []}
        self.changed: dict[tuple[Side, int], tuple[int, int]] = {}
        """The levels that were touched since this was cleared, each as it was before."""
        self.last_price: int | None = None

    def level(self, side: Side, price: int) -> tuple[int, int]:
        """Return the quantity shown and the number of orders at a price."""
        queue = self._queues[side].get(price)
        return (0, 0) if queue is None else (queue.shown, len(queue.orders))

    def levels(self) -> int:
        """Return how many levels there are."""
        return len(self._prices[Side.BUY]) + len(self._prices[Side.SELL])

    def best(self, side: Side) -> int | None:
        """Return the best price of a side."""
        prices = self._prices[side]
        if not prices:
            return None
        return prices[-1] if side is Side.BUY else prices[0]

    def take_changes(self) -> dict[tuple[Side, int], tuple[int, int]]:
        """Return the levels that are not as they were, as they are now, and begin anew."""
        touched, self.changed = self.changed, {}
        now = {key: self.level(*key) for key in touched}
        return {key: level for key, level in now.items() if level != touched[key]}

    def act(self, order: ApprovedOrder) -> list[Fill]:
        """Let an accepted message act, and return its trades.

        Raises:
            Impossible: it cannot have been accepted.
            Unknown: what happens now is nothing that this book knows.
        """
        match order.action:
            case OrderAction.NEW:
                return self._new(order)
            case OrderAction.REPLACE:
                return self._replace(order)
            case OrderAction.CANCEL:
                self.remove(self._target(order))
            case OrderAction.MASS_CANCEL:  # pragma: no branch - mypy proves that there is no other
                own = [resting for resting in self.orders.values() if resting.account_id == order.account_id]
                if not own:
                    message = "a mass cancel of nothing was accepted"
                    raise Impossible(message)
                for resting in own:
                    self.remove(resting)
        return []

    def expire_day(self, market: str) -> None:
        """Let the orders of the day expire at the close of their market."""
        for resting in list(self.orders.values()):
            if resting.until is TimeInForce.DAY and resting.market == market:
                self.remove(resting)

    def clear(self) -> None:
        """Take out everything: the instrument is delisted."""
        for resting in list(self.orders.values()):
            self.remove(resting)

    def would_refuse(self, order: ApprovedOrder) -> str | None:
        """Return the reason why a new order must be refused as the book stands, where the book decides that."""
        if order.action is not OrderAction.NEW or order.side is None:
            return None
        entering = Resting(order, order.side, _price(order))
        best = self.best(_OPPOSITE[order.side])
        meets = best is not None and entering.reaches(best)
        if order.post_only and meets:
            return "POST_ONLY_WOULD_TAKE"
        if order.time_in_force is TimeInForce.FOK and not self._fills(entering):
            return "FOK_NOT_FILLABLE"
        return None

    # -- what messages do --------------------------------------------------------------------------------------

    def _new(self, order: ApprovedOrder) -> list[Fill]:
        reason = self.would_refuse(order)
        if reason is not None or order.side is None or order.order_id in self.orders:
            message = f"it was accepted, though {reason or 'it has no side, or its id rests already'}"
            raise Impossible(message)
        entering = Resting(order, order.side, _price(order))
        fills = self._meet(entering, order)
        if order.order_type is OrderType.LIMIT and order.time_in_force in _RESTS:
            self._rest(entering)
        return fills

    def _replace(self, order: ApprovedOrder) -> list[Fill]:
        """Change an order: it keeps its place for no more at the same price, and else goes to the end, trading first."""
        target = self._target(order)
        filled = target.total - target.left
        price = target.price if order.price is None else order.price
        display = target.display if order.display_quantity is None else order.display_quantity
        if order.quantity <= filled:
            self.remove(target)
            return []
        less = target.total - order.quantity
        if price == target.price and display == target.display and less >= 0:
            self._reduce(target, less)
            return []
        self.remove(target)
        target.price, target.display = price, display
        target.total, target.left = order.quantity, order.quantity - filled
        fills = self._meet(target, order)
        self._rest(target)
        return fills

    def _target(self, order: ApprovedOrder) -> Resting:
        target = self.orders.get(order.target_order_id or "")
        if target is None or target.account_id != order.account_id:
            message = f"it was accepted, but {order.target_order_id} does not rest"
            raise Impossible(message)
        return target

    # -- how orders meet, rest and leave -------------------------------------------------------------------------

    def _meet(self, entering: Resting, order: ApprovedOrder) -> list[Fill]:
        fills: list[Fill] = []
        against = _OPPOSITE[entering.side]
        lowest, highest = self._band(order)
        while entering.left:
            price = self.best(against)
            if price is None or not entering.reaches(price):
                break
            if not lowest <= price <= highest:
                message = "pauses outside of the price band"
                raise Unknown(message)
            maker = next(iter(self._queues[against][price].orders.values()))
            quantity = min(entering.left, maker.shown)
            fills.append(Fill(maker.order_id, price, quantity))
            entering.left -= quantity
            self._fill(maker, quantity)
        if fills:
            self.last_price = fills[-1].price
        return fills

    def _band(self, order: ApprovedOrder) -> tuple[int, int]:
        middle = order.reference_price if self.last_price is None else self.last_price
        if middle is None or order.price_band_bps is None:
            return 0, 2**63
        reach = middle * order.price_band_bps // _BASIS_POINTS
        return middle - reach, middle + reach

    def _fills(self, entering: Resting) -> bool:
        """Say whether an order can be filled at once, with what icebergs hide."""
        found = 0
        for price in self._from_best(_OPPOSITE[entering.side]):
            if not entering.reaches(price):
                break
            found += sum(
                order.left for order in self._queues[_OPPOSITE[entering.side]][price].orders.values()
            )
        return found >= entering.left

    def _from_best(self, side: Side) -> Iterator[int]:
        return reversed(self._prices[side]) if side is Side.BUY else iter(self._prices[side])

    def _touch(self, side: Side, price: int) -> None:
        self.changed.setdefault((side, price), self.level(side, price))

    def _rest(self, order: Resting) -> None:
        """Add an order at the end of its queue, if anything of it is left."""
        if not order.left:
            return
        side, price = order.side, order.price
        self._touch(side, price)
        queue = self._queues[side].get(price)
        if queue is None:
            queue = self._queues[side][price] = _Queue()
            insort(self._prices[side], price)
        order.show()
        queue.orders[order.order_id] = self.orders[order.order_id] = order
        queue.shown += order.shown

    def remove(self, order: Resting) -> None:
        """Take an order out."""
        side, price = order.side, order.price
        self._touch(side, price)
        queue = self._queues[side][price]
        del queue.orders[order.order_id], self.orders[order.order_id]
        queue.shown -= order.shown
        if not queue.orders:
            del self._queues[side][price]
            prices = self._prices[side]
            del prices[bisect_left(prices, price)]

    def _fill(self, order: Resting, quantity: int) -> None:
        """Fill the first order of a queue; a part of an iceberg that is used up is followed by the next at the end."""
        if quantity == order.shown:
            self.remove(order)
            order.left -= quantity
            self._rest(order)
            return
        self._touch(order.side, order.price)
        order.left -= quantity
        order.shown -= quantity
        self._queues[order.side][order.price].shown -= quantity

    def _reduce(self, order: Resting, less: int) -> None:
        """Take a quantity off an order in its place; what it hides goes first."""
        self._touch(order.side, order.price)
        hidden = max(0, order.left - order.shown - less)
        order.total -= less
        order.left -= less
        self._queues[order.side][order.price].shown += order.left - hidden - order.shown
        order.shown = order.left - hidden


def _price(order: ApprovedOrder) -> int:
    """Return the worst price at which a new order may trade."""
    price = order.price if order.order_type is OrderType.LIMIT else order.protective_price
    if price is None:
        return 2**63 if order.side is Side.BUY else 0
    return price
