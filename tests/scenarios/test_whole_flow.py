"""The outside cases as order messages through the whole flow: whoever is in them has cash and shares enough.

What the account side knows of an order by then changes how some refusals read: see `REASONS_HERE`.
"""

from collections.abc import Iterator

import pytest

from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import (
    Account,
    Instrument,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    SessionEvent,
    SessionKind,
    Side,
    TapePrint,
    TimeInForce,
    Trade,
    WalletAction,
    WalletCommand,
)
from tests.account_strategies import MONDAY
from tests.scenarios.cases import REASONS, Case, Op, load

CASES = [case for case in load() if case.wallet is None]
SYMBOL, MARKET, CASH = "SYM", "XONE", "EUR"
AUCTIONS = {"auction_begin": SessionKind.OPENING_AUCTION, "auction_uncross": SessionKind.OPEN}
LIVE = {OrderStatus.OPEN, OrderStatus.TRIGGERED, OrderStatus.PARTIALLY_FILLED, OrderStatus.REPLACED}
REFUSED = {OrderStatus.REJECTED, OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED}
REASONS_HERE = {theirs: {ours} for theirs, ours in REASONS.items()} | {
    # An account cannot even name an order that is not its own, and may use a name of its own for one order only.
    "UNKNOWN_ORDER": {"UNKNOWN_ORDER", "ORDER_FINISHED"},
    "DUPLICATE_ID": {"DUPLICATE_CLIENT_ORDER_ID"},
    "WRONG_SIZE": {None},
}


class Played:
    """A case, played as its accounts would: every message under a client order id of its own."""

    def __init__(self, case: Case) -> None:
        self.simulation = Simulation()
        self.case = case
        self.number = 0
        self.names: dict[int, str] = {}
        self.owners: dict[int, str] = {}
        self.last: dict[str, OrderEvent] = {}
        config = case.config
        self._feed(
            Topic.INSTRUMENTS,
            Instrument(
                SYMBOL,
                market=MARKET,
                currency=CASH,
                price_band_bps=config.luld_bps,
                pause_time_ns=config.luld_halt,
            ),
        )
        for account in sorted({op.account for op in case.orders if op.account is not None}):
            owner = config.stp_groups.get(account, account)
            self._feed(Topic.ACCOUNTS, Account(account, participant_id=owner))
            for asset in (CASH, SYMBOL):
                deposit = WalletCommand(WalletAction.DEPOSIT, asset, account, asset, 10**12)
                self._feed(Topic.WALLET_COMMANDS, deposit)
        self.heard: list[list[Record] | None] = []
        for self.number, op in enumerate(case.orders):
            self.heard.append(self._play(op))

    def _feed(self, topic: Topic, record: Record) -> list[Record]:
        heard = [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]
        self.last.update(
            (e.order_id, e) for e in heard if isinstance(e, OrderEvent) and e.status not in REFUSED
        )
        return heard

    def _play(self, op: Op) -> list[Record] | None:
        if op.action in AUCTIONS:
            session = SessionEvent(MARKET, AUCTIONS[op.action], None, MONDAY)
            return self._feed(Topic.SESSIONS, session)
        order = self._order(op)
        return None if order is None else self._feed(Topic.ORDERS, order)

    def _order(self, op: Op) -> Order | None:
        """Return the message; ours has no words for taking away nothing or less."""
        name, time_ns = f"{op.id}.{self.number}", op.t or 0
        if op.action == "mass_cancel":
            return Order(OrderAction.MASS_CANCEL, name, op.account or "", sent_time_ns=time_ns)
        assert op.id is not None
        if op.action == "new":
            return self._new(op, op.id, name, time_ns)
        account, target = op.account or self.owners[op.id], self.names[op.id]
        if op.action == "cancel":
            return Order(OrderAction.CANCEL, name, account, target, sent_time_ns=time_ns)
        event = self._life(op.id)
        if op.action == "modify":
            left = event.leaves_quantity if op.quantity is None else op.quantity
            total = event.cum_quantity + left
        elif op.quantity is None or op.quantity <= 0:
            return None
        else:
            total = max(0, event.order_quantity - op.quantity)
        return Order(
            OrderAction.REPLACE, name, account, target, quantity=total, price=op.price, sent_time_ns=time_ns
        )

    def _new(self, op: Op, number: int, name: str, time_ns: int) -> Order:
        assert op.account is not None
        self.names.setdefault(number, name)
        self.owners.setdefault(number, op.account)
        return Order(
            OrderAction.NEW,
            # The second order of one id is one that its sender has named so again.
            self.names[number],
            op.account,
            None,
            SYMBOL,
            {"B": Side.BUY, "S": Side.SELL}[op.side or ""],
            OrderType(op.order_type),
            TimeInForce(op.time_in_force),
            op.quantity,
            op.price,
            op.stop,
            None,
            op.peak,
            op.post_only,
            SelfTradePrevention(op.stp or "NONE"),
            op.expiry,
            None,
            time_ns,
        )

    def _life(self, number: int) -> OrderEvent:
        row = self.simulation.state.client_orders.get(f"{self.owners[number]}/{self.names[number]}")
        assert row is not None
        return self.last[row.order_id]

    def id_of(self, client_order_id: str) -> int:
        """Return the case's id of an order, which every message about it begins with."""
        return int(client_order_id.partition(".")[0])

    def fills(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield taker, maker, price and quantity of each trade; of an auction's the buy and the sell."""
        for records in self.heard:
            contra = {t.order_id: t.client_order_id for t in records or () if isinstance(t, Trade)}
            auction = any(tape.auction for tape in records or () if isinstance(tape, TapePrint))
            for trade in records or ():
                if not isinstance(trade, Trade):
                    continue
                own, other = self.id_of(trade.client_order_id), self.id_of(contra[trade.contra_order_id])
                if auction and trade.side is Side.BUY:
                    yield "AUCTION", str([own, other]), trade.price, trade.quantity
                elif not auction and trade.liquidity == "TAKER":
                    yield str(own), str(other), trade.price, trade.quantity

    def queue(self, side: Side) -> list[tuple[int, list[tuple[int, int]]]]:
        book = self.simulation.state.order_books.get(SYMBOL)
        return [
            (
                price,
                [
                    (self.id_of(order.client_order_id), order.leaves_quantity)
                    for order in book.queue(side, price)
                ],
            )
            for price, _, _ in ([] if book is None else book.depth(side))
        ]

    def statuses(self) -> dict[int, str]:
        """Return how far each order has come, in the words of the cases."""
        lives = {}
        for records in self.heard:
            for event in records or ():
                if not isinstance(event, OrderEvent):
                    continue
                number = self.id_of(event.client_order_id)
                if event.status in LIVE:
                    lives[number] = "PARTIAL" if event.cum_quantity else "OPEN"
                elif event.status in {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED}:
                    lives[number] = event.status.value
                elif event.status is OrderStatus.REJECTED:
                    lives.setdefault(number, event.status.value)
        return lives


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_whole_flow_does_what_the_case_says(case: Case) -> None:
    played = Played(case)
    assert list(played.fills()) == [
        (str(trade.taker), str(trade.maker), trade.price, trade.quantity) for trade in case.expected_trades
    ]
    assert played.queue(Side.BUY) == case.expected_final_book.bids
    assert played.queue(Side.SELL) == case.expected_final_book.asks
    assert played.statuses() == case.expected_statuses


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_whole_flow_refuses_what_the_case_says(case: Case) -> None:
    expected = {reject.op: REASONS_HERE[reject.reason] for reject in case.expected_rejects}
    for number, records in enumerate(Played(case).heard):
        events = [event for event in records or () if isinstance(event, OrderEvent)]
        reason = next((event.reason for event in events if event.status in REFUSED), None)
        assert reason in expected.get(number, {None}), number
