"""Positions: what fills and releases, coming home from the books, do to an account's wallets and holdings.

A fill is paid out of the order's hold, a release gives back what will not be needed, and every change of a holding is
told. Refuses to know the book, and when a settlement is due beyond its date.
"""

from typing import Final

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Output, Outputs, Record
from bourse.pipeline.positions import holdings, postings
from bourse.pipeline.state import State
from bourse.schemas.records import Announcement, Release, Trade, WalletTransaction
from bourse.schemas.units import TimeNs

LETTER: Final = "p"


def handle(state: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
    """Post one fill, release, deposit, withdrawal, session event or instrument.

    Raises:
        NotOurs: the record is none of these, or a trade behind risk that adds up to more than can be counted.
        InvariantBroken: a fill costs more than its order's hold has.
    """
    outputs = Outputs(cause, LETTER)
    match record:
        case Trade():
            held = postings.post_trade(state, outputs, record, time_ns)
            if not held:
                holdings.require_countable(state, record)
            holdings.trade(state, outputs, record, held, time_ns)
        case Release():
            postings.post_release(state, outputs, record, time_ns)
        case WalletTransaction():
            holdings.move(state, outputs, record, time_ns)
        case Announcement():
            if record.session is not None and record.session.symbol is None:
                holdings.settle(state, outputs, record.session, time_ns)
            if record.instrument is not None:
                holdings.recognise(state, outputs, record.instrument.symbol, time_ns)
        case _:
            message = f"positions has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)
    return outputs.items
