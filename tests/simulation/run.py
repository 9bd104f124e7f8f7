"""Run a seed, or a shorter case made of one, and say what was found."""

import hashlib
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.simulation import oracle
from tests.simulation.choices import Choices
from tests.simulation.world import Finding, Plan, World, silence


@dataclass(frozen=True, slots=True)
class Case:
    """A seed's plan with some of its inputs, and the decisions that are not the dull ones."""

    seed: int
    inputs: Sequence[int]
    decisions: Mapping[int, int]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        decisions = {str(number): made for number, made in self.decisions.items()}
        case = {"seed": self.seed, "inputs": list(self.inputs), "decisions": decisions}
        path.write_text(json.dumps(case) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Case":
        case = json.loads(path.read_text())
        decisions = {int(number): made for number, made in case["decisions"].items()}
        return cls(case["seed"], case["inputs"], decisions)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run."""

    found: str | None
    case: Case
    """The run again, decision by decision."""
    digest: str
    """Of every record at every offset, and of how much was done to get there."""
    trades: int
    steps: int


Say = Callable[[str], None]


def run_seed(seed: int, say: Say | None = None) -> Result:
    """Run the simulation of a seed."""
    plan = Plan(seed)
    return _run(plan, range(len(plan.inputs)), Choices(Random(seed)), say)


def run_case(case: Case, say: Say | None = None) -> Result:
    """Run a case."""
    plan = Plan(case.seed)
    plan.inputs = [plan.inputs[number] for number in case.inputs]
    return _run(plan, case.inputs, Choices(script=case.decisions), say)


def _run(plan: Plan, inputs: Sequence[int], choices: Choices, say: Say | None) -> Result:
    world = World(plan, choices, say)
    found = None
    try:
        with silence():
            world.run()
            oracle.check(world)
    except Finding as finding:
        found = str(finding)
    except Exception:  # noqa: BLE001  (whatever it is, it is not what should come of a seed)
        found = traceback.format_exc()
    case = Case(plan.seed, list(inputs), dict(choices.made))
    return Result(found, case, _digest(world), _trades(world), world.steps)


def _digest(world: World) -> str:
    digest = hashlib.sha256(f"{world.steps} {world.clock.seconds:.4f} {world.choices.number}".encode())
    for place, log in world.kafka.logs.items():
        digest.update(repr(place).encode())
        for offset, entry in log.committed():
            digest.update(repr((offset, entry.key, entry.value, entry.timestamp_ms)).encode())
    return digest.hexdigest()


def _trades(world: World) -> int:
    logs = (log for (topic, _), log in world.kafka.logs.items() if topic == "trades")
    return sum(1 for log in logs for _ in log.committed()) // 2
