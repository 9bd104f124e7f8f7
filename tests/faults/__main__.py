"""`python -m tests.faults [--n N] [--seed SEED | --plan FILE | --soak MINUTES]`: stop at the first that finds anything."""

import argparse
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bourse.settings import PROJECT_ROOT
from tests.faults.cluster import Clusters
from tests.faults.plan import Plan
from tests.faults.run import Outcome, run, seeded, soak

JARS = PROJECT_ROOT / ".bourse" / "broker" / "jars"


def main() -> int:
    """Run what the command line asks for; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--n", type=int, default=10, help="schedules to run")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed")
    parser.add_argument("--plan", type=Path, help="a schedule that was written down")
    parser.add_argument("--orders", type=int, help="orders of each schedule")
    parser.add_argument("--faults", type=int, help="faults of each schedule")
    parser.add_argument("--soak", type=int, metavar="MINUTES", help="one long schedule, a fault a minute")
    parser.add_argument("--go-on", action="store_true", help="go on after a schedule that found something")
    parser.add_argument(
        "--campaign",
        type=Path,
        metavar="FILE",
        help="add what comes of each schedule to a file, leave out the seeds that it has, and sum up all of it",
    )
    chosen = parser.parse_args()
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plans = [seeded(chosen.seed + n, chosen.orders, chosen.faults) for n in range(chosen.n)]
    if chosen.plan:
        plans = [Plan.read(chosen.plan)]
    elif chosen.soak:
        plans = [soak(chosen.seed, chosen.soak)]
    outcomes = _read(chosen.campaign)
    known = {outcome.plan.seed for outcome in outcomes}
    for outcome in _run_all(plan for plan in plans if plan.seed not in known):
        outcomes.append(outcome)
        _add(outcome, chosen.campaign)
        if outcome.finding and not chosen.go_on:
            break
    _sum_up(outcomes)
    if chosen.soak:
        print(
            f"available: {outcomes[0].availability:.1%} (of each partition's seconds, those in which it moved on)"
        )
    return int(any(outcome.finding for outcome in outcomes))


def _run_all(plans: Iterable[Plan]) -> Iterator[Outcome]:
    with (
        tempfile.TemporaryDirectory(prefix="bourse-faults-") as folder,
        Clusters(Path(folder) / "brokers", JARS) as clusters,
    ):
        for plan in plans:
            outcome = run(plan, clusters, Path(folder))
            print(outcome.line(), flush=True)
            if outcome.finding:
                print(outcome.finding)
                print(f"Kept in {outcome.folder}; again with: make faults PLAN={outcome.folder}/plan.json")
            yield outcome


def _read(campaign: Path | None) -> list[Outcome]:
    if campaign is None or not campaign.exists():
        return []
    return [msgspec.json.decode(line, type=Outcome) for line in campaign.read_bytes().splitlines()]


def _add(outcome: Outcome, campaign: Path | None) -> None:
    if campaign is not None:
        campaign.parent.mkdir(parents=True, exist_ok=True)
        with campaign.open("ab") as file:
            file.write(msgspec.json.encode(outcome) + b"\n")


def _sum_up(outcomes: list[Outcome]) -> None:
    kinds = Counter(kind for outcome in outcomes for kind in outcome.struck)
    missed = Counter(kind for outcome in outcomes for kind in outcome.missed)
    ended = sum(len(outcome.endings) for outcome in outcomes)
    failed = [str(outcome.plan.seed) for outcome in outcomes if outcome.finding]
    orders = sum(outcome.plan.orders for outcome in outcomes)
    print(
        f"{len(outcomes)} schedules, {orders:,} orders, {kinds.total()} faults of {len(kinds)} kinds, "
        f"{ended} workers started again, {sum(outcome.seconds for outcome in outcomes) / 60:.0f} minutes, "
        f"{len(failed)} failed"
    )
    print("struck: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    if missed:
        print("missed: " + ", ".join(f"{kind} {count}" for kind, count in sorted(missed.items())))
    if failed:
        print("failed: seeds " + ", ".join(failed))


if __name__ == "__main__":
    sys.exit(main())
