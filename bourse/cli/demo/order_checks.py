"""Checks of orders, trades and books: everything happened once, has an end, and is what the data's known truth says."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from bourse.cli.demo.checks import Check
from bourse.cli.trading_day import SYMBOL, KnownTruth
from bourse.pipeline.depth import Depth, OutOfStep
from bourse.pipeline.ids import source
from bourse.pipeline.outputs import Record, Topic
from bourse.schemas.records import (
    BookUpdate,
    DeadLetter,
    Order,
    OrderEvent,
    OrderStatus,
    PositionCause,
    PositionUpdated,
    Release,
    ReleaseReason,
    Side,
    TapePrint,
    Trade,
    ValidatedOrder,
)

OUTPUTS: Final = frozenset(
    (
        Topic.VALIDATED,
        Topic.RISK_APPROVED,
        Topic.TRADES,
        Topic.POSITIONS,
        Topic.SETTLEMENTS,
        Topic.RELEASES,
        Topic.ORDER_EVENTS,
        Topic.WALLET_TRANSACTIONS,
        Topic.ANNOUNCEMENTS,
        Topic.TAPE,
        Topic.BOOK_UPDATES,
        Topic.DEAD_LETTERS,
    )
)
_TERMINAL: Final = frozenset(
    (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
)
_REFUSED: Final = frozenset((OrderStatus.REJECTED, OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED))
_BY_VALIDATION: Final = 3
"""Slashes in the event_id of what validation wrote about an order: `orders/3/1234/v0`."""


class EventIds(Check):
    """Nothing was processed twice: an event_id says which input caused a record, and by which way."""

    equation = "every event_id is there once"
    topics = OUTPUTS

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[int] = set()

    def see(self, record: Record) -> None:
        """Take in an output record."""
        event_id: str = getattr(record, "event_id", "")
        # Digests of 64 bits instead of the ids: a day's records fit in a few tens of MB.
        digest = hash(event_id)
        self.require(digest not in self._seen, f"{event_id} is there twice")
        self._seen.add(digest)

    def at_rest(self) -> str:
        """Return how many there are."""
        return f"{len(self._seen):,} output records"


class OrdersAnswered(Check):
    """Every order message was let through, refused or put aside, exactly once."""

    equation = "every order message has one answer"
    topics = frozenset((Topic.ORDERS, Topic.VALIDATED, Topic.ORDER_EVENTS, Topic.DEAD_LETTERS))

    def __init__(self) -> None:
        super().__init__()
        self._orders = 0
        self._refused = 0
        self._answered: set[str] = set()

    def see(self, record: Record) -> None:
        """Take in an order or an answer to one."""
        match record:
            case Order():
                self._orders += 1
            case ValidatedOrder():
                self._answer(record.event_id)
            case OrderEvent() if record.status in _REFUSED and record.event_id.count("/") == _BY_VALIDATION:
                self._refused += 1
                self._answer(record.event_id)
            case DeadLetter() if record.topic == Topic.ORDERS:
                self._answer(record.event_id)

    def _answer(self, event_id: str) -> None:
        order = source(event_id)
        self.require(order not in self._answered, f"{order} has a second answer, {event_id}")
        self._answered.add(order)

    def at_rest(self) -> str:
        """Compare how many orders and answers there are."""
        missing = self._orders - len(self._answered)
        self.require(missing == 0, f"{self._orders:,} order messages, {len(self._answered):,} answered")
        return f"{self._orders:,} order messages, {self._refused:,} of them refused by validation"


class OrdersFinished(Check):
    """Every order that was accepted has exactly one end, and quantities add up at every step of its life."""

    equation = "every accepted order has one end, and order = cum + leaves until then"
    topics = frozenset((Topic.ORDER_EVENTS,))

    def __init__(self) -> None:
        super().__init__()
        self._live: set[str] = set()
        self._accepted = 0

    def see(self, event: Record) -> None:
        """Take in a step in the life of an order."""
        assert isinstance(event, OrderEvent)
        if event.status is OrderStatus.VALIDATED:
            self.require(event.order_id not in self._live, f"order {event.order_id} begins twice")
            self._live.add(event.order_id)
            self._accepted += 1
        elif event.order_id in self._live:
            self._step(event)
        else:
            self.require(
                event.status in _REFUSED,
                f"order {event.order_id} is {event.status} after its end ({event.event_id})",
            )

    def _step(self, event: OrderEvent) -> None:
        ends = event.status in _TERMINAL
        leaves = 0 if ends else event.order_quantity - event.cum_quantity
        self.require(
            event.leaves_quantity == leaves,
            f"order {event.order_id} leaves {event.leaves_quantity}, not {leaves} ({event.event_id})",
        )
        if ends:
            self._live.remove(event.order_id)

    def at_rest(self) -> str:
        """Look for orders without an end."""
        if self._live:
            self.blame(f"{len(self._live):,} orders have no end, {min(self._live)} among them")
        return f"{self._accepted:,} orders"


@dataclass(slots=True)
class _Legs:
    """What has been seen of one trade: each side, what each did to a position, and the public print."""

    sides: dict[Side, Trade] = field(default_factory=dict)
    positions: set[Side] = field(default_factory=set)
    tape: bool = False

    def is_whole(self) -> bool:
        return len(self.sides) == len(self.positions) == len(Side) and self.tape


class TwoLegs(Check):
    """Every trade has a buyer and a seller at one price, and moved a position of each."""

    equation = "every trade has two legs, two positions and one print"
    topics = frozenset((Topic.TRADES, Topic.POSITIONS, Topic.TAPE))

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, _Legs] = {}
        self._whole = 0

    def see(self, record: Record) -> None:
        """Take in a leg, what it did to a position, or the print."""
        match record:
            case Trade(trade_id=trade_id, side=side):
                legs = self._legs(trade_id)
                self.require(side not in legs.sides, f"trade {trade_id} has two {side} legs")
                legs.sides[side] = record
            case PositionUpdated(cause=PositionCause.TRADE, trade_id=str(trade_id), side=Side() as side):
                legs = self._legs(trade_id)
                self.require(side not in legs.positions, f"trade {trade_id} moved the {side} position twice")
                legs.positions.add(side)
            case TapePrint(trade_id=trade_id):
                legs = self._legs(trade_id)
                self.require(not legs.tape, f"trade {trade_id} was printed twice")
                legs.tape = True
            case _:
                return
        if legs.is_whole():
            self._close(trade_id, self._open.pop(trade_id))

    def _legs(self, trade_id: str) -> _Legs:
        return self._open.setdefault(trade_id, _Legs())

    def _close(self, trade_id: str, legs: _Legs) -> None:
        buy, sell = legs.sides[Side.BUY], legs.sides[Side.SELL]
        same = (buy.symbol, buy.price, buy.quantity) == (sell.symbol, sell.price, sell.quantity)
        self.require(same and buy.quantity > 0, f"the legs of trade {trade_id} differ")
        self._whole += 1

    def at_rest(self) -> str:
        """Look for trades that are not whole."""
        if self._open:
            self.blame(f"{len(self._open):,} trades are not whole, {min(self._open)} among them")
        return f"{self._whole:,} trades"


class RealTrades(Check):
    """The real day comes to what its data are known to come to."""

    topics = frozenset((Topic.TAPE,))
    equation: ClassVar[str] = f"{SYMBOL} trades as its data are known to"

    def __init__(self, truth: KnownTruth) -> None:
        """Take the known truth."""
        super().__init__()
        self._truth = truth
        self._trades = self._shares = self._value = 0

    def see(self, trade: Record) -> None:
        """Take in a public print."""
        assert isinstance(trade, TapePrint)
        if trade.symbol == SYMBOL:
            self._trades += 1
            self._shares += trade.quantity
            self._value += trade.quantity * trade.price

    def at_rest(self) -> str:
        """Compare with the known truth."""
        # The nearest price to value / shares, in integers.
        vwap = (2 * self._value + self._shares) // (2 * self._shares) if self._shares else 0
        found = _trades_in_words(self._trades, self._shares, vwap)
        truth = self._truth
        known = _trades_in_words(truth.trades, truth.shares, truth.vwap)
        self.require(found == known, f"{found}; known are {known}")
        return found


class RealCancels(Check):
    """Each cancel of the real day found what its row states."""

    topics = frozenset((Topic.RELEASES, Topic.ORDER_EVENTS))
    equation = f"each {SYMBOL} cancel finds the quantity that its row states"

    def __init__(self, stated: Mapping[str, int]) -> None:
        """Take what each row states, by the client order id of the order that is cancelled."""
        super().__init__()
        self._stated = stated
        self._client_ids: dict[str, str] = {}
        self._found: dict[str, int] = {}

    def see(self, record: Record) -> None:
        """Take in what an order is called, or what a cancel found."""
        match record:
            case OrderEvent(status=OrderStatus.VALIDATED) if record.symbol == SYMBOL:
                self._client_ids[record.order_id] = record.client_order_id
            case Release(reason=ReleaseReason.CANCELLED) if record.symbol == SYMBOL:
                self.require(
                    record.order_id not in self._found, f"order {record.order_id} was cancelled twice"
                )
                self._found[record.order_id] = record.quantity

    def at_rest(self) -> str:
        """Compare with the rows."""
        found = {self._client_ids.get(order_id, order_id): left for order_id, left in self._found.items()}
        for client_order_id in sorted(found.keys() | self._stated.keys()):
            left, stated = found.get(client_order_id), self._stated.get(client_order_id)
            self.require(
                left == stated, f"the cancel of {client_order_id} found {left}, its row states {stated}"
            )
        return f"{len(found):,} cancels"


class BooksEmpty(Check):
    """Nothing rests in any book after the day, and no book was ever crossed."""

    topics = frozenset((Topic.BOOK_UPDATES,))
    equation = "no book is ever crossed, and each is empty at the end"

    def __init__(self) -> None:
        super().__init__()
        self._depths: defaultdict[str, Depth] = defaultdict(Depth)
        self._updates = 0

    def see(self, update: Record) -> None:
        """Take in a change of a book."""
        assert isinstance(update, BookUpdate)
        self._updates += 1
        bid, ask = update.best_bid, update.best_ask
        self.require(
            bid is None or ask is None or bid < ask, f"{update.symbol} is crossed in {update.event_id}"
        )
        depth = self._depths[update.symbol]
        before = depth.sequence or 0
        self.require(update.sequence == before + 1, f"{update.symbol}: {update.sequence} follows {before}")
        try:
            depth.fold(update)
        except OutOfStep as problem:
            self.blame(f"{update.symbol}: {problem}")

    def at_rest(self) -> str:
        """Look for levels that are left."""
        for symbol, depth in sorted(self._depths.items()):
            for side in Side:
                for price, quantity, _ in depth.side(side):
                    self.blame(f"{quantity:,} {symbol} rest at {price} ({side})")
        return f"{self._updates:,} book updates"


class NoDeadLetters(Check):
    """Everything that was published could be understood."""

    topics = frozenset((Topic.DEAD_LETTERS,))
    equation = "no dead letters"

    def see(self, letter: Record) -> None:
        """Take in a dead letter."""
        assert isinstance(letter, DeadLetter)
        self.blame(f"{letter.topic}/{letter.partition}/{letter.offset} at {letter.stage}: {letter.error}")

    def at_rest(self) -> str:
        """Return that there is nothing to say."""
        return "none"


def _trades_in_words(trades: int, shares: int, vwap: int) -> str:
    return f"{trades:,} trades, {shares:,} shares, VWAP {vwap // 10_000}.{vwap % 10_000:04d}"
