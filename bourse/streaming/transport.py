"""The Faust transport driver: Faust starts agents, streams, web and sensors; the engine feeds them frames.

Faust's own fetching, acknowledging, committing and recovery are replaced. A message delivered here is one frame:
its value is the frame, its offset a count of deliveries. Use it with the broker URL scheme `bourse://`.
"""

import asyncio
import os
from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from faust.tables import TableManager
from faust.transport import base
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.producer import Producer as BaseProducer
from faust.types import TP, ConsumerMessage
from faust.types.tuples import RecordMetadata
from mode import Service
from mode.utils.logging import get_logger

from bourse.streaming.config import EngineConfig
from bourse.streaming.engine import Engine, TakeOver
from bourse.streaming.errors import EngineError
from bourse.streaming.frames import Frame
from bourse.streaming.metrics import EngineMetrics

if TYPE_CHECKING:
    from faust.app import App

logger = get_logger(__name__)

EXIT_FAILED = 70
"""Exit status of a worker whose cycle did not come to a committed end (EX_SOFTWARE)."""
_LEAVE_SECONDS = 3.0


class Consumer(BaseConsumer):
    """Feeds Faust's agents from the engine; everything that Faust would do about offsets is a no-op here."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Build the engine from the app's `engine` attribute (see `configure`)."""
        super().__init__(*args, **kwargs)
        config, metrics, take_over = self.app.engine_settings
        self.engine = Engine(config, self._deliver, metrics, take_over)
        self.app.engine = self.engine
        self._deliveries = 0
        self._finishing = False
        # Faust sends this signal before it stops the agents.
        self.app.on_before_shutdown.connect(self.finish, weak=False)
        self._pump: asyncio.Task[None] | None = None

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Start the pump; Faust calls this when all agents have started."""
        unknown = set(self.engine.config.topics) ^ set(topics)
        if unknown:
            msg = f"agents and engine settings differ about topics: {sorted(unknown)}"
            raise EngineError(msg)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        engine = self.engine
        try:
            self.app.flow_control.resume()
            await engine.start()
            self.app.rebalancing = False
            while not self._finishing:
                await engine.turn()
        except Exception as error:  # whatever it is, the process must not go on
            engine.metrics.aborted()
            logger.critical("the worker stops: %s: %s", type(error).__name__, error, exc_info=error)
            await self._leave()
            os._exit(EXIT_FAILED)

    async def _leave(self) -> None:
        try:
            await asyncio.wait_for(self.engine.stop(), _LEAVE_SECONDS)
        except Exception:  # noqa: BLE001  (the process ends either way)
            logger.warning("could not leave the group in time; it will notice by itself")

    async def finish(self, *_args: object, **_kwargs: object) -> None:
        """Finish the current cycle, leave the group, close the stores; agents must still be running."""
        self._finishing = True
        pump, self._pump = self._pump, None
        if pump is not None:
            await pump
            await self.engine.stop()

    async def on_stop(self) -> None:
        """Make sure of `finish`, for an app that is stopped before it has started."""
        await self.finish()

    async def _deliver(self, frame: Frame) -> None:
        """Hand `frame` to each agent that reads its topic, one after the other in order of declaration."""
        for channel in self._channels(frame.topic):
            frame.finished = False
            self._deliveries += 1
            message = self._message(frame)
            event = self.app.create_event(None, frame, {}, message)
            message.incref(1)
            channel.queue.put_nowait(event)
            while not message.acked:
                self._waiting_for_ack = asyncio.get_running_loop().create_future()
                await self._waiting_for_ack
            if not frame.finished:
                return
        # Faust's ledger of acknowledged offsets has no reader here.
        self._acked.clear()
        self._acked_index.clear()

    def _channels(self, topic: str) -> list[base.Conductor]:
        channels = [
            actor.stream.channel
            for agent in self.app.agents.values()
            for actor in agent._actors  # noqa: SLF001  (Faust has no public way from agent to stream)
            if topic in actor.stream.channel.topics
        ]
        if not channels:
            msg = f"no running agent reads {topic}"
            raise EngineError(msg)
        return channels

    def _message(self, frame: Frame) -> ConsumerMessage:
        return ConsumerMessage(
            frame.topic,
            frame.partition,
            self._deliveries,
            0.0,
            0,
            [],
            None,
            frame,
            None,
            0,
            0,
            TP(frame.topic, frame.partition),
            # A message of another generation is dropped by the stream without a word.
            generation_id=self.app.consumer_generation_id,
        )

    # -- what Faust would do by itself ------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Service) -> None:
        await fetcher.wait_for_stopped()

    @Service.task
    async def _commit_handler(self) -> None:
        """Do nothing: only the engine commits."""

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        """Do nothing: a cycle without end shows in the engine's metrics."""

    async def commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Do nothing: only the engine commits."""
        return False

    async def wait_empty(self) -> None:
        """Do nothing: the pump ends between cycles, when nothing is under way."""

    async def on_task_error(self, exc: BaseException) -> None:
        """Leave it to the engine, which sees that the frame was not finished."""

    def assignment(self) -> set[TP]:
        """Return nothing: with partitions of its own Faust would empty the agents' queues at a stop."""
        return set()

    async def create_topic(self, *args: object, **kwargs: object) -> None:
        """Do nothing: topics are made by operators, before workers start."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[object]]:  # noqa: ARG002, ASYNC109
        return {}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002
        return False

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing: positions are the engine's."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None: ...

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Do nothing: positions are the engine's."""

    async def position(self, tp: TP) -> int | None:  # noqa: ARG002
        """Return None: positions are the engine's."""
        return None

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:  # noqa: ARG002
        """Return nothing: Faust recovers no tables here."""
        return {}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:  # noqa: ARG002
        """Return nothing: Faust recovers no tables here."""
        return {}

    def highwater(self, tp: TP) -> int:  # noqa: ARG002
        """Return 0: lag is in the engine's metrics."""
        return 0

    def topic_partitions(self, topic: str) -> int | None:  # noqa: ARG002
        """Return the one number of partitions that all topics have."""
        return self.engine.config.partitions

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:  # noqa: ARG002
        """Return `partition`: agents name partitions themselves."""
        return partition

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: object) -> ConsumerMessage:
        raise NotImplementedError


class Producer(BaseProducer):
    """Faust's way of sending, led into the engine's transaction; outside of a cycle there is none to send in."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,  # noqa: ARG002
        headers: object,  # noqa: ARG002
        *,
        transactional_id: str | None = None,  # noqa: ARG002
    ) -> Awaitable[RecordMetadata]:
        """Write within the open transaction; raises EngineError when no cycle is under way."""
        self.app.engine.produce(topic, value, key, partition or 0)
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        done.set_result(RecordMetadata(topic, partition or 0, TP(topic, partition or 0), -1))
        return done

    async def send_and_wait(  # type: ignore[no-untyped-def]  # the signature is `send`'s
        self,
        *args,  # noqa: ANN002
        **kwargs,  # noqa: ANN003
    ) -> RecordMetadata:
        """Write within the open transaction; the offset is not known before the commit."""
        return await (await self.send(*args, **kwargs))

    async def create_topic(self, *args: object, **kwargs: object) -> None:
        """Do nothing: topics are made by operators, before workers start."""

    def key_partition(self, topic: str, key: bytes) -> TP:  # noqa: ARG002
        """Return partition 0: agents name partitions themselves."""
        return TP(topic, 0)

    async def flush(self) -> None:
        """Do nothing: a commit flushes."""


class NoTables(TableManager):
    """Faust's own tables, of which there are none: the engine keeps the state."""

    async def on_start(self) -> None:
        """Begin at once: Faust would wait a second for tables to be declared, and workers come back that much later."""
        await self._update_channels()
        await self.recovery.start()


class Transport(base.Transport):
    """Faust transport in frames and transactions: librdkafka's consumer, the engine's own producer."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
    Conductor: ClassVar[type[Conductor]] = Conductor
    default_port = 9092
    driver_version = "confluent-kafka's consumer, the engine's own producer"


def configure(
    app: "App",
    config: EngineConfig,
    metrics: EngineMetrics | None = None,
    take_over: TakeOver | None = None,
) -> None:
    """Give `app` what its engine is made of (see there); call it before the app starts."""
    app.engine_settings = (config, metrics or EngineMetrics(), take_over)
    app.engine = None
