"""Processes are known by pid and start; nothing else is ever ended."""

import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bourse.cli.processes import Process, end_all, last_lines, shorten_log, start_detached

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]

# The number of exit(2), which ends the one thread that calls it.
EXIT = {"x86_64": 60, "aarch64": 93}
WITHOUT_ITS_FIRST_THREAD = """
import ctypes, platform, sys, threading, time

def outlive():
    while "Z" not in open("/proc/self/stat").read().rpartition(")")[2]:
        time.sleep(0.01)
    print("up", flush=True)
    time.sleep(60)

threading.Thread(target=outlive).start()
ctypes.CDLL(None).syscall(int(sys.argv[1]), 0)
"""


def start(command: list[str], tmp_path: Path, eventually: Callable[..., None]) -> Process:
    log = tmp_path / "process.log"
    process = start_detached(command, log=log, cwd=tmp_path)
    eventually(lambda: "up" in log.read_text())
    return process


def test_a_process_is_recognised_from_its_file_until_it_ends(tmp_path: Path, eventually: Callable) -> None:
    process = start(SLEEPER, tmp_path, eventually)
    process.write(tmp_path / "pid")
    found = Process.read(tmp_path / "pid")
    assert found == process
    assert found.is_alive()
    assert end_all([found], grace_seconds=10) == []
    assert not found.is_alive()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells of single threads")
def test_a_process_lives_until_its_last_thread_has_ended(tmp_path: Path, eventually: Callable) -> None:
    exit_number = str(EXIT[platform.machine()])
    process = start([sys.executable, "-c", WITHOUT_ITS_FIRST_THREAD, exit_number], tmp_path, eventually)
    assert process.is_alive()
    process.send(signal.SIGKILL)
    assert process.wait(10)


def test_another_process_with_the_same_pid_is_never_touched(tmp_path: Path, eventually: Callable) -> None:
    process = start(SLEEPER, tmp_path, eventually)
    earlier = Process(process.pid, "some earlier start")
    assert not earlier.is_alive()
    earlier.send(signal.SIGKILL)
    assert end_all([earlier], grace_seconds=0) == []
    assert process.is_alive()
    end_all([process], grace_seconds=10)


def test_one_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path, eventually: Callable) -> None:
    process = start(DEAF, tmp_path, eventually)
    assert end_all([process], grace_seconds=0.3) == [process]
    assert not process.is_alive()


def test_a_file_that_is_missing_or_no_process_is_nobody(tmp_path: Path) -> None:
    assert Process.read(tmp_path / "none") is None
    (tmp_path / "odd").write_text("[1]")
    assert Process.read(tmp_path / "odd") is None


def test_a_long_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with log.open("a") as writer:
        writer.write("old\n" * 100)
        writer.flush()
        shorten_log(log, limit_bytes=100)
        writer.write("new\n")
        writer.flush()
        assert log.read_text() == "new\n"
    assert (tmp_path / "x.log.1").read_text() == "old\n" * 100


def test_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("1\n2\n3\n")
    assert last_lines(tmp_path / "x.log", 2) == "2\n3"
    assert last_lines(tmp_path / "none") == ""
