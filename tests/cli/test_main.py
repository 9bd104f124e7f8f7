"""The command line as a whole: its help, its errors, and the simulation, none of which need a Kafka."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("plain_settings")

ACCOUNT = {"topic": "accounts", "value": {"account_id": "ACC-1"}}
INSTRUMENT = {"topic": "instruments", "value": {"symbol": "ANA", "tick_size": 100}}
DEPOSIT = {
    "topic": "wallet-commands",
    "value": {
        "action": "DEPOSIT",
        "request_id": "r1",
        "account_id": "ACC-1",
        "asset": "EUR",
        "amount": 10**9,
    },
}
ORDER = {
    "topic": "orders",
    "value": {
        "action": "NEW",
        "client_order_id": "c1",
        "account_id": "ACC-1",
        "symbol": "ANA",
        "side": "BUY",
        "quantity": 10,
        "price": 958000,
        "sent_time_ns": 1558594830216000000,
    },
}


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (ACCOUNT, INSTRUMENT, DEPOSIT, ORDER)))
    return path


def test_the_help_lists_what_a_person_needs_and_not_the_inner_commands(bourse: Callable) -> None:
    ran = bourse("--help")
    assert ran.code == 0
    for name in (
        "up",
        "down",
        "status",
        "publish",
        "tail",
        "simulate",
        "worker",
        "broker",
        "topics",
        "settings",
    ):
        assert f" {name} " in ran.out
    assert "supervise" not in ran.out


def test_an_unknown_command_is_code_2_with_a_suggestion(bourse: Callable) -> None:
    ran = bourse("statsu")
    assert ran.code == 2
    assert "No such command 'statsu'" in ran.err
    assert "status" in ran.err


def test_a_misspelt_setting_is_pointed_out(bourse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_PARTITION", "4")
    assert "BOURSE_PARTITION is no setting" in bourse("settings").err


@pytest.mark.parametrize("command", [("publish", "IN"), ("tail", "orders"), ("topics", "apply")])
def test_no_kafka_is_one_sentence_and_what_to_do(
    bourse: Callable,
    events: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv("BOURSE_BROKER", "127.0.0.1:1")
    ran = bourse(*(str(events) if word == "IN" else word for word in command))
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "Kafka at 127.0.0.1:1 does not answer.",
        "`bourse broker status` looks, `bourse broker start` starts one on this machine.",
    ]


def test_status_without_kafka_still_answers(bourse: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSE_BROKER", "127.0.0.1:1")
    ran = bourse("status", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["broker"] == {"address": "127.0.0.1:1", "is_local": False, "answers": False, "pid": None}
    assert "does not answer" in bourse("status").out


def test_down_with_nothing_running_says_so(bourse: Callable) -> None:
    assert bourse("down").out == "Nothing was running.\n"


def test_a_simulation_writes_the_same_bytes_every_time(
    bourse: Callable, events: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(events.read_bytes()))
    printed = bourse("simulate", str(events)).out
    assert bourse("simulate", str(packed), "--out", str(tmp_path / "out.jsonl")).code == 0
    assert (tmp_path / "out.jsonl").read_text() == printed
    topics = [json.loads(line)["topic"] for line in printed.splitlines()]
    assert {"announcements", "validated", "risk-approved", "order-events", "wallet-transactions"} <= set(
        topics
    )


def test_a_bad_line_ends_a_simulation_with_its_number_and_no_half_file(
    bourse: Callable, events: Path, tmp_path: Path
) -> None:
    with events.open("a") as file:
        file.write("{\n")
    ran = bourse("simulate", str(events), "--out", str(tmp_path / "out.jsonl"))
    assert ran.code == 1
    assert f"{events}, line 5: " in ran.err
    assert list(tmp_path.glob("out*")) == []


def test_files_that_cannot_be_read_or_written_are_named(
    bourse: Callable, events: Path, tmp_path: Path
) -> None:
    ran = bourse("simulate", str(tmp_path / "none.jsonl"))
    assert (ran.code, ran.err) == (1, f"{tmp_path}/none.jsonl cannot be read: No such file or directory.\n")
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"no gzip")
    assert "broken.jsonl.gz cannot be read: Not a gzipped file" in bourse("simulate", str(broken)).err
    assert "cannot be written" in bourse("simulate", str(events), "--out", ".").err
    ran = bourse("simulate", str(events), "--out", str(tmp_path / "none" / "out.jsonl"))
    assert "out.jsonl cannot be written: No such file or directory" in ran.err


def test_a_reader_that_leaves_ends_a_simulation_quietly(tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    with long.open("w") as file:
        for number in range(3000):
            file.write(json.dumps(INSTRUMENT | {"value": {"symbol": f"S{number}"}}) + "\n")
    command = [sys.executable, "-m", "bourse.cli.main", "simulate", str(long)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as simulation:
        assert simulation.stdout
        assert simulation.stderr
        assert simulation.stdout.readline()
        simulation.stdout.close()
        assert simulation.wait(30) == 0
        assert simulation.stderr.read() == b""
