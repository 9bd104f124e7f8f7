"""Set aside what an order can cost, and hand it to the book with all that is fixed at this moment.

`holds` says how much that is; here it is compared with what is available.
"""

import datetime as dt
from typing import Final, NamedTuple

import msgspec

from bourse.pipeline import exposures, holds, wallets
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.ids import pair_key
from bourse.pipeline.limits import affordable_price, highest_fee_bps, value_refusal
from bourse.pipeline.markets import business_date
from bourse.pipeline.money import with_fee
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.risk.collars import protective_price
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    ApprovedOrder,
    Hold,
    Instrument,
    OrderAction,
    OrderEvent,
    OrderStatus,
    OrderType,
    PendingReplace,
    Side,
    TransactionKind,
    ValidatedOrder,
)
from bourse.schemas.units import Price, Quantity, TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_RISK_APPROVED: Final = Topic.RISK_APPROVED
_ORDER_EVENTS: Final = Topic.ORDER_EVENTS
_IS_APPROVED: Final = OrderStatus.RISK_APPROVED
_BUY: Final = Side.BUY
_BLOCK: Final = TransactionKind.BLOCK


def decide(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Approve the message for the book, or refuse it."""
    match order.action:
        case OrderAction.NEW:
            _new(state, outputs, order, time_ns)
        case OrderAction.REPLACE:
            _replace(state, outputs, order, time_ns)
        case OrderAction.CANCEL:
            if order.symbol is None:
                message = "a validated CANCEL without a symbol"
                raise NotOurs(message)
            _approve(outputs, order, order.symbol, _NO_PRICES, _terms(state, order.symbol), time_ns)
        case OrderAction.MASS_CANCEL:  # pragma: no branch - mypy proves that there is no other
            _mass_cancel(state, outputs, order, time_ns)


class _Terms(NamedTuple):
    """What is fixed when an order is approved, and travels with it."""

    market: str
    currency: str
    maker_fee_bps: int
    taker_fee_bps: int
    settlement_days: int
    business_date: dt.date | None
    reference_price: Price | None
    price_band_bps: int | None
    pause_time_ns: TimeNs
    multiplier: int
    volatility_auction: bool


_NO_TERMS: Final = _Terms("", "EUR", 0, 0, 1, None, None, None, TimeNs(0), 1, False)
_WITH_PRICE: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_WITH_STOP_PRICE: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


def _terms(state: State, symbol: str, fee_bps_limit: int | None = None) -> _Terms:
    """Return an instrument's terms as of now; fees no higher than the hold of an order already in the book allows for."""
    instrument = state.instruments.get(symbol)
    if instrument is None:
        return _NO_TERMS
    maker, taker = instrument.maker_fee_bps, instrument.taker_fee_bps
    if fee_bps_limit is not None:
        maker, taker = min(maker, fee_bps_limit), min(taker, fee_bps_limit)
    return _Terms(
        instrument.market,
        instrument.currency,
        maker,
        taker,
        instrument.settlement_days,
        business_date(state, instrument.market),
        instrument.reference_price,
        instrument.price_band_bps,
        instrument.pause_time_ns,
        instrument.multiplier,
        instrument.volatility_auction,
    )


class _Prices(NamedTuple):
    """What the book is told of an order's prices: its limit, or else the worst price at which it may trade."""

    limit: Price | None
    protective: Price | None


_NO_PRICES: Final = _Prices(None, None)


def _new(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    symbol, side = order.symbol, order.side
    if symbol is None or side is None or order.quantity <= 0:
        message = "a validated NEW without symbol, side or quantity"
        raise NotOurs(message)
    instrument = state.instruments.get(symbol)
    if instrument is None:
        text = f"there is no instrument {symbol}"
        _refuse(outputs, order, Refusal(Reason.UNKNOWN_SYMBOL, text), OrderStatus.REJECTED, time_ns)
        return
    account = _account(state, order.account_id)
    prices = _new_prices(state, account, instrument, order, side)
    if isinstance(prices, Refusal):
        _refuse(outputs, order, prices, OrderStatus.REJECTED, time_ns)
        return
    hold = _hold(instrument, order, symbol, side, prices)
    refusal = _new_refusal(state, account, instrument, order, hold)
    if refusal is not None:
        _refuse(outputs, order, refusal, OrderStatus.REJECTED, time_ns)
        return
    exposures.keep(state, pair_key(order.account_id, order.order_id), None, hold)
    _approve(outputs, order, symbol, prices, _terms(state, symbol), time_ns)
    _report_approved(outputs, order, time_ns)
    _block(state, outputs, hold, hold.blocked, order.order_id, time_ns)


def _account(state: State, account_id: str) -> Account:
    """Return an account; one that only a validated message from outside knows has no limits."""
    return state.accounts.get(account_id) or Account(account_id)


def _new_prices(
    state: State, account: Account, instrument: Instrument, order: ValidatedOrder, side: Side
) -> _Prices | Refusal:
    if order.order_type in _WITH_PRICE:
        if order.price is None or order.price <= 0:
            message = f"a validated {order.order_type} without a price"
            raise NotOurs(message)
        return _Prices(order.price, None)
    if order.stop_price is not None and order.stop_price <= 0:
        message = f"a validated {order.order_type} without a stop_price above 0"
        raise NotOurs(message)
    available = wallets.balances(state, order.account_id, instrument.currency).available
    affordable = affordable_price(account, instrument, order.quantity, available)
    worst = protective_price(instrument, order, side, affordable)
    if isinstance(worst, Refusal):
        return worst
    valued_at = worst if side is _BUY else order.stop_price or instrument.reference_price
    return value_refusal(account, instrument, order.quantity, valued_at or 0) or _Prices(None, worst)


def _hold(instrument: Instrument, order: ValidatedOrder, symbol: str, side: Side, prices: _Prices) -> Hold:
    fee_bps = highest_fee_bps(instrument)
    is_buy = side is _BUY
    price = prices.limit or prices.protective or Price(0)
    value = order.quantity * price * instrument.multiplier
    return Hold(
        order.account_id,
        symbol,
        side,
        instrument.currency if is_buy else symbol,
        order.quantity,
        Quantity(0),
        price,
        fee_bps,
        with_fee(value, fee_bps) if is_buy else order.quantity,
        (),
        Quantity(0),
        Price(0),
        order.order_type,
        order.oco_group,
        instrument.multiplier,
    )


def _new_refusal(
    state: State, account: Account, instrument: Instrument, order: ValidatedOrder, hold: Hold
) -> Refusal | None:
    if state.holds.get(pair_key(order.account_id, order.order_id)) is not None:
        return Refusal(Reason.DUPLICATE_ORDER_ID, f"order {order.order_id} is live")
    return (
        exposures.new_refusal(state, account, hold)
        or exposures.position_refusal(state, account, instrument, None, hold)
        or _funds_refusal(state, hold, hold.blocked)
    )


def _funds_refusal(state: State, hold: Hold, needed: int) -> Refusal | None:
    available = wallets.balances(state, hold.account_id, hold.asset).available
    if needed <= available:
        return None
    reason = Reason.INSUFFICIENT_CASH if hold.side is _BUY else Reason.INSUFFICIENT_SHARES
    return Refusal(reason, f"needs {needed} {hold.asset}, {available} available")


def _block(state: State, outputs: Outputs, hold: Hold, amount: int, order_id: str, time_ns: TimeNs) -> None:
    step = (_BLOCK, amount, -amount, amount, 0)
    wallets.post(state, outputs, hold.account_id, hold.asset, [step], time_ns, order_id)


def _replace(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Set aside what the order can cost whether or not the book takes the replace; its answer gives back the rest."""
    if order.target_order_id is None:
        message = "a validated REPLACE without a target_order_id"
        raise NotOurs(message)
    key = pair_key(order.account_id, order.target_order_id)
    hold = state.holds.get(key)
    if hold is None:
        text = f"order {order.target_order_id} is finished"
        finished = Refusal(Reason.ORDER_FINISHED, text)
        _refuse(outputs, order, finished, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    account, instrument = _account(state, hold.account_id), state.instruments.get(hold.symbol)
    assert instrument is not None, hold
    prices = _changed_prices(instrument, order, hold)
    if isinstance(prices, Refusal):
        _refuse(outputs, order, prices, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    price = prices.limit or prices.protective or Price(holds.last_price(hold))
    asked = _with_pending(hold, PendingReplace(order.order_id, order.quantity, price))
    extra = max(0, holds.reserve(asked) - hold.blocked)
    refusal = _replace_refusal(state, account, instrument, hold, asked, extra)
    if refusal is not None:
        _refuse(outputs, order, refusal, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    exposures.keep(state, key, hold, msgspec.structs.replace(asked, blocked=hold.blocked + extra))
    terms = _terms(state, hold.symbol, hold.fee_bps)
    _approve(outputs, order, hold.symbol, prices, terms, time_ns)
    if extra:
        _block(state, outputs, hold, extra, order.target_order_id, time_ns)


def _changed_prices(instrument: Instrument, order: ValidatedOrder, hold: Hold) -> _Prices | Refusal:
    """Return the prices that a replace asks for; without any, the order keeps its own."""
    kind = hold.order_type
    refusal = _kind_refusal(order, kind)
    if refusal is not None:
        return refusal
    if kind in _WITH_PRICE:
        return _Prices(Price(holds.last_price(hold)) if order.price is None else order.price, None)
    if order.stop_price is None and order.trail_amount is None:
        return _NO_PRICES
    stop = msgspec.structs.replace(order, order_type=kind)
    worst = protective_price(instrument, stop, hold.side, Price(0))
    return worst if isinstance(worst, Refusal) else _Prices(None, worst)


def _kind_refusal(order: ValidatedOrder, kind: OrderType) -> Refusal | None:
    """Refuse a replace of what the order has not; a message that does not name a type says LIMIT."""
    if order.order_type not in {OrderType.LIMIT, kind}:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is a {kind}")
    if kind not in _WITH_PRICE and not (order.price is None and order.display_quantity is None):
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no price and no shown part to change")
    if kind not in _WITH_STOP_PRICE and order.stop_price is not None:
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no stop_price to change")
    if kind is not OrderType.TRAILING_STOP and order.trail_amount is not None:
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no trail_amount to change")
    return None


def _with_pending(hold: Hold, replace: PendingReplace) -> Hold:
    return msgspec.structs.replace(hold, pending=(*hold.pending, replace))


def _replace_refusal(
    state: State, account: Account, instrument: Instrument, hold: Hold, asked: Hold, extra: int
) -> Refusal | None:
    if len(hold.pending) >= holds.MAX_PENDING_REPLACES:
        return Refusal(Reason.TOO_MANY_REPLACES, f"{len(hold.pending)} replaces of it wait for the book")
    # Validation could not look at the value where the replace keeps the price that is in the hold.
    total, price = asked.pending[-1].order_quantity, asked.pending[-1].price
    return (
        value_refusal(account, instrument, total, price)
        or exposures.position_refusal(state, account, instrument, hold, asked)
        or _funds_refusal(state, hold, extra)
    )


def _mass_cancel(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Ask each book for its part: a mass cancel of all symbols goes to those in which the account has live orders."""
    if order.symbol is not None:
        symbols = [order.symbol]
    else:
        symbols = sorted({hold.symbol for _, hold in state.holds.scan(f"{order.account_id}/")})
    for symbol in symbols:
        _approve(outputs, order, symbol, _NO_PRICES, _terms(state, symbol), time_ns)
    if not symbols:
        refusal = Refusal(Reason.NOTHING_TO_CANCEL, "there is no live order")
        _refuse(outputs, order, refusal, OrderStatus.CANCEL_REJECTED, time_ns)


def _approve(
    outputs: Outputs,
    order: ValidatedOrder,
    symbol: str,
    prices: _Prices,
    terms: _Terms,
    time_ns: TimeNs,
) -> None:
    outputs.put(
        _RISK_APPROVED,
        symbol,
        ApprovedOrder(
            outputs.next_id(),
            order.order_id,
            order.action,
            order.client_order_id,
            order.account_id,
            symbol,
            order.target_order_id,
            order.target_client_order_id,
            order.side,
            order.order_type,
            order.time_in_force,
            order.quantity,
            prices.limit,
            order.stop_price,
            order.trail_amount,
            order.display_quantity,
            order.post_only,
            order.self_trade_prevention,
            order.expire_time_ns,
            order.oco_group,
            order.participant_id,
            time_ns,
            terms.market,
            terms.currency,
            terms.maker_fee_bps,
            terms.taker_fee_bps,
            terms.settlement_days,
            terms.business_date,
            prices.protective,
            terms.reference_price,
            terms.price_band_bps,
            terms.pause_time_ns,
            terms.multiplier,
            terms.volatility_auction,
        ),
    )


def _report_approved(outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    outputs.put(
        _ORDER_EVENTS,
        order.account_id,
        OrderEvent(
            outputs.next_id(),
            order.order_id,
            order.client_order_id,
            order.account_id,
            order.symbol,
            _IS_APPROVED,
            None,
            None,
            order.quantity,
            Quantity(0),
            order.quantity,
            None,
            None,
            time_ns,
        ),
    )


def _refuse(
    outputs: Outputs, order: ValidatedOrder, refusal: Refusal, status: OrderStatus, time_ns: TimeNs
) -> None:
    outputs.put(
        _ORDER_EVENTS,
        order.account_id,
        OrderEvent(
            outputs.next_id(),
            order.order_id,
            order.client_order_id,
            order.account_id,
            order.symbol,
            status,
            refusal.reason,
            refusal.text,
            order.quantity if status is OrderStatus.REJECTED else Quantity(0),
            Quantity(0),
            Quantity(0),
            None,
            None,
            time_ns,
            order.target_order_id,
        ),
    )
