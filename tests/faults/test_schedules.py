"""Ten schedules of the fault machine: real broker, real workers, faults of every family, and the proof."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import JARS
from tests.faults.cluster import Clusters
from tests.faults.plan import Plan
from tests.faults.run import run, seeded

PLANS = [seeded(seed, orders=2_000, faults=4) for seed in range(10)]


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Brokers of their own: they are killed and frozen."""
    with Clusters(tmp_path_factory.mktemp("faulty-brokers"), JARS) as clusters:
        yield clusters


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: str(plan.seed))
def test_nothing_is_lost_or_doubled_whatever_fails(plan: Plan, clusters: Clusters, tmp_path: Path) -> None:
    outcome = run(plan, clusters, tmp_path)
    if outcome.finding:
        pytest.fail(f"{outcome.line()}\n{outcome.finding}\n{_told(Path(outcome.folder))}", pytrace=False)


def _told(folder: Path) -> str:
    """Return what happened when, and how each worker's log ends: a run elsewhere leaves nothing else of a failure."""
    logs = sorted((folder / "logs").glob("[gw]*.log"))
    ends = [f"--- {log.name} ends with\n{log.read_text(errors='replace')[-4_000:]}" for log in logs]
    return "\n".join([(folder / "logs" / "schedule.txt").read_text(), *ends, f"all of it: {folder}"])


def test_ten_schedules_in_a_row_go_round_the_families() -> None:
    kinds = {step.kind for plan in PLANS for step in plan.steps}
    assert len(kinds) >= 30


def test_a_schedule_that_was_written_down_is_the_same_again(tmp_path: Path) -> None:
    plan = seeded(7)
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan == seeded(7)
