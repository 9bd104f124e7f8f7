"""The stages translated to C decide what the Python they come from decides."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from bourse.cli.trading_day import trading_day
from bourse.schemas.jsonform import event_line
from bourse.settings import PROJECT_ROOT
from tests.account_strategies import FlowWriter, next_event, opening_deposits, reference_data

MESSAGES = 6_000


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled modules, not optimised: that takes a third of the time."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("compiled")
    command = ["make", "compiled", f"COMPILED={folder / 'made'}"]
    made = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=os.environ | {"MYPYC_OPT_LEVEL": "0", "MYPYC_DEBUG_LEVEL": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "made"


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day that was, and a flow that nobody would wish for."""
    dice, writer = Random(11), FlowWriter()
    flow = [*reference_data(), *opening_deposits(writer)]
    flow += [next_event(writer, dice) for _ in range(MESSAGES)]
    lines = [event_line(topic, None, record) for topic, record in itertools.islice(trading_day(1), MESSAGES)]
    lines += [event_line(event.topic, event.key, event.record) for event in flow]
    file = tmp_path_factory.mktemp("events") / "in.jsonl"
    file.write_bytes(b"".join(lines))
    return file


def simulated(code: Path, events: Path) -> bytes:
    command = [sys.executable, "-P", "-m", "bourse.cli.main", "simulate", str(events)]
    environment = os.environ | {"PYTHONPATH": str(code)}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


def test_compiled_stages_give_the_same_bytes(compiled: Path, events: Path) -> None:
    outputs = simulated(PROJECT_ROOT, events)
    assert simulated(compiled, events) == outputs
    assert outputs.count(b'"topic":"trades"') > 200


def test_the_compiled_codec_passes_the_tests_of_the_codec(compiled: Path) -> None:
    # Loaded before any test, the module that only the compiled package has makes that the one that they import.
    plugin = "bourse.schemas.translated"
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider"]
    # Earlier versions are fastavro's to read, in C as in Python.
    command += ["-k", "not earlier_versions"]
    run = subprocess.run(
        [*command, str(PROJECT_ROOT / "tests" / "schemas" / "test_codec.py")],
        cwd=PROJECT_ROOT,
        env=os.environ | {"PYTHONPATH": str(compiled)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]


def test_every_listed_module_is_compiled(compiled: Path) -> None:
    listed = [
        line for line in (PROJECT_ROOT / "deploy" / "compiled.txt").read_text().splitlines() if line[0] != "#"
    ]
    for module in listed:
        source = compiled / module
        assert list(source.parent.glob(f"{source.stem}.*.so")), module
