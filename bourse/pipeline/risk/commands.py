"""Deposits and withdrawals of cash and shares: each request once, and never more out than is available."""

from bourse.pipeline import wallets
from bourse.pipeline.digests import command_digest
from bourse.pipeline.forms import clipped, is_id, is_name
from bourse.pipeline.ids import pair_key
from bourse.pipeline.markets import latest_date
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.schemas.records import (
    AssetTotal,
    TransactionKind,
    Wallet,
    WalletAction,
    WalletCommand,
    WalletRequest,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX, TimeNs


def decide(state: State, outputs: Outputs, command: WalletCommand, time_ns: TimeNs, partitions: int) -> None:
    """Move what was asked for, or log a refusal that moves nothing; either way the request id is used up."""
    reason = _form_refusal(command) or _account_refusal(state, command)
    if reason is not None:
        # Nothing is remembered of these: whoever may use the request id can still do so.
        _refuse(state, outputs, command, reason, time_ns)
        return
    key = pair_key(command.account_id, command.request_id)
    digest = command_digest(command)
    known = state.wallet_requests.get(key)
    if known is not None:
        reason = Reason.RETRY if known.digest == digest else Reason.DUPLICATE_REQUEST
        _refuse(state, outputs, command, reason, time_ns)
        return
    state.wallet_requests.put(key, WalletRequest(digest, latest_date(state, time_ns)))
    reason = _amount_refusal(state, command, partitions)
    if reason is not None:
        _refuse(state, outputs, command, reason, time_ns)
        return
    _move(state, outputs, command, time_ns)


def _form_refusal(command: WalletCommand) -> Reason | None:
    well_formed = is_name(command.account_id) and is_id(command.request_id) and is_name(command.asset)
    return None if well_formed else Reason.MALFORMED_ID


def _account_refusal(state: State, command: WalletCommand) -> Reason | None:
    return Reason.UNKNOWN_ACCOUNT if state.accounts.get(command.account_id) is None else None


def _amount_refusal(state: State, command: WalletCommand, partitions: int) -> Reason | None:
    """Refuse what is no amount, is not there, or might one day be more than a wallet can count.

    Trades move an asset between accounts and fees take some away, so no wallet ever has more than was brought in in all.
    As long as each of the partitions takes in no more than its part of half of what a `long` can say, no sum can be too big
    for one: the buy of an account that trades with itself comes home before the sale, and counts twice meanwhile.
    """
    if command.amount <= 0:
        return Reason.INVALID_AMOUNT
    if command.action is WalletAction.WITHDRAW:
        available = wallets.balances(state, command.account_id, command.asset).available
        return Reason.INSUFFICIENT_BALANCE if command.amount > available else None
    too_much = _brought_in(state, command.asset) + command.amount > INT64_MAX // (2 * partitions)
    return Reason.BALANCE_OVERFLOW if too_much else None


def _brought_in(state: State, asset: str) -> int:
    row = state.asset_totals.get(asset)
    return 0 if row is None else row.amount


def _move(state: State, outputs: Outputs, command: WalletCommand, time_ns: TimeNs) -> None:
    if command.action is WalletAction.DEPOSIT:
        kind, change = TransactionKind.DEPOSIT, command.amount
    else:
        kind, change = TransactionKind.WITHDRAWAL, -command.amount
    state.asset_totals.put(command.asset, AssetTotal(_brought_in(state, command.asset) + change))
    wallets.post(
        state,
        outputs,
        command.account_id,
        command.asset,
        [(kind, command.amount, change, 0, 0)],
        time_ns,
        request_id=command.request_id,
    )


def _refuse(state: State, outputs: Outputs, command: WalletCommand, reason: Reason, time_ns: TimeNs) -> None:
    account_id, asset = clipped(command.account_id), clipped(command.asset)
    # Ids that cannot key anything might, clipped, be somebody else's: their balances are not told.
    malformed = reason is Reason.MALFORMED_ID
    wallet: Wallet = wallets.EMPTY if malformed else wallets.balances(state, account_id, asset)
    outputs.put(
        Topic.WALLET_TRANSACTIONS,
        account_id,
        WalletTransaction(
            outputs.next_id(),
            account_id,
            asset,
            TransactionKind.REFUSED,
            command.amount,
            0,
            0,
            0,
            wallet.available,
            wallet.blocked,
            wallet.unsettled,
            None,
            None,
            time_ns,
            reason,
            clipped(command.request_id),
        ),
    )
