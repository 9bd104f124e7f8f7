"""`bourse up`, `status` and `down`: broker, topics and real workers under one supervisor."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bourse as bourse_package
from bourse.cli.local_broker import LocalBroker
from bourse.cli.supervisor import Notes
from bourse.settings import PROJECT_ROOT, Settings
from tests.broker import JARS

EVENTS = (
    {"topic": "instruments", "value": {"symbol": "ANA", "tick_size": 100}},
    {"topic": "accounts", "value": {"account_id": "BUYER"}},
    {"topic": "accounts", "value": {"account_id": "SELLER"}},
    {"topic": "wallet-commands", "value": {"action": "DEPOSIT", "request_id": "r", "account_id": "BUYER"}
     | {"asset": "EUR", "amount": 10**9}},
    {"topic": "wallet-commands", "value": {"action": "DEPOSIT", "request_id": "r", "account_id": "SELLER"}
     | {"asset": "ANA", "amount": 100}},
    {"topic": "orders", "value": {"action": "NEW", "client_order_id": "s", "account_id": "SELLER"}
     | {"symbol": "ANA", "side": "SELL", "quantity": 10, "price": 958000}},
    {"topic": "orders", "value": {"action": "NEW", "client_order_id": "b", "account_id": "BUYER"}
     | {"symbol": "ANA", "side": "BUY", "quantity": 10, "price": 958000}},
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bourse: Callable) -> Iterator[Settings]:
    """A machine of the test's own, with nothing running; all of it is ended afterwards."""
    for name in [name for name in os.environ if name.startswith("BOURSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOURSE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BOURSE_BROKER_JARS", str(JARS))
    yield Settings.read()
    bourse("down")


@pytest.fixture
def status(bourse: Callable) -> Callable[[], Any]:
    def status() -> Any:
        ran = bourse("status", "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return status


def owners(found: dict[str, Any]) -> dict[str, list[int]]:
    return {worker["name"]: worker["partitions"] for worker in found["workers"]}


def test_everything_comes_up_works_survives_a_kill_scales_and_goes_down(
    machine: Settings, bourse: Callable, status: Callable, tmp_path: Path, eventually: Callable
) -> None:
    ran = bourse("up", "--workers", "2")
    assert ran.code == 0, ran.err
    assert "Up: Kafka at" in ran.out
    assert "2 workers" in ran.out
    found = status()
    assert owners(found) == {"worker-0": [0], "worker-1": [1]}
    assert found["broker"]["is_local"]
    assert found["lag"] == 0

    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS))
    ran = bourse("publish", str(tmp_path / "in.jsonl"))
    assert ran.code == 0, ran.err
    trades = bourse("tail", "trades", "--from-start", "--until-idle", "0.5", "--json").out.splitlines()
    assert sorted(json.loads(line)["key"] for line in trades) == ["BUYER", "SELLER"]

    os.kill(found["workers"][0]["pid"], signal.SIGKILL)
    eventually(lambda: (status()["workers"][0]["restarts"]) == 1, seconds=60)
    eventually(lambda: owners(status()) == {"worker-0": [0], "worker-1": [1]}, seconds=60)
    assert status()["workers"][0]["pid"] != found["workers"][0]["pid"]

    assert "1 worker." in bourse("up", "--workers", "1").out
    assert owners(status()) == {"worker-0": [0, 1]}
    table = bourse("status").out
    assert "every partition is owned" in table
    assert "worker-0" in table

    assert bourse("down").out == "1 worker ended and Kafka stopped.\n"
    assert Notes(machine.run_dir).supervisor() is None
    assert LocalBroker.of(machine).process() is None
    assert bourse("down").out == "Nothing was running.\n"


def test_changed_settings_are_refused_where_workers_would_keep_the_old_ones(
    machine: Settings, bourse: Callable, status: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bourse("up", "--workers", "1").code == 0
    with monkeypatch.context() as changed:
        changed.setenv("BOURSE_CARRY", "kafka")
        ran = bourse("up")
        assert ran.code == 1
        assert "A supervisor with other settings runs:\nBOURSE_CARRY: memory there, kafka here\n" in ran.err
        assert "bourse down" in ran.err
    elsewhere = tmp_path / "another" / "bourse"
    shutil.copytree(Path(bourse_package.__file__).parent, elsewhere)
    (elsewhere.parent / "deploy").symlink_to(PROJECT_ROOT / "deploy")
    with monkeypatch.context() as changed:
        changed.chdir(tmp_path)
        changed.setenv("PYTHONPATH", "another")
        ran = bourse("up")
        assert ran.code == 1
        assert f"code: {Path(bourse_package.__file__).parent} there, {elsewhere} here" in ran.err
    # What is none of the workers' business may differ.
    monkeypatch.setenv("BOURSE_WORKERS", "3")
    assert "2 workers." in bourse("up", "--workers", "2").out
    assert owners(status()) == {"worker-0": [0], "worker-1": [1]}
    assert bourse("down", "--keep-broker").code == 0
    with monkeypatch.context() as changed:
        changed.chdir(tmp_path)
        changed.setenv("PYTHONPATH", "another")
        changed.setenv("BOURSE_CARRY", "kafka")
        assert bourse("up", "--workers", "1").code == 0
        runs = Notes(machine.run_dir).runs()
    assert (runs["BOURSE_CARRY"], runs["code"]) == ("kafka", str(elsewhere))


def test_workers_of_a_lost_supervisor_are_replaced_by_the_next_up(
    machine: Settings, bourse: Callable, status: Callable
) -> None:
    assert bourse("up", "--workers", "1").code == 0
    notes = Notes(machine.run_dir)
    supervisor, (orphan,) = notes.supervisor(), notes.children()
    assert supervisor
    supervisor.send(signal.SIGKILL)
    assert supervisor.wait(10)
    assert orphan.is_alive()

    assert bourse("up", "--workers", "1").code == 0
    assert not orphan.is_alive()
    assert owners(status()) == {"worker-0": [0, 1]}

    assert bourse("down", "--keep-broker").out == "1 worker ended.\n"
    assert LocalBroker.of(machine).process() is not None


def test_workers_that_die_at_once_are_shown_with_their_log(
    market: Settings, bourse: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSE_SCHEMA_REGISTRY", "http://127.0.0.1:1")
    ran = bourse("up", "--workers", "1")
    assert ran.code == 1
    assert "worker-0 dies as soon as it is started" in ran.err
    assert "bourse down" in ran.err
    assert Notes(market.run_dir).supervisor()
    down = bourse("down")
    assert "Kafka stopped" not in down.out
    assert Notes(market.run_dir).supervisor() is None


def test_more_workers_than_partitions_are_pointed_out(market: Settings, bourse: Callable) -> None:
    ran = bourse("up", "--workers", "3")
    assert "1 of 3 workers will be idle" in ran.err
    assert ran.code == 0, ran.err
    assert bourse("down").out == "3 workers ended.\n"
    assert not Notes(market.run_dir).supervisor()
