"""`make simulate`: run seeds one after the other; shorten what fails, and print the command that replays it."""

import argparse
import sys
import time
from pathlib import Path

from tests.simulation.run import Case, Result, run_case, run_seed
from tests.simulation.shrink import shrink

CASES = Path(".bourse") / "simulation"


def main() -> int:
    """Return 1 if anything was found."""
    arguments = _arguments()
    say = print if arguments.tell else None
    if arguments.case is not None:
        result = run_case(Case.read(arguments.case), say)
        print(result.found or "Nothing was found.")
        return result.found is not None
    began, trades, steps = time.monotonic(), 0, 0
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        result = run_seed(seed, say)
        if result.found:
            _report(seed, result, is_brief=arguments.brief)
            return 1
        trades += result.trades
        steps += result.steps
    seconds = time.monotonic() - began
    rate = arguments.seeds / seconds
    print(
        f"{arguments.seeds:,} seeds from {arguments.seed} found nothing: {steps:,} steps, {trades:,} trades, "
        f"{seconds:.0f} s, {rate:.1f} seeds/s"
    )
    return 0


def _report(seed: int, result: Result, *, is_brief: bool) -> None:
    print(f"Seed {seed} found:\n{result.found}\nAgain: make simulate SEED={seed} N=1")
    if is_brief:
        return
    print("Making it shorter ...")
    case = shrink(result.case)
    path = CASES / f"{seed}.json"
    case.write(path)
    print(f"{len(case.inputs)} inputs and {len(case.decisions)} decisions are left:")
    print(run_case(case, print).found)
    print(f"Again: make simulate CASE={path}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--case", type=Path, help="a shortened case instead")
    parser.add_argument("--brief", action="store_true", help="do not shorten what fails")
    parser.add_argument("--tell", action="store_true", help="print what happens")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
