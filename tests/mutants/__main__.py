"""`make mutants`: plant each bug in a copy of the project and look for it; 1 if one is not found.

A copy is made for each bug, so that nothing is ever changed in the project itself. Bugs are looked for side by side.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bourse.settings import PROJECT_ROOT
from tests.mutants.bug import SIMULATOR, Bug
from tests.mutants.bugs import BUGS

MOST_SEEDS = 2_000
MOST_SECONDS = 600
_JARS = Path(".bourse") / "broker" / "jars"
NEEDED = ("bourse", "tests", "deploy", "pyproject.toml")


class Verdict(NamedTuple):
    """How a bug was found, or None; and what was said of it first."""

    seeds: int | None
    seconds: float
    text: str


def main() -> int:
    """Return 1 if a bug was not found."""
    arguments = _arguments()
    bugs = [bug for bug in BUGS if arguments.bug in bug.name]
    began, missed = time.monotonic(), 0
    print(f"{'seeds':>6} {'s':>5}  planted bug: what it was found by")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for bug, verdict in zip(bugs, pool.map(_look_for, bugs), strict=True):
            found = "none" if verdict.seeds is None else str(verdict.seeds)
            print(f"{found:>6} {verdict.seconds:5.0f}  {bug.name}: {verdict.text}", flush=True)
            missed += verdict.seeds is None
    print(f"{len(bugs) - missed} of {len(bugs)} planted bugs found in {time.monotonic() - began:.0f} s")
    return missed > 0 or not bugs


def _look_for(bug: Bug) -> Verdict:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bourse-mutant-") as folder:
        copy = Path(folder)
        for name in NEEDED:
            source = PROJECT_ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        (copy / _JARS.parent).mkdir(parents=True)
        (copy / _JARS).symlink_to(PROJECT_ROOT / _JARS)
        file = copy / bug.file
        file.write_text(bug.planted(file.read_text()))
        is_simulated = bug.found_by == SIMULATOR
        seeds = ["tests.simulation", "--brief", "--seeds", str(MOST_SEEDS)]
        test = ["pytest", "-q", "-x", bug.found_by]
        try:
            run = subprocess.run(
                [sys.executable, "-m", *(seeds if is_simulated else test)],
                cwd=copy,
                env={**os.environ, "PYTHONPATH": folder},
                capture_output=True,
                text=True,
                timeout=MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(None, time.monotonic() - began, "does not come to an end")
    return _verdict(run, time.monotonic() - began, is_simulated=is_simulated)


def _verdict(run: subprocess.CompletedProcess[str], seconds: float, *, is_simulated: bool) -> Verdict:
    lines = [line for line in run.stdout.splitlines() if line.strip()]
    if run.returncode != 1 or not lines:
        return Verdict(None, seconds, (lines or run.stderr.splitlines() or ["nothing"])[-1][:150])
    if not is_simulated:
        failed = next(line for line in lines if line.startswith("FAILED"))
        return Verdict(0, seconds, failed.rpartition("::")[2].partition(" ")[0])
    # "Seed 7 found:", then what it is: one line, or a traceback whose last line says it, then how to run it again.
    seed = int(lines[0].split()[1])
    said = lines[2] if lines[1].startswith("the auditor says") else lines[-2]
    return Verdict(seed + 1, seconds, said[:150])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--bug", default="", help="only bugs with this in their name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
