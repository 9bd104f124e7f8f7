"""One simulation: workers on a Kafka in memory, and a schedule that decides who goes on, who dies, and when.

Everything follows from the seed: a plan (how big, how hostile, what is sent), and the decisions of `Choices` within
it. One thing happens at a time. While a call of one process is held up, the others go on inside that call, so a
process may wake up to a group that went on without it. There is no clock but `Clock`, no thread, and no sleep.
"""

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Self

import structlog

from bourse.agents.build import reading_order
from bourse.pipeline.flow import TOPICS
from bourse.streaming.carry import Carry
from bourse.streaming.errors import ChangelogLost, EngineError, ModeChangeRefused
from tests.simulation import rocks
from tests.simulation.choices import Choices
from tests.simulation.clients import Odds
from tests.simulation.inputs import Input, InputWriter
from tests.simulation.kafka import Clock, Kafka, Place
from tests.simulation.process import CHANGELOG, EXPECTED, Process, handed_over, stages_for

MONDAY_MS = 1_704_704_400_000
"""2024-01-08T09:00:00Z, which is also when the flow's orders say that they were sent."""
MOST_STEPS = 60_000
"""Within which any simulation comes to rest; a few thousand are usual."""
GENTLE = 0.2
DIES, PAUSES, FREEZES = 1, 2, 3
STOPS, DOUBLES, BACKS_UP, COMPACTS, CHANGES_OVER, FORGETS = 1, 2, 3, 4, 5, 6
LOST, ANOTHER = 1, 2
DELETED, OLDER = 1, 2


class Finding(BaseException):
    """Something that must not be, with the text that says what; no handler of the code under test sees it."""


class Plan:
    """What a seed decides before anything happens. Each kind of fault may be left out, be seldom, or be frequent."""

    def __init__(self, seed: int) -> None:
        dice = Random(seed)

        def chance(usual: float) -> float:
            return usual * dice.choice((0, 0, 0.3, 1, 1, 3))

        def deadly(usual: float) -> float:
            return 0 if self.is_gentle else chance(usual)

        self.is_gentle = dice.random() < GENTLE
        """Whether nothing happens that is a reason for a worker to stop by itself."""
        self.seed = seed
        self.partitions = dice.choice((1, 1, 2, 2, 3, 4))
        self.workers = dice.choice((1, 2, 2, 3))
        self.max_records = dice.choice((1, 3, 10, 5000))
        self.ways = tuple(Carry) if self.partitions == 1 else (Carry.MEMORY, Carry.KAFKA)
        """The ways of carrying hops that workers may have; the first of them more often than another."""
        self.carry = dice.choice(self.ways) if dice.random() < 0.2 * len(self.ways) else Carry.MEMORY
        self.faults = 40 if self.is_gentle else dice.choice((0, 5, 15, 40))
        """How many times processes may die or be held up, so that the day comes to its end."""
        pauses = 0.05 if self.is_gentle else chance(0.01)
        self.at_calls = (deadly(0.004), pauses, deadly(0.002))
        """Chances to die, pause or freeze at a client's call or a write to disk."""
        self.at_produce = tuple(odds / 10 for odds in self.at_calls)
        stops = 0.01 if self.is_gentle else chance(0.002)
        changes = deadly(0.002 * len(self.ways))
        self.operators = (stops, deadly(0.001), chance(0.005), chance(0.005), changes, deadly(0.001))
        self.folders = (chance(0.1), chance(0.2))
        self.clients = Odds(chance, deadly)
        self.with_inputs(dice, dice.choice((10, 30, 60, 100, 200)), chance(0.05))

    def with_inputs(self, dice: Random, length: int, poison: float = 0) -> Self:
        """Return the plan with inputs of its own, for the partitions that it has."""
        writer = InputWriter(stages_for(self.partitions).wire, self.partitions, dice)
        self.inputs = [*writer.opening(is_rich=dice.random() < 0.7), *writer.flow(length, poison)]
        self.at_the_end = writer.settlement()
        return self


class World:
    """A running simulation."""

    def __init__(self, plan: Plan, choices: Choices, say: Callable[[str], None] | None = None) -> None:
        """Prepare the simulation of a plan; `say` is told what happens, for people who want to read it."""
        self.plan = plan
        self.choices = choices
        self.clock = Clock(MONDAY_MS)
        self.kafka = Kafka([*map(str, TOPICS), CHANGELOG], plan.partitions, self.clock)
        self.disk = rocks.Disk(self.clock.wall_seconds)
        self.disk.about_to_write = self._at_disk
        self.carry = plan.carry
        self.processes: list[Process] = []
        self.sent: list[Input] = []
        self.steps = 0
        self.starts = 0
        self.errors: list[str] = []
        self._say = say
        self._waiting: list[Input] = []
        self._down = [f"w{number}" for number in range(plan.workers)]
        self._backups: dict[str, Any] = {}
        self._faults_left = plan.faults
        self._turn = 0
        topics = [str(topic) for topic in reading_order()]
        self._polled = {
            carry: [topic for topic in topics if topic not in handed_over(carry)] for carry in Carry
        }

    def run(self) -> None:
        """Run the day, let everything come to rest, settle, and come to rest again."""
        with self.at_work():
            self.work_off(self.plan.inputs)
            self.work_off(self.plan.at_the_end)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let processes live within the block; what they leave on disk and in Kafka stays."""
        try:
            with rocks.in_place_of_rocksdb(self.disk):
                yield
        finally:
            for process in self.processes:
                process.bury()

    def work_off(self, inputs: Sequence[Input]) -> None:
        """Send inputs, with faults until the last of them is sent, and come to rest."""
        self.begin(inputs)
        while self._waiting:
            self.step()
        self.come_to_rest()

    def begin(self, inputs: Sequence[Input]) -> None:
        """Have inputs sent, in their order, as steps go by."""
        self._waiting = list(reversed(inputs))

    # -- steps ------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one actor do one thing."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            msg = f"does not come to rest: {self._unrest()}"
            raise Finding(msg)
        self.pass_time(0.001)
        operator = self.choices.one_of(self.plan.operators)
        if operator:
            self._operate(operator)
        actors = self._actors()
        if not actors:
            self.pass_time(0.1)
            return
        self._turn += 1
        actors[(self._turn + self.choices.below(len(actors))) % len(actors)]()

    def _actors(self) -> list[Callable[[], None]]:
        self.processes = [
            process for process in self.processes if not process.is_dead or self._ended(process)
        ]
        actors: list[Callable[[], None]] = [p.step for p in self.processes if not p.is_held_up]
        if self._waiting and (not self._waiting[-1].waits or self.is_drained()):
            actors.append(self._publish)
        if self.kafka.markers:
            actors.append(self._write_marker)
        if self._down:
            actors.append(self._start)
        return actors

    def _ended(self, process: Process) -> bool:
        """Have a dead process started again, unless it was a double; return False, as it is not to be kept."""
        if not process.is_held_up:
            process.bury()
            if process.folder == process.name:
                self._down.append(process.name)
            return False
        return True

    def _publish(self) -> None:
        for _ in range(1 + self.choices.below(8)):
            record = self._waiting.pop()
            self.sent.append(record)
            self.kafka.append((record.topic, record.partition), record.key, record.value)
            if not self._waiting or self._waiting[-1].waits:
                return

    def _write_marker(self) -> None:
        self.kafka.write_marker(self.choices.below(len(self.kafka.markers)))

    def _start(self) -> None:
        name = self._down.pop(0)
        fate = self.choices.one_of(self.plan.folders)
        if fate == DELETED:
            self.disk.replace(name, {})
            self.say(f"{name} lost its folder")
        elif fate == OLDER and name in self._backups:
            self.disk.replace(name, self._backups[name])
            self.say(f"{name} has its folder from a backup")
        self._begin(name, name)
        self.pass_time(0.5)

    def _begin(self, name: str, folder: str) -> None:
        self.starts += 1
        self.say(f"{name} starts in {folder}, hops by {self.carry}")
        self.processes.append(Process(self, name, folder, self.carry))

    def _operate(self, what: int) -> None:
        if what == COMPACTS:
            self.say("the changelog is compacted")
            for partition in range(self.plan.partitions):
                self.kafka.logs[CHANGELOG, partition].compact()
        elif what == CHANGES_OVER and self._take_fault():
            others = [carry for carry in self.plan.ways if carry is not self.carry]
            self._change_over(others[self.choices.below(len(others))])
        elif what == FORGETS and self._take_fault():
            self._forget()
        elif self.processes:
            self._operate_on(self.processes[self.choices.below(len(self.processes))], what)

    def _operate_on(self, process: Process, what: int) -> None:
        if what == STOPS:
            self.say(f"{process.name} is told to stop")
            process.is_stopping = True
        elif what == DOUBLES and self._take_fault():
            self._begin(process.name, f"{process.name}-elsewhere-{self.starts}")
        elif what == BACKS_UP:
            self._backups[process.folder] = self.disk.copy(process.folder)

    def _change_over(self, carry: Carry) -> None:
        """Start workers that carry hops in that way from now on, one after the other."""
        self.say(f"hops are carried by {carry} from now on")
        self.carry = carry
        for process in self.processes:
            if process.carry is not carry:
                process.is_stopping = True

    def _forget(self) -> None:
        """Have the group come back without members, and with offsets that are gone or that somebody has set."""
        group, offsets = self.kafka.group, {}
        for place, offset in group.offsets.items():
            fate = self.choices.below(3)
            if fate != LOST:
                end = self.kafka.logs[place].end
                offsets[place] = self.choices.below(end + 1) if fate == ANOTHER else offset
        self.say(f"the group forgets: {group.offsets} becomes {offsets}")
        group.forget(offsets)

    def _take_fault(self) -> bool:
        self._faults_left -= 1
        return self._faults_left >= 0

    # -- what happens within calls ------------------------------------------------------------------------------------

    def at(self, process: Process, where: str) -> None:
        """Decide what happens to a process at a point of its code."""
        self.clock.seconds += 0.0002
        plan = self.plan
        fault = self.choices.one_of(plan.at_produce if where == "produce" else plan.at_calls)
        if not fault or not self._take_fault():
            return
        if fault == DIES:
            self.say(f"{process.name} is killed at: {where}")
            process.kill()
        else:
            is_frozen = fault == FREEZES
            self.say(f"{process.name} is {'frozen' if is_frozen else 'held up'} at: {where}")
            process.is_frozen = is_frozen
            self.hold_up(process, 4 + self.choices.below(10) if is_frozen else 0.01)
            process.is_frozen = False
            self.say(f"{process.name} goes on")

    def hold_up(self, process: Process, seconds: float) -> None:
        """Let others go on while a call of `process` takes its time."""
        if process.is_held_up:
            self.pass_time(seconds)
            return
        process.is_held_up = True
        steps = 1 + self.choices.below(40 if process.is_frozen else 10)
        for _ in range(steps):
            self.pass_time(seconds / steps)
            self.step()
        process.is_held_up = False

    def pass_time(self, seconds: float) -> None:
        """Move the clock; everybody who is not frozen is heard of in time."""
        self.clock.seconds += seconds
        for process in self.processes:
            if not (process.is_dead or process.is_frozen):
                process.heard_of()
        self.kafka.tick()

    def _at_disk(self, path: str, when: str) -> None:
        user = next((p for p in self.processes if path.startswith(f"{p.folder}/") and not p.is_dead), None)
        if user is not None:
            user.point(f"{when} a write to RocksDB")

    def note_error(self, process: Process, error: Exception) -> None:
        """Judge what a worker stopped for: some things are meant to stop it, all others are findings."""
        self.errors.append(f"{process.name} stops: {type(error).__name__}: {error}")
        self.say(self.errors[-1])
        if isinstance(error, ModeChangeRefused):
            # The one way that is never refused.
            self._change_over(Carry.KAFKA)
        elif (
            isinstance(error, ChangelogLost)
            and (known := self._offsets_with_rows()) != self.kafka.group.offsets
        ):
            # The group's offsets were set ahead before anything was handled: what the error says is done.
            self.kafka.group.forget(known)
        elif not isinstance(error, EXPECTED) and not self._is_mixture(error):
            raise Finding("".join(traceback.format_exception(error)))

    def _offsets_with_rows(self) -> dict[Place, int]:
        """Return the group's offsets of what workers have once said to be handled."""
        said = {
            (place[1], entry.key)
            for done in self.kafka.history
            for place, entry in done.written
            if place[0] == CHANGELOG
        }
        offsets = self.kafka.group.offsets
        return {
            (t, p): offset
            for (t, p), offset in offsets.items()
            if (p, f"source_offsets/{t}".encode()) in said
        }

    def _is_mixture(self, error: Exception) -> bool:
        """Say whether a worker refused a share of the topics that workers of both modes left it."""
        instances = {member.instance.rpartition("-")[2] for member in self.kafka.group.members.values()}
        return isinstance(error, EngineError) and "different partitions" in str(error) and len(instances) > 1

    # -- rest -------------------------------------------------------------------------------------------------------

    def is_drained(self) -> bool:
        """Say whether everything that was sent has been worked off to the last offset."""
        kafka = self.kafka
        if kafka.markers or any(identity.transaction for identity in kafka.identities.values()):
            return False
        offsets = kafka.group.offsets
        return all(
            offsets.get((topic, partition), 0) == kafka.logs[topic, partition].end
            for topic in self._polled[self.carry]
            for partition in range(self.plan.partitions)
        )

    def come_to_rest(self) -> None:
        """Go on without faults until everything is worked off and every partition is owned."""
        self.choices.is_quiet = True
        for process in self.processes:
            if process.folder != process.name:
                process.kill()
        while self._waiting or not (self.is_drained() and self._is_owned()):
            self.step()
        self.choices.is_quiet = False

    def _is_owned(self) -> bool:
        live = [p for process in self.processes if not process.is_dead for p in process.engine.live]
        return sorted(live) == list(range(self.plan.partitions)) and not self._down

    def _unrest(self) -> str:
        offsets = self.kafka.group.offsets
        behind = [
            f"{place[0]}/{place[1]} at {offsets.get(place, 0)} of {log.end}"
            for place, log in self.kafka.logs.items()
            if place[0] in self._polled[self.carry] and offsets.get(place, 0) != log.end
        ]
        return f"{behind}, {len(self._waiting)} inputs wait, {len(self.kafka.markers)} markers, down: {self._down}"

    def say(self, text: str) -> None:
        """Tell whoever reads along."""
        if self._say is not None:
            self._say(f"{self.clock.seconds:9.3f} {self.steps:5} {text}")

    def stores(self) -> Iterator[tuple[int, dict[str, dict[bytes, bytes]], Any]]:
        """Yield partition, rows by table, and open store of each live partition."""
        for process in self.processes:
            for partition in process.engine.live:
                yield (
                    partition,
                    self.disk.folders[f"{process.folder}/{partition}"],
                    process.engine.stores[partition],
                )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep log lines back: a day has hundreds of them."""
    before = structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
        logging.disable(logging.NOTSET)
