"""A worker's process: the real engine and the real stages, driven step by step, killed and started again."""

import contextlib
from collections.abc import Callable, Coroutine, Generator
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from confluent_kafka import KafkaException

from bourse.agents.build import (
    AGENTS,
    crossing_topics,
    inner_topics,
    reading_order,
    shared_topics,
    written_topics,
)
from bourse.agents.runner import StageRunner
from bourse.agents.wire import Wire
from bourse.pipeline.flow import stages
from bourse.settings import Settings
from bourse.streaming.carry import Carry
from bourse.streaming.config import EngineConfig, Member
from bourse.streaming.engine import Engine
from bourse.streaming.errors import ModeChangeRefused, TransactionFailed
from bourse.streaming.frames import Frame, Record
from bourse.streaming.outside import Outside
from bourse.streaming.stores import ChangelogIdentity
from bourse.tables.state import open_store
from bourse.tables.store import Store
from tests.simulation.clients import Admin, Consumer, Producer
from tests.simulation.rocks import Folder

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

GROUP = "bourse"
CHANGELOG = "changelog"
EXPECTED: Final = (KafkaException, TransactionFailed, ModeChangeRefused)
"""What a worker may stop for; anything else is a finding."""


class Killed(BaseException):
    """The process is gone: nothing of it runs any further."""


class _Silent:
    """Metrics that nobody looks at."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_what: None


class _Step(Generic[T]):
    """A call that is made, at the latest possible moment, when somebody waits for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call

    def __await__(self) -> Generator[None, None, T]:
        yield
        return self._call()


class Turns:
    """In the place of the engine's thread: a call is one step of the process, whenever its turn comes."""

    def run(self, call: Callable[[], T], seconds: float) -> _Step[T]:  # noqa: ARG002  (nothing hangs here)
        return _Step(call)

    def close(self) -> None: ...


def handed_over(carry: Carry) -> frozenset[str]:
    """Return the topics whose records reach their reader in memory."""
    return frozenset(map(str, carry.in_memory(inner_topics(), crossing_topics())))


class Stages(NamedTuple):
    """The stages of a market with that many partitions, by the topics they read."""

    wire: Wire
    readers: dict[str, list[StageRunner]]


@cache
def stages_for(partitions: int, carry: Carry = Carry.MEMORY) -> Stages:
    """Return the stages; they remember nothing, so every process of every simulation has the same."""
    wire = Wire(Settings(partitions=partitions, schema_registry=None, topic_prefix=""))
    runners = {
        stage.name: (stage, StageRunner(stage, wire, _Silent(), handed_over(carry)))  # type: ignore[arg-type]
        for stage in stages(partitions)
    }
    readers: dict[str, list[StageRunner]] = {topic: [] for topic in reading_order()}
    for name in AGENTS:
        stage, runner = runners[name]
        for read in stage.reads:
            readers[read.topic].append(runner)
    return Stages(wire, readers)


class Delivered(NamedTuple):
    """Records of one topic partition as agents were given them in one cycle, from Kafka."""

    topic: str
    partition: int
    records: list[Record]
    carry: Carry


class Process:
    """One start of one worker."""

    def __init__(self, world: "World", name: str, folder: str, carry: Carry) -> None:
        self.world = world
        self.name = name
        self.folder = folder
        self.carry = carry
        self.kafka = world.kafka
        self.choices = world.choices
        self.odds = world.plan.clients
        self.delivered: list[Delivered] = []
        self.is_dead = False
        self.is_held_up = False
        """Whether a call of it waits, so that it has no turn."""
        self.is_frozen = False
        """Whether all of its threads are stopped, so that the group does not hear of it."""
        self.is_stopping = False
        self.error: Exception | None = None
        self._stages = stages_for(world.plan.partitions, carry)
        self._consumers: list[Consumer] = []
        self.engine = Engine(self._config(), self._deliver, _Silent())  # type: ignore[arg-type]
        self._life: Coroutine[None, None, None] = self._live()

    def step(self) -> None:
        """Run on until it next waits for anything."""
        try:
            self._life.send(None)
        except (StopIteration, Killed):
            self.kill()

    def kill(self) -> None:
        """End it where it stands; what is on disk stays as it is."""
        self.is_dead = True
        self.world.disk.let_go(self.folder)

    def bury(self) -> None:
        """Let go of what it was about to do; it must not be within one of its own calls."""
        self._life.close()

    def heard_of(self) -> None:
        """Send the heartbeats that are due."""
        for consumer in self._consumers:
            consumer.heard_of()

    # -- as its clients see it --------------------------------------------------------------------------------------

    def point(self, where: str) -> None:
        if self.is_dead:
            raise Killed
        self.world.at(self, where)
        if self.is_dead:
            raise Killed

    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    def hold_up(self, seconds: float) -> None:
        self.world.hold_up(self, seconds)
        if self.is_dead:
            raise Killed

    # -- what the worker itself does ----------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Do what the transport's pump does, as it does it."""
        try:
            await self.engine.start()
            while not self.is_stopping:
                await self.engine.turn()
            await self.engine.stop()
        except Exception as error:  # noqa: BLE001  (the world judges it)
            self.error = error
            self.world.note_error(self, error)
            await self._leave()

    async def _leave(self) -> None:
        # As in the transport: the process ends either way.
        with contextlib.suppress(Exception):
            await self.engine.stop()

    async def _deliver(self, frame: Frame) -> None:
        await _Step(lambda: None)
        records = list(frame)
        if records[0].passed is None:
            self.delivered.append(Delivered(frame.topic, frame.partition, records, self.carry))
        for runner in self._stages.readers[frame.topic]:
            frame.finished = False
            runner.run(frame)
            if not frame.finished:
                return

    def _config(self) -> EngineConfig:
        wire, plan = self._stages.wire, self.world.plan

        def store(identity: ChangelogIdentity) -> Store:
            return open_store(Folder(self.folder), identity, wire.codec)  # type: ignore[arg-type]

        return EngineConfig(
            member=Member("simulated", GROUP, self.name, outside=self._outside()),
            partitions=plan.partitions,
            changelog=CHANGELOG,
            topics=[str(topic) for topic in reading_order()],
            open_store=store,
            writes=frozenset(map(str, written_topics())),
            inner=frozenset(map(str, inner_topics())),
            crossing=frozenset(map(str, crossing_topics())),
            shared=frozenset(str(topic) for topic in shared_topics()),
            carry=self.carry,
            max_records=plan.max_records,
        )

    def _outside(self) -> Outside:
        return Outside(
            consumer=self._consumer,
            producer=lambda settings: Producer(self, settings),  # type: ignore[arg-type, return-value]
            admin=lambda settings: Admin(self, settings),  # type: ignore[arg-type, return-value]
            monotonic=self.world.clock.now,
            computed=lambda: 0.0,
            thread=Turns,
        )

    def _consumer(self, settings: dict[str, Any]) -> Any:
        consumer = Consumer(self, settings)
        if "group.instance.id" in settings:
            self._consumers.append(consumer)
        return consumer
