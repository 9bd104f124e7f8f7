"""Risk: can the account pay for this, whatever happens next?

Sets aside what an order can cost before the book hears of it (one hold for each live order), and takes deposits and
withdrawals. Refuses to know prices other than the order's own, and what the book does.
"""

from typing import Final

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.outputs import Output, Outputs, Record
from bourse.pipeline.purge import purge_wallet_requests
from bourse.pipeline.risk import commands, orders
from bourse.pipeline.state import State
from bourse.schemas.records import Announcement, ValidatedOrder, WalletCommand
from bourse.schemas.units import TimeNs

LETTER: Final = "r"


def handle(
    state: State, topic: str, cause: str, record: Record, time_ns: TimeNs, partitions: int = 1
) -> list[Output]:
    """Decide about one validated message or wallet command, in a flow of so many partitions.

    Raises:
        NotOurs: the record is neither, or lacks what validation always gives.
    """
    outputs = Outputs(cause, LETTER)
    match record:
        case ValidatedOrder():
            orders.decide(state, outputs, record, time_ns)
        case WalletCommand():
            commands.decide(state, outputs, record, time_ns, partitions)
        case Announcement():
            # Limits and fees are read from what validation keeps, at the moment they are asked for.
            if record.session is not None and record.session.symbol is None:
                purge_wallet_requests(state, record.session.business_date)
        case _:
            message = f"risk has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)
    return outputs.items
