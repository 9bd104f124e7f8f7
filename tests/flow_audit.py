"""An auditor of whole flows that shares nothing with the stages: it reads output records only and recomputes.

Equations are those of the contract for auditors, by their numbers (A1 intake, A2 exactly once, ...). `read` checks what
holds at each record, `at_rest` what holds when nothing is under way, `settled` what holds after every settlement date.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from bourse.pipeline.outputs import Topic
from bourse.pipeline.simulate import SimEvent
from bourse.schemas.records import (
    ApprovedOrder,
    Instrument,
    OrderAction,
    OrderEvent,
    OrderStatus,
    PositionCause,
    PositionUpdated,
    SettlementStatus,
    SettlementUpdated,
    Side,
    Trade,
    TransactionKind,
    ValidatedOrder,
    WalletTransaction,
)

S = OrderStatus
_LIVE_STEPS = {S.PARTIALLY_FILLED, S.FILLED, S.REPLACED, S.CANCELLED, S.EXPIRED}
NEXT_STATUS = {
    None: {S.VALIDATED, S.REJECTED, S.CANCEL_REJECTED, S.REPLACE_REJECTED},
    S.VALIDATED: {S.RISK_APPROVED, S.REJECTED},
    S.RISK_APPROVED: {S.OPEN, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.REJECTED},
    S.OPEN: _LIVE_STEPS,
    S.PARTIALLY_FILLED: _LIVE_STEPS,
    S.REPLACED: _LIVE_STEPS,
    S.CANCEL_REJECTED: {S.CANCEL_REJECTED},  # A mass cancel has an answer from each book.
}
LIVE = {S.OPEN, S.PARTIALLY_FILLED, S.REPLACED}
REFUSED = {S.REJECTED, S.CANCEL_REJECTED, S.REPLACE_REJECTED}


@dataclass
class LiveOrder:
    """What an order is worth reserving, as its events tell it."""

    side: Side
    currency: str
    price: int
    fee_bps: int
    remaining: int = 0


@dataclass
class Holding:
    """A position, recomputed from trades with exact fractions where the stages round."""

    quantity: int = 0
    settled: int = 0
    cost: int = 0
    realised: int = 0


@dataclass
class Audit:
    """What the outputs have said so far."""

    instruments: dict[str, Instrument]
    in_order: bool = True
    """Whether a deposit of shares always reaches positions before a sale of them, as it does when it is handed over."""
    wallets: dict[tuple[str, str], tuple[int, int, int]] = field(
        default_factory=lambda: defaultdict(lambda: (0, 0, 0))
    )
    holdings: dict[tuple[str, str], Holding] = field(default_factory=lambda: defaultdict(Holding))
    event_ids: set[str] = field(default_factory=set)
    intake: Counter[str] = field(default_factory=Counter)
    sources: set[str] = field(default_factory=set)
    statuses: dict[str, OrderStatus] = field(default_factory=dict)
    last_events: dict[str, OrderEvent] = field(default_factory=dict)
    prices_asked: dict[tuple[str, str], int] = field(default_factory=dict)
    orders: dict[tuple[str, str], LiveOrder] = field(default_factory=dict)
    filled: Counter[str] = field(default_factory=Counter)
    trades: dict[str, dict[Side, Trade]] = field(default_factory=lambda: defaultdict(dict))
    position_sides: Counter[tuple[str, int]] = field(default_factory=Counter)
    obligations: dict[str, SettlementUpdated] = field(default_factory=dict)
    obliged: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    paid_in: Counter[str] = field(default_factory=Counter)
    fees: Counter[str] = field(default_factory=Counter)

    def read(self, events: Iterable[SimEvent]) -> None:
        """Check and take in outputs, in the order in which they were produced."""
        for event in events:
            record = event.record
            event_id = record.event_id
            assert event_id not in self.event_ids, f"A2: {event_id} twice"
            self.event_ids.add(event_id)
            key_field = {"announcements": None, "dead-letters": None}.get(event.topic, "account_id")
            if event.topic in {Topic.RISK_APPROVED, Topic.TAPE, Topic.BOOK_UPDATES}:
                key_field = "symbol"
            assert key_field is None or event.key == getattr(record, key_field)
            self._read_record(record)

    def _read_record(self, record: object) -> None:
        match record:
            case ValidatedOrder():
                self._take_in(record.event_id)
            case OrderEvent():
                self._order_event(record)
            case ApprovedOrder():
                self._approved(record)
            case Trade():
                self._trade(record)
            case WalletTransaction():
                self._wallet(record)
            case PositionUpdated():
                self._position(record)
            case SettlementUpdated():
                self._settlement(record)

    def _take_in(self, event_id: str) -> None:
        source, _, rest = event_id.rpartition("/")
        if rest == "v0":
            self.intake[source] += 1

    def _order_event(self, event: OrderEvent) -> None:
        if event.status in REFUSED:
            self._take_in(event.event_id)
            assert event.reason, "a refusal has a reason"
        before = self.statuses.get(event.order_id)
        assert event.status in NEXT_STATUS.get(before, set()), (
            f"A3: {event.order_id} {before} -> {event.status}"
        )
        self.statuses[event.order_id] = event.status
        self.last_events[event.order_id] = event
        if event.status in LIVE:
            assert event.order_quantity == event.cum_quantity + event.leaves_quantity, "A4"
        elif event.status not in {S.VALIDATED, S.RISK_APPROVED}:
            assert event.leaves_quantity == 0, "A4"
        if event.status is S.FILLED:
            assert event.cum_quantity == event.order_quantity, "A4"
        if event.status is S.PARTIALLY_FILLED:
            assert event.cum_quantity < event.order_quantity, "A4"
        live = self.orders.get((event.account_id, event.order_id))
        if live is not None:
            live.remaining = event.leaves_quantity
            if event.status is S.REPLACED:
                live.price = self.prices_asked[event.account_id, event.client_order_id]

    def _approved(self, order: ApprovedOrder) -> None:
        if order.price is not None:
            self.prices_asked[order.account_id, order.client_order_id] = order.price
        if order.action is OrderAction.NEW:
            assert order.side is not None
            assert order.price is not None
            fee_bps = max(order.maker_fee_bps, order.taker_fee_bps)
            live = LiveOrder(order.side, order.currency, order.price, fee_bps, order.quantity)
            self.orders[order.account_id, order.order_id] = live

    def _trade(self, trade: Trade) -> None:
        assert trade.quantity > 0, "A5"
        assert trade.side not in self.trades[trade.trade_id], "A5"
        self.trades[trade.trade_id][trade.side] = trade
        self.filled[trade.order_id] += trade.quantity
        assert trade.cum_quantity == self.filled[trade.order_id], "A4"
        self.fees[trade.currency] += trade.fee
        instrument = self.instruments[trade.symbol]
        bps = instrument.maker_fee_bps if trade.liquidity == "MAKER" else instrument.taker_fee_bps
        assert trade.fee == Fraction(trade.price * trade.quantity * bps, 10_000).__floor__()

    def _wallet(self, transaction: WalletTransaction) -> None:
        key = (transaction.account_id, transaction.asset)
        deltas = (transaction.available_delta, transaction.blocked_delta, transaction.unsettled_delta)
        after = (transaction.available, transaction.blocked, transaction.unsettled)
        assert tuple(map(sum, zip(self.wallets[key], deltas, strict=True))) == after, f"A11: {transaction}"
        assert transaction.available >= 0, "A9"
        assert transaction.blocked >= 0, "A9"
        assert transaction.unsettled >= 0, "nobody owes in these flows"
        self.wallets[key] = after
        match transaction.kind:
            case TransactionKind.DEPOSIT:
                self.paid_in[transaction.asset] += transaction.amount
            case TransactionKind.WITHDRAWAL:
                self.paid_in[transaction.asset] -= transaction.amount
            case TransactionKind.REFUSED:
                assert deltas == (0, 0, 0)
                assert transaction.reason
        if transaction.kind is not TransactionKind.REFUSED:
            assert transaction.amount > 0

    def _position(self, update: PositionUpdated) -> None:
        holding = self.holdings[update.account_id, update.symbol]
        assert holding.quantity + update.quantity_delta == update.quantity, f"A11: {update}"
        assert holding.settled + update.settled_delta == update.settled_quantity, f"A11: {update}"
        match update.cause:
            case PositionCause.TRADE:
                self.position_sides[str(update.trade_id), 1 if update.quantity_delta > 0 else -1] += 1
                self._fold_trade(holding, update)
            case PositionCause.DEPOSIT:
                holding.cost += update.quantity_delta * (self.instruments[update.symbol].reference_price or 0)
            case PositionCause.WITHDRAWAL:
                left = holding.quantity + update.quantity_delta
                holding.cost -= (
                    holding.cost * -update.quantity_delta // holding.quantity if left > 0 else holding.cost
                )
        holding.quantity, holding.settled = update.quantity, update.settled_quantity
        assert update.quantity >= 0 or not self.in_order, "no oversell"
        assert (update.cost, update.realised_pnl) == (holding.cost, holding.realised), "A12"
        assert update.average_price == (holding.cost // holding.quantity if holding.quantity else 0), "A12"
        assert update.market_value == update.quantity * update.market_price
        assert update.unrealised_pnl == update.market_value - update.cost

    def _fold_trade(self, holding: Holding, update: PositionUpdated) -> None:
        trade = self.trades[str(update.trade_id)][update.side]
        value = trade.price * trade.quantity
        assert update.market_price == trade.price
        assert update.cash_delta == (-value if trade.side is Side.BUY else value) - trade.fee
        held = holding.quantity
        bought = trade.quantity if trade.side is Side.BUY else -trade.quantity
        for part, closes in ((_closing(held, bought), True), (bought - _closing(held, bought), False)):
            if closes and part:
                taken = holding.cost if part == -held else holding.cost * abs(part) // abs(held)
                holding.cost -= taken
                holding.realised -= part * trade.price + taken
            else:
                holding.cost += part * trade.price

    def _settlement(self, update: SettlementUpdated) -> None:
        before = self.obligations.get(update.settlement_id)
        if update.status is SettlementStatus.PENDING:
            assert before is None or before.status is SettlementStatus.PENDING, "A14: nothing follows SETTLED"
            self._pend(before, update)
        else:
            assert update.status is SettlementStatus.SETTLED
            assert before is not None, "A14: PENDING comes before SETTLED"
            assert before.status is SettlementStatus.PENDING, "A14: settled once"
            assert (update.settled_quantity, update.settled_cash) == (before.net_quantity, before.net_cash)
            assert (update.net_quantity, update.net_cash, update.trades) == (
                before.net_quantity,
                before.net_cash,
                before.trades,
            )
        self.obligations[update.settlement_id] = update

    def _pend(self, before: SettlementUpdated | None, update: SettlementUpdated) -> None:
        change = update.net_quantity - (before.net_quantity if before else 0)
        side = Side.BUY if change > 0 else Side.SELL
        trade = self.trades[str(update.trade_id)][side]
        self.obliged[update.account_id, trade.trade_id, 1 if change > 0 else -1] += 1
        value = trade.price * trade.quantity * (-1 if change > 0 else 1)
        assert abs(change) == trade.quantity, "A14: net = sum of gross"
        assert update.net_cash - (before.net_cash if before else 0) == value - trade.fee, "A14"
        assert update.fees - (before.fees if before else 0) == trade.fee
        assert update.trades == (before.trades if before else 0) + 1
        assert update.trade_date == trade.trade_date
        assert update.settlement_date == weekday_after(trade.trade_date, trade.settlement_days)

    def at_rest(self, orders_sent: int | None = None) -> None:
        """Check what holds when nothing is under way."""
        assert all(count == 1 for count in self.intake.values()), "A1"
        assert orders_sent is None or len(self.intake) == orders_sent, "A1"
        for account_id, order_id in self.orders:
            event = self.last_events[order_id]
            assert event.account_id == account_id
            assert event.status is not S.RISK_APPROVED, "A3: the book has answered"
            assert event.cum_quantity == self.filled[order_id], "A4"
        self._check_conservation()
        self._check_blocked()
        for trade_id, sides in self.trades.items():
            assert len(sides) == 2, "A5"
            buy, sell = sides[Side.BUY], sides[Side.SELL]
            assert (buy.price, buy.quantity, buy.symbol) == (sell.price, sell.quantity, sell.symbol), "A5"
            assert self.position_sides[trade_id, 1] == self.position_sides[trade_id, -1] == 1, "A13"
            assert self.obliged[buy.account_id, trade_id, 1] == 1, "A14"
            assert self.obliged[sell.account_id, trade_id, -1] == 1, "A14"
        self._check_netting()

    def _check_conservation(self) -> None:
        totals: Counter[str] = Counter()
        for (_, asset), balances in self.wallets.items():
            totals[asset] += sum(balances)
        for asset in {*totals, *self.paid_in}:
            assert totals[asset] + self.fees[asset] == self.paid_in[asset], f"A7, A8: {asset}"
        for (account_id, symbol), holding in self.holdings.items():
            assert holding.quantity == sum(self.wallets[account_id, symbol]), (
                "A12: wallets and positions agree"
            )

    def _check_blocked(self) -> None:
        blocked: Counter[tuple[str, str]] = Counter()
        for (account_id, order_id), live in self.orders.items():
            if self.statuses[order_id] not in LIVE:
                continue
            if live.side is Side.BUY:
                value = live.remaining * live.price
                needed = value + Fraction(value * live.fee_bps, 10_000).__floor__()
                blocked[account_id, live.currency] += needed
            else:
                symbol = str(self.last_events[order_id].symbol)
                blocked[account_id, symbol] += live.remaining
        for key, (_, held, _) in self.wallets.items():
            assert held == blocked[key], f"A10: {key} has {held} blocked, its orders need {blocked[key]}"

    def _check_netting(self) -> None:
        quantity: Counter[tuple[str, dt.date]] = Counter()
        cash: Counter[tuple[str, dt.date]] = Counter()
        for update in self.obligations.values():
            place = (update.symbol, update.trade_date)
            quantity[place] += update.net_quantity
            cash[place] += update.net_cash + update.fees
        assert not any(quantity.values()), "A14: sum over accounts of net quantity"
        assert not any(cash.values()), "A14: sum over accounts of net cash with fees"

    def settled(self) -> None:
        """Check what holds after every settlement date."""
        assert all(update.status is SettlementStatus.SETTLED for update in self.obligations.values())
        assert all(unsettled == 0 for _, _, unsettled in self.wallets.values())
        assert all(holding.quantity == holding.settled for holding in self.holdings.values())


def weekday_after(date: dt.date, days: int) -> dt.date:
    """Return the date that many weekdays after a date; with 0, the first weekday from it on."""
    later = (date + dt.timedelta(days=ahead) for ahead in range(60))
    weekdays = [day for day in later if day.weekday() < 5]
    return weekdays[days] if weekdays[0] == date or days == 0 else weekdays[days - 1]


def _closing(held: int, bought: int) -> int:
    """Return the part of a trade that closes what is held, with the trade's sign."""
    if held * bought >= 0:
        return 0
    return bought if abs(bought) <= abs(held) else -held
