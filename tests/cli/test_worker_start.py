"""What a worker does beside its start: it loads the calendar, and has the garbage collector look seldom."""

import subprocess
import sys

START = """
import gc, sys
from bourse.cli.worker import load_calendar

gc.disable()
load_calendar()
print(gc.isenabled(), gc.get_threshold()[0] > 10_000, "exchange_calendars" in sys.modules)
"""


def test_the_calendar_is_there_before_the_first_trade_and_the_collector_works_again() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
