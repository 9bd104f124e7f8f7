"""`python -m bench [NAME [OPTIONS]]`: run the named measurement, or all of them.

Those that need no broker measure with `--compiled` what `make compiled` made.
"""

import importlib
import subprocess
import sys
from typing import Final

from bench.stack import COMPILED

NAMES: Final = ("throughput", "stock_faust", "latency", "restore", "codec", "chain", "book", "audit")
IN_PROCESS: Final = {"codec", "chain", "book"}


def main() -> int:
    """Run what the command line names; return the exit code."""
    if len(sys.argv) == 1:
        for name in NAMES:
            print(f"== {name}")
            importlib.import_module(f"bench.{name}").main([])
        return 0
    name, *options = sys.argv[1:]
    if name in IN_PROCESS and "--compiled" in options:
        if not COMPILED.is_dir():
            sys.exit("Nothing is compiled yet: run `make compiled` first.")
        # In that folder the modules of the copy come before those of this one.
        options.remove("--compiled")
        return subprocess.run(
            [sys.executable, "-m", "bench", name, *options], cwd=COMPILED, check=False
        ).returncode
    importlib.import_module(f"bench.{name}").main(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
