"""A wallet never goes below 0 and never beyond what can be counted: the worker stops first."""

import pytest

from bourse.pipeline import wallets
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.outputs import Outputs
from bourse.pipeline.state import State
from bourse.schemas.records import TransactionKind, Wallet, WalletTransaction
from bourse.schemas.units import INT64_MAX, INT64_MIN


@pytest.mark.parametrize(
    "deltas",
    [(-11, 0, 0), (0, -11, 0), (INT64_MAX, 0, 0), (0, INT64_MAX, 0), (0, 0, INT64_MAX), (0, 0, INT64_MIN)],
)
def test_a_balance_that_cannot_be_stops_the_worker(deltas: tuple[int, int, int]) -> None:
    state = State.in_memory()
    state.wallets.put("ANN/EUR", Wallet(10, 10, 10 if deltas[2] > 0 else -10))
    with pytest.raises(InvariantBroken, match="ANN/EUR"):
        wallets.post(state, Outputs("c", "r"), "ANN", "EUR", [(TransactionKind.BLOCK, 1, *deltas)], 0)


def test_each_step_is_logged_with_the_balances_after_it() -> None:
    state = State.in_memory()
    outputs = Outputs("c", "p")
    steps = [(TransactionKind.DEPOSIT, 9, 9, 0, 0), (TransactionKind.BLOCK, 4, -4, 4, 0)]
    wallets.post(state, outputs, "ANN", "EUR", steps, 5, "o1", "t1", "w1")
    log = [record for _, _, record, _ in outputs.items]
    assert [record.event_id for record in log if isinstance(record, WalletTransaction)] == ["c/p0", "c/p1"]
    assert log[1] == WalletTransaction(
        "c/p1", "ANN", "EUR", TransactionKind.BLOCK, 4, -4, 4, 0, 5, 4, 0, "o1", "t1", 5, None, "w1"
    )
    assert wallets.balances(state, "ANN", "EUR") == Wallet(5, 4)
    assert wallets.balances(state, "ANN", "USD") == Wallet()
