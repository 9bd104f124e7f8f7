"""Deposits and withdrawals of cash and shares: each request once, and never more out than is available."""

from bourse.pipeline import wallets
from bourse.pipeline.calendar import utc_date
from bourse.pipeline.digests import command_digest
from bourse.pipeline.forms import clipped, is_id, is_name
from bourse.pipeline.ids import pair_key
from bourse.pipeline.money import fits
from bourse.pipeline.outputs import Outputs, Topic
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.schemas.records import (
    TransactionKind,
    Wallet,
    WalletAction,
    WalletCommand,
    WalletRequest,
    WalletTransaction,
)
from bourse.schemas.units import TimeNs


def decide(state: State, outputs: Outputs, command: WalletCommand, time_ns: TimeNs) -> None:
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
    state.wallet_requests.put(key, WalletRequest(digest, utc_date(time_ns)))
    reason = _amount_refusal(state, command)
    if reason is not None:
        _refuse(state, outputs, command, reason, time_ns)
        return
    _move(state, outputs, command, time_ns)


def _form_refusal(command: WalletCommand) -> Reason | None:
    well_formed = is_name(command.account_id) and is_id(command.request_id) and is_name(command.asset)
    return None if well_formed else Reason.MALFORMED_ID


def _account_refusal(state: State, command: WalletCommand) -> Reason | None:
    return Reason.UNKNOWN_ACCOUNT if state.accounts.get(command.account_id) is None else None


def _amount_refusal(state: State, command: WalletCommand) -> Reason | None:
    if command.amount <= 0:
        return Reason.INVALID_AMOUNT
    wallet = wallets.balances(state, command.account_id, command.asset)
    if command.action is WalletAction.WITHDRAW:
        return Reason.INSUFFICIENT_BALANCE if command.amount > wallet.available else None
    # Everything that is the account's must fit, so that what is blocked or unsettled can always become available.
    total = wallet.available + wallet.blocked + wallet.unsettled + command.amount
    return None if fits(total) else Reason.BALANCE_OVERFLOW


def _move(state: State, outputs: Outputs, command: WalletCommand, time_ns: TimeNs) -> None:
    if command.action is WalletAction.DEPOSIT:
        step = (TransactionKind.DEPOSIT, command.amount, command.amount, 0, 0)
    else:
        step = (TransactionKind.WITHDRAWAL, command.amount, -command.amount, 0, 0)
    wallets.post(
        state,
        outputs,
        command.account_id,
        command.asset,
        [step],
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
