"""confluent-kafka's clients over the Kafka in memory, as the engine uses them: same calls, same errors, same callbacks.

Each call is a point where its process may be killed, stopped for a while, or told what networks tell: not now, or
nothing at all though it was done. `Host` is the process as its clients see it.
"""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Protocol

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from bourse.streaming.carry import Carry
from tests.simulation.choices import Choices
from tests.simulation.kafka import FENCED, GroupMetadata, Kafka, Member, Outcome, Place, Transaction, refusal

_END = KafkaError._PARTITION_EOF  # noqa: SLF001  (librdkafka's name for it)
_FATAL = KafkaError._FATAL  # noqa: SLF001
_STATE = KafkaError._STATE  # noqa: SLF001
_TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001
_LOST_RECORD = KafkaError._MSG_TIMED_OUT  # noqa: SLF001
_DAWN_SECONDS = 30.0
"""Longer than anybody tries again."""
AGAIN, ANSWER_LOST, NEVER_ARRIVED, NEVER_ANSWERED = 1, 2, 3, 4
"""What may become of a commit: refused for now; done, but the answer is lost; lost; done, and never answered."""


class Odds:
    """How often clients meet what they may meet; 0 of everything is a network without faults."""

    def __init__(self, chance: Callable[[float], float], deadly: Callable[[float], float]) -> None:
        """Take each by `chance` of its usual value, and by `deadly` what a worker has to stop for."""
        self.few_records = chance(0.3)
        self.full_queue = chance(0.01)
        self.sent_early = chance(0.3)
        self.offsets_again = chance(0.05)
        self.of_commits = (chance(0.05), chance(0.03), deadly(0.01), deadly(0.02))
        """Of `AGAIN`, `ANSWER_LOST`, `NEVER_ARRIVED` and `NEVER_ANSWERED`."""
        self.record_lost = deadly(0.01)


class Host(Protocol):
    """What clients ask of the process they live in."""

    kafka: Kafka
    choices: Choices
    odds: Odds
    delivered: list[Any]
    carry: Carry

    def point(self, where: str) -> None:
        """Pass a point where the process may be killed or held up."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def hold_up(self, seconds: float) -> None:
        """Let time pass within a call, while others work."""


class Message:
    """A record as a consumer returns it, or an event of a partition."""

    __slots__ = ("_error", "_key", "_offset", "_partition", "_timestamp_ms", "_topic", "_value")

    def __init__(
        self,
        place: Place,
        offset: int,
        key: bytes | None = None,
        value: bytes | None = None,
        timestamp_ms: int = -1,
        error: KafkaError | None = None,
    ) -> None:
        self._topic, self._partition = place
        self._offset = offset
        self._key = key
        self._value = value
        self._timestamp_ms = timestamp_ms
        self._error = error

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_ms

    def error(self) -> KafkaError | None:
        return self._error

    def __len__(self) -> int:
        return len(self._value or b"")


class Consumer:
    """A consumer that reads what is committed: a member of the group once it subscribes, or by itself."""

    def __init__(self, host: Host, settings: dict[str, Any]) -> None:
        self._host = host
        self._kafka = host.kafka
        self._instance: str = settings.get("group.instance.id", "")
        self._session = settings.get("session.timeout.ms", 0) / 1000
        self._begins_early = settings["auto.offset.reset"] == "earliest"
        self._reads_all = settings.get("isolation.level") == "read_uncommitted"
        self._topics: list[str] = []
        self._callbacks: dict[str, Callable[[Consumer, list[TopicPartition]], None]] = {}
        self._member: Member | None = None
        self._generation = -1
        self._wants: str | None = None
        self._positions: dict[Place, int | None] = {}
        self._paused: set[Place] = set()
        self._ends_told: dict[Place, int] = {}
        self._turn = 0
        self.is_closed = False

    # -- the group ------------------------------------------------------------------------------------------------

    def subscribe(
        self, topics: list[str], **callbacks: Callable[["Consumer", list[TopicPartition]], None]
    ) -> None:
        self._host.point("subscribe")
        self._topics, self._callbacks, self._wants = topics, callbacks, "join"

    def unsubscribe(self) -> None:
        self._host.point("unsubscribe")
        self._wants = "leave"

    def close(self) -> None:
        # A static member that closes stays in the group until its session ends.
        self.is_closed = True
        self._positions.clear()

    def heard_of(self) -> None:
        """Send a heartbeat, as librdkafka does whatever the application is doing."""
        member = self._member
        if member is not None and self._kafka.group.members.get(member.name) is member:
            member.seen = self._kafka.clock.seconds

    def consumer_group_metadata(self) -> GroupMetadata:
        return GroupMetadata(self._member.name if self._member else "", self._instance, self._generation)

    def _serve_group(self) -> Message | None:
        """Do what librdkafka does within a poll: callbacks, joining, leaving; return an error that ends it."""
        group = self._kafka.group
        if self._wants == "leave":
            self._leave()
        elif self._wants == "join":
            self._wants = None
            now = self._kafka.clock.seconds
            self._member = group.join(self._instance, self._topics, now, self._session)
        member = self._member
        if member is None:
            return None
        if group.members.get(member.name) is not member:
            return self._lost_membership()
        if not group.is_balanced and not member.has_joined:
            self._call("on_revoke")
            if group.members.get(member.name) is member:
                group.rejoin(member)
        elif group.is_balanced and self._generation != group.generation:
            self._generation = group.generation
            assigned = [TopicPartition(topic, partition) for topic, partition in member.assigned]
            self._callbacks["on_assign"](self, assigned)
        return None

    def _lost_membership(self) -> Message | None:
        if self._kafka.group.of_instance(self._instance) is not None:
            return Message(("", -1), -1, error=KafkaError(KafkaError.FENCED_INSTANCE_ID))
        self._member, self._generation, self._wants = None, -1, "join"
        self._call("on_lost")
        return None

    def _leave(self) -> None:
        self._wants = None
        member, self._member = self._member, None
        if member is not None and self._kafka.group.members.get(member.name) is member:
            self._call("on_revoke")
            # The callback is a point too: the group may have gone on by itself meanwhile.
            if self._kafka.group.members.get(member.name) is member:
                self._kafka.group.leave(member.name)

    def _call(self, callback: str) -> None:
        if self._positions:
            self._callbacks[callback](self, self.assignment())

    # -- partitions -----------------------------------------------------------------------------------------------

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._host.point("assign")
        self._positions = {
            (tp.topic, tp.partition): tp.offset if tp.offset >= 0 else None for tp in partitions
        }
        self._paused.clear()
        self._ends_told.clear()

    def unassign(self) -> None:
        self._host.point("unassign")
        self._positions.clear()

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic, partition in self._positions]

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.update((tp.topic, tp.partition) for tp in partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update((tp.topic, tp.partition) for tp in partitions)

    def seek(self, place: TopicPartition) -> None:
        self._positions[place.topic, place.partition] = place.offset if place.offset >= 0 else None
        self._ends_told.pop((place.topic, place.partition), None)

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._host.point("committed")
        group, began = self._kafka.group, self._kafka.clock.seconds
        while any(group.is_unstable((tp.topic, tp.partition)) for tp in partitions):
            if self._kafka.clock.seconds - began > timeout:
                raise refusal(_TIMED_OUT)
            self._host.hold_up(0.1)
        return [
            TopicPartition(
                tp.topic, tp.partition, group.offsets.get((tp.topic, tp.partition), OFFSET_INVALID)
            )
            for tp in partitions
        ]

    def get_watermark_offsets(self, tp: TopicPartition, *, cached: bool = False) -> tuple[int, int]:  # noqa: ARG002
        return 0, self._kafka.logs[tp.topic, tp.partition].end

    # -- records --------------------------------------------------------------------------------------------------

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        self._host.point("consume")
        error = self._serve_group()
        if error is not None:
            return [error]
        messages = self._fetch(num_messages)
        if not messages and timeout:
            self._host.wait(timeout)
        return messages

    def _fetch(self, room: int) -> list[Message]:
        host, messages = self._host, []
        if host.choices.one_of((host.odds.few_records,)):
            room = min(room, 1 + host.choices.below(3))
        places = [place for place in self._positions if place not in self._paused]
        # Partitions take turns, and now and then another one than the next comes first.
        if places:
            self._turn += 1
            first = (self._turn + host.choices.below(len(places))) % len(places)
            places = places[first:] + places[:first]
        for place in places:
            if len(messages) == room:
                break
            self._read(place, messages, room)
        return messages

    def _read(self, place: Place, messages: list[Message], room: int) -> None:
        position = self._position(place)
        if position is None:
            return
        log = self._kafka.logs[place]
        end = log.end if self._reads_all else log.stable
        while len(messages) < room:
            position = log.next_record(position) if self._reads_all else log.next_committed(position)
            self._positions[place] = position
            if position >= end:
                if self._ends_told.get(place) != position:
                    self._ends_told[place] = position
                    messages.append(Message(place, position, error=KafkaError(_END)))
                return
            entry = log.entries[position]
            assert entry is not None
            assert entry.timestamp_ms is not None
            messages.append(Message(place, position, entry.key, entry.value, entry.timestamp_ms))
            position = self._positions[place] = position + 1

    def _position(self, place: Place) -> int | None:
        """Return where to read on; None while the group's offset is undecided."""
        position = self._positions[place]
        if position is None and not self._kafka.group.is_unstable(place):
            assert place in self._kafka.group.offsets or self._begins_early, (
                f"nobody says where {place} begins"
            )
            position = self._positions[place] = self._kafka.group.offsets.get(place, 0)
        return position


class Producer:
    """A transactional producer: queues records, sends them when it likes, and has them all sent before it commits."""

    def __init__(self, host: Host, settings: dict[str, Any]) -> None:
        self._host = host
        self._kafka = host.kafka
        self._name: str = settings["transactional.id"]
        self._time_out = settings["transaction.timeout.ms"] / 1000
        self._queue: list[tuple[Place, bytes | None, bytes | None, Callable[..., None] | None]] = []
        self._reports: list[Callable[[], None]] = []
        self._transaction: Transaction | None = None
        self._fatal = False

    def init_transactions(self, _timeout: float) -> None:
        self._host.point("init_transactions")
        self._identity, self._epoch = self._kafka.take_over(self._name, self._time_out)
        self._host.point("init_transactions done")

    def begin_transaction(self) -> None:
        self._host.point("begin_transaction")
        if self._transaction is not None:
            raise refusal(_STATE)
        self._transaction = Transaction(self._identity, self._kafka.clock.seconds)
        # What agents are given from now on is what this transaction comes from.
        self._host.delivered = self._transaction.taken_in = []
        self._transaction.carry = self._host.carry

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        on_delivery: Callable[..., None] | None = None,
    ) -> None:
        host = self._host
        host.point("produce")
        if self._fatal:
            raise refusal(_FATAL, fatal=True)
        if self._transaction is None:
            raise refusal(_STATE)
        if self._queue and host.choices.one_of((host.odds.full_queue,)):
            msg = "Local: Queue full"
            raise BufferError(msg)
        self._queue.append(((topic, partition), key, value, on_delivery))
        if host.choices.one_of((host.odds.sent_early,)):
            self._send(1 + host.choices.below(len(self._queue)))

    def poll(self, _timeout: float) -> int:
        self._host.point("poll")
        self._send(len(self._queue))
        return self._report()

    def flush(self, _timeout: float) -> int:
        self._host.point("flush")
        self._send(self._host.choices.below(len(self._queue) + 1))
        self._report()
        return len(self._queue)

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], metadata: GroupMetadata, _timeout: float
    ) -> None:
        host, transaction = self._host, self._open()
        host.point("send_offsets")
        if host.choices.one_of((host.odds.offsets_again,)):
            raise refusal(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)
        carried = {(tp.topic, tp.partition): tp.offset for tp in offsets}
        self._kafka.carry_offsets(transaction, self._epoch, carried, metadata)
        host.point("send_offsets done")

    def commit_transaction(self, _timeout: float) -> None:
        host, transaction = self._host, self._open()
        host.point("commit")
        if self._queue and host.choices.one_of((host.odds.record_lost,)):
            self._lose_a_record()
            raise refusal(_LOST_RECORD, abort=True)
        self._send(len(self._queue))
        if self._fatal:
            raise refusal(FENCED, fatal=True)
        host.point("commit sent")
        fate = host.choices.one_of(host.odds.of_commits)
        if fate == AGAIN:
            raise refusal(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)
        if fate == NEVER_ARRIVED:
            host.hold_up(_DAWN_SECONDS)
            raise refusal(_TIMED_OUT, retriable=True)
        if transaction.written or transaction.offsets:
            self._kafka.end(transaction, self._epoch, Outcome.COMMITTED)
        host.point("committed")
        if fate == NEVER_ANSWERED:
            host.hold_up(_DAWN_SECONDS)
        if fate in {ANSWER_LOST, NEVER_ANSWERED}:
            raise refusal(_TIMED_OUT, retriable=True)
        self._transaction = None
        self._report()

    def abort_transaction(self, _timeout: float) -> None:
        host, transaction = self._host, self._open()
        host.point("abort")
        self._queue.clear()
        if transaction.written or transaction.offsets:
            self._kafka.end(transaction, self._epoch, Outcome.ABORTED)
        self._transaction = None
        host.point("aborted")

    def close(self) -> None:
        # What is open stays open until it times out.
        self._queue.clear()

    def _open(self) -> Transaction:
        if self._transaction is None:
            raise refusal(_STATE)
        return self._transaction

    def _send(self, count: int) -> None:
        """Write the first records of the queue; their reports wait for somebody who asks."""
        batch, self._queue = self._queue[:count], self._queue[count:]
        if not batch or self._fatal:
            return
        transaction = self._open()
        for place, key, value, on_delivery in batch:
            try:
                offset = self._kafka.write(transaction, self._epoch, place, key, value)
            except KafkaException:
                self._fatal = True
                return
            if on_delivery is not None:
                message = Message(place, offset, key, value)
                self._reports.append(lambda tell=on_delivery, message=message: tell(None, message))
        self._host.point("sent")

    def _lose_a_record(self) -> None:
        place, key, value, on_delivery = self._queue.pop(self._host.choices.below(len(self._queue)))
        self._send(len(self._queue))
        if on_delivery is not None:
            on_delivery(KafkaError(_LOST_RECORD), Message(place, -1, key, value))

    def _report(self) -> int:
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        return len(reports)


class Admin:
    """The admin calls of the engine."""

    def __init__(self, host: Host, _settings: dict[str, Any]) -> None:
        self._host = host
        self._kafka = host.kafka

    def list_topics(self, timeout: float) -> Any:  # noqa: ARG002
        self._host.point("list_topics")
        partitions = dict.fromkeys(range(self._kafka.partitions))
        topics = {topic: SimpleNamespace(partitions=partitions) for topic in self._kafka.topics}
        return SimpleNamespace(topics=topics, cluster_id=self._kafka.cluster_id)

    def describe_topics(self, topics: Any, request_timeout: float) -> dict[str, Any]:  # noqa: ARG002
        names = [name for name in self._kafka.topics if name in topics.topic_names] if topics else []
        return {name: _done(SimpleNamespace(topic_id=f"id of {name}")) for name in names}

    def list_offsets(
        self,
        request: dict[TopicPartition, OffsetSpec],
        isolation_level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        request_timeout: float = 0,  # noqa: ARG002
    ) -> dict[TopicPartition, Any]:
        self._host.point("list_offsets")
        earliest, committed = OffsetSpec.earliest(), isolation_level is IsolationLevel.READ_COMMITTED
        found = {}
        for tp, spec in request.items():
            log = self._kafka.logs[tp.topic, tp.partition]
            last = log.stable if committed else log.end
            found[tp] = _done(SimpleNamespace(offset=0 if spec is earliest else last))
        return found


def _done(result: Any) -> Any:
    return SimpleNamespace(result=lambda: result)
