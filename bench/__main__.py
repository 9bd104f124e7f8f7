"""`python -m bench [NAME [OPTIONS]]`: run the named measurement, or all of them.

With `--compiled` they measure what `make compiled` made.
"""

import importlib
import subprocess
import sys
from typing import Final

from bench.stack import COMPILED

ALL: Final = (
    ("throughput",),
    ("throughput", "--compiled"),
    ("throughput", "--six-topics"),
    ("throughput", "--orders", "1000000", "--compiled"),
    ("stock_faust", "--compiled"),
    ("latency",),
    ("latency", "--compiled"),
    ("latency", "--compiled", "--together"),
    ("restore",),
    ("codec",),
    ("codec", "--compiled"),
    ("chain",),
    ("chain", "--compiled"),
    ("book",),
    ("book", "--compiled"),
    ("book", "--compiled", "--latest"),
    ("cancels",),
    ("audit",),
)
IN_PROCESS: Final = {"codec", "chain", "book"}


def main() -> int:
    """Run what the command line names; return the exit code."""
    if len(sys.argv) > 1:
        return measure(*sys.argv[1:])
    for named in ALL:
        print("==", *named, flush=True)
        # Each in a process of its own: what one leaves in memory is not the next one's.
        if failed := subprocess.run([sys.executable, "-m", "bench", *named], check=False).returncode:
            return failed
    return 0


def measure(name: str, *options: str) -> int:
    """Run one measurement; return the exit code."""
    if "--compiled" in options and not COMPILED.is_dir():
        sys.exit("Nothing is compiled yet: run `make compiled` first.")
    if name in IN_PROCESS and "--compiled" in options:
        # In that folder the modules of the copy come before those of this one.
        left = [option for option in options if option != "--compiled"]
        return subprocess.run(
            [sys.executable, "-m", "bench", name, *left], cwd=COMPILED, check=False
        ).returncode
    importlib.import_module(f"bench.{name}").main(list(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
