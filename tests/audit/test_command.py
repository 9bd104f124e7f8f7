"""`bourse audit` as an operator uses it: over event files and over Kafka."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Consumer, Producer
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from bourse.audit import Entry
from bourse.cli.errors import CliError
from bourse.cli.main import app
from bourse.pipeline.envelope import key_of
from bourse.pipeline.flow import TOPICS
from bourse.schemas.jsonform import event_line
from bourse.schemas.records import OrderStatus, Side, TimeInForce
from bourse.settings import Settings
from tests.account_strategies import FlowWriter, next_event, opening_deposits, reference_data
from tests.agents.workers import Workers
from tests.audit.logs import Log, random_log


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


def write(file: Path, entries: Iterable[Entry]) -> str:
    lines = (event_line(entry.topic, entry.key, entry.record) for entry in entries if entry.record)
    file.write_bytes(b"".join(lines))
    return str(file)


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[str, str]:
    """A flow's inputs, and what was simulated from them."""
    log = random_log(Random(3), 100)
    inputs = [entry for entry in log if entry.key is None]
    outputs = [entry for entry in log if entry.key is not None]
    return write(tmp_path / "in.jsonl", inputs), write(tmp_path / "out.jsonl", outputs)


def test_inputs_and_what_was_simulated_from_them_pass(two_files: tuple[str, str]) -> None:
    ran = run("--file", two_files[0], "--file", two_files[1])
    assert ran.exit_code == 0, ran.output
    assert "0 fail" in ran.output


def test_outputs_alone_say_what_could_not_be_looked_at(two_files: tuple[str, str]) -> None:
    found = json.loads(run("--json", "--file", two_files[1]).stdout)
    intake = found["findings"][0]
    assert (intake["result"], intake["looked_at"]) == ("NOT CHECKED", 0)
    assert intake["reason"] == "no record of `orders` was read"


def test_a_record_that_is_missing_is_named(two_files: tuple[str, str]) -> None:
    output = Path(two_files[1])
    lines = output.read_bytes().splitlines(keepends=True)
    trade = next(n for n, line in enumerate(lines) if b'"topic":"trades"' in line)
    output.write_bytes(b"".join([*lines[:trade], *lines[trade + 1 :]]))
    ran = run("--json", "--file", two_files[0], "--file", two_files[1])
    assert ran.exit_code == 1
    failed = {f["equation"]: f["first"]["cause"] for f in json.loads(ran.stdout)["findings"] if f["offences"]}
    assert "has no" in failed["A5"]


@pytest.fixture
def traded(tmp_path: Path) -> str:
    """The log of a few trades, with no announcement between the orders."""
    log, writer = Log(), FlowWriter()
    for event in (*reference_data(), *opening_deposits(writer)):
        log.feed(event)
    for account_id, side in (("ANN", Side.SELL), ("BEN", Side.BUY), ("CID", Side.SELL), ("ANN", Side.BUY)):
        log.feed(writer.new(account_id, "AAA", side, 5, 300, TimeInForce.GTC))
    return write(tmp_path / "log.jsonl", [entry for entry in log.entries if entry.key is not None])


def test_a_replay_gives_the_same_trades(traded: str) -> None:
    found = json.loads(run("--json", "--replay", "--file", traded).stdout)
    replayed = found["findings"][16]
    assert (replayed["equation"], replayed["result"], replayed["looked_at"]) == ("A17", "PASSED", 4)


def test_a_replay_that_differs_fails(traded: str) -> None:
    log = Path(traded)
    log.write_bytes(log.read_bytes().replace(b'"venue":"XONE"', b'"venue":"XTWO"'))
    ran = run("--json", "--replay", "--file", traded)
    replayed = json.loads(ran.stdout)["findings"][16]
    assert (ran.exit_code, replayed["result"]) == (1, "FAILED")
    assert replayed["first"]["place"] == "trades of AAA"


@pytest.mark.parametrize("text", ['{"topic": "nothing", "value": {}}', "not JSON"])
def test_what_cannot_be_read_has_an_exit_code_of_its_own(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text + "\n")
    error = run("--file", str(file)).exception
    assert isinstance(error, CliError)
    assert (error.code, "line 1" in error.problem) == (3, True)


@pytest.fixture
def workers(market: Settings) -> Iterator[Workers]:
    started = Workers(market)
    try:
        yield started
    finally:
        started.kill_all()


def test_a_market_on_kafka_passes_until_somebody_meddles_with_its_topics(workers: Workers) -> None:
    writer, dice = FlowWriter(), Random(5)
    events = [*reference_data(), *opening_deposits(writer), *(next_event(writer, dice) for _ in range(200))]
    workers.start("w0")
    workers.publish((str(e.topic), str(key_of(TOPICS[e.topic], e.record)), e.record) for e in events)
    workers.raw("orders", b"ANN", b"\x07 is no order")
    workers.flush()
    workers.drain()
    ran = run("--json")
    found = {finding["equation"]: finding for finding in json.loads(ran.stdout)["findings"]}
    assert ran.exit_code == 0, [f for f in found.values() if f["offences"]]
    unchecked = {name for name, finding in found.items() if finding["result"] == "NOT CHECKED"}
    assert unchecked == {"A16", "A17"}
    assert found["A21"]["looked_at"] == 2
    order = next(s for s in workers.read("order-events") if s.record.status is OrderStatus.VALIDATED)
    workers.send("order-events", order.key, replace(order.record, event_id=order.record.event_id))
    workers.flush()
    ran = run()
    assert ran.exit_code == 1
    assert "its id is there twice" in ran.output


def at_rest(*arguments: str) -> tuple[str, str]:
    """What `bourse audit` says of A22: the result, and why."""
    findings = json.loads(run("--json", *arguments).stdout)["findings"]
    found = next(finding for finding in findings if finding["equation"] == "A22")
    return found["result"], (found["first"] or {}).get("cause") or found["reason"]


@contextmanager
def a_transaction_that_stays_open(settings: Settings) -> Iterator[None]:
    producer = Producer({"bootstrap.servers": settings.broker, "transactional.id": "somebody"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(settings.topic("tape"), b"nobody will see this", partition=0)
    producer.flush(30)
    yield
    producer.abort_transaction(30)


@contextmanager
def a_member_that_owns_orders_alone(settings: Settings) -> Iterator[None]:
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": settings.group})
    consumer.subscribe([settings.topic("orders")])
    while not consumer.assignment():
        consumer.poll(0.1)
    yield
    consumer.close()


def test_what_keeps_a_market_from_rest_is_named(
    workers: Workers, market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bourse.cli.audit.REST_SECONDS", 0.0)
    writer = FlowWriter()
    workers.start("w0")
    workers.publish(
        (str(e.topic), str(key_of(TOPICS[e.topic], e.record)), e.record) for e in reference_data()
    )
    assert at_rest() == ("PASSED", None)
    with a_transaction_that_stays_open(market):
        assert at_rest() == ("FAILED", f"a transaction is open in {market.topic('tape')}/0")
    workers.stop("w0")
    result, reason = at_rest()
    assert (result, reason) == ("PASSED", "no worker runs, so nobody owns a partition")
    with a_member_that_owns_orders_alone(market):
        result, reason = at_rest()
        assert (result, reason.startswith("nobody owns ")) == ("FAILED", True)
    order = writer.new("ANN", "AAA", Side.BUY, 5, 300, TimeInForce.GTC)
    workers.send("orders", "ANN", order.record)
    workers.flush()
    result, reason = at_rest()
    assert (result, reason.endswith("offsets are not worked off yet")) == ("FAILED", True)
    assert at_rest("--live")[0] == "NOT CHECKED"


def test_where_no_kafka_answers_there_is_nothing_to_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BOURSE_BROKER", "127.0.0.1:1")
    error = run().exception
    assert isinstance(error, CliError)
    assert error.code == 3
