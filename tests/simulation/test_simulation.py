"""The simulator finds nothing in the engine, finds what is planted, and does the same thing for the same seed."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from bourse.settings import PROJECT_ROOT
from bourse.streaming.carry import Carry
from bourse.tables.store import Store
from tests.simulation import oracle
from tests.simulation.choices import Choices
from tests.simulation.clients import Odds
from tests.simulation.kafka import Log, Outcome, Transaction
from tests.simulation.process import CHANGELOG
from tests.simulation.run import Case, run_case, run_seed
from tests.simulation.shrink import shrink
from tests.simulation.world import Finding, Plan, World, silence

SEEDS = 200
AT_A_TIME = 25


@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_nothing_is_found(first: int) -> None:
    trades = 0
    for seed in range(first, first + AT_A_TIME):
        result = run_seed(seed)
        assert result.found is None, f"{result.found}\nAgain: make simulate SEED={seed} N=1"
        trades += result.trades
    assert trades > AT_A_TIME, "a flow without trades proves little"


def test_a_seed_replays_exactly_whatever_the_hash_seed() -> None:
    code = "from tests.simulation.run import run_seed; print([run_seed(s).digest for s in range(6)])"
    answers = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT_ROOT,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert answers[0] == answers[1]


def test_its_written_decisions_replay_a_seed() -> None:
    for seed in range(5):
        result = run_seed(seed)
        assert run_case(result.case).digest == result.digest


def test_what_fails_is_made_shorter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    restore = Store.restore
    # What a changelog holds never gets into a store: wrong as soon as a partition changes hands.
    monkeypatch.setattr(Store, "restore", lambda store, _changes, position: restore(store, [], position))
    case = next(result.case for seed in range(100) if (result := run_seed(seed)).found)
    shorter = shrink(case, most_runs=100)
    assert run_case(shorter).found
    assert len(shorter.inputs) < len(case.inputs)
    assert len(shorter.decisions) < len(case.decisions) / 2
    shorter.write(tmp_path / "case.json")
    assert Case.read(tmp_path / "case.json") == shorter


# -- what was found ---------------------------------------------------------------------------------------------------


def never(_usual: float) -> float:
    return 0


def a_quiet_plan(*, workers: int = 1, carry: Carry = Carry.MEMORY, partitions: int = 2) -> Plan:
    """A plan without faults, so that a test can bring in its own."""
    plan = Plan(0)
    plan.partitions, plan.workers, plan.max_records, plan.carry = partitions, workers, 5000, carry
    plan.clients = Odds(never, never)
    plan.operators = plan.folders = plan.at_calls = plan.at_produce = ()
    return plan.with_inputs(Random(0), length=60)


@pytest.mark.parametrize(
    ("before", "after", "partitions", "topic"),
    [
        (Carry.KAFKA, Carry.MEMORY, 2, "validated"),
        (Carry.MEMORY, Carry.TOGETHER, 1, "risk-approved"),
        (Carry.KAFKA, Carry.TOGETHER, 1, "trades"),
    ],
)
def test_records_that_were_never_read_keep_workers_from_changing_over(
    before: Carry, after: Carry, partitions: int, topic: str
) -> None:
    # The topic had no committed offset at all, which was taken for nothing waiting: the records were lost.
    world = World(a_quiet_plan(carry=before, partitions=partitions), Choices(script={}))
    with silence():
        with world.at_work():
            world.begin(world.plan.inputs)
            while not any(world.kafka.logs[topic, p].end for p in range(partitions)):
                world.step()
            (worker,) = world.processes
            worker.kill()
            world.carry = after
            while world.carry is after:
                world.step()
            world.come_to_rest()
            world.work_off(world.plan.at_the_end)
        oracle.check(world)


@pytest.mark.parametrize("carry", [Carry.MEMORY, Carry.KAFKA])
def test_a_changelog_that_is_gone_keeps_workers_from_doing_everything_again(carry: Carry) -> None:
    # The rows say nothing, so all was read from its first record, and written once more under the same event ids.
    world = World(a_quiet_plan(carry=carry), Choices(script={}))
    with silence(), world.at_work():
        world.work_off(world.plan.inputs)
        (worker,) = world.processes
        worker.kill()
        done = len(world.kafka.history)
        for partition in range(world.plan.partitions):
            world.kafka.logs[CHANGELOG, partition] = Log()
        world.disk.replace(worker.folder, {})
        with pytest.raises(Finding, match="ChangelogLost: the changelog of partition 0 says nothing of"):
            world.work_off(world.plan.at_the_end)
    assert len(world.kafka.history) == done


def test_a_changelog_that_is_made_again_under_a_worker_stops_it_and_whoever_comes_next() -> None:
    # It wrote its next rows into the new one, and the next to restore from that had these and no others.
    world = World(a_quiet_plan(), Choices(script={}))
    with silence(), world.at_work():
        world.work_off(world.plan.inputs)
        for partition in range(world.plan.partitions):
            world.kafka.logs[CHANGELOG, partition] = Log()
        with pytest.raises(Finding, match=r"ChangelogLost: .* somebody has made it again"):
            world.work_off(world.plan.at_the_end)
        for process in world.processes:
            process.kill()
            world.disk.replace(process.folder, {})
        with pytest.raises(Finding, match=r"ChangelogLost: the changelog of partition . says nothing of"):
            world.come_to_rest()


def test_a_partition_with_nothing_but_marks_is_begun_by_whoever_comes_next() -> None:
    world = World(a_quiet_plan(), Choices(script={}))
    with silence(), world.at_work():
        world.come_to_rest()
        (worker,) = world.processes
        # What a worker leaves that takes its records back: the group goes past it, and no row says so.
        kafka = world.kafka
        identity, epoch = kafka.take_over("of somebody", 10)
        for partition in range(world.plan.partitions):
            transaction = Transaction(identity, world.clock.seconds)
            kafka.write(transaction, epoch, ("orders", partition), None, b"taken back")
            kafka.end(transaction, epoch, Outcome.ABORTED)
        world.come_to_rest()
        assert all(kafka.group.offsets["orders", p] == 2 for p in range(world.plan.partitions))
        worker.kill()
        world.disk.replace(worker.folder, {})
        world.work_off(world.plan.inputs)
        world.work_off(world.plan.at_the_end)


def test_a_full_queue_stops_no_worker() -> None:
    # The last record of a changelog did not wait for room; and its report was lost if it came during another's wait.
    plan = a_quiet_plan()
    plan.clients.full_queue = 0.3
    world = World(plan, Choices(Random(1)))
    with silence():
        world.run()
        oracle.check(world)
    assert world.starts == plan.workers
