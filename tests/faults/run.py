"""One schedule, from an empty market to the proof."""

import os
import random
import secrets
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from bourse.cli.errors import CliError
from bourse.cli.kafka import admin_client
from bourse.cli.topic_admin import TopicAdmin
from bourse.cli.topic_settings import wanted_topics
from bourse.settings import PROJECT_ROOT, Settings
from tests.faults import (  # noqa: F401  (registers the kinds)
    of_brokers,
    of_input,
    of_replicas,
    of_storage,
    of_workers,
)
from tests.faults.cluster import Cluster, Clusters
from tests.faults.faults import FAULTS, Place, kinds
from tests.faults.plan import Kinds, Plan, Step, plan_of, soak_of
from tests.faults.proof import check
from tests.faults.world import Going, World

FAILURES: Final = PROJECT_ROOT / ".bourse" / "faults"
SCHEDULE_SECONDS: Final = 200.0
"""So long after its last order a schedule has got stuck."""
_LOOK_SECONDS: Final = 0.05
# Shorter than an operator's, so that more of them run out in the time.
SESSION_MS: Final = 3_000
TRANSACTION_MS: Final = 5_000


@dataclass
class Outcome:
    """What became of a schedule. `struck` and `missed` name the faults that came to their moment, and that did not."""

    plan: Plan
    struck: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    endings: list[tuple[str, int]] = field(default_factory=list)
    seconds: float = 0.0
    availability: float = 1.0
    finding: str = ""
    folder: str = ""

    def line(self) -> str:
        """Say it in a line."""
        faults = ", ".join([*self.struck, *(f"({kind})" for kind in self.missed)])
        verdict = "FAILED" if self.finding else "exact"
        return f"seed {self.plan.seed:>4}  {verdict:<6}  {self.seconds:5.1f} s  {self.plan.orders:,} orders  {faults}"


def soak(seed: int, minutes: int) -> Plan:
    """Return the plan of a soak over every kind that may stand anywhere."""
    return soak_of(seed, kinds(Place.ANYWHERE), minutes)


def seeded(seed: int, orders: int | None = None, faults: int | None = None) -> Plan:
    """Return the plan of a seed over every kind there is."""
    sizes = {"orders": orders, "faults": faults}
    every = Kinds(**{place.value: kinds(place) for place in Place})
    return plan_of(seed, every, **{name: size for name, size in sizes.items() if size})


def run(plan: Plan, clusters: Clusters, folder: Path) -> Outcome:
    """Run a schedule in `folder`; what it finds is in the outcome, never raised."""
    outcome, began = Outcome(plan), time.monotonic()
    cluster = clusters.of(plan.brokers)
    with _market(plan, cluster, folder) as settings:
        world = World(plan, settings, cluster)
        try:
            _play(world, outcome)
            world.note("all is at rest")
            check(world)
            world.note("all is proved")
        except Exception:  # noqa: BLE001  (whatever it is, it is what was found)
            outcome.finding = traceback.format_exc()
            with suppress(Exception):
                world.look_closer()
        finally:
            with suppress(Exception):
                world.calm()
            world.close()
            outcome.endings = world.endings
            outcome.availability = world.availability.share
            outcome.seconds = time.monotonic() - began
            if outcome.finding or os.environ.get("FAULTS_KEEP"):
                outcome.folder = str(_keep(outcome, settings, cluster))
    return outcome


@contextmanager
def _market(plan: Plan, cluster: Cluster, folder: Path) -> Iterator[Settings]:
    """Make topics of the schedule's own, and settings that every process of it reads from its environment."""
    own = f"f{secrets.token_hex(4)}"
    variables = {
        "BOURSE_BROKER": cluster.servers,
        "BOURSE_REPLICATION": str(plan.brokers),
        "BOURSE_TOPIC_PREFIX": f"{own}.",
        "BOURSE_GROUP": own,
        "BOURSE_DATA_DIR": str(folder / own),
        "BOURSE_PARTITIONS": str(plan.partitions),
        "BOURSE_CYCLE_MAX_RECORDS": str(plan.max_records),
        "BOURSE_CARRY": plan.carry,
        "BOURSE_SESSION_TIMEOUT_MS": str(SESSION_MS),
        "BOURSE_TRANSACTION_TIMEOUT_MS": str(TRANSACTION_MS),
    }
    before = {name: value for name, value in os.environ.items() if name.startswith("BOURSE_")}
    for name in before:
        del os.environ[name]
    os.environ.update(variables)
    try:
        settings = Settings.read()
        admin = TopicAdmin(admin_client(settings.broker))
        wanted = wanted_topics(settings)
        admin.apply(wanted)
        yield settings
        with suppress(KafkaException, CliError):
            admin.delete([topic.name for topic in wanted])
        shutil.rmtree(settings.data_dir, ignore_errors=True)
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


def _play(world: World, outcome: Outcome) -> None:
    for number in range(world.plan.workers):
        world.want(f"w{number}")
    world.open_market()
    world.note("the market is open")
    deadline = time.monotonic() + SCHEDULE_SECONDS + world.plan.orders / world.plan.rate
    waiting, active = list(world.plan.steps), _Active(world, outcome)
    while waiting or active or not world.is_fed:
        assert time.monotonic() < deadline, f"stuck at {world.handled()} orders, with {waiting} to come"
        world.feed()
        world.watch()
        active.go_on()
        handled = world.handled()
        for step in list(waiting):
            if step.at <= handled and active.has_room_for(step):
                active.begin(step)
                waiting.remove(step)
        time.sleep(_LOOK_SECONDS)
    world.calm()
    world.drain()


class _Active:
    """The faults under way."""

    def __init__(self, world: World, outcome: Outcome) -> None:
        self._world = world
        self._outcome = outcome
        self._going: list[tuple[float, Step, Going]] = []

    def __bool__(self) -> bool:
        return bool(self._going)

    def has_room_for(self, step: Step) -> bool:
        """Whether nothing under way needs the same thing for itself."""
        uses = FAULTS[step.kind].uses
        return not uses or all(FAULTS[other.kind].uses != uses for _, other, _ in self._going)

    def begin(self, step: Step) -> None:
        self._world.note(f"begins: {step.kind}")
        going = FAULTS[step.kind].act(self._world, random.Random(step.seed))
        self._going.append((0.0, step, going))
        self.go_on()

    def go_on(self) -> None:
        """Let each fault go on whose time has come."""
        self._going = [left for entry in self._going if (left := self._next(*entry)) is not None]

    def _next(self, due: float, step: Step, going: Going) -> tuple[float, Step, Going] | None:
        if time.monotonic() < due:
            return due, step, going
        try:
            seconds = next(going)
        except StopIteration as end:
            (self._outcome.missed if end.value is False else self._outcome.struck).append(step.kind)
            self._world.note(f"has {'missed' if end.value is False else 'struck'}: {step.kind}")
            return None
        return time.monotonic() + seconds, step, going


def _keep(outcome: Outcome, settings: Settings, cluster: Cluster) -> Path:
    """Keep the schedule, the finding and the logs of a failed seed."""
    folder = FAILURES / str(outcome.plan.seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcome.plan.write(folder / "plan.json")
    (folder / "finding.txt").write_text(outcome.finding)
    shutil.copytree(settings.logs_dir, folder / "logs", dirs_exist_ok=True)
    for node in cluster.nodes:
        shutil.copy(node.log, folder / "logs" / f"broker-{node.number}.log")
    return folder
