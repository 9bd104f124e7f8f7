"""The outside cases, each against the matching stage alone or, where it counts balances, against the whole flow."""

from collections import Counter
from collections.abc import Iterable

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
    SessionKind,
    Side,
    TimeInForce,
    Trade,
    WalletAction,
    WalletCommand,
)
from bourse.schemas.units import Price, Quantity
from tests.matching.exchange import Exchange, Heard
from tests.scenarios.cases import REASONS, Case, Op, WalletCase, load, sources, waits_for
from tests.strategies import SYMBOL

SIDES = {"B": Side.BUY, "S": Side.SELL}
AUCTIONS = {"auction_begin": SessionKind.OPENING_AUCTION, "auction_uncross": SessionKind.OPEN}
LIVE = {OrderStatus.OPEN, OrderStatus.TRIGGERED, OrderStatus.PARTIALLY_FILLED, OrderStatus.REPLACED}
REFUSED = {OrderStatus.REJECTED, OrderStatus.CANCEL_REJECTED, OrderStatus.REPLACE_REJECTED}

EVERY = load()
READY = [case for case in EVERY if not waits_for(case)]
BOOK = [case for case in READY if case.wallet is None]
WALLET = [case for case in READY if case.wallet is not None]


def named(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


def test_every_case_has_its_source() -> None:
    assert len(EVERY) == len(sources()) == 72
    assert all(source["repo"] and source["licence"] for source in sources())


def test_which_cases_run_and_what_the_others_wait_for() -> None:
    assert (len(BOOK), len(WALLET)) == (67, 2)
    waiting = Counter(" + ".join(sorted(waits_for(case))) for case in EVERY if waits_for(case))
    assert waiting == {"reserve prices": 1, "fees per lot": 1, "fees per lot + reserve prices": 1}
    assert waiting.total() + len(READY) == len(EVERY)


class Played:
    """A case, played to the matching stage under the case's own ids."""

    def __init__(self, case: Case) -> None:
        self.exchange = Exchange()
        self.config = case.config
        self.owners: dict[str, str] = {}
        self.heard = [self._play(op) for op in case.orders]

    def _play(self, op: Op) -> Heard | None:
        order_id = str(op.id)
        if op.action in AUCTIONS:
            return self.exchange.session(AUCTIONS[op.action])
        account = op.account or self.owners[order_id]
        match op.action:
            case "new":
                assert op.side is not None
                self.owners.setdefault(order_id, account)
                return self.exchange.send(self._new(op, order_id, account))
            case "cancel":
                return self.exchange.cancel(account, order_id)
            case "mass_cancel":
                return self.exchange.mass_cancel(account)
            case "modify":
                total = self._filled(order_id) + self._open_after(op, order_id)
                return self.exchange.replace(account, order_id, total, op.price)
            case _:
                assert op.action == "reduce"
                return self._reduce(op, order_id, account)

    def _new(self, op: Op, order_id: str, account: str):  # noqa: ANN202 - as `Exchange.order`
        return self.exchange.order(
            OrderAction.NEW,
            account,
            order_id=order_id,
            side=SIDES[op.side or ""],
            quantity=op.quantity,
            price=op.price,
            order_type=OrderType(op.order_type),
            time_in_force=TimeInForce(op.time_in_force),
            stop_price=op.stop,
            trail_amount=op.trail,
            oco_group=op.oco,
            display_quantity=op.peak,
            post_only=op.post_only,
            self_trade_prevention=SelfTradePrevention(op.stp or "NONE"),
            participant_id=self.config.stp_groups.get(account, ""),
            expire_time_ns=op.expiry,
            price_band_bps=self.config.luld_bps,
            pause_time_ns=self.config.luld_halt,
            event_time_ns=op.t or 0,
        )

    def _reduce(self, op: Op, order_id: str, account: str) -> Heard | None:
        """Take away from the open quantity; our messages have no words for taking away nothing or less."""
        if not op.quantity or op.quantity < 0:
            return None
        row = self.exchange.resting(order_id)
        total = 0 if row is None else max(0, row.order_quantity - op.quantity)
        return self.exchange.replace(account, order_id, total)

    def _filled(self, order_id: str) -> int:
        row = self.exchange.resting(order_id)
        return 0 if row is None else row.cum_quantity

    def _open_after(self, op: Op, order_id: str) -> int:
        """Return the open quantity after a modify, which stays as it is where the modify does not say."""
        row = self.exchange.resting(order_id)
        return op.quantity if op.quantity is not None else 0 if row is None else row.leaves_quantity

    @property
    def events(self) -> list[OrderEvent]:
        return [event for heard in self.heard if heard is not None for event in heard.events]

    def queue(self, side: Side) -> list[tuple[int, list[tuple[int, int]]]]:
        book = self.exchange.state.order_books[SYMBOL]
        return [
            (price, [(int(order.order_id), order.leaves_quantity) for order in book.queue(side, price)])
            for price, _, _ in book.depth(side)
        ]


def fills_of(heard: Heard) -> list[tuple[str, str, int, int]]:
    """Return taker, maker, price and quantity of each trade; of an auction's the buy and the sell, as the cases do."""
    if not any(tape.auction for tape in heard.tape):
        return heard.fills
    return [
        ("AUCTION", str([int(trade.order_id), int(trade.contra_order_id)]), trade.price, trade.quantity)
        for trade in heard.trades
        if trade.side is Side.BUY
    ]


def status_of(event: OrderEvent) -> str:
    """Return the status in the words of the cases."""
    if event.status in LIVE:
        return "PARTIAL" if event.cum_quantity else "OPEN"
    return event.status.value


@named(BOOK)
def test_the_book_does_what_the_case_says(case: Case) -> None:
    played = Played(case)

    fills = [fill for heard in played.heard if heard is not None for fill in fills_of(heard)]
    assert fills == [
        (str(trade.taker), str(trade.maker), trade.price, trade.quantity) for trade in case.expected_trades
    ]
    assert played.queue(Side.BUY) == case.expected_final_book.bids
    assert played.queue(Side.SELL) == case.expected_final_book.asks

    lives = {
        event.order_id: status_of(event)
        for event in played.events
        if event.status not in REFUSED or event.order_id in played.owners
    }
    assert lives == {str(order_id): status for order_id, status in case.expected_statuses.items()}


@named(BOOK)
def test_the_book_refuses_what_the_case_says(case: Case) -> None:
    refused = {
        number: event.reason
        for number, heard in enumerate(Played(case).heard)
        for event in (() if heard is None else heard.events)
        if event.status in REFUSED
    }
    unsayable = {number for number, heard in enumerate(Played(case).heard) if heard is None}
    assert unsayable == {reject.op for reject in case.expected_rejects if reject.reason == "WRONG_SIZE"}
    assert refused == {
        reject.op: REASONS[reject.reason] for reject in case.expected_rejects if reject.reason != "WRONG_SIZE"
    }


@named(case for case in BOOK if case.expected_cancel_order is not None)
def test_a_mass_cancel_takes_orders_in_the_cases_order(case: Case) -> None:
    cancelled = [event.order_id for event in Played(case).events if event.status is OrderStatus.CANCELLED]
    assert cancelled == [str(order_id) for order_id in case.expected_cancel_order or ()]


class Funded:
    """A case that counts balances, played to the whole flow; shares count in single units, so cash is scaled alike."""

    def __init__(self, case: Case, wallet: WalletCase) -> None:
        self.simulation = Simulation()
        self.wallet = wallet
        self.base, self.quote = wallet.symbol.symbol.split("_")
        self.heard: list[list[Record]] = []
        self.requests = 0
        self._feed(Topic.INSTRUMENTS, Instrument(self.base, currency=self.quote))
        for account, balances in wallet.initial.items():
            self._feed(Topic.ACCOUNTS, Account(account, currency=self.quote))
            for asset, amount in balances.items():
                self._deposit(account, asset, amount)
        self.client_ids: dict[int, str] = {}
        for number, op in enumerate(case.orders):
            self._play(number, op)

    def _scaled(self, asset: str, amount: int) -> int:
        return amount * self.wallet.symbol.base_scale if asset == self.quote else amount

    def _feed(self, topic: Topic, record: Record) -> list[Record]:
        return [event.record for event in self.simulation.feed(SimEvent(topic, None, record))]

    def _deposit(self, account: str, asset: str, amount: int) -> None:
        self.requests += 1
        scaled = self._scaled(asset, amount)
        command = WalletCommand(WalletAction.DEPOSIT, f"D{self.requests}", account, asset, scaled)
        self._feed(Topic.WALLET_COMMANDS, command)

    def _play(self, number: int, op: Op) -> None:
        for deposit in self.wallet.deposits:
            if deposit.before_op == number:
                self._deposit(deposit.account, deposit.asset, deposit.amount)
        self.heard.append(self._feed(Topic.ORDERS, self._order(number, op)))
        for checkpoint in self.wallet.checkpoints:
            if checkpoint.after_op == number:
                self._check(checkpoint.balances)

    def _order(self, number: int, op: Op) -> Order:
        """Return the message; a refused order that is sent again takes a fresh client order id, as ours are used up."""
        assert op.id is not None
        assert op.account is not None
        client_id = f"{op.id}.{number}"
        if op.action == "cancel":
            return Order(OrderAction.CANCEL, client_id, op.account, self.client_ids[op.id])
        assert op.side is not None
        assert op.price is not None
        assert op.quantity is not None
        self.client_ids[op.id] = client_id
        return Order(
            OrderAction.NEW,
            client_id,
            op.account,
            symbol=self.base,
            side=SIDES[op.side],
            time_in_force=TimeInForce(op.time_in_force),
            quantity=Quantity(op.quantity * self.wallet.symbol.base_scale),
            price=Price(op.price * self.wallet.symbol.quote_step),
        )

    def _check(self, balances: dict[str, dict[str, int]]) -> None:
        """Compare what an account can still use; what a trade brought in counts, though it settles a day later."""
        for account, assets in balances.items():
            for asset, amount in assets.items():
                row = self.simulation.state.wallets.get(f"{account}/{asset}")
                usable = 0 if row is None else row.available + row.unsettled
                assert usable == self._scaled(asset, amount), (account, asset)


@named(WALLET)
def test_the_flow_keeps_the_balances_that_the_case_says(case: Case) -> None:
    assert case.wallet is not None
    funded = Funded(case, case.wallet)
    scale, step = case.wallet.symbol.base_scale, case.wallet.symbol.quote_step

    trades = [r for heard in funded.heard for r in heard if isinstance(r, Trade) and r.liquidity == "TAKER"]
    assert [(trade.price, trade.quantity) for trade in trades] == [
        (trade.price * step, trade.quantity * scale) for trade in case.expected_trades
    ]
    refused = [
        number
        for number, heard in enumerate(funded.heard)
        if any(isinstance(record, OrderEvent) and record.status in REFUSED for record in heard)
    ]
    assert refused == [reject.op for reject in case.expected_rejects]
    assert {reject.reason for reject in case.expected_rejects} <= {"NSF"}
