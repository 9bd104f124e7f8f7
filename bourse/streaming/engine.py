"""The cycle: poll, frames through agents, one transaction around all that they wrote, then the stores.

What makes it exactly once is the order of the steps in `_cycle`, and that nothing else commits. Rebalance
callbacks only run inside `_poll`, hence always between two cycles, never within one.
"""
# Kafka's clients type every answer as one that may be missing: a fetched message has its place, a cluster its id.
# pyright: reportArgumentType=false, reportOptionalOperand=false

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ClusterMetadata
from mode.utils.logging import get_logger

from bourse.streaming.asking import ANSWER_SECONDS, answers
from bourse.streaming.batches import Delivered
from bourse.streaming.config import RECONNECT_MS, EngineConfig
from bourse.streaming.errors import EngineError, TopicsMismatch, UnfinishedFrame
from bourse.streaming.frames import Frame, Record
from bourse.streaming.intake import Intake, Source, assign, begin_reading, consumer_settings, sources
from bourse.streaming.lost import refuse_begun_anew, refuse_lost
from bourse.streaming.metrics import EngineMetrics
from bourse.streaming.outside import ClientSettings
from bourse.streaming.producer import TransactionalProducer, taken_over
from bourse.streaming.restore import Restoration, Span, starts
from bourse.streaming.stores import ChangelogIdentity, Handled, PartitionStore
from bourse.streaming.switch import carry_over

logger = get_logger(__name__)

T = TypeVar("T")
Deliver = Callable[[Frame], Awaitable[None]]
TakeOver = Callable[[], TransactionalProducer]
_RESTORE_SLICE_SECONDS = 0.2
_LEAVE_SECONDS = 2.0
_BROKER_SECONDS = 40.0
_CALL_SECONDS = 120.0
"""For what is no step of a transaction: to start, to poll with rebalances in it, to restore. What should have come back long ago is given up."""


class Engine:
    """One worker's engine: a group member, a transactional producer and the stores of the owned partitions."""

    def __init__(
        self,
        config: EngineConfig,
        deliver: Deliver,
        metrics: EngineMetrics,
        take_over: TakeOver | None = None,
    ) -> None:
        """Prepare; nothing is contacted before `start`. `deliver` takes a frame through its agents.

        `take_over` returns this worker's producer where somebody has begun already to fence its ghost.
        """
        self.config = config
        self._in_memory = config.handed_over
        self.metrics = metrics
        self._deliver = deliver
        self._take_over = take_over or partial(taken_over, config.member)
        self._rank = {topic: rank for rank, topic in enumerate(config.topics)}
        self._outside = config.member.outside
        self._thread = self._outside.thread()
        self._handed: deque[tuple[str, int]] = deque()
        self._passed: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self._committed: dict[tuple[str, int], int] = {}
        self._changelog_ends: dict[int, int] = {}
        self._sources: list[Source] = []
        self._topic_id = ""
        self._cluster_id = ""
        self._joined = False
        self._rebalances = 0
        self.stores: dict[int, PartitionStore] = {}
        self.restoring: dict[int, Restoration] = {}
        self.live: set[int] = set()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, fence this worker's ghost, check the topics and join the group."""
        await self._blocking(self._start)

    async def stop(self) -> None:
        """Leave the group and let go of producer and stores; call it between cycles only."""
        await self._blocking(self._stop)
        self._thread.close()

    async def turn(self) -> None:
        """Do one turn: restore what is restoring, poll, and process what came as one transaction."""
        if self.restoring:
            await self._blocking(self._restore_slice)
        messages = await self._blocking(self._poll)
        if messages:
            await self._cycle(messages)
        elif self._intake.is_idle:
            await self._commit_ends()

    def produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> None:
        """Write a record within the cycle that is under way; raises EngineError when there is none."""
        if not self._producer.is_open:
            msg = f"nothing can be sent to {topic} outside of a cycle"
            raise EngineError(msg)
        self._producer.produce(topic, value, key, partition)

    def lag(self) -> dict[tuple[str, int], int]:
        """Return the offsets between position and the last known end, for every live topic partition."""
        keys = [(topic, p) for p in sorted(self.live) for topic in self.config.polled]
        return {key: self._lag(*key) for key in keys}

    def _lag(self, topic: str, partition: int) -> int:
        tp = TopicPartition(topic, partition)
        end: int = self._consumer.get_watermark_offsets(tp, cached=True)[1]
        # What is not known yet comes as a negative offset.
        return max(0, end - self._committed.get((topic, partition), end))

    @property
    def is_ready(self) -> bool:
        """Whether the worker has joined the group and every partition it owns is live."""
        return self._joined and not self.restoring

    def _blocking(self, call: Callable[[], T], seconds: float = _CALL_SECONDS) -> Awaitable[T]:
        return self._thread.run(call, seconds)

    def _in_transaction(self, call: Callable[[], None]) -> Awaitable[None]:
        # Whatever hangs: by this time the broker has aborted what was open, and the heartbeats of a worker that
        # hangs would keep its partitions from everybody else.
        return self._blocking(call, 1 + self._producer.timeout)

    def _start(self) -> None:
        connect: ClientSettings = {
            "bootstrap.servers": self.config.member.brokers,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            **self.config.member.client,
        }
        self._admin = self._outside.admin(connect)
        self._check_topics()
        self._producer = self._take_over()
        self._consumer = self._outside.consumer(consumer_settings(self.config))
        self._intake = Intake(self._consumer, self.config)
        self._intake.subscribe(self._on_assign, self._on_revoke, self._on_lost)

    def _stop(self) -> None:
        self._producer.close()
        # Closing does not take a static member out of the group; unsubscribing does.
        self._consumer.unsubscribe()
        deadline = self._outside.monotonic() + _LEAVE_SECONDS
        while self._consumer.assignment() and self._outside.monotonic() < deadline:
            self._consumer.consume(1, 0.05)
        self._consumer.consume(1, 0.05)
        self._consumer.close()
        self._release(set(self.stores))

    def _check_topics(self) -> None:
        wanted = sorted({*self.config.topics, *self.config.writes, self.config.changelog})
        metadata = self._metadata()
        missing = [name for name in wanted if name not in metadata.topics]
        if missing:
            msg = f"missing in Kafka: {', '.join(missing)}; `bourse topics apply` makes what is missing"
            raise TopicsMismatch(msg)
        for name in wanted:
            found = len(metadata.topics[name].partitions)
            if found != self.config.partitions:
                msg = f"topic {name} has {found} partitions, the setting says {self.config.partitions}"
                raise TopicsMismatch(msg)
        self._cluster_id = metadata.cluster_id
        self._topic_id = self._describe_changelog()

    def _metadata(self) -> ClusterMetadata:
        # A worker that starts while its broker is away waits for it: ending and starting again takes longer each time.
        deadline = self._outside.monotonic() + _BROKER_SECONDS
        while True:
            try:
                return self._admin.list_topics(timeout=5)
            except KafkaException as error:
                if self._outside.monotonic() > deadline:
                    raise
                logger.warning("the broker does not answer yet: %s", error)

    def _describe_changelog(self) -> str:
        topics = TopicCollection([self.config.changelog])
        admin = self._admin
        found = answers(admin, lambda: admin.describe_topics(topics, request_timeout=ANSWER_SECONDS))
        return str(found[self.config.changelog].topic_id)

    # -- rebalancing: these run inside `_poll`, between cycles ----------------------------------------------------

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self._rebalances += 1
        owned = self._owned(assigned)
        self._release(set(self.stores) - owned)
        self._sources = sources(consumer, self._admin, assigned)
        assign(consumer, self._sources)
        self._committed.clear()
        self._intake.ends.clear()
        changelog = [TopicPartition(self.config.changelog, p) for p in owned]
        first, marks = starts(self._admin, changelog), self._producer.mark(changelog)
        for partition in sorted(owned):
            store = self.stores.get(partition) or self._open(partition)
            self.stores[partition] = store
            key = self.config.changelog, partition
            span = Span(first[key], marks[key])
            self.restoring[partition] = Restoration(self.config, partition, store, span)
        self._joined = True
        logger.info("assigned partitions %s", sorted(owned))

    def _on_revoke(self, consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        self._rebalances += 1
        self.live.clear()
        self._drop_restorations()
        consumer.unassign()
        self._joined = False

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        logger.warning("lost %s partitions: the group went on without this worker", len(lost))
        self._on_revoke(consumer, lost)

    def _owned(self, assigned: list[TopicPartition]) -> set[int]:
        by_topic: defaultdict[str, set[int]] = defaultdict(set)
        for tp in assigned:
            by_topic[tp.topic].add(tp.partition)
        sets = list(by_topic.values())
        if sets and (len(sets) != len(self.config.polled) or any(other != sets[0] for other in sets)):
            msg = f"the group assigned different partitions of different topics: {dict(by_topic)}"
            raise EngineError(msg)
        return sets[0] if sets else set()

    def _open(self, partition: int) -> PartitionStore:
        identity = ChangelogIdentity(self._cluster_id, self._topic_id, self.config.changelog, partition)
        return self.config.open_store(identity)

    def _release(self, partitions: Iterable[int]) -> None:
        self._drop_restorations()
        for partition in partitions:
            self.live.discard(partition)
            self.stores.pop(partition).close()

    def _drop_restorations(self) -> None:
        for restoration in self.restoring.values():
            restoration.close()
        self.restoring.clear()

    def _restore_slice(self) -> None:
        deadline = self._outside.monotonic() + _RESTORE_SLICE_SECONDS
        for partition, restoration in list(self.restoring.items()):
            before = restoration.restored
            while not (finished := restoration.step(0.05)) and self._outside.monotonic() < deadline:
                pass
            self.metrics.restored(partition, restoration.restored - before, restoration.remaining)
            if finished:
                del self.restoring[partition]
                self._go_live(partition)
                rows, seconds = restoration.restored, restoration.seconds
                logger.info(
                    "partition %s is live after %s restored rows, restored in %.2f s",
                    partition,
                    rows,
                    seconds,
                )

    def _go_live(self, partition: int) -> None:
        store, read = self.stores[partition], [s for s in self._sources if s.partition == partition]
        handled = store.handled()
        refuse_lost(self.config, [s for s in read if s.topic not in handled.offsets])
        carried = carry_over(self.config, self._consumer, self._producer, partition, handled)
        if carried:
            offsets = {(topic, partition): offset for topic, offset in carried.items()}
            self._producer.begin()
            self._send_offsets(offsets)
            self._commit({partition}, offsets)
        self.live.add(partition)
        begin_reading(self._consumer, read, store.handled().offsets)

    # -- polling --------------------------------------------------------------------------------------------------

    def _poll(self) -> list[Message]:
        rebalances = self._rebalances
        messages = self._intake.poll(0 if self.restoring else self.config.poll_seconds)
        # What was fetched before a rebalance belongs to an assignment that is gone: the next one begins at
        # what is committed, so these come again to whoever owns them now.
        return messages if rebalances == self._rebalances else []

    # -- the transaction ------------------------------------------------------------------------------------------

    async def _cycle(self, messages: list[Message]) -> None:
        patience = self.config.member.patience
        started, computed = self._outside.monotonic(), self._outside.computed()
        try:
            await self._transact(messages, started)
        except Exception:
            lasted, worked = self._outside.monotonic() - started, self._outside.computed() - computed
            if patience and patience.ended(lasted, worked):
                logger.error(  # noqa: TRY400 - the error itself is told of by whoever ends the process
                    "a cycle of %s records has lasted %.1f s; from the next start on a transaction may last longer than %.1f s",
                    len(messages),
                    lasted,
                    patience.timeout_ms / 1000,
                )
            raise
        if patience and patience.committed(self._outside.monotonic() - started):
            await self._blocking(self._take_over_again)

    def _take_over_again(self) -> None:
        """Go back to the usual time-out, as a restart would: readers wait for this worker no longer than that if it is lost."""
        self._producer.close()
        member = self.config.member
        self._producer = taken_over(replace(member, transaction_timeout_ms=member.usual_timeout_ms))
        logger.info("transactions may last %.1f s again", self._producer.timeout)

    async def _transact(self, messages: list[Message], started: float) -> None:
        frames, offsets = self._frames(messages)
        self._producer.begin()
        # Offsets are on their way meanwhile. Outputs are not, until there is a full batch of them: what a broker is asked costs
        # it about the same whatever is in it, and a small cycle is one request then.
        sent = self._in_transaction(lambda: self._send_offsets(offsets))
        for frame in frames:
            for portion in self._portions(frame):
                await self._run(portion)
                while self._handed:
                    await self._run(self._next_handed())
        touched = {frame.partition for frame in frames}
        committing = self._outside.monotonic()
        await sent
        await self._in_transaction(lambda: self._commit(touched, offsets))
        self.metrics.cycle(
            self._outside.monotonic() - started, self._outside.monotonic() - committing, len(messages)
        )

    def _frames(self, messages: list[Message]) -> tuple[list[Frame], dict[tuple[str, int], int]]:
        grouped: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        for m in messages:
            grouped[m.topic(), m.partition()].append(Record(m.offset(), m.timestamp()[1], m.key(), m.value()))
        offsets = {key: records[-1].offset + 1 for key, records in grouped.items()}
        ranked = sorted(grouped.items(), key=lambda item: (self._rank[item[0][0]], item[0][1]))
        return [self._frame(*key, records) for key, records in ranked], offsets

    def _frame(self, topic: str, partition: int, records: Sequence[Record]) -> Frame:
        store = self.stores[partition]
        producer = self._producer
        return Frame(topic, partition, records, store, producer.queue, producer.produce, self._pass_on)

    def _portions(self, frame: Frame) -> Iterable[Frame]:
        """Return what of a frame goes through all of its agents at once: all of it, or each record that several share."""
        if frame.topic not in self.config.shared:
            return (frame,)
        return (self._frame(frame.topic, frame.partition, [record]) for record in frame)

    async def _run(self, frame: Frame) -> None:
        await self._deliver(frame)
        if not frame.finished:
            msg = f"an agent of {frame.topic}/{frame.partition} did not finish its frame: nothing of this cycle counts"
            raise UnfinishedFrame(msg)
        self.metrics.frame(frame.topic, len(frame))

    def _pass_on(self, topic: str, partition: int, record: Record) -> None:
        if topic not in self._in_memory:
            return
        key = (topic, partition)
        if key not in self._passed:
            self._handed.append(key)
        self._passed[key].append(record)

    def _next_handed(self) -> Frame:
        key = self._handed.popleft()
        return self._frame(*key, self._passed.pop(key))

    def _send_offsets(self, offsets: dict[tuple[str, int], int]) -> None:
        places = [TopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
        self._producer.send_offsets(places, self._consumer.consumer_group_metadata())

    def _commit(self, touched: set[int], offsets: dict[tuple[str, int], int]) -> None:
        # Before the writes: when the queue is full, a wait for room may already report some of them.
        self._changelog_ends.clear()
        for partition in touched:
            ours = {topic: offset for (topic, p), offset in offsets.items() if p == partition}
            self.stores[partition].note(Handled(ours, self.config.carry))
        written = {partition: self._write_changelog(partition) for partition in touched}
        self._producer.commit()
        self._committed.update(offsets)
        for partition, any_written in written.items():
            position = self._changelog_ends.get(partition)
            if any_written and position is None:
                msg = f"the changelog's offset of partition {partition} was not reported: the store cannot follow it"
                raise EngineError(msg)
            refuse_begun_anew(self.stores[partition].position, position, partition)
            self.stores[partition].commit(position)

    def _write_changelog(self, partition: int) -> bool:
        changes = self.stores[partition].changes()
        if not changes:
            return False
        topic, produce = self.config.changelog, self._producer.produce
        for key, value in changes[:-1]:
            produce(topic, value, key, partition)
        key, value = changes[-1]
        self._producer.produce_tracked(topic, value, key, partition, self._on_changelog_delivery)
        return True

    def _on_changelog_delivery(self, error: KafkaError | None, message: Delivered) -> None:
        if error is None:
            self._changelog_ends[message.partition()] = message.offset() + 1

    async def _commit_ends(self) -> None:
        """Commit past control records at the end of a partition, so that lag at rest is exactly zero."""
        ends = {
            key: offset
            for key, offset in self._intake.ends.items()
            if offset > self._committed.get(key, 0) and key[1] in self.live
        }
        self._intake.ends.clear()
        if ends:
            self._producer.begin()
            await self._in_transaction(lambda: self._send_offsets(ends))
            await self._in_transaction(lambda: self._commit(set(), ends))
