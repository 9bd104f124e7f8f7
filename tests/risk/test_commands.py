"""Deposits and withdrawals: once for each request, never more out than is available, and a log of every refusal."""

import datetime as dt

import pytest

from bourse.pipeline import risk
from bourse.pipeline.digests import command_digest
from bourse.pipeline.reasons import Reason
from bourse.pipeline.state import State
from bourse.schemas.records import (
    MarketState,
    SessionKind,
    TransactionKind,
    Wallet,
    WalletAction,
    WalletCommand,
    WalletRequest,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX
from tests.account_strategies import MONDAY, NINE_O_CLOCK_NS, command, ready_state

WITHDRAW = WalletAction.WITHDRAW


def decide(state: State, asked: WalletCommand) -> WalletTransaction:
    cause = "wallet-commands/0/4"
    ((topic, key, transaction, _),) = risk.handle(state, "wallet-commands", cause, asked, asked.sent_time_ns)
    assert topic == "wallet-transactions"
    assert isinstance(transaction, WalletTransaction)
    assert key == transaction.account_id
    return transaction


def test_a_deposit_is_available_at_once() -> None:
    state = ready_state()
    assert decide(state, command(amount=250)) == WalletTransaction(
        "wallet-commands/0/4/r0",
        "ANN",
        "EUR",
        TransactionKind.DEPOSIT,
        250,
        250,
        0,
        0,
        250,
        0,
        0,
        event_time_ns=NINE_O_CLOCK_NS,
        request_id="w1",
    )
    assert state.wallets.get("ANN/EUR") == Wallet(250)
    assert state.wallet_requests.get("ANN/w1") == WalletRequest(command_digest(command(amount=250)), MONDAY)


def test_a_withdrawal_takes_what_is_available_and_no_more() -> None:
    state = ready_state()
    state.wallets.put("ANN/EUR", Wallet(100, 50, 50))
    refused = decide(state, command(WITHDRAW, amount=101, request_id="w1"))
    assert (refused.kind, refused.reason) == (TransactionKind.REFUSED, Reason.INSUFFICIENT_BALANCE)
    assert (refused.amount, refused.available, refused.blocked, refused.unsettled) == (101, 100, 50, 50)
    assert (refused.available_delta, refused.blocked_delta, refused.unsettled_delta) == (0, 0, 0)
    taken = decide(state, command(WITHDRAW, amount=100, request_id="w2"))
    assert (taken.kind, taken.amount, taken.available_delta) == (TransactionKind.WITHDRAWAL, 100, -100)
    assert state.wallets.get("ANN/EUR") == Wallet(0, 50, 50)


@pytest.mark.parametrize("action", WalletAction)
@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_is_above_0(action: WalletAction, amount: int) -> None:
    refused = decide(ready_state(), command(action, amount=amount))
    assert (refused.kind, refused.reason, refused.amount) == (
        TransactionKind.REFUSED,
        Reason.INVALID_AMOUNT,
        amount,
    )


MOST = INT64_MAX // 2
"""What is taken in of an asset in all."""


def test_no_more_is_taken_in_than_any_wallet_could_ever_count() -> None:
    # Given another account's deposit, which one buyer or another may pay all to this one
    state = ready_state()
    decide(state, command(amount=10, account_id="BEN"))
    refused = decide(state, command(amount=MOST - 9, request_id="w1"))
    assert (refused.kind, refused.reason) == (TransactionKind.REFUSED, Reason.BALANCE_OVERFLOW)
    assert decide(state, command(amount=MOST - 10, request_id="w2")).kind is TransactionKind.DEPOSIT
    assert decide(state, command(amount=1, request_id="w3")).reason == Reason.BALANCE_OVERFLOW
    # What is taken out makes room, and each asset counts by itself.
    decide(state, command(WITHDRAW, amount=1, request_id="w4"))
    assert decide(state, command(amount=1, request_id="w5")).kind is TransactionKind.DEPOSIT
    assert decide(state, command(asset="AAA", amount=MOST, request_id="w6")).reason is None


def test_each_partition_takes_in_its_part() -> None:
    state = ready_state()
    for request_id, amount, kind in (
        ("w1", MOST // 3 + 1, TransactionKind.REFUSED),
        ("w2", MOST // 3, TransactionKind.DEPOSIT),
    ):
        asked = command(amount=amount, request_id=request_id)
        ((_, _, done, _),) = risk.handle(state, "wallet-commands", "w", asked, 7, partitions=3)
        assert isinstance(done, WalletTransaction)
        assert done.kind is kind


def test_a_request_belongs_to_no_earlier_date_than_the_markets() -> None:
    state = ready_state()
    later = MONDAY + dt.timedelta(3)
    state.markets.put("XONE", MarketState("XONE", SessionKind.OPEN, later))
    decide(state, command(request_id="w1"))
    row = state.wallet_requests.get("ANN/w1")
    assert row is not None
    assert row.business_day == later


def test_a_repeated_request_moves_nothing() -> None:
    state = ready_state()
    decide(state, command(amount=100))
    retry = decide(state, command(amount=100))
    assert (retry.kind, retry.reason, retry.available) == (TransactionKind.REFUSED, Reason.RETRY, 100)
    other = decide(state, command(amount=200))
    assert (other.kind, other.reason) == (TransactionKind.REFUSED, Reason.DUPLICATE_REQUEST)
    assert decide(state, command(WITHDRAW, amount=100)).reason == Reason.DUPLICATE_REQUEST
    assert state.wallets.get("ANN/EUR") == Wallet(100)


def test_a_refused_request_is_used_up_too() -> None:
    state = ready_state()
    decide(state, command(WITHDRAW, amount=100))
    state.wallets.put("ANN/EUR", Wallet(500))
    assert decide(state, command(WITHDRAW, amount=100)).reason == Reason.RETRY


def test_an_unknown_account_has_no_wallet_and_uses_up_no_request() -> None:
    state = ready_state()
    refused = decide(state, command(account_id="ZOE"))
    assert (refused.kind, refused.reason) == (TransactionKind.REFUSED, Reason.UNKNOWN_ACCOUNT)
    assert state.wallet_requests.get("ZOE/w1") is None


@pytest.mark.parametrize(
    "asked",
    [
        command(account_id="a/b"),
        command(request_id=""),
        command(asset="E R"),
        command(asset="x" * 65),
    ],
)
def test_ids_that_could_not_key_anything_are_refused_and_clipped(asked: WalletCommand) -> None:
    refused = decide(ready_state(), asked)
    assert (refused.kind, refused.reason) == (TransactionKind.REFUSED, Reason.MALFORMED_ID)
    assert len(refused.asset) <= 64


def test_a_malformed_id_does_not_tell_somebody_elses_balance() -> None:
    # Given an asset whose clipped name is that of another one
    state = ready_state()
    state.wallets.put(f"ANN/{'x' * 64}", Wallet(77))
    assert decide(state, command(asset="x" * 65)).available == 0
