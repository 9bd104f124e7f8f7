"""The outside cases of the book once more, as order messages through the whole flow: validation, risk, wallets, all of it."""

import datetime as dt

import pytest

from bourse.pipeline.outputs import Record, Topic
from bourse.pipeline.simulate import SimEvent, Simulation
from bourse.schemas.records import (
    Account,
    BookUpdate,
    Instrument,
    Order,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    RestingOrder,
    SelfTradePrevention,
    SessionEvent,
    SessionKind,
    Side,
    TimeInForce,
    Trade,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Cash, Price, Quantity, TimeNs
from tests.scenarios.cases import Case, Op, load

SYMBOL, MARKET, DAY = "ANA", "XMAD", dt.date(2019, 5, 23)
SIDES = {"B": Side.BUY, "S": Side.SELL}
PHASES = {"auction_begin": SessionKind.OPENING_AUCTION, "auction_uncross": SessionKind.OPEN}
REFUSED = {OrderStatus.REJECTED, OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED}
PLENTY = 10**15

CASES = [case for case in load() if case.wallet is None]


class Flow:
    """A case, played to the whole flow by accounts that can pay for anything."""

    def __init__(self, case: Case) -> None:
        self.simulation = Simulation()
        self.owners: dict[int, str] = {}
        self.order_ids: dict[int, str] = {}
        self.records: list[list[Record]] = []
        config = case.config
        self.feed(
            Topic.INSTRUMENTS,
            Instrument(
                SYMBOL,
                market=MARKET,
                price_band_bps=config.luld_bps,
                pause_time_ns=TimeNs(config.luld_halt),
            ),
        )
        for account in sorted({op.account for op in case.orders if op.account is not None}):
            self.feed(Topic.ACCOUNTS, Account(account, participant_id=config.stp_groups.get(account, "")))
            for asset in ("EUR", SYMBOL):
                command = WalletCommand(WalletAction.DEPOSIT, asset, account, asset, Cash(PLENTY))
                self.feed(Topic.WALLET_COMMANDS, command)
        for number, op in enumerate(case.orders):
            self.records.append(self.play(number, op))

    def feed(self, topic: Topic, record: Record) -> list[Record]:
        return [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]

    def play(self, number: int, op: Op) -> list[Record]:
        if op.action in PHASES:
            return self.feed(Topic.SESSIONS, SessionEvent(MARKET, PHASES[op.action], None, DAY))
        if op.action == "new":
            heard = self.feed(Topic.ORDERS, self.new(op))
            assert op.id is not None
            ids = [record.order_id for record in heard if isinstance(record, OrderEvent)]
            self.order_ids.setdefault(op.id, ids[0])
            return heard
        if op.action == "reduce" and (op.quantity or 0) <= 0:
            return []  # Our messages have no words for taking nothing or less off an order.
        return self.feed(Topic.ORDERS, self.request(number, op))

    def new(self, op: Op) -> Order:
        assert op.id is not None
        assert op.account is not None
        self.owners.setdefault(op.id, op.account)
        return Order(
            OrderAction.NEW,
            str(op.id),
            op.account,
            None,
            SYMBOL,
            SIDES[op.side or ""],
            OrderType(op.order_type),
            TimeInForce(op.time_in_force),
            Quantity(op.quantity or 0),
            None if op.price is None else Price(op.price),
            None if op.stop is None else Price(op.stop),
            None,
            None if op.peak is None else Quantity(op.peak),
            op.post_only,
            SelfTradePrevention(op.stp or "NONE"),
            None if op.expiry is None else TimeNs(op.expiry),
            None,
            TimeNs(op.t or 0),
        )

    def request(self, number: int, op: Op) -> Order:
        """Return a cancel, a mass cancel, or a replace of a new total: cases say what is to be left open, or taken off."""
        client_id, account = f"request-{number}", op.account or self.owners[op.id or 0]
        match op.action:
            case "mass_cancel":
                return Order(OrderAction.MASS_CANCEL, client_id, account)
            case "cancel":
                return Order(OrderAction.CANCEL, client_id, account, str(op.id))
            case "modify":
                row = self.row(op)
                left = 0 if row is None else row.leaves_quantity
                total = (0 if row is None else row.cum_quantity) + (
                    left if op.quantity is None else op.quantity
                )
            case _:
                row = self.row(op)
                total = 0 if row is None else max(0, row.order_quantity - (op.quantity or 0))
        price = None if op.price is None else Price(op.price)
        return Order(
            OrderAction.REPLACE, client_id, account, str(op.id), quantity=Quantity(total), price=price
        )

    def row(self, op: Op) -> RestingOrder | None:
        order_id = self.order_ids[op.id or 0]
        return self.simulation.state.resting_orders.get(f"{SYMBOL}/{order_id}")

    def case_id(self, order_id: str) -> str:
        return next(str(known) for known, found in self.order_ids.items() if found == order_id)

    @property
    def fills(self) -> list[tuple[str, str, int, int]]:
        """Taker, maker, price and quantity of each trade; of an auction's, the buy and the sell."""
        fills: list[tuple[str, str, int, int]] = []
        for heard in self.records:
            trades = [record for record in heard if isinstance(record, Trade)]
            in_auction = bool(trades) and trades[0].trade_id.startswith("sessions")
            for trade in trades:
                own, other = self.case_id(trade.order_id), self.case_id(trade.contra_order_id)
                if in_auction and trade.side is Side.BUY:
                    fills.append(("AUCTION", f"[{own}, {other}]", trade.price, trade.quantity))
                elif not in_auction and trade.liquidity == "TAKER":
                    fills.append((own, other, trade.price, trade.quantity))
        return fills

    def queue(self, side: Side) -> list[tuple[int, list[tuple[int, int]]]]:
        book = self.simulation.state.order_books[SYMBOL]
        return [
            (
                price,
                [(int(self.case_id(row.order_id)), row.leaves_quantity) for row in book.queue(side, price)],
            )
            for price, _, _ in book.depth(side)
        ]

    def refused(self) -> set[int]:
        return {
            number
            for number, heard in enumerate(self.records)
            if any(isinstance(record, OrderEvent) and record.status in REFUSED for record in heard)
        }

    def statuses(self) -> dict[int, str]:
        found: dict[int, str] = {}
        ids = {order_id: known for known, order_id in self.order_ids.items()}
        for heard in self.records:
            for record in heard:
                if isinstance(record, OrderEvent) and record.order_id in ids:
                    found[ids[record.order_id]] = _status(record)
        return found


def _status(event: OrderEvent) -> str:
    if event.leaves_quantity:
        return "PARTIAL" if event.cum_quantity else "OPEN"
    return event.status.value


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_whole_flow_does_what_the_case_says(case: Case) -> None:
    flow = Flow(case)
    assert flow.fills == [(str(t.taker), str(t.maker), t.price, t.quantity) for t in case.expected_trades]
    assert flow.queue(Side.BUY) == case.expected_final_book.bids
    assert flow.queue(Side.SELL) == case.expected_final_book.asks
    expected = {reject.op for reject in case.expected_rejects if reject.reason != "WRONG_SIZE"}
    assert flow.refused() == expected
    assert flow.statuses() == case.expected_statuses
    updates = [record for heard in flow.records for record in heard if isinstance(record, BookUpdate)]
    assert [update.sequence for update in updates] == list(range(1, len(updates) + 1))
