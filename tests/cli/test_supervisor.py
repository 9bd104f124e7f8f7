"""The supervisor: as many children as wanted, started again with back-off, and ended only if they are its own."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bourse.cli import supervise
from bourse.cli.processes import Process
from bourse.cli.supervisor import BACKOFF_SECONDS, STEADY_SECONDS, ChildSpec, Notes, Supervisor

SLEEPER = "import os, time; print(os.environ['NUMBER'], flush=True); time.sleep(60)"


def sleeper(number: int) -> ChildSpec:
    return ChildSpec(f"child-{number}", [sys.executable, "-c", SLEEPER], {"NUMBER": str(number)})


def failure(number: int) -> ChildSpec:
    return ChildSpec(f"child-{number}", [sys.executable, "-c", "raise SystemExit(7)"])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, said: list[str]) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def build(spec: Callable[[int], ChildSpec] = sleeper) -> Supervisor:
        made.append(Supervisor(tmp_path / "run", tmp_path / "logs", spec, said.append))
        return made[-1]

    yield build
    for supervisor in made:
        supervisor.end()


def pids(supervisor: Supervisor) -> list[int]:
    return [child.process.pid for child in supervisor.children if child.process]


def wait_for_exit(supervisor: Supervisor) -> None:
    for child in supervisor.children:
        if child.popen:
            child.popen.wait(10)


def test_it_runs_what_is_wanted_with_a_log_and_an_environment_each(
    make: Callable, tmp_path: Path, eventually: Callable
) -> None:
    supervisor = make()
    supervisor.begin(2)
    supervisor.tick(0)
    assert len(pids(supervisor)) == 2
    eventually(lambda: (tmp_path / "logs" / "child-1.log").read_text() == "1\n")


def test_a_killed_child_is_started_again_at_once_and_after_a_back_off_the_next_time(
    make: Callable, said: list[str]
) -> None:
    supervisor = make()
    supervisor.begin(1)
    supervisor.tick(0)
    (first,) = pids(supervisor)

    os.kill(first, signal.SIGKILL)
    wait_for_exit(supervisor)
    supervisor.tick(1)
    (second,) = pids(supervisor)
    assert second != first
    assert said[-2] == "child-0 ended with exit code -9; it starts again in 0 s"

    os.kill(second, signal.SIGKILL)
    wait_for_exit(supervisor)
    supervisor.tick(2)
    assert pids(supervisor) == []
    assert said[-1] == "child-0 ended with exit code -9; it starts again in 1 s"

    supervisor.tick(2 + BACKOFF_SECONDS[1] - 0.1)
    assert pids(supervisor) == []
    supervisor.tick(2 + BACKOFF_SECONDS[1])
    assert len(pids(supervisor)) == 1
    assert pids(supervisor) != [second]


def test_the_back_off_grows_to_its_end_and_starts_over_after_a_steady_run(make: Callable) -> None:
    supervisor = make(failure)
    supervisor.begin(1)
    now, delays = 0.0, []
    supervisor.tick(now)
    for run_seconds in (0, 0, 0, 0, 0, 0, 0, STEADY_SECONDS + 1):
        wait_for_exit(supervisor)
        now += run_seconds
        supervisor.tick(now)
        delays.append(supervisor.children[0].due_at - now)
        now = supervisor.children[0].due_at
        supervisor.tick(now)
    assert delays == [0, 1, 2, 4, 8, 10, 10, 0]
    assert supervisor.children[0].restarts == 8


def test_it_follows_the_wanted_number_up_and_down(make: Callable, tmp_path: Path) -> None:
    supervisor = make()
    supervisor.begin(1)
    supervisor.tick(0)
    (first,) = pids(supervisor)
    Notes(tmp_path / "run").want(3)
    supervisor.tick(1)
    assert len(pids(supervisor)) == 3
    Notes(tmp_path / "run").want(1)
    supervisor.tick(2)
    assert pids(supervisor) == [first]


def test_its_notes_tell_who_runs(make: Callable, tmp_path: Path) -> None:
    notes = Notes(tmp_path / "run")
    assert notes.supervisor() is None
    assert notes.child_notes() == []
    supervisor = make()
    supervisor.begin(1)
    supervisor.tick(0)
    assert notes.supervisor() == Process.of(os.getpid())
    (note,) = notes.child_notes()
    assert (note.name, note.is_alive, note.restarts, note.env) == ("child-0", True, 0, {"NUMBER": "0"})
    supervisor.end()
    assert notes.supervisor() is None
    assert not note.is_alive


def full(*_anything: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_no_child_from_being_started_again(
    make: Callable, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = make()
    supervisor.begin(1)
    supervisor.tick(0)
    (first,) = pids(supervisor)
    with monkeypatch.context() as patched:
        patched.setattr("bourse.cli.supervisor.write_whole", full)
        patched.setattr("bourse.cli.supervisor.shorten_log", full)
        os.kill(first, signal.SIGKILL)
        wait_for_exit(supervisor)
        for now in (100, 101, 102):
            supervisor.tick(now)
    (second,) = pids(supervisor)
    assert second != first
    assert sum("No space left" in line for line in said) == 1
    # As soon as there is room, the notes say what is true.
    supervisor.tick(103)
    assert [process.pid for process in Notes(tmp_path / "run").children()] == [second]


def test_a_child_whose_log_cannot_be_opened_keeps_no_other_from_its_start(
    make: Callable, tmp_path: Path, said: list[str]
) -> None:
    in_the_way = tmp_path / "logs" / "child-0.log"
    in_the_way.mkdir(parents=True)
    supervisor = make()
    supervisor.begin(2)
    supervisor.tick(0)
    assert len(pids(supervisor)) == 1
    assert "child-0.log" in said[-1]
    in_the_way.rmdir()
    supervisor.tick(1)
    assert len(pids(supervisor)) == 2


def test_it_goes_on_where_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "note", full)

    class DeadBroker:
        starts = 0

        def has_died(self) -> bool:
            return True

        def start_again(self) -> None:
            self.starts += 1
            full()

    broker = DeadBroker()
    keeper = supervise.BrokerKeeper(broker)  # type: ignore[arg-type]
    for now in (0, 100, 200):
        keeper.tick(now)
    assert broker.starts == 3


def test_children_that_a_lost_supervisor_left_are_ended_and_strangers_are_not(
    make: Callable, tmp_path: Path
) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    own = Process.of(left.pid)
    rows = [
        {"name": "child-0", "pid": own.pid, "started": own.started, "restarts": 0, "since": 0, "env": {}},
        {"name": "child-1", "pid": stranger.pid, "started": "earlier", "restarts": 0, "since": 0, "env": {}},
    ]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(
        json.dumps({"pid": 1, "started": "x", "children": rows})
    )
    make().begin(1)
    assert not own.is_alive()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    left.wait()
