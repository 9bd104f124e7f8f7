"""The topology: sound as it is, and told what is wrong when it is not."""

import json
from pathlib import Path

import pytest

from bourse.cli import flow as document
from bourse.pipeline import flow
from bourse.pipeline.envelope import cause_of, key_of, time_of
from bourse.pipeline.errors import InvariantBroken
from bourse.pipeline.flow import STAGES, TOPICS, Keyed, Read, Stage, hops
from bourse.pipeline.outputs import Topic
from bourse.schemas.records import (
    Account,
    OrderEvent,
    OrderStatus,
    SessionEvent,
    TransactionKind,
    WalletTransaction,
)
from bourse.schemas.units import INT64_MAX
from tests.account_strategies import MONDAY, NINE_O_CLOCK_NS, command, new_order

BY_NAME = {stage.name: stage for stage in STAGES}


def test_the_flow_is_sound_and_names_every_topic() -> None:
    assert flow.problems() == []
    assert set(TOPICS) == set(Topic)


def with_stage(stage: Stage) -> list[Stage]:
    return [stage if other.name == stage.name else other for other in STAGES]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (BY_NAME["risk"]._replace(writes=(*BY_NAME["risk"].writes, Topic.TAPE)), "tape: `written_by` says"),
        (BY_NAME["risk"]._replace(writes=(*BY_NAME["risk"].writes, Topic.TRADES)), "give it one writer"),
        (BY_NAME["risk"]._replace(reads=(Read(Topic.TAPE),)), "tape: `read_by` says"),
        (BY_NAME["risk"]._replace(letter="v"), "event_ids would collide"),
        (BY_NAME["risk"]._replace(tables=("markets",)), "give it one owner"),
        (BY_NAME["risk"]._replace(tables=("cupboards",)), "no such table"),
    ],
)
def test_what_is_wrong_with_a_flow_is_told_as_what_to_do(changed: Stage, problem: str) -> None:
    assert any(problem in found for found in flow.problems(with_stage(changed)))


def test_a_topic_keyed_by_a_field_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOPICS, Topic.TAPE, TOPICS[Topic.TAPE]._replace(key_field="account_id"))
    assert flow.problems() == ["tape: TapePrint has no field account_id"]


def test_hops_that_keep_their_key_are_handed_over() -> None:
    handed_over = [(hop.topic, hop.writer, hop.reader) for hop in hops() if hop.handed_over]
    assert handed_over == [
        ("validated", "validation", "risk"),
        ("wallet-transactions", "risk", "positions"),
        ("positions", "positions", "settlement"),
    ]
    through_kafka = {hop.topic for hop in hops() if not hop.handed_over}
    assert through_kafka == {"announcements", "risk-approved", "trades", "releases"}


def test_a_stage_may_write_what_it_says_and_no_more() -> None:
    record = OrderEvent("e", "o", "c", "ANN", "AAA", OrderStatus.OPEN)
    flow.check_outputs(BY_NAME["risk"], [(Topic.ORDER_EVENTS, "ANN", record, -1)])
    with pytest.raises(InvariantBroken, match="settlement wrote to order-events: name it"):
        flow.check_outputs(BY_NAME["settlement"], [(Topic.ORDER_EVENTS, "ANN", record, -1)])


@pytest.mark.parametrize("kind", TransactionKind)
def test_positions_reads_of_the_wallet_log_what_comes_in_and_goes_out(kind: TransactionKind) -> None:
    (read,) = [read for read in BY_NAME["positions"].reads if read.topic is Topic.WALLET_TRANSACTIONS]
    assert read.concerns is not None
    transaction = WalletTransaction("e", "ANN", "AAA", kind, 1, 0, 0, 0, 0, 0, 0)
    assert read.concerns(transaction) is (kind in {TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL})
    assert not read.concerns(new_order())


def test_a_record_is_a_cause_by_its_event_id_or_else_by_its_position() -> None:
    event = OrderEvent("orders/1/2/v0", "o", "c", "ANN", "AAA", OrderStatus.OPEN)
    assert cause_of(event, "order-events", 3, 4) == "orders/1/2/v0"
    assert cause_of(new_order(), "orders", 3, 4) == "orders/3/4"


def test_a_record_has_its_own_time_or_else_that_of_its_timestamp() -> None:
    assert time_of(new_order(), 5) == NINE_O_CLOCK_NS
    assert time_of(command(), 5) == NINE_O_CLOCK_NS
    assert time_of(new_order(sent_time_ns=0), 5) == 5_000_000
    assert time_of(new_order(sent_time_ns=-9), 5) == 5_000_000
    assert time_of(Account("ANN"), 5) == 5_000_000
    assert time_of(Account("ANN"), -1) == 0
    assert time_of(Account("ANN"), 2**62) == INT64_MAX


def test_a_record_has_one_key_where_its_topic_is_keyed() -> None:
    assert key_of(TOPICS[Topic.ORDERS], new_order()) == "ANN"
    assert key_of(TOPICS[Topic.SESSIONS], SessionEvent("XONE", "OPEN", None, MONDAY)) == "XONE"
    assert key_of(TOPICS[Topic.ANNOUNCEMENTS], new_order()) is None


def test_the_document_shows_every_topic_stage_and_hop() -> None:
    text = document.render()
    assert all(f"| `{topic}` |" in text for topic in TOPICS)
    assert all(f"| {stage.name} |" in text for stage in STAGES)
    assert "  validation ==>|validated| risk" in text
    assert "  risk -->|risk-approved| matching" in text
    assert "  operators([operators]) -.->|accounts| validation" in text
    assert str(Keyed.EVERY_PARTITION) in text


def test_the_document_is_written_and_then_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "flow.md"
    assert document.main(["--check"], target) == 1
    assert "is stale" in capsys.readouterr().err
    assert document.main([], target) == 0
    assert document.main(["--check"], target) == 0
    target.write_text(json.dumps("something else"))
    assert document.main(["--check"], target) == 1
    monkeypatch.setattr(document, "problems", lambda: ["what to do"])
    assert document.main([], target) == 1
    assert "what to do" in capsys.readouterr().err
