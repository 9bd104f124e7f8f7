"""What the tests of the command line share: running it as a person does, and waiting without sleeping blindly."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bourse.settings import Settings


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def bourse() -> Callable[..., Ran]:
    """Run `bourse` with arguments in a process of its own."""

    def run(*arguments: str, timeout: float = 120) -> Ran:
        command = [sys.executable, "-m", "bourse.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds; fail when it does not within the time."""

    def wait(condition: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def plain_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a data folder of the test's own, and no Kafka."""
    monkeypatch.setenv("BOURSE_DATA_DIR", str(tmp_path / "data"))
    return Settings.read()
