"""The command as a person runs it: a broker, two workers, the whole day, and what is printed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bourse.cli.demo.traces import Traces, make_room
from bourse.cli.trading_day import MADE_UP_SYMBOLS, SYMBOL, trading_day
from bourse.pipeline.simulate import SimEvent, simulate
from bourse.schemas.jsonform import from_json
from bourse.schemas.records import Trade
from bourse.settings import PROJECT_ROOT, Settings

JARS = PROJECT_ROOT / ".bourse" / "broker" / "jars"
ONE_ORDER = (
    '{"topic": "orders", "value": {"action": "NEW", "client_order_id": "1", "account_id": "nobody"}}\n'
)


class Shell:
    """The `bourse` command in a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        others = {name: value for name, value in os.environ.items() if not name.startswith("BOURSE_")}
        self.env = others | {"BOURSE_DATA_DIR": str(folder / "data"), "BOURSE_BROKER_JARS": str(JARS)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bourse.cli.main", *words]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False, timeout=400
        )

    def settings(self, monkeypatch: pytest.MonkeyPatch) -> Settings:
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
        return Settings.read()


def by_symbol(trades: list[Trade]) -> dict[str, list[Trade]]:
    """Return the trades of each symbol in their order, without the ids, which name the orders' places in Kafka."""
    nameless = [replace(trade, event_id="", trade_id="", order_id="", contra_order_id="") for trade in trades]
    return {
        symbol: [trade for trade in nameless if trade.symbol == symbol]
        for symbol in (SYMBOL, *MADE_UP_SYMBOLS)
    }


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    own = Shell(tmp_path_factory.mktemp("demo"))
    yield own
    own.run("down")


def test_the_demonstration_tells_the_known_truth_and_every_check_holds(shell: Shell) -> None:
    result = shell.run("demo", "--rate", "0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(rf"^{SYMBOL} +27,056 +13,604 +996 +54,378 +95\.4484 ", result.stdout, re.MULTILINE)
    assert "✔ each ANA cancel finds the quantity that its row states: 11,433 cancels" in result.stdout
    assert result.stdout.count("✔") == 5
    assert "✘" not in result.stdout
    assert re.search(r"^\d+,\d+ records in .*: 21 equations hold, 0 fail", result.stdout, re.MULTILINE)
    assert "bourse down" in result.stdout


def test_the_market_is_up_afterwards_and_its_trades_can_be_read(shell: Shell) -> None:
    result = shell.run("tail", "tape", "--from-start", "--until-idle", "1", "--json")
    real = [line for line in result.stdout.splitlines() if f'"symbol":"{SYMBOL}"' in line]
    assert len(real) == 996


def test_kafka_gives_the_same_trades_as_the_simulation(shell: Shell) -> None:
    result = shell.run("tail", "trades", "--from-start", "--until-idle", "1", "--json")
    through_kafka = [from_json(Trade, json.loads(line)["value"]) for line in result.stdout.splitlines()]
    inputs = (SimEvent(topic, None, record) for topic, record in trading_day(2))
    simulated = [event.record for event in simulate(inputs) if isinstance(event.record, Trade)]
    assert by_symbol(through_kafka) == by_symbol(simulated)


def test_what_it_left_may_be_wiped_by_the_next_one(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = shell.settings(monkeypatch)
    assert Traces.found(settings).are_demo(settings)


def test_a_second_one_does_not_wipe_what_somebody_else_has_published(shell: Shell) -> None:
    (shell.folder / "one.jsonl").write_text(ONE_ORDER)
    assert shell.run("publish", "one.jsonl").returncode == 0
    result = shell.run("demo")
    assert result.returncode == 1
    assert "already holds" in result.stderr
    assert "--fresh" in result.stderr


def test_fresh_wipes_whatever_it_is_and_says_what(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = shell.settings(monkeypatch)
    make_room(settings, fresh=True)
    told = capsys.readouterr().err
    assert "Wiping 32,057 orders" in told
    for folder in (settings.data_dir / "broker" / "data", settings.state_dir):
        assert str(folder) in told
        assert not folder.exists()


def test_writing_the_day_as_an_event_file_starts_nothing(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    result = shell.run("demo", "--events", "day.jsonl.gz")
    assert (result.returncode, result.stdout.strip()) == (
        0,
        "Wrote 33,267 events to day.jsonl.gz, for topics of 2 partitions.",
    )
    assert not (tmp_path / "data").exists()
