"""What holds when nothing is under way: A10, and where wallets, positions and obligations must agree (A12, A14)."""

from collections import defaultdict

from bourse.audit.equations import Equation, Ledger
from bourse.audit.holdings import Holdings
from bourse.audit.lives import LIVE, Lives, reserve
from bourse.audit.money import Holder, Wallets
from bourse.audit.obligations import Obligations


def check_blocked(ledger: Ledger, lives: Lives, wallets: Wallets) -> None:
    """A10: each wallet has blocked what the account's live orders must reserve, to the last unit."""
    reserved: defaultdict[Holder, int] = defaultdict(int)
    for life in lives.open.values():
        if life.status in LIVE and not life.is_outside:
            asset, amount = reserve(life)
            reserved[life.account_id, asset] += amount
    for holder, (_, blocked, _, entry) in wallets.balances.items():
        ledger.looked_at[Equation.A10] += 1
        due = reserved.pop(holder, 0)
        if blocked != due:
            cause = f"{blocked} {holder[1]} of {holder[0]} are blocked, its live orders need {due}"
            ledger.fail(Equation.A10, entry, cause)
    for life in lives.open.values():
        if life.status in LIVE and not life.is_outside:
            asset, amount = reserve(life)
            if amount and (life.account_id, asset) in reserved:
                cause = f"{life.account_id} has no wallet of {asset}, and this order needs {amount}"
                ledger.fail(Equation.A10, life.entry, cause)


def check_positions(ledger: Ledger, holdings: Holdings, wallets: Wallets) -> None:
    """A12: what an account holds of a symbol is in its wallet; orders from behind risk moved none."""
    for holder, holding in holdings.holdings.items():
        wallet = wallets.balances.get(holder)
        if holding.entry is None or holding.has_outside:
            continue
        held = 0 if wallet is None else wallet[0] + wallet[1] + wallet[2]
        ledger.looked_at[Equation.A12] += 1
        if holding.quantity != held:
            cause = f"the position is {holding.quantity}, the wallet has {held} of them"
            ledger.fail(Equation.A12, holding.entry, cause)


def check_unsettled(ledger: Ledger, obligations: Obligations, holdings: Holdings, wallets: Wallets) -> None:
    """A14: what is unsettled in wallets and positions is what open obligations will bring."""
    unsettled: defaultdict[Holder, int] = defaultdict(int)
    waiting: defaultdict[Holder, int] = defaultdict(int)
    for obligation in obligations.open.values():
        waiting[obligation.last.account_id, obligation.last.symbol] += obligation.last.net_quantity
        for asset, amount in obligation.unsettled.items():
            unsettled[obligation.last.account_id, asset] += amount
    for holder, (_, _, balance, entry) in wallets.balances.items():
        ledger.looked_at[Equation.A14] += 1
        if balance != unsettled[holder]:
            cause = f"{balance} {holder[1]} are unsettled, its obligations will bring {unsettled[holder]}"
            ledger.fail(Equation.A14, entry, cause)
    for holder, holding in holdings.holdings.items():
        if holding.entry is not None and holding.quantity - holding.settled != waiting[holder]:
            cause = f"{holding.settled} of {holding.quantity} are settled, obligations are {waiting[holder]}"
            ledger.fail(Equation.A14, holding.entry, cause)
