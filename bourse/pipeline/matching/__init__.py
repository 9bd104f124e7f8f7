"""Matching: who trades with whom, at what price, and what rests. One book for each symbol, price-time priority.

Trades at the resting order's price, or at the price of an auction, and tells the account side of every quantity that will
not trade any more. Refuses to know wallets, accounts and limits: all that an order needs was fixed when risk let it
through, and travels with it. docs/market-rules.md says the rules in a trader's words.
"""

from typing import Final

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.forms import MAX_LENGTH
from bourse.pipeline.markets import is_followed
from bourse.pipeline.matching import cancels, new_orders, phases, replaces, stops
from bourse.pipeline.matching.turn import Turn
from bourse.pipeline.outputs import Output, Outputs, Record
from bourse.pipeline.state import State
from bourse.schemas.records import Announcement, ApprovedOrder, OrderAction
from bourse.schemas.units import TimeNs

LETTER: Final = "m"
_ACTS: Final = {
    OrderAction.NEW: new_orders.enter,
    OrderAction.CANCEL: cancels.cancel,
    OrderAction.REPLACE: replaces.change,
    OrderAction.MASS_CANCEL: cancels.mass_cancel,
}


def handle(state: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
    """Let one message act on its book, or an announcement on all books that it concerns.

    Raises:
        NotOurs: the record is neither, or has a symbol that could not key a book, or an order id of no order.
        InvariantBroken: the book is in a state that cannot be.
    """
    outputs = Outputs(cause, LETTER)
    match record:
        case ApprovedOrder():
            _act(state, outputs, cause, record, time_ns)
        case Announcement():
            # What these say of phases, halts and instruments is read from the tables that validation keeps of them.
            if record.session is not None and is_followed(state, record.session, cause):
                phases.follow(state, outputs, cause, record.session, time_ns)
            if record.instrument is not None:
                phases.learn(state, outputs, cause, record.instrument.symbol, time_ns)
        case _:
            message = f"matching has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)
    return outputs.items


def _act(state: State, outputs: Outputs, cause: str, order: ApprovedOrder, time_ns: TimeNs) -> None:
    if not order.symbol or "/" in order.symbol:
        message = f"{order.symbol!r:.80} cannot be a symbol"
        raise NotOurs(message)
    # Depth by order tells of thousands of them in one record.
    if len(order.order_id) > MAX_LENGTH:
        message = f"{order.order_id!r:.80} is too long for an order's id"
        raise NotOurs(message)
    turn = Turn(state, outputs, cause, order.symbol, order.market, time_ns)
    phases.wake(turn)
    _ACTS[order.action](turn, order)
    if turn.elected:
        stops.fire(turn)
    turn.finish()
