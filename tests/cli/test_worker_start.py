"""What a worker does beside its start: it fences its ghost, loads the calendar, and has the garbage collector look seldom."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bourse.cli.worker import ahead

CALENDAR = """
import gc, sys
from pathlib import Path
from bourse.cli.worker import load_calendar
from bourse.pipeline.calendar import known
from bourse.settings import Settings

gc.disable()
load_calendar(Settings(data_dir=Path(sys.argv[1])))
print(gc.isenabled(), gc.get_threshold()[0] > 10_000, "XMAD" in known(), "exchange_calendars" in sys.modules)
"""

FENCING = """
import os, sys, tempfile
from bourse.cli import worker

os.environ["BOURSE_DATA_DIR"] = tempfile.mkdtemp()

def taken_over(member):
    print(member.worker, *(name in sys.modules for name in ("faust", "aiohttp", "exchange_calendars")), flush=True)
    os._exit(0)

worker.taken_over, worker.ahead = taken_over, lambda call: call()
worker.worker("w7")
"""


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_calendar_is_there_before_the_first_trade_and_the_collector_works_again(tmp_path: Path) -> None:
    assert run(CALENDAR, str(tmp_path)).split() == ["True"] * 4
    # The second time it comes from the file that the first one has left, without the library.
    assert run(CALENDAR, str(tmp_path)).split() == ["True"] * 3 + ["False"]


def test_a_worker_fences_its_ghost_before_anything_that_takes_long_to_import() -> None:
    assert run(FENCING).split() == ["w7", "False", "False", "False"]


def test_what_is_begun_ahead_gives_what_it_returns_and_raises_what_it_raises() -> None:
    may_end = threading.Event()
    waiting = ahead(lambda: may_end.wait(10) and "done")
    may_end.set()
    assert waiting() == "done"

    failing = ahead(lambda: int("no number"))
    with pytest.raises(ValueError, match="no number"):
        failing()
