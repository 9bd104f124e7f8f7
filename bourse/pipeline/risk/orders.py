"""Decide about each validated message of a trader: new orders, replaces and cancels each go their way to the book.

Refuses to know what an order costs: who sets it aside knows (`new_orders`, `replaces`).
"""

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.risk import new_orders, replaces
from bourse.pipeline.risk.approvals import NO_PRICES, approve, refuse, terms_of
from bourse.pipeline.state import State
from bourse.schemas.records import OrderAction, OrderStatus, ValidatedOrder
from bourse.schemas.units import TimeNs


def decide(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Approve the message for the book, or refuse it."""
    match order.action:
        case OrderAction.NEW:
            new_orders.enter(state, outputs, order, time_ns)
        case OrderAction.REPLACE:
            replaces.change(state, outputs, order, time_ns)
        case OrderAction.CANCEL:
            if order.symbol is None:
                message = "a validated CANCEL without a symbol"
                raise NotOurs(message)
            approve(outputs, order, order.symbol, NO_PRICES, terms_of(state, order.symbol), time_ns)
        case OrderAction.MASS_CANCEL:  # pragma: no branch - mypy proves that there is no other
            _mass_cancel(state, outputs, order, time_ns)


def _mass_cancel(state: State, outputs: Outputs, order: ValidatedOrder, time_ns: TimeNs) -> None:
    """Ask each book for its part: a mass cancel of all symbols goes to those in which the account has live orders."""
    if order.symbol is not None:
        symbols = [order.symbol]
    else:
        symbols = sorted({hold.symbol for _, hold in state.holds.scan(f"{order.account_id}/")})
    for symbol in symbols:
        approve(outputs, order, symbol, NO_PRICES, terms_of(state, symbol), time_ns)
    if not symbols:
        refusal = Refusal(Reason.NOTHING_TO_CANCEL, "there is no live order")
        refuse(outputs, order, refusal, OrderStatus.CANCEL_REJECTED, time_ns)
