"""Checks of what is known of this day: the real trades and cancels, and that it leaves nothing behind.

What holds of every day, `bourse audit` proves.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from bourse.cli.demo.checks import Check
from bourse.cli.trading_day import SYMBOL, KnownTruth
from bourse.pipeline.depth import Depth, OutOfStep
from bourse.pipeline.outputs import Record, Topic
from bourse.schemas.records import (
    BookUpdate,
    DeadLetter,
    OrderEvent,
    OrderStatus,
    Release,
    ReleaseReason,
    Side,
    TapePrint,
    WalletTransaction,
)


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
    """Nothing rests in any book after the day, as a reader of its updates builds it."""

    topics = frozenset((Topic.BOOK_UPDATES,))
    equation = "every book is empty at the end"

    def __init__(self) -> None:
        super().__init__()
        self._depths: defaultdict[str, Depth] = defaultdict(Depth)
        self._updates = 0

    def see(self, update: Record) -> None:
        """Take in a change of a book."""
        assert isinstance(update, BookUpdate)
        self._updates += 1
        depth = self._depths[update.symbol]
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


class NothingReserved(Check):
    """With no order left and everything settled, nothing is blocked and nothing unsettled."""

    topics = frozenset((Topic.WALLET_TRANSACTIONS,))
    equation = "nothing is blocked or unsettled at the end"

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def see(self, change: Record) -> None:
        """Take in a change of a wallet."""
        assert isinstance(change, WalletTransaction)
        self._last[change.account_id, change.asset] = (change.blocked, change.unsettled)

    def at_rest(self) -> str:
        """Look for wallets with something left."""
        for (account_id, asset), (blocked, unsettled) in sorted(self._last.items()):
            waits = f"{account_id}: {blocked} {asset} are blocked, {unsettled} unsettled"
            self.require(blocked == unsettled == 0, waits)
        return f"{len(self._last):,} wallets"


def _trades_in_words(trades: int, shares: int, vwap: int) -> str:
    return f"{trades:,} trades, {shares:,} shares, VWAP {vwap // 10_000}.{vwap % 10_000:04d}"
