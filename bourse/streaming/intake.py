"""What a worker takes in: its group member's settings, where it goes on, and the records of one poll, bounded in number and bytes.

Decides which errors of a fetch end the worker, and which are librdkafka telling of what it mends by itself.
"""
# Kafka's clients type every answer as one that may be missing: a fetched message has its place.
# pyright: reportArgumentType=false

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from mode.utils.logging import get_logger

from bourse.streaming.config import RECONNECT_MS, EngineConfig
from bourse.streaming.outside import ClientSettings
from bourse.streaming.restore import starts

logger = get_logger(__name__)

Rebalancing = Callable[[Consumer, list[TopicPartition]], None]
_CHUNK = 500
_SECONDS = 30.0
# A message's error carries its code, but not librdkafka's mark of a fatal one.
_HOPELESS = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001  (librdkafka's name for it)
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        # The group does not take such a member, however often it asks.
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001  (librdkafka's name for it)
    }
)


def consumer_settings(config: EngineConfig) -> ClientSettings:
    """Return librdkafka's settings for the worker's one group member."""
    return {
        "bootstrap.servers": config.member.brokers,
        "group.id": config.member.group,
        "client.id": config.member.worker,
        # A static member: a worker that comes back under its name within the session takes its partitions up at
        # once, without a rebalance and without waiting for its ghost's session to end (KIP-345). In the other mode
        # it subscribes to other topics, so there it is another member.
        "group.instance.id": f"{config.member.transactional_id}-{config.carry}",
        "enable.auto.commit": False,
        # It is told where to begin (`Source.begin`). A position that is gone must stop the worker, not send it somewhere else.
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        # `range` gives partition i of every topic to one member because all have the same number of them.
        "partition.assignment.strategy": "range",
        "session.timeout.ms": config.session_timeout_ms,
        # A member learns with a heartbeat that another one joins or leaves, and the others wait for it meanwhile.
        "heartbeat.interval.ms": min(500, config.session_timeout_ms // 4),
        # Nothing is polled within a cycle, and one may be as long as its transaction.
        "max.poll.interval.ms": max(300_000, 2 * config.member.transaction_timeout_ms),
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 100,
        "fetch.message.max.bytes": 2_097_152,
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": 16_384,
        "reconnect.backoff.max.ms": RECONNECT_MS,
        "socket.nagle.disable": True,
        **config.member.client,
    }


@dataclass(frozen=True, slots=True)
class Source:
    """A partition of a topic that is to be read: what Kafka knows of it."""

    topic: str
    partition: int
    committed: int
    """The group's offset; negative where there is none."""
    first: int
    """The offset of the first record that there is."""

    def begin(self, handled: int | None) -> int:
        """Return the offset to go on at when the state says that all before `handled` is handled; None: nothing is.

        The state is believed, whatever the group's offset says: that may be lost, and somebody may set it. Where records have
        been deleted beyond `handled`, a group's offset beyond them says that it was nothing but control records; without one the offset that is
        returned does not exist, and the worker stops there, as it should.
        """
        if handled is None:
            return self.committed if 0 <= self.committed < self.first else self.first
        return self.committed if handled < self.first <= self.committed else handled


def sources(consumer: Consumer, admin: AdminClient, assigned: list[TopicPartition]) -> list[Source]:
    """Return what Kafka knows of the assigned partitions.

    Asking for committed offsets also waits until a lost owner's pending offset commits are decided.

    Raises:
        KafkaException: the group's offsets cannot be had.
    """
    committed = consumer.committed(assigned, _SECONDS)
    # An answer that could not be had must not be taken for one that there is none.
    for tp in committed:
        if tp.error is not None:
            raise KafkaException(tp.error)
    first = starts(admin, assigned)
    return [Source(tp.topic, tp.partition, tp.offset, first[tp.topic, tp.partition]) for tp in committed]


def assign(consumer: Consumer, assigned: Iterable[Source]) -> None:
    """Assign partitions that are not to be read yet.

    librdkafka would find a beginning itself where it is told none, but a timer of its first look for one may send it there once more half
    a second later (2.16, `rd_kafka_offset_query_tmr_cb`), when the records have been handled.
    """
    places = [TopicPartition(s.topic, s.partition, max(s.committed, s.first)) for s in assigned]
    consumer.assign(places)
    consumer.pause(places)


def begin_reading(consumer: Consumer, assigned: Iterable[Source], handled: Mapping[str, int]) -> None:
    """Let partitions be read, from where the state says that they are handled.

    librdkafka's thread sleeps for up to a second when all that it fetches is paused. To resume does not wake it; to be
    told where to fetch from does, once there is something to fetch (2.16, `rd_kafka_toppar_set_fetch_state`).

    Raises:
        KafkaException: it cannot be told where to begin.
    """
    for source in assigned:
        topic, partition = source.topic, source.partition
        consumer.resume([TopicPartition(topic, partition)])
        offset = source.begin(handled.get(topic))
        if source.committed < offset != source.first:
            logger.error(
                "the group's offset of %s/%s is %s; all before %s is handled already, and left out",
                topic,
                partition,
                source.committed,
                offset,
            )
        consumer.seek(TopicPartition(topic, partition, offset))


class Intake:
    """The polls of one group member."""

    def __init__(self, consumer: Consumer, config: EngineConfig) -> None:
        """Poll `consumer`, which stays its owner's."""
        self._consumer = consumer
        self._config = config
        self.ends: dict[tuple[str, int], int] = {}
        """Offsets of the ends that were reached, by topic and partition, until somebody clears them."""
        self.is_idle = False
        """Whether the last poll brought nothing, not even an end."""
        self._failure: Exception | None = None

    def subscribe(self, on_assign: Rebalancing, on_revoke: Rebalancing, on_lost: Rebalancing) -> None:
        """Join the group; polls call these, and raise what they raise."""
        self._consumer.subscribe(
            self._config.polled,
            on_assign=self._kept(on_assign),
            on_revoke=self._kept(on_revoke),
            on_lost=self._kept(on_lost),
        )

    def _kept(self, callback: Rebalancing) -> Rebalancing:
        """Return a callback whose error waits for the end of the poll.

        An error of the client's own that leaves a callback through the client (2.16) is something that no handler catches: the
        thread dies of it, and who waits for its call is told nothing.
        """

        def run(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                callback(consumer, partitions)
            except Exception as error:  # noqa: BLE001  (raised by the poll)
                self._failure = error

        return run

    def poll(self, seconds: float) -> list[Message]:
        """Wait so long for a first record, and return it with what else is there; rebalances happen in here.

        Raises:
            KafkaException: no poll will bring anything any more.
            Exception: what a rebalance raised.
        """
        try:
            messages = self._poll(seconds)
        except KafkaException as error:
            raise self._failure or error from None
        # Where a callback has failed to assign anything, the client has made up an assignment of its own.
        if self._failure is not None:
            raise self._failure
        return messages

    def _poll(self, seconds: float) -> list[Message]:
        # Asked for many at once, librdkafka waits the whole time for all of them.
        first = self._consumer.consume(1, seconds)
        self.is_idle = not first
        messages = self._sift(first)
        size = sum(map(len, messages))
        while messages and len(messages) < self._config.max_records and size < self._config.max_bytes:
            more = self._consumer.consume(min(_CHUNK, self._config.max_records - len(messages)), 0)
            if not more:
                break
            records = self._sift(more)
            size += sum(map(len, records))
            messages += records
        return messages

    def _sift(self, messages: list[Message]) -> list[Message]:
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  (librdkafka's name for it)
                self.ends[message.topic(), message.partition()] = message.offset()
            elif error.code() in _HOPELESS:
                raise KafkaException(error)
            else:
                # librdkafka tells of every connection that drops, and mends it by itself.
                logger.warning("consumer: %s", error)
        return records
