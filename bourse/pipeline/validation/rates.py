"""How often an account may send: so many messages in one whole second (UTC) by their own times, cancels apart.

Seconds only go forward: a message with an earlier time counts in the latest second that the account has reached, so that
times out of order buy nobody more messages. But one that is more than a minute earlier shows that the latest second was no
true one, and begins anew: a single time far ahead would use up all messages until then. Each second counts for itself: over the
end of one, twice as many may come within less than a second, which needs one number for an account and not the times of its
messages. Accounts without a limit have no row.
"""

from typing import Final

from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import Account, MessageRate
from bourse.schemas.units import TimeNs

_SECOND_NS: Final = 10**9
OUT_OF_ORDER_S: Final = 60
"""By how many seconds messages may be out of order, no clock being wrong."""


def rate_refusal(state: State, account: Account, time_ns: TimeNs) -> Refusal | None:
    """Count a message of an account with a limit, or refuse it; what is refused does not count."""
    most = account.max_messages_per_second
    if most is None:
        return None
    second, messages = time_ns // _SECOND_NS, 0
    row = state.message_rates.get(account.account_id)
    if row is not None and second <= row.second <= second + OUT_OF_ORDER_S:
        second, messages = row.second, row.messages
    if messages >= most:
        return Refusal(Reason.TOO_MANY_MESSAGES, f"more than {most} messages within a second")
    state.message_rates.put(account.account_id, MessageRate(second, messages + 1))
    return None


def forget(state: State, account_id: str) -> None:
    """Forget what an account has sent, as it has no limit any more."""
    if state.message_rates.get(account_id) is not None:
        state.message_rates.delete(account_id)
