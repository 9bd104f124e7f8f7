"""Trade an order against the book, and publish both sides of every trade.

Decides who trades next and what stops an order from trading on; refuses to know whether the order is new, replaced or a
stop that was set off.
"""

import datetime as dt
from typing import Final

from msgspec.structs import replace

from bourse.pipeline.ids import trade_id
from bourse.pipeline.matching import pauses
from bourse.pipeline.matching.prevention import (
    are_siblings,
    cancel_siblings,
    end_sibling,
    is_prevented,
    prevent,
)
from bourse.pipeline.matching.turn import BUY, SELL, Turn
from bourse.pipeline.money import fee
from bourse.pipeline.outputs import Topic
from bourse.pipeline.reasons import Reason, Refusal
from bourse.schemas.records import (
    Liquidity,
    OrderType,
    ReleaseReason,
    RestingOrder,
    SelfTradePrevention,
    TapePrint,
    TimeInForce,
    Trade,
)
from bourse.schemas.units import Cash, Price, Quantity

OPPOSITE: Final = {BUY: SELL, SELL: BUY}
# Looked up once, as in `turn`.
_FOK: Final = TimeInForce.FOK
_TRADES: Final = Topic.TRADES
_TAPE: Final = Topic.TAPE
_MAKER: Final = Liquidity.MAKER
_TAKER: Final = Liquidity.TAKER


def reaches(order: RestingOrder, price: Price) -> bool:
    """Say whether an order may trade at a price."""
    return price <= order.price if order.side is BUY else price >= order.price


def would_take(turn: Turn, order: RestingOrder) -> RestingOrder | None:
    """Return the resting order that an order would meet first, or None if it meets nothing that it reaches."""
    return turn.book.first_within(OPPOSITE[order.side], order.price)


def refusal_to_trade(turn: Turn, order: RestingOrder) -> Refusal | None:
    """Refuse an order that may not trade as the book stands; where no auction follows, a limit beyond the band pauses trading."""
    is_fok = order.time_in_force is _FOK
    if not (is_fok or order.post_only or turn.memory.price_band_bps is not None):
        return None
    maker = would_take(turn, order)
    if maker is None:
        return Refusal(Reason.FOK_NOT_FILLABLE, "nothing is there to fill it") if is_fok else None
    lowest, highest = turn.band()
    if (
        not turn.memory.volatility_auction
        and order.order_type is OrderType.LIMIT
        and not (order.price <= highest if order.side is BUY else order.price >= lowest)
    ):
        pauses.begin(turn)
        return Refusal(Reason.BAND_BREACHED, f"limit {order.price} is not in {lowest}..{highest}")
    if order.post_only:
        return Refusal(Reason.POST_ONLY_WOULD_TAKE, f"would trade at {maker.price}")
    if is_fok and not _is_fillable(turn, order):
        return Refusal(Reason.FOK_NOT_FILLABLE, f"{order.leaves_quantity} are not there at once")
    return None


def _is_fillable(turn: Turn, order: RestingOrder) -> bool:
    """Say whether an order can be filled at once, with what icebergs hide and without what prevention or groups keep from it."""
    lowest, highest = turn.band()
    wanted: int = order.leaves_quantity
    groups: set[tuple[str, str]] = set()
    for maker in turn.book.in_line(OPPOSITE[order.side]):
        if not reaches(order, maker.price) or not lowest <= maker.price <= highest:
            return False
        if is_prevented(order, maker):
            if order.self_trade_prevention is not SelfTradePrevention.CANCEL_OLDEST:
                return False
        elif not are_siblings(order, maker):
            if maker.oco_group is not None:
                # Its fill cancels the others of its group.
                group = (maker.account_id, maker.oco_group)
                if group in groups:
                    continue
                groups.add(group)
            wanted -= maker.leaves_quantity
            if wanted <= 0:
                return True
    return False


def execute(turn: Turn, order: RestingOrder) -> tuple[RestingOrder, ReleaseReason | None]:
    """Trade an order that is not in the book as far as it goes; return what is left, and why it may not go on."""
    book, against, limit = turn.book, OPPOSITE[order.side], order.price
    lowest, highest = turn.band()
    while order.leaves_quantity and (maker := book.first_within(against, limit)) is not None:
        if not lowest <= maker.price <= highest:
            pauses.begin(turn)
            return order, ReleaseReason.PAUSED
        if is_prevented(order, maker):
            order, may_go_on = prevent(turn, order, maker)
            if not may_go_on:
                return order, ReleaseReason.PREVENTED
        elif are_siblings(order, maker):
            end_sibling(turn, maker)
        else:
            shown = maker.leaves_quantity - maker.hidden_quantity
            order = _trade(turn, order, maker, Quantity(min(order.leaves_quantity, shown)))
    return order, None


def _trade(turn: Turn, taker: RestingOrder, maker: RestingOrder, quantity: Quantity) -> RestingOrder:
    turn.fill(maker, quantity)
    publish(turn, taker, maker, maker.price, quantity)
    if maker.oco_group is not None:
        cancel_siblings(turn, maker)
    if taker.oco_group is not None:
        cancel_siblings(turn, taker)
    return replace(
        taker,
        cum_quantity=taker.cum_quantity + quantity,
        leaves_quantity=taker.leaves_quantity - quantity,
    )


def publish(
    turn: Turn,
    taker: RestingOrder,
    maker: RestingOrder,
    price: Price,
    quantity: Quantity,
    auction: bool = False,  # noqa: FBT001, FBT002 - a fact of the trade
) -> None:
    """Publish one trade of two orders, which are given as they were before it: both sides, the tape, and their events."""
    value = price * quantity * taker.multiplier
    outputs, date = turn.outputs, turn.date()
    own_id = trade_id(turn.cause, turn.symbol, turn.trades)
    turn.trades += 1
    taker_fee, maker_fee = fee(value, taker.taker_fee_bps), fee(value, maker.maker_fee_bps)
    # Settlement days may have changed since the older order came: both sides settle by the terms of the newer one.
    _put_side(turn, own_id, taker, maker, taker, price, quantity, _TAKER, taker_fee, date)
    _put_side(turn, own_id, maker, taker, taker, price, quantity, _MAKER, maker_fee, date)
    outputs.put(
        _TAPE,
        turn.symbol,
        TapePrint(
            outputs.next_id(),
            turn.symbol,
            own_id,
            price,
            quantity,
            taker.side,
            date,
            turn.time_ns,
            taker.market,
            auction,
        ),
    )
    turn.reports.fill(taker, price, quantity)
    turn.reports.fill(maker, price, quantity)
    turn.print(price)


def _put_side(
    turn: Turn,
    own_id: str,
    own: RestingOrder,
    contra: RestingOrder,
    terms: RestingOrder,
    price: Price,
    quantity: Quantity,
    liquidity: Liquidity,
    fee_amount: Cash,
    date: dt.date,
) -> None:
    outputs = turn.outputs
    outputs.put(
        _TRADES,
        own.account_id,
        Trade(
            outputs.next_id(),
            own_id,
            turn.symbol,
            own.account_id,
            own.side,
            own.order_id,
            own.client_order_id,
            contra.account_id,
            contra.order_id,
            price,
            quantity,
            liquidity,
            fee_amount,
            Quantity(own.cum_quantity + quantity),
            Quantity(own.leaves_quantity - quantity),
            terms.market,
            date,
            turn.time_ns,
            terms.currency,
            terms.settlement_days,
            terms.multiplier,
        ),
    )
