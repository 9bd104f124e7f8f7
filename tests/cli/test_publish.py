"""`bourse publish` and `bourse tail`: what goes in comes out, through a real Kafka."""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from bourse.cli import publish as command
from bourse.cli.errors import CliError
from bourse.cli.event_file import EventFile
from bourse.cli.wire import READABLE, Wire
from bourse.schemas.codec import Codec
from bourse.schemas.ids import LocalIds
from bourse.schemas.records import Wallet
from bourse.settings import Settings
from tests.cli.toy_worker import ToyWorker

Json = dict[str, Any]


pytestmark = pytest.mark.usefixtures("market")


def order(number: int, account: str = "ACC-1") -> Json:
    value = {"action": "NEW", "client_order_id": f"c{number}", "account_id": account, "symbol": "ANA"}
    return {"topic": "orders", "value": value | {"side": "BUY", "quantity": 100, "price": 958000}}


def instrument(symbol: str) -> Json:
    return {"topic": "instruments", "value": {"symbol": symbol, "tick_size": 100}}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: Json | str, name: str = "in.jsonl") -> Path:
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        path = tmp_path / name
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
        return path

    return write


@pytest.fixture
def tail(bourse: Callable) -> Callable[..., list[Json]]:
    def tail(*topics: str) -> list[Json]:
        ran = bourse("tail", *topics, "--from-start", "--until-idle", "0.5", "--json")
        assert ran.code == 0, ran.err
        return [json.loads(line) for line in ran.out.splitlines()]

    return tail


def test_what_is_published_is_tailed_with_key_place_and_defaults(
    bourse: Callable, write: Callable, tail: Callable
) -> None:
    ran = bourse("publish", str(write(*(order(n, f"ACC-{n}") for n in range(50)))), "--no-wait")
    assert ran.out.startswith("Published 50 records to 1 topic ")
    seen = tail("orders")
    assert len(seen) == 50
    assert {line["partition"] for line in seen} == {0, 1}
    first = next(line for line in seen if line["key"] == "ACC-0")
    assert list(first) == ["topic", "partition", "offset", "timestamp_ms", "key", "value"]
    assert abs(first["timestamp_ms"] - time.time() * 1000) < 120_000
    assert first["value"]["client_order_id"] == "c0"
    assert first["value"]["time_in_force"] == "DAY"
    assert first["value"]["stop_price"] is None


def test_a_tailed_file_is_an_event_file_that_publishes_again(
    bourse: Callable, write: Callable, tail: Callable
) -> None:
    bourse("publish", str(write(order(1), order(2))), "--no-wait")
    again = write(*tail("orders"), name="again.jsonl.gz")
    assert bourse("publish", str(again), "--no-wait").code == 0
    values = [line["value"] for line in tail("orders")]
    assert len(values) == 4
    assert values[:2] == values[2:]


def test_records_land_where_kafkas_own_clients_put_them(
    market: Settings, bourse: Callable, write: Callable, tail: Callable
) -> None:
    # From org.apache.kafka.common.utils.Utils.murmur2 for the keys "21" and "foobar", as its own test has them.
    known = {"21": -973932308, "foobar": -790332482}
    lines = [order(n, account) for n, account in enumerate(known)]
    bourse("publish", str(write(*lines)), "--no-wait")
    assert {line["key"]: line["partition"] for line in tail("orders")} == {
        key: (murmur2 & 0x7FFFFFFF) % market.partitions for key, murmur2 in known.items()
    }


def test_keys_are_those_of_the_topic_unless_the_line_has_one(
    bourse: Callable, write: Callable, tail: Callable
) -> None:
    session = {
        "topic": "sessions",
        "value": {"market": "XMAD", "kind": "OPEN", "business_date": "2019-05-23"},
    }
    bourse("publish", str(write(instrument("ANA"), session, order(1) | {"key": "ACC-9"})), "--no-wait")
    assert {line["topic"]: line["key"] for line in tail("instruments", "sessions", "orders")} == {
        "instruments": "ANA",
        "sessions": "XMAD",
        "orders": "ACC-9",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 3: "),
        ('{"topic": "order", "value": {}}', "line 3: There is no topic 'order'"),
        ('{"topic": "orders", "value": {"action": "NEW"}}', "line 3: Order.client_order_id: it is missing"),
        (
            json.dumps(order(1) | {"value": order(1)["value"] | {"qty": 5}}),
            "line 3: Order has no field 'qty'",
        ),
        ('{"topic": "dead-letters", "value": {}}', "line 3: DeadLetter."),
        ('{"topic": "orders", "value": null}', "line 3: "),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_published(
    bourse: Callable, write: Callable, tail: Callable, line: str, said: str
) -> None:
    ran = bourse("publish", str(write(order(1), "", line)), "--no-wait")
    assert ran.code == 1
    assert said in ran.err
    assert "Nothing was published." in ran.err
    assert "Traceback" not in ran.err
    assert tail("orders") == []


def test_a_file_too_long_to_hold_is_read_twice(
    market: Settings, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bourse.cli.event_file.HELD_RECORDS", 3)
    events = EventFile(write(*(order(n) for n in range(10))), Wire(market), market.partitions)
    assert events.count == 10
    assert len(list(events)) == 10
    assert len(list(events)) == 10


def test_a_key_may_be_left_out_wherever_it_goes(write: Callable, market: Settings) -> None:
    session = {"market": "XMAD", "kind": "OPEN", "business_date": "2019-05-23"}
    announced = {"topic": "announcements", "value": {"kind": "SESSION", "session": session}}
    sent = [*EventFile(write(order(1), announced), Wire(market), market.partitions)]
    assert [(record.key, record.partition) for record in sent] == [(b"ACC-1", None), (b"", 0), (b"", 1)]


def test_what_is_in_every_partition_is_copied_unless_the_line_says_where(
    bourse: Callable, write: Callable, tail: Callable
) -> None:
    session = {"market": "XMAD", "kind": "OPEN", "business_date": "2019-05-23"}
    value = {"event_id": "sessions/0/0/a0", "kind": "SESSION", "session": session}
    line = {"topic": "announcements", "key": "XMAD", "value": value}
    bourse("publish", str(write(line, line | {"partition": 1})), "--no-wait")
    assert sorted(line["partition"] for line in tail("announcements")) == [0, 1, 1]


def test_the_rate_is_kept(bourse: Callable, write: Callable, tail: Callable) -> None:
    began = time.monotonic()
    bourse("publish", str(write(*(order(n) for n in range(40)))), "--rate", "20", "--no-wait")
    assert time.monotonic() - began > 39 / 20
    assert len(tail("orders")) == 40


def test_without_a_worker_nothing_is_sent_and_it_says_so(
    market: Settings, write: Callable, tail: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(CliError, match=f"No worker runs in the group '{market.group}'") as refusal:
        command.publish(write(order(1)), None, no_wait=False)
    assert "--no-wait" in refusal.value.advice
    assert tail("orders") == []


def test_the_next_topic_begins_when_the_workers_have_committed_the_one_before(
    market: Settings, bourse: Callable, write: Callable, tail: Callable
) -> None:
    trade = {"trade_id": "1", "symbol": "ANA", "account_id": "ACC-2", "side": "BUY", "order_id": "1"}
    trade |= {"client_order_id": "c", "contra_account_id": "x", "contra_order_id": "y"}
    trade |= {"price": 1, "quantity": 1, "liquidity": "MAKER"}
    with ToyWorker(market) as worker:
        path = write(*(order(n) for n in range(5)), {"topic": "trades", "value": trade})
        ran = bourse("publish", str(path))
        assert ran.code == 0, ran.err
        assert "6 records to 2 topics" in ran.out
        assert "all of it processed" in ran.out
        assert worker.processed == 11
    # The toy copies each order to `trades`, where it cannot be decoded; all copies come before the trade.
    keys = [line["key"] for line in tail("trades")]
    assert sorted(keys, key=lambda key: key == "ACC-2") == keys or len({*keys}) == 2
    assert len(keys) == 6


def test_bytes_that_are_no_record_are_shown_and_stop_nothing(
    market: Settings, bourse: Callable, write: Callable, tail: Callable
) -> None:
    producer = Producer({"bootstrap.servers": market.broker})
    producer.produce(market.topic("orders"), b"\xff\x00junk", b"\xff")
    assert producer.flush(10) == 0
    bourse("publish", str(write(order(1))), "--no-wait")
    junk, good = sorted(tail("orders"), key=lambda line: line["key"] is not None)
    assert good["value"]["client_order_id"] == "c1"
    assert junk["value"] is None
    assert base64.b64decode(junk["value_base64"]) == b"\xff\x00junk"
    assert base64.b64decode(junk["key_base64"]) == b"\xff"
    assert "magic" in junk["error"]
    text = bourse("tail", "orders", "--from-start", "--until-idle", "0.5").out
    assert "not readable" in text


def test_rows_of_the_changelog_are_decoded_by_their_schema(
    market: Settings, tail: Callable, bourse: Callable
) -> None:
    encode = Codec(LocalIds()).encoder(Wallet)
    producer = Producer({"bootstrap.servers": market.broker})
    for value in (encode(Wallet(5, 2, 1)), None, b"\x00\x00\x00\x00\x01x"):
        producer.produce(market.topic("changelog"), value, b"wallets/ACC-1/EUR")
    assert producer.flush(10) == 0
    row, deleted, foreign = tail("changelog")
    assert row["value"] == {"available": 5, "blocked": 2, "unsettled": 1}
    assert deleted["value"] is None
    assert "error" not in deleted
    assert foreign["error"] == "no schema of ours has its id"
    assert "deleted" in bourse("tail", "changelog", "--from-start", "--until-idle", "0.5").out


def test_records_of_aborted_transactions_are_not_shown(
    market: Settings, bourse: Callable, write: Callable, tail: Callable
) -> None:
    producer = Producer({"bootstrap.servers": market.broker, "transactional.id": market.group})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(market.topic("orders"), b"never", b"ACC-1")
    producer.flush(10)
    producer.abort_transaction()
    bourse("publish", str(write(order(1))), "--no-wait")
    assert [line["value"]["client_order_id"] for line in tail("orders")] == ["c1"]


def test_a_person_reads_amounts_and_times_and_no_empty_fields(bourse: Callable, write: Callable) -> None:
    line = order(1)
    line["value"]["sent_time_ns"] = 1558594830216000000
    bourse("publish", str(write(line)), "--no-wait")
    (text,) = bourse("tail", "orders", "--from-start", "--until-idle", "0.5").out.splitlines()
    assert "orders/" in text
    assert "price=95.80" in text
    assert "sent_time_ns=2019-05-23T07:00:30.216000Z" in text
    assert "stop_price" not in text


def test_a_registry_out_of_reach_is_one_sentence(
    bourse: Callable, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSE_SCHEMA_REGISTRY", "http://127.0.0.1:1")
    ran = bourse("publish", str(write(order(1))), "--no-wait")
    assert ran.code == 1
    assert ran.err.startswith("The schema registry http://127.0.0.1:1 cannot be used")
    assert "Traceback" not in ran.err


@pytest.fixture
def following() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    # A shell's background job ignores Ctrl-C, and so would what it starts; a handler is not inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def follow(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bourse.cli.main", "tail", "orders", "--json", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield follow
    for process in started:
        process.kill()
        process.communicate()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_and_a_reader_that_leaves_end_it_quietly(
    bourse: Callable, write: Callable, following: Callable
) -> None:
    bourse("publish", str(write(*(order(n) for n in range(20)))), "--no-wait")
    follower = following("--from-start")
    assert follower.stdout.readline()
    os.kill(follower.pid, signal.SIGINT)
    _, err = follower.communicate(timeout=20)
    assert (follower.returncode, err) == (0, "")

    follower = following("--from-start")
    assert follower.stdout.readline()
    follower.stdout.close()
    bourse("publish", str(write(order(99))), "--no-wait")
    assert follower.wait(20) == 0
    assert follower.stderr.read() == ""


def test_new_records_only_without_from_start(bourse: Callable, write: Callable, following: Callable) -> None:
    bourse("publish", str(write(order(1))), "--no-wait")
    follower = following("--until-idle", "6")
    time.sleep(3)  # Nothing tells from outside when a follower has looked where the topics end.
    bourse("publish", str(write(order(2))), "--no-wait")
    out, err = follower.communicate(timeout=60)
    assert [json.loads(line)["value"]["client_order_id"] for line in out.splitlines()] == ["c2"], err


def test_every_topic_of_the_file_can_be_tailed(tail: Callable) -> None:
    assert tail(*READABLE) == []
