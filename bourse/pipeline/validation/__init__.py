"""Validation: is this a request that the market can read, about things that exist, at a time when it may be made?

Gives every order message its id, lets a client order id be used once, and keeps what the operators publish (accounts,
participants, instruments, market phases, halts) for all stages. Refuses to know who can pay for an order, and what is in the book.
"""

from typing import Final

from bourse.pipeline.errors import NotOurs
from bourse.pipeline.ids import shortened
from bourse.pipeline.outputs import Output, Outputs, Record
from bourse.pipeline.state import State
from bourse.pipeline.validation import orders, reference
from bourse.schemas.records import Account, Announcement, Order, Participant
from bourse.schemas.units import TimeNs

LETTER: Final = "v"


def handle(state: State, topic: str, cause: str, record: Record, time_ns: TimeNs) -> list[Output]:
    """Decide about one order message, or learn what an operator published.

    Raises:
        NotOurs: the record is none of these, or says what cannot be, or can no more: see `reference`.
    """
    match record:
        case Order():
            outputs = Outputs(cause, LETTER)
            orders.decide(state, outputs, cause, record, time_ns)
            return outputs.items
        case Account():
            if reference.learn_account(state, record):
                outputs = Outputs(cause, LETTER)
                orders.cancel_all(outputs, shortened(cause), record, time_ns)
                return outputs.items
        case Announcement(participant=Participant() as participant):
            outputs = Outputs(cause, LETTER)
            for account in reference.learn_participant(state, participant):
                orders.cancel_all(outputs, shortened(outputs.next_id()), account, time_ns)
            return outputs.items
        case Announcement():
            reference.learn(state, record, cause, time_ns)
        case _:
            message = f"validation has no use for a {type(record).__name__} on {topic}"
            raise NotOurs(message)
    return []
