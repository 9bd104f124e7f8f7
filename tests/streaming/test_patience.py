"""A worker gives its transactions more time after one that its own work did not fit into, and only then."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import CollectorRegistry

from bourse.streaming.config import EngineConfig, Member
from bourse.streaming.engine import Engine
from bourse.streaming.errors import TransactionFailed, UnfinishedFrame
from bourse.streaming.metrics import EngineMetrics
from bourse.streaming.outside import KAFKA
from bourse.streaming.patience import LONGEST_MS, Patience
from bourse.streaming.producer import producer_settings, taken_over
from bourse.streaming.transactions import Transactions


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "patience"


def test_the_next_start_has_more_time_until_what_needed_it_is_committed(file: Path) -> None:
    first = Patience(file, 10_000)
    assert first.timeout_ms == 10_000
    assert first.ended(12, 8)
    second = Patience(file, 10_000)
    assert second.timeout_ms == 40_000
    # Another partition's records may come first.
    assert not second.committed(0.2)
    assert second.timeout_ms == 40_000
    assert second.committed(12)
    assert second.timeout_ms == 10_000
    assert not second.committed(0.2)
    assert Patience(file, 10_000).timeout_ms == 10_000


def test_the_start_after_the_next_has_the_usual_time_once_anything_is_committed(file: Path) -> None:
    assert Patience(file, 10_000).ended(12, 8)
    Patience(file, 10_000).committed(0.2)
    assert Patience(file, 10_000).timeout_ms == 10_000


def test_brokers_that_allow_no_more_are_asked_for_the_usual_at_the_next_start(file: Path) -> None:
    assert Patience(file, 10_000).ended(12, 8)

    class Strict(Transactions):
        def init_transactions(self, timeout: float) -> None:  # noqa: ARG002
            raise KafkaException(KafkaError(KafkaError.INVALID_TRANSACTION_TIMEOUT))

    outside = dataclasses.replace(KAFKA, producer=Strict)
    for ms, said in (
        (40_000, "40000 ms .* the next start asks for the usual"),
        (10_000, "10000 ms that this worker asks for$"),
    ):
        patience = Patience(file, 10_000)
        assert patience.timeout_ms == ms
        member = Member("b", "g", "w", patience.timeout_ms, outside=outside, patience=patience)
        with pytest.raises(TransactionFailed, match=rf"transaction.max.timeout.ms is less than the {said}"):
            taken_over(member)


def test_a_broker_that_does_not_answer_is_given_up_as_soon_as_usual(file: Path) -> None:
    assert Patience(file, 10_000).ended(12, 8)
    patience = Patience(file, 10_000)
    settings = producer_settings(Member("b", "g", "w", patience.timeout_ms, patience=patience))
    assert (settings["transaction.timeout.ms"], settings["socket.timeout.ms"]) == (40_000, 2_500)


def test_it_grows_as_often_as_it_has_to_and_no_further_than_brokers_allow(file: Path) -> None:
    seen = []
    while (patience := Patience(file, 10_000)).ended(patience.timeout_ms / 1000, patience.timeout_ms / 1000):
        seen.append(patience.timeout_ms)
    assert seen == [10_000, 40_000, 160_000, 640_000]
    assert patience.timeout_ms == LONGEST_MS


def test_it_is_learnt_again_where_something_else_is_committed_before(file: Path) -> None:
    assert Patience(file, 10_000).ended(12, 8)
    second = Patience(file, 10_000)
    second.committed(0.2)
    assert second.ended(41, 30)
    assert Patience(file, 10_000).timeout_ms == 160_000


@pytest.mark.parametrize(("lasted", "computed"), [(9.9, 9.9), (60, 1)], ids=["in time", "waiting"])
def test_neither_what_fails_in_time_nor_what_waits_for_a_broker_makes_it_longer(
    file: Path, lasted: float, computed: float
) -> None:
    assert not Patience(file, 10_000).ended(lasted, computed)
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "soon", "-5", "9999", "1e9"])
def test_what_is_no_longer_time_is_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    assert Patience(file, 10_000).timeout_ms == 10_000


def test_a_broker_is_never_asked_for_more_than_it_allows(file: Path) -> None:
    file.write_text("9000000000")
    assert Patience(file, 10_000).timeout_ms == LONGEST_MS


@pytest.mark.parametrize(
    "error",
    [
        UnfinishedFrame("an agent was refused a record"),
        TransactionFailed("the commit was refused"),
        KafkaException(KafkaError(KafkaError.INVALID_PRODUCER_EPOCH)),
    ],
    ids=["in an agent", "in the commit", "in the changelog"],
)
def test_it_does_not_matter_where_in_a_cycle_the_time_is_up(
    file: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = dataclasses.replace(
        KAFKA, monotonic=iter([0.0, 12.0]).__next__, computed=iter([0.0, 8.0]).__next__
    )
    member = Member("b", "g", "w", outside=outside, patience=Patience(file, 10_000))

    def no_store(_identity: object) -> Any:
        raise NotImplementedError

    async def deliver(_frame: object) -> None: ...

    async def too_long(*_what: object) -> None:
        raise error

    engine = Engine(
        EngineConfig(member, 1, "c", ["a"], no_store), deliver, EngineMetrics(CollectorRegistry())
    )
    monkeypatch.setattr(engine, "_transact", too_long)
    with pytest.raises(type(error)):
        asyncio.run(engine._cycle([]))  # noqa: SLF001  (where a turn goes that has found records)
    assert Patience(file, 10_000).timeout_ms == 40_000
