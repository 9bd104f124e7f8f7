"""What an account has for its orders: how much of an asset is available, and setting it aside.

Refuses to know how much an order can cost: `holds` says it.
"""

from typing import Final

from bourse.pipeline import wallets
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.reasons import Reason, Refusal
from bourse.pipeline.state import State
from bourse.schemas.records import Account, Hold, Side, TransactionKind
from bourse.schemas.units import TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_BUY: Final = Side.BUY
_BLOCK: Final = TransactionKind.BLOCK


def account_of(state: State, account_id: str) -> Account:
    """Return an account; one that only a validated message from outside knows has no limits."""
    return state.accounts.get(account_id) or Account(account_id)


def funds_refusal(state: State, hold: Hold, needed: int) -> Refusal | None:
    """Say why so much more of a hold's asset cannot be set aside, or None if it can."""
    available = wallets.balances(state, hold.account_id, hold.asset).available
    if needed <= available:
        return None
    reason = Reason.INSUFFICIENT_CASH if hold.side is _BUY else Reason.INSUFFICIENT_SHARES
    return Refusal(reason, f"needs {needed} {hold.asset}, {available} available")


def block(state: State, outputs: Outputs, hold: Hold, amount: int, order_id: str, time_ns: TimeNs) -> None:
    """Set aside an amount of a hold's asset for an order."""
    step = (_BLOCK, amount, -amount, amount, 0)
    wallets.post(state, outputs, hold.account_id, hold.asset, [step], time_ns, order_id)
