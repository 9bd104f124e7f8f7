"""Processes that outlive the command that started them: known by pid and start, so that no other is ever ended by mistake.

It decides what counts as the same process, and refuses to know what the process is for.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine: its pid, and its start, which tells it from a later process with the same pid."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process that has this pid now (a dead one if there is none)."""
        return cls(pid, _start_of(pid) or "never")

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Return the process recorded in the file, or None when nothing readable is recorded."""
        try:
            fields = json.loads(file.read_text())
            return cls(int(fields["pid"]), str(fields["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Record the process in the file."""
        write_whole(file, json.dumps({"pid": self.pid, "started": self.started}))

    def is_alive(self) -> bool:
        """Return whether this very process still runs."""
        _reap(self.pid)
        return _start_of(self.pid) == self.started

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to this very process; one that has ended gets none."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for its end, and return whether it came in time."""
        deadline = time.monotonic() + timeout_seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def end_all(processes: list[Process], grace_seconds: float) -> list[Process]:
    """End processes by SIGTERM, and by SIGKILL those that have not gone after the grace; return the latter."""
    for process in processes:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    stubborn = [process for process in processes if not process.wait(max(0.0, deadline - time.monotonic()))]
    for process in stubborn:
        process.send(signal.SIGKILL)
    for process in stubborn:
        process.wait(5)
    return stubborn


def start_detached(command: list[str], *, log: Path, cwd: Path, env: dict[str, str] | None = None) -> Process:
    """Start a process in a session of its own, so that no terminal ends it, with all it prints added to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the command is built by this program
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    child.returncode = (
        0  # It is meant to outlive this command: the warning about a child left running is unwanted.
    )
    return Process.of(child.pid)


def write_whole(file: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(file)


def shorten_log(log: Path, limit_bytes: int) -> None:
    """Move a log that has grown over the limit aside as `<name>.1`; its writer, which appends, goes on at the start."""
    if log.is_file() and log.stat().st_size > limit_bytes:
        log.with_name(log.name + ".1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


def last_lines(log: Path, count: int = 5) -> str:
    """Return the end of a log, for an error message."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _reap(pid: int) -> None:
    """Take the exit status of an ended child of ours, which otherwise stays in the process table."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _start_of(pid: int) -> str | None:
    """Return when a running process started, in the system's own words; None if there is none."""
    if Path("/proc/self/stat").exists():
        return _linux_start_of(pid)
    listing = subprocess.run(  # noqa: S603 - a fixed command
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - ps is wherever the system has it
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.strip() or None


def _linux_start_of(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may hold spaces; field 3 follows it.
    fields = stat[stat.rindex(")") + 2 :].split()
    state, threads, ticks_after_boot = fields[0], int(fields[17]), fields[19]
    # The first thread of a killed process may be gone before the others, which keep its ports and files for some milliseconds.
    return None if state in "ZX" and threads <= 1 else ticks_after_boot
