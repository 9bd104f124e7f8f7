"""A replace: set aside what the changed order can cost beyond what is set aside already, and approve it for the book."""

from typing import Final

from msgspec.structs import replace

from bourse.pipeline import exposures, holds
from bourse.pipeline.errors import NotOurs
from bourse.pipeline.ids import pair_key
from bourse.pipeline.limits import value_refusal
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.risk.approvals import NO_PRICES, Prices, approve, refuse, terms_of
from bourse.pipeline.risk.collars import WITH_LIMIT, moved_price, protective_price
from bourse.pipeline.risk.funds import account_of, block, funds_refusal
from bourse.pipeline.state import State
from bourse.schemas.records import (
    Account,
    Hold,
    Instrument,
    OrderStatus,
    OrderType,
    PendingReplace,
    ValidatedOrder,
)
from bourse.schemas.units import Price, TimeNs

_WITH_STOP_PRICE: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


def change(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Set aside what the order can cost whether or not the book takes the replace; its answer gives back the rest."""
    if order.target_order_id is None:
        message = "a validated REPLACE without a target_order_id"
        raise NotOurs(message)
    key = pair_key(order.account_id, order.target_order_id)
    hold = state.holds.get(key)
    if hold is None:
        text = f"order {order.target_order_id} is finished"
        finished = Refusal(Reason.ORDER_FINISHED, text)
        refuse(outputs, order, finished, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    account, instrument = account_of(state, hold.account_id), state.instruments.get(hold.symbol)
    assert instrument is not None, hold
    prices = _changed_prices(instrument, order, hold)
    if isinstance(prices, Refusal):
        refuse(outputs, order, prices, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    # Without a price none is sent: risk cannot know which of the replaces under way the book will have taken by then.
    price = prices.limit or prices.protective or holds.NO_PRICE
    pending = PendingReplace(order.order_id, order.quantity, price, order.trail_amount or Price(0))
    asked = replace(hold, pending=(*hold.pending, pending))
    extra = max(0, holds.reserve(asked) - hold.blocked)
    refusal = _replace_refusal(state, account, instrument, hold, asked, extra)
    if refusal is not None:
        refuse(outputs, order, refusal, OrderStatus.REPLACE_REJECTED, time_ns)
        return
    exposures.keep(state, key, hold, replace(asked, blocked=hold.blocked + extra))
    terms = terms_of(state, hold.symbol, hold.fee_bps)
    approve(outputs, order, hold.symbol, prices, terms, time_ns)
    if extra:
        block(state, outputs, hold, extra, order.target_order_id, time_ns)


def _changed_prices(instrument: Instrument, order: ValidatedOrder, hold: Hold) -> Prices | Refusal:
    """Return the prices that a replace asks for; without any, the order keeps its own."""
    kind = hold.order_type
    refusal = _kind_refusal(order, kind)
    if refusal is not None:
        return refusal
    if kind in WITH_LIMIT:
        return Prices(order.price, None)
    if order.stop_price is None and order.trail_amount is None:
        return NO_PRICES
    if order.stop_price is None and order.trail_amount is not None:
        worst = moved_price(instrument, hold, order.trail_amount)
        return worst if isinstance(worst, Refusal) else Prices(None, worst)
    worst = protective_price(instrument, replace(order, order_type=kind), hold.side, Price(0))
    if isinstance(worst, Refusal):
        return worst
    # None would leave the order the price that it has: a sell that has no collar any more is told that any will do.
    return Prices(None, Price(0) if worst is None else worst)


def _kind_refusal(order: ValidatedOrder, kind: OrderType) -> Refusal | None:
    """Refuse a replace of what the order has not; a message that does not name a type says LIMIT."""
    if order.order_type not in {OrderType.LIMIT, kind}:
        return Refusal(Reason.TARGET_MISMATCH, f"the order meant is a {kind}")
    if kind not in WITH_LIMIT and not (order.price is None and order.display_quantity is None):
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no price and no shown part to change")
    if kind not in _WITH_STOP_PRICE and order.stop_price is not None:
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no stop_price to change")
    if kind is not OrderType.TRAILING_STOP and order.trail_amount is not None:
        return Refusal(Reason.INVALID_INSTRUCTION, f"a {kind} order has no trail_amount to change")
    return None


def _replace_refusal(
    state: State, account: Account, instrument: Instrument, hold: Hold, asked: Hold, extra: int
) -> Refusal | None:
    # Validation could not look at the value where the replace keeps the price that is in the hold.
    total = asked.pending[-1].order_quantity
    return (
        value_refusal(account, instrument, total, holds.last_price(asked))
        or exposures.position_refusal(state, account, instrument, hold, asked)
        or funds_refusal(state, hold, extra)
        or _number_refusal(hold)
    )


def _number_refusal(hold: Hold) -> Refusal | None:
    if len(hold.pending) < holds.MAX_PENDING_REPLACES:
        return None
    return Refusal(Reason.TOO_MANY_REPLACES, f"{len(hold.pending)} replaces of it wait for the book")
