"""Trade an order against the book, and publish both sides of every trade.

Decides the fees and the trade date; refuses to know whether the order is new or replaced.
"""

import datetime as dt

from msgspec.structs import replace

from bourse.pipeline.calendar import utc_date
from bourse.pipeline.ids import trade_ids
from bourse.pipeline.markets import business_date
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.money import fee
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import (
    ApprovedOrder,
    Liquidity,
    OrderEvent,
    OrderStatus,
    RestingOrder,
    TapePrint,
    Trade,
)
from bourse.schemas.units import Cash, Price, Quantity


def trade_date_of(turn: Turn, order: ApprovedOrder, market: str) -> dt.date:
    """Return the business date of an aggressor's trades.

    Risk fixed it when it let the order through; else the market's; else the UTC date of the first order that the book saw.
    """
    date = order.business_date or business_date(turn.state, market) or turn.memory.business_date
    if date is None:
        date = utc_date(turn.time_ns)
        turn.memory = replace(turn.memory, business_date=date)
    return date


def execute(turn: Turn, aggressor: RestingOrder, trade_date: dt.date) -> RestingOrder:
    """Trade an order that is not in the book as far as it goes; return what is left of it."""
    fills = turn.book.match(aggressor.side, aggressor.price, aggressor.leaves_quantity)
    if not fills:
        return aggressor
    price = aggressor.price
    for trade_id, (maker, quantity) in zip(trade_ids(turn.cause), fills, strict=False):
        price = maker.price
        aggressor = replace(
            aggressor,
            cum_quantity=aggressor.cum_quantity + quantity,
            leaves_quantity=aggressor.leaves_quantity - quantity,
        )
        turn.filled(maker)
        _publish(turn, trade_id, aggressor, maker, quantity, trade_date)
    turn.memory = replace(turn.memory, last_price=price)
    return aggressor


def _publish(
    turn: Turn,
    trade_id: str,
    taker: RestingOrder,
    maker: RestingOrder,
    quantity: Quantity,
    trade_date: dt.date,
) -> None:
    """Publish one trade: both sides, the tape, and what it means for both orders."""
    value = maker.price * quantity
    outputs, price = turn.outputs, maker.price
    _put_side(
        turn,
        trade_id,
        taker,
        maker,
        price,
        quantity,
        Liquidity.TAKER,
        fee(value, taker.taker_fee_bps),
        trade_date,
    )
    _put_side(
        turn,
        trade_id,
        maker,
        taker,
        price,
        quantity,
        Liquidity.MAKER,
        fee(value, maker.maker_fee_bps),
        trade_date,
    )
    outputs.put(
        Topic.TAPE,
        turn.symbol,
        TapePrint(
            outputs.next_id(),
            turn.symbol,
            trade_id,
            price,
            quantity,
            taker.side,
            trade_date,
            turn.time_ns,
            taker.market,
        ),
    )
    _put_event(turn, taker, price, quantity)
    _put_event(turn, maker, price, quantity)


def _put_side(
    turn: Turn,
    trade_id: str,
    own: RestingOrder,
    contra: RestingOrder,
    price: Price,
    quantity: Quantity,
    liquidity: Liquidity,
    fee_amount: Cash,
    trade_date: dt.date,
) -> None:
    outputs = turn.outputs
    outputs.put(
        Topic.TRADES,
        own.account_id,
        Trade(
            outputs.next_id(),
            trade_id,
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
            own.cum_quantity,
            own.leaves_quantity,
            own.market,
            trade_date,
            turn.time_ns,
            own.currency,
            own.settlement_days,
        ),
    )


def _put_event(turn: Turn, order: RestingOrder, price: Price, quantity: Quantity) -> None:
    outputs = turn.outputs
    outputs.put(
        Topic.ORDER_EVENTS,
        order.account_id,
        OrderEvent(
            outputs.next_id(),
            order.order_id,
            order.client_order_id,
            order.account_id,
            turn.symbol,
            OrderStatus.PARTIALLY_FILLED if order.leaves_quantity else OrderStatus.FILLED,
            None,
            None,
            order.order_quantity,
            order.cum_quantity,
            order.leaves_quantity,
            price,
            quantity,
            turn.time_ns,
        ),
    )
