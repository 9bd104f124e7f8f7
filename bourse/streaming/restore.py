"""Filling a store from the changelog: its own position plus the committed tail, in bulk.

A store is finished only at a mark that the worker has written itself (`TransactionalProducer.mark`), not at the last
stable offset: while a lost worker's transaction is open, records that others have committed behind it are not readable yet, and
a store without them would be wrong. The transaction's time-out bounds the wait.
"""
# Kafka's clients type offsets to ask for as ones that may be missing.
# pyright: reportArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from bourse.streaming.asking import ANSWER_SECONDS, answers
from bourse.streaming.config import RECONNECT_MS, EngineConfig
from bourse.streaming.errors import ChangelogTruncated, EngineError
from bourse.streaming.stores import Change, PartitionStore

_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets that a partition holds: from `start` up to, not including, `end`."""

    start: int
    end: int


def starts(admin: AdminClient, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
    """Ask the broker for the first offset of `partitions`.

    Nobody is asked for the last one: a leader that has been replaced and does not know it yet answers too, with an end of its
    own time. `TransactionalProducer.mark` tells.
    """
    request = {TopicPartition(tp.topic, tp.partition): OffsetSpec.earliest() for tp in partitions}
    found = answers(admin, lambda: admin.list_offsets(request, request_timeout=ANSWER_SECONDS))
    return {(tp.topic, tp.partition): result.offset for tp, result in found.items()}


class Restoration:
    """One store on its way to the end of its changelog partition; call `step` until it says True."""

    def __init__(self, config: EngineConfig, partition: int, store: PartitionStore, span: Span) -> None:
        """Check the store's position against `span` and start reading; wipes a store that is ahead.

        Raises:
            ChangelogTruncated: the records that the store would need next are gone.
        """
        self.partition = partition
        self.store = store
        self.restored = 0
        self._monotonic = config.member.outside.monotonic
        self._began = self._monotonic()
        if store.position is not None and store.position > span.end:
            store.wipe()
        position = store.position or 0
        if position < span.start:
            msg = (
                f"{config.changelog}/{partition} begins at {span.start}, the store needs it from {position}: "
                "state cannot be rebuilt; bring back the changelog or a store that reaches this far"
            )
            raise ChangelogTruncated(msg)
        self.position, self.target = position, span.end
        self._consumer: Consumer | None = None
        if position < span.end:
            self._consumer = reader(config)
            self._consumer.assign([TopicPartition(config.changelog, partition, position)])

    @property
    def seconds(self) -> float:
        """How long this has been under way."""
        return self._monotonic() - self._began

    @property
    def remaining(self) -> int:
        """Offsets between here and the end that was seen at the start."""
        return max(0, self.target - self.position)

    def step(self, seconds: float) -> bool:
        """Read and apply one batch, waiting at most `seconds` for it; return whether the end is reached."""
        if self._consumer is None:
            self.store.ready()
            return True
        messages = self._consumer.consume(1, seconds)
        if messages:
            messages += self._consumer.consume(_BATCH - 1, 0)
        changes = [change for message in messages if (change := self._read(message)) is not None]
        if changes:
            self.store.restore(changes, self.position)
            self.restored += len(changes)
        if self.position < self.target:
            return False
        self.close()
        self.store.restore([], self.position)
        self.store.ready()
        return True

    def close(self) -> None:
        """Stop reading."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _read(self, message: Message) -> Change | None:
        error = message.error()
        if error is None:
            self.position = (message.offset() or 0) + 1
            key = message.key()
            if key is None:
                msg = f"a changelog record without a key at {message.offset()}"
                raise EngineError(msg)
            return key, message.value()
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  (librdkafka's name for it)
            raise KafkaException(error)
        # The end of what is committed, control records included: they carry no change but take an offset.
        self.position = max(self.position, message.offset() or 0)
        return None


def reader(config: EngineConfig) -> Consumer:
    """Return a consumer of what is committed, beside the group's member; it is told where to begin, and of ends."""
    return config.member.outside.consumer(
        {
            "bootstrap.servers": config.member.brokers,
            "group.id": f"{config.member.group}-restore",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            # The end of a partition is told with the first answer that has nothing: the default waits 500 ms with it.
            "fetch.wait.max.ms": 20,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            "fetch.message.max.bytes": 8_388_608,
            "queued.max.messages.kbytes": 32_768,
            **config.member.client,
        }
    )
