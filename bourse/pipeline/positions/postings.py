"""Pay for fills out of holds, and give back what is released. Decides which balance each unit moves to.

Fills and releases of an order come on two topics and may overtake each other, so nothing here relies on their order:
each one changes the hold by what it says, and what the hold then has above its `reserve` goes back. An order that
entered the flow behind risk (a file of `risk-approved` records) has no hold: its trades move no wallet.
"""

from typing import Final

from msgspec.structs import replace

from bourse.pipeline import exposures, holds, wallets
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.ids import pair_key
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.state import State
from bourse.pipeline.wallets import Step
from bourse.schemas.records import (
    Hold,
    PendingReplace,
    Release,
    ReleaseReason,
    Side,
    Trade,
    TransactionKind,
)
from bourse.schemas.units import Price, Quantity, TimeNs

# Looked up once: through its class a member costs 0.1 us (CPython 3.11).
_BUY_SIDE: Final = Side.BUY
_BUY: Final = TransactionKind.BUY
_SELL: Final = TransactionKind.SELL
_FEE: Final = TransactionKind.FEE
_RELEASE: Final = TransactionKind.RELEASE


def post_trade(state: State, outputs: Outputs, trade: Trade, time_ns: TimeNs) -> bool:
    """Move cash and shares of one side of a trade by its hold; return whether there is a hold.

    What is paid leaves `blocked` at once, what is bought or earned waits in `unsettled` for its settlement.
    """
    key = pair_key(trade.account_id, trade.order_id)
    hold = state.holds.get(key)
    if hold is None:
        return False
    value = trade.quantity * trade.price * hold.multiplier
    is_buy = trade.side is _BUY_SIDE
    paid = value + trade.fee if is_buy else trade.quantity
    if paid > hold.blocked:
        message = f"trade {trade.trade_id} takes {paid} of hold {key}, which has {hold.blocked}"
        raise InvariantBroken(message)
    cum = Quantity(hold.cum_quantity + trade.quantity)
    back = _keep(state, key, hold, replace(hold, cum_quantity=cum, blocked=hold.blocked - paid))
    paying, received = (_of_buy if is_buy else _of_sale)(trade, value, back)
    account_id, order_id, trade_id = trade.account_id, trade.order_id, trade.trade_id
    wallets.post(state, outputs, account_id, hold.asset, paying, time_ns, order_id, trade_id)
    asset = trade.symbol if is_buy else trade.currency
    wallets.post(state, outputs, account_id, asset, received, time_ns, order_id, trade_id)
    return True


def _of_buy(trade: Trade, value: int, back: int) -> tuple[list[Step], list[Step]]:
    """Return what a buyer pays with, and what it gets."""
    paying: list[Step] = [(_BUY, value, 0, -value, 0)]
    if trade.fee:
        paying.append((_FEE, trade.fee, 0, -trade.fee, 0))
    if back:
        paying.append((_RELEASE, back, back, -back, 0))
    return paying, [(_BUY, trade.quantity, 0, 0, trade.quantity)]


def _of_sale(trade: Trade, value: int, back: int) -> tuple[list[Step], list[Step]]:
    """Return what a seller delivers, and what it earns."""
    delivered: list[Step] = [(_SELL, trade.quantity, 0, -trade.quantity, 0)]
    if back:
        delivered.append((_RELEASE, back, back, -back, 0))
    earned: list[Step] = [(_SELL, value, 0, 0, value)]
    if trade.fee:
        earned.append((_FEE, trade.fee, 0, 0, -trade.fee))
    return delivered, earned


def post_release(state: State, outputs: Outputs, release: Release, time_ns: TimeNs) -> None:
    """Take what will not trade any more, or the book's answer to a replace, off the hold, and give back what it frees."""
    key = pair_key(release.account_id, release.order_id)
    hold = state.holds.get(key)
    if hold is None:
        return
    back = _keep(state, key, hold, _after(hold, release))
    if back:
        step = (_RELEASE, back, back, -back, 0)
        wallets.post(state, outputs, release.account_id, hold.asset, [step], time_ns, release.order_id)


def _after(hold: Hold, release: Release) -> Hold:
    match release.reason:
        case ReleaseReason.REPLACED:
            return _replaced(hold, release)
        case ReleaseReason.REPLACE_REJECTED:
            return replace(hold, pending=_unanswered(hold, release))
        case _:
            return replace(hold, order_quantity=hold.order_quantity - release.quantity)


def _replaced(hold: Hold, release: Release) -> Hold:
    """Confirm a replace; where fills from before it are still on the way, remember how many and how dear they can be."""
    earlier_quantity, earlier_price = 0, 0
    if release.cum_quantity is not None and release.cum_quantity > hold.cum_quantity:
        earlier_quantity, earlier_price = release.cum_quantity, holds.dearest_price_so_far(hold)
    return replace(
        hold,
        order_quantity=hold.order_quantity if release.order_quantity is None else release.order_quantity,
        price=_price_after(hold, release),
        trail_amount=_trail_amount_after(hold, release),
        pending=_unanswered(hold, release),
        earlier_quantity=earlier_quantity,
        earlier_price=earlier_price,
    )


def _price_after(hold: Hold, release: Release) -> Price:
    """Return an order's price as the book confirms it; a sell that has none there may trade at any."""
    if release.price is not None:
        return release.price
    return hold.price if hold.side is _BUY_SIDE else Price(0)


def _trail_amount_after(hold: Hold, release: Release) -> Price:
    """Return the distance of a trailing stop after a replace that the book took."""
    asked = (row.trail_amount for row in hold.pending if row.replace_order_id == release.replace_order_id)
    return next(asked, Price(0)) or hold.trail_amount


def _unanswered(hold: Hold, release: Release) -> tuple[PendingReplace, ...]:
    return tuple(replace for replace in hold.pending if replace.replace_order_id != release.replace_order_id)


def _keep(state: State, key: str, before: Hold, hold: Hold) -> int:
    """Write a changed hold with no more blocked than it must reserve; return what goes back to available."""
    if holds.is_over(hold):
        exposures.keep(state, key, before, None)
        return hold.blocked
    back = max(0, hold.blocked - holds.reserve(hold))
    kept = replace(hold, blocked=hold.blocked - back) if back else hold
    exposures.keep(state, key, before, kept)
    return back
