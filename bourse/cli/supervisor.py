"""The supervisor of one machine: keeps the wanted number of workers running, and starts again what dies.

It decides when a dead child is started again. It knows children by name and command only, and ends none that it has
not started (or that an earlier supervisor of the same folder recorded as its own).
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bourse.cli.processes import Process, end_all, shorten_log, write_whole

BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 10.0)
"""After the first failure, the second, and so on: at once, then later and later."""
STEADY_SECONDS = 30.0  # A child that has run for so long starts over at the first back-off.
GRACE_SECONDS = 20.0
LOG_LIMIT_BYTES = 20 << 20
LOG_LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run: a name that is also its log's, the command, and what its environment has beside the supervisor's."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Child:
    """One child and its story so far; times are of the monotonic clock."""

    spec: ChildSpec
    popen: subprocess.Popen[bytes] | None = None
    process: Process | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    failures: int = 0
    restarts: int = 0

    def note_end(self, now: float) -> float:
        """Note that the child has ended, and return after how many seconds it starts again."""
        self.failures = 1 if now - self.started_at > STEADY_SECONDS else self.failures + 1
        delay = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS)) - 1]
        self.popen = self.process = None
        self.due_at = now + delay
        self.restarts += 1
        return delay


class Supervisor:
    """Keeps children running; `tick` does one look, and is called again and again."""

    def __init__(
        self,
        run_dir: Path,
        logs_dir: Path,
        spec_of: Callable[[int], ChildSpec],
        log: Callable[[str], None],
        runs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the folders for notes and logs, what the n-th child is, where to say what happens, and what to note of what children run."""
        self._notes = Notes(run_dir)
        self._runs = runs
        self._logs_dir = logs_dir
        self._spec_of = spec_of
        self._log = log
        self._next_log_look = 0.0
        self._is_noted = False
        self._trouble = ""
        self.children: list[Child] = []

    def begin(self, workers: int) -> None:
        """Take over the folder: end what an earlier supervisor left behind, and note what is wanted."""
        for process in end_all(self._notes.children(), GRACE_SECONDS):
            self._log(f"killed process {process.pid} of an earlier supervisor, which did not end")
        self._notes.want(workers)
        self._write()

    def tick(self, now: float) -> None:
        """Follow the wanted number, note what has ended, start what is due.

        What the disk refuses is told, once, and tried again at the next look: it may be full, and children are looked after all the same.
        """
        steps = [lambda: self._scale(self._notes.wanted())]
        if now >= self._next_log_look:
            self._next_log_look = now + LOG_LOOK_SECONDS
            steps += [partial(shorten_log, log, LOG_LIMIT_BYTES) for log in self._logs_dir.glob("*.log")]
        troubles = [*map(_refused, steps)]
        troubles += [_refused(partial(self._follow, child, now)) for child in self.children]
        if not self._is_noted:
            troubles.append(_refused(self._write))
        self._tell(next(filter(None, troubles), ""))

    def end(self) -> None:
        """End all children, and the notes about them."""
        self._end(self.children)
        self.children = []
        self._notes.clear()

    def _scale(self, wanted: int) -> None:
        if wanted == len(self.children):
            return
        surplus = self.children[wanted:]
        new = [Child(self._spec_of(number)) for number in range(len(self.children), wanted)]
        self._log(f"{wanted} workers are wanted, {len(self.children)} are there")
        self._end(surplus)
        self.children = self.children[:wanted] + new
        self._is_noted = False

    def _follow(self, child: Child, now: float) -> None:
        """Look at one child."""
        if child.popen is not None and (code := child.popen.poll()) is not None:
            delay = child.note_end(now)
            self._is_noted = False
            self._log(f"{child.spec.name} ended with exit code {code}; it starts again in {delay:.0f} s")
        if child.popen is None and now >= child.due_at:
            self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        log = self._logs_dir / f"{child.spec.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child.popen = subprocess.Popen(  # noqa: S603 - the command is built by this program
                child.spec.command,
                env={**os.environ, **child.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        child.process, child.started_at = Process.of(child.popen.pid), now
        self._is_noted = False
        self._log(f"{child.spec.name} started with pid {child.popen.pid}")

    def _end(self, children: list[Child]) -> None:
        for process in end_all([c.process for c in children if c.process], GRACE_SECONDS):
            self._log(f"killed process {process.pid}, which did not end within {GRACE_SECONDS:.0f} s")
        for child in children:
            if child.popen:
                child.popen.wait()

    def _write(self) -> None:
        self._notes.write(
            [(child, time.time() - (time.monotonic() - child.started_at)) for child in self.children],
            self._runs,
        )
        self._is_noted = True

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._log(f"{trouble}; it is tried again")
        self._trouble = trouble


def _refused(step: Callable[[], object]) -> str:
    """Do a step, and return what the disk has refused of it."""
    try:
        step()
    except OSError as error:
        return str(error)
    return ""


@dataclass(frozen=True, slots=True)
class ChildNote:
    """What is noted of one child, for `bourse status` and for the next supervisor."""

    name: str
    process: Process | None
    restarts: int
    since: float
    env: dict[str, str]

    @property
    def is_alive(self) -> bool:
        """Whether the child runs now."""
        return self.process is not None and self.process.is_alive()


class Notes:
    """The files of the run folder: who supervises, what runs, how many are wanted."""

    def __init__(self, run_dir: Path) -> None:
        """Take the folder."""
        self._state = run_dir / "supervisor.json"
        self._workers = run_dir / "workers"

    def supervisor(self) -> Process | None:
        """Return the running supervisor, if there is one."""
        process = Process.read(self._state)
        return process if process and process.is_alive() else None

    def child_notes(self) -> list[ChildNote]:
        """Return what was noted last of every child."""
        try:
            children = json.loads(self._state.read_text())["children"]
        except (OSError, ValueError, KeyError):
            return []
        return [_child_note(child) for child in children]

    def children(self) -> list[Process]:
        """Return the processes noted as children that still run."""
        return [note.process for note in self.child_notes() if note.process and note.is_alive]

    def wanted(self) -> int:
        """Return the wanted number of workers."""
        return int(self._workers.read_text())

    def want(self, workers: int) -> None:
        """Note the wanted number of workers; a running supervisor follows it."""
        write_whole(self._workers, str(workers))

    def runs(self) -> dict[str, str]:
        """Return what was noted of what the children run."""
        try:
            return dict(json.loads(self._state.read_text())["runs"])
        except (OSError, ValueError, KeyError):
            return {}

    def write(self, children: list[tuple[Child, float]], runs: Mapping[str, str]) -> None:
        """Note this process as the supervisor, with what its children run, and each with when it was started."""
        own = Process.of(os.getpid())
        rows = [_row(child, since) for child, since in children]
        state = {"pid": own.pid, "started": own.started, "runs": dict(runs), "children": rows}
        write_whole(self._state, json.dumps(state, indent=1))

    def clear(self) -> None:
        """Forget everything: nothing runs any more."""
        self._state.unlink(missing_ok=True)
        self._workers.unlink(missing_ok=True)


def _row(child: Child, since: float) -> dict[str, object]:
    process = child.process
    return {
        "name": child.spec.name,
        "pid": process.pid if process else None,
        "started": process.started if process else None,
        "restarts": child.restarts,
        "since": since,
        "env": child.spec.env,
    }


def _child_note(row: dict[str, object]) -> ChildNote:
    process = Process(int(str(row["pid"])), str(row["started"])) if row["pid"] else None
    env = row["env"] if isinstance(row["env"], dict) else {}
    return ChildNote(str(row["name"]), process, int(str(row["restarts"])), float(str(row["since"])), env)
