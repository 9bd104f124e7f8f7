"""Set aside what an order can cost, and hand it to the book with all that is fixed at this moment.

`holds` says how much that is; here it is compared with what is available.
"""

import datetime as dt
from typing import Final, NamedTuple

import msgspec

from bourse.pipeline import holds, wallets
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.ids import pair_key
from bourse.pipeline.limits import highest_fee_bps, value_refusal
from bourse.pipeline.markets import business_date
from bourse.pipeline.money import with_fee
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    ApprovedOrder,
    Hold,
    Instrument,
    OrderAction,
    OrderEvent,
    OrderStatus,
    PendingReplace,
    Side,
    TransactionKind,
    ValidatedOrder,
)
from bourse.schemas.units import Price, Quantity, TimeNs


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
            _approve(outputs, order, order.symbol, order.price, _terms(state, order.symbol), time_ns)
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


_NO_TERMS: Final = _Terms("", "EUR", 0, 0, 1, None)


def _terms(state: State, symbol: str, fee_bps_limit: int | None = None) -> _Terms:
    """Return an instrument's terms as of now; fees no higher than the hold of an order already in the book allows for."""
    instrument = state.instruments.get(symbol)
    if instrument is None:
        return _NO_TERMS
    maker, taker = instrument.maker_fee_bps, instrument.taker_fee_bps
    if fee_bps_limit is not None:
        maker, taker = min(maker, fee_bps_limit), min(taker, fee_bps_limit)
    date = business_date(state, instrument.market)
    return _Terms(instrument.market, instrument.currency, maker, taker, instrument.settlement_days, date)


def _new(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    symbol, side, price = order.symbol, order.side, order.price
    if symbol is None or side is None or price is None or price <= 0 or order.quantity <= 0:
        message = "a validated NEW without symbol, side, price or quantity"
        raise NotOurs(message)
    instrument = state.instruments.get(symbol)
    if instrument is None:
        text = f"there is no instrument {symbol}"
        _refuse(outputs, order, Refusal(Reason.UNKNOWN_SYMBOL, text), OrderStatus.REJECTED, time_ns)
        return
    hold = _hold(instrument, order, symbol, side, price)
    refusal = _new_refusal(state, order, hold)
    if refusal is not None:
        _refuse(outputs, order, refusal, OrderStatus.REJECTED, time_ns)
        return
    state.holds.put(pair_key(order.account_id, order.order_id), hold)
    _approve(outputs, order, symbol, price, _terms(state, symbol), time_ns)
    _report_approved(outputs, order, time_ns)
    _block(state, outputs, hold, hold.blocked, order.order_id, time_ns)


def _hold(instrument: Instrument, order: ValidatedOrder, symbol: str, side: Side, price: Price) -> Hold:
    fee_bps = highest_fee_bps(instrument)
    is_buy = side is Side.BUY
    return Hold(
        order.account_id,
        symbol,
        side,
        instrument.currency if is_buy else symbol,
        order.quantity,
        Quantity(0),
        price,
        fee_bps,
        with_fee(order.quantity * price, fee_bps) if is_buy else order.quantity,
    )


def _new_refusal(state: State, order: ValidatedOrder, hold: Hold) -> Refusal | None:
    if state.holds.get(pair_key(order.account_id, order.order_id)) is not None:
        return Refusal(Reason.DUPLICATE_ORDER_ID, f"order {order.order_id} is live")
    return _funds_refusal(state, hold, hold.blocked)


def _funds_refusal(state: State, hold: Hold, needed: int) -> Refusal | None:
    available = wallets.balances(state, hold.account_id, hold.asset).available
    if needed <= available:
        return None
    reason = Reason.INSUFFICIENT_CASH if hold.side is Side.BUY else Reason.INSUFFICIENT_SHARES
    return Refusal(reason, f"needs {needed} {hold.asset}, {available} available")


def _block(state: State, outputs: Outputs, hold: Hold, amount: int, order_id: str, time_ns: TimeNs) -> None:
    step = (TransactionKind.BLOCK, amount, -amount, amount, 0)
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
    price = Price(holds.last_price(hold)) if order.price is None else order.price
    asked = _with_pending(hold, PendingReplace(order.order_id, order.quantity, price))
    extra = max(0, holds.reserve(asked) - hold.blocked)
    refusal = _replace_refusal(state, order, hold, price, extra)
    if refusal is not None:
        _refuse(outputs, order, refusal, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    state.holds.put(key, msgspec.structs.replace(asked, blocked=hold.blocked + extra))
    terms = _terms(state, hold.symbol, hold.fee_bps)
    _approve(outputs, order, hold.symbol, price, terms, time_ns)
    if extra:
        _block(state, outputs, hold, extra, order.target_order_id, time_ns)


def _with_pending(hold: Hold, replace: PendingReplace) -> Hold:
    return msgspec.structs.replace(hold, pending=(*hold.pending, replace))


def _replace_refusal(
    state: State, order: ValidatedOrder, hold: Hold, price: Price, extra: int
) -> Refusal | None:
    if len(hold.pending) >= holds.MAX_PENDING_REPLACES:
        return Refusal(Reason.TOO_MANY_REPLACES, f"{len(hold.pending)} replaces of it wait for the book")
    account, instrument = state.accounts.get(hold.account_id), state.instruments.get(hold.symbol)
    if order.price is None and account is not None and instrument is not None:
        # Validation could not look at the value: the price that the order keeps is in the hold.
        refusal = value_refusal(account, instrument, order.quantity, price)
        if refusal is not None:
            return refusal
    return _funds_refusal(state, hold, extra)


def _mass_cancel(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Ask each book for its part: a mass cancel of all symbols goes to those in which the account has live orders."""
    if order.symbol is not None:
        symbols = [order.symbol]
    else:
        symbols = sorted({hold.symbol for _, hold in state.holds.scan(f"{order.account_id}/")})
    for symbol in symbols:
        _approve(outputs, order, symbol, order.price, _terms(state, symbol), time_ns)
    if not symbols:
        refusal = Refusal(Reason.NOTHING_TO_CANCEL, "there is no live order")
        _refuse(outputs, order, refusal, OrderStatus.CANCEL_REJECTED, time_ns)


def _approve(
    outputs: Outputs,
    order: ValidatedOrder,
    symbol: str,
    price: Price | None,
    terms: _Terms,
    time_ns: TimeNs,
) -> None:
    outputs.put(
        Topic.RISK_APPROVED,
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
            price,
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
        ),
    )


def _report_approved(outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    outputs.put(
        Topic.ORDER_EVENTS,
        order.account_id,
        OrderEvent(
            outputs.next_id(),
            order.order_id,
            order.client_order_id,
            order.account_id,
            order.symbol,
            OrderStatus.RISK_APPROVED,
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
        Topic.ORDER_EVENTS,
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
