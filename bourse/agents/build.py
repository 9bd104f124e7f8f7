"""The composition root of a worker: Faust app, engine settings, and one agent for each stage."""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine

import faust

from bourse.agents import announcer, matching, positions, risk, settlement, validation
from bourse.agents.logs import logging_config
from bourse.agents.member import member_of
from bourse.agents.metrics import StageMetrics
from bourse.agents.runner import StageRunner
from bourse.agents.web import add_pages
from bourse.agents.wire import Wire
from bourse.pipeline.flow import STAGES, Stage, hops, stages
from bourse.pipeline.outputs import Topic
from bourse.settings import Settings
from bourse.streaming.config import EngineConfig
from bourse.streaming.engine import TakeOver
from bourse.streaming.frames import Frame
from bourse.streaming.schema import frame_schema
from bourse.streaming.stores import ChangelogIdentity
from bourse.streaming.transport import NoTables, configure
from bourse.tables.state import open_store
from bourse.tables.store import Store

CHANGELOG = "changelog"
Agent = Callable[[AsyncIterator[Frame]], Coroutine[None, None, None]]
# In the order of the flow, which is also the order in which agents get a frame that several of them read.
AGENTS: dict[str, Callable[[StageRunner], Agent]] = {
    "announcer": announcer.agent,
    "validation": validation.agent,
    "risk": risk.agent,
    "matching": matching.agent,
    "positions": positions.agent,
    "settlement": settlement.agent,
}


def reading_order() -> list[Topic]:
    """Return every topic that a stage reads, in the order in which a cycle's frames are handled.

    Orders come last: who brings in money, shares or news is heard before those who act on them.
    """
    topics = dict.fromkeys(read.topic for stage in STAGES for read in stage.reads)
    return sorted(topics, key=lambda topic: topic is Topic.ORDERS)


def written_topics() -> frozenset[Topic]:
    """Return every topic that a worker writes, whichever stage it is; all of them write dead letters."""
    return frozenset({Topic.DEAD_LETTERS, *(topic for stage in STAGES for topic in stage.writes)})


def inner_topics() -> frozenset[Topic]:
    """Return the topics that a stage writes under the key they are read under."""
    return frozenset(hop.topic for hop in hops() if hop.handed_over)


def crossing_topics() -> frozenset[Topic]:
    """Return the topics that one stage writes for one other under another key; what concerns everybody is not one of them."""
    return frozenset(hop.topic for hop in hops()) - inner_topics() - shared_topics()


def shared_topics() -> frozenset[Topic]:
    """Return the topics that several stages read."""
    readers = Counter(read.topic for stage in STAGES for read in stage.reads)
    return frozenset(topic for topic, stages in readers.items() if stages > 1)


def create_app(settings: Settings, take_over: TakeOver | None = None) -> faust.App:
    """Return the Faust app of one worker, ready to start; `take_over` is its engine's (see there)."""
    app = faust.App(
        f"{settings.group}-{settings.worker_id}",
        broker=[f"bourse://{server}" for server in settings.broker.split(",")],
        datadir=settings.state_dir / settings.worker_id,
        topic_allow_declare=False,
        topic_disable_leader=True,
        TableManager=NoTables,
        web_bind=settings.web_host,
        web_port=settings.web_port or _free_port(settings.web_host),
        web_host=settings.web_host,
        logging_config=logging_config(settings),
    )
    wire = Wire(settings)
    configure(app, _engine_config(settings, wire), take_over=take_over)
    metrics, handed_over = StageMetrics(), settings.carry.in_memory(inner_topics(), crossing_topics())
    for stage in stages(settings.partitions):
        _add_agent(app, stage, StageRunner(stage, wire, metrics, handed_over), settings)
    add_pages(app, settings)
    return app


def _engine_config(settings: Settings, wire: Wire) -> EngineConfig:
    def store(identity: ChangelogIdentity) -> Store:
        return open_store(settings.state_dir / settings.worker_id, identity, wire.codec)

    return EngineConfig(
        member=member_of(settings),
        partitions=settings.partitions,
        changelog=settings.topic(CHANGELOG),
        topics=[settings.topic(name) for name in reading_order()],
        open_store=store,
        writes=frozenset(settings.topic(name) for name in written_topics()),
        inner=frozenset(settings.topic(name) for name in inner_topics()),
        crossing=frozenset(settings.topic(name) for name in crossing_topics()),
        shared=frozenset(settings.topic(name) for name in shared_topics()),
        carry=settings.carry,
        max_records=settings.cycle_max_records,
        max_bytes=settings.cycle_max_bytes,
        session_timeout_ms=settings.session_timeout_ms,
    )


def _add_agent(app: faust.App, stage: Stage, runner: StageRunner, settings: Settings) -> None:
    topic = app.topic(*(settings.topic(read.topic) for read in stage.reads), schema=frame_schema())
    app.agent(topic, name=stage.name)(AGENTS[stage.name](runner))


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
