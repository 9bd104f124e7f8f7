"""The transactional producer: one transaction at a time, and no second guess about its outcome.

Rules: KIP-98, KIP-447 and KIP-890, as `conversation.py` speaks them (decision 14). A retriable refusal of a commit is the same commit still
under way, so it is asked again; everything else (fencing, an abort that is demanded, a time-out) ends in
TransactionFailed and with it the process: a new transaction is never begun on a producer whose last one is unclear.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bourse.streaming.batches import Delivered, DeliveryCallback
from bourse.streaming.config import Member
from bourse.streaming.errors import TransactionFailed
from bourse.streaming.outside import ClientSettings


def producer_settings(member: Member) -> ClientSettings:
    """Return the settings of the worker's one producer, under librdkafka's names; `member.client` is not for it."""
    return {
        "bootstrap.servers": member.brokers,
        "client.id": member.transactional_id,
        "transactional.id": member.transactional_id,
        "transaction.timeout.ms": member.transaction_timeout_ms,
        # A broker that does not answer may have been replaced: there must be time to find out within a transaction.
        "socket.timeout.ms": member.usual_timeout_ms // 4,
        "batch.size": 1_000_000,
        "queue.buffering.max.kbytes": 65_536,
    }


def taken_over(member: Member) -> "TransactionalProducer":
    """Return the producer of a worker that has fenced its ghost; it waits until the ghost's transaction has ended.

    Raises:
        TransactionFailed: the coordinator does not get there, or allows no transaction as long as this worker's.
    """
    producer = TransactionalProducer(member)
    try:
        producer.start()
    except TransactionFailed as error:
        if not _is_too_long(error):
            raise
        asks_for_less = member.patience is not None and member.patience.refused()
        msg = (
            f"the brokers' transaction.max.timeout.ms is less than the {member.transaction_timeout_ms} ms that this worker asks for"
            + (
                ", after a cycle that lasted too long: the next start asks for the usual"
                if asks_for_less
                else ""
            )
        )
        raise TransactionFailed(msg) from error
    return producer


def _is_too_long(error: TransactionFailed) -> bool:
    cause = error.__cause__
    return (
        isinstance(cause, KafkaException) and cause.args[0].code() == KafkaError.INVALID_TRANSACTION_TIMEOUT
    )


class TransactionalProducer:
    """A producer that is always either outside or inside exactly one transaction."""

    def __init__(self, member: Member) -> None:
        """Connect and fence any earlier producer of the same worker name."""
        self.timeout = member.transaction_timeout_ms / 1000
        """Seconds after which the broker aborts what is open."""
        self._monotonic = member.outside.monotonic
        self._producer = member.outside.producer(producer_settings(member))
        self.queue = self._producer.produce
        """Queue a record (topic, value, key, partition); raises BufferError when there is no room."""
        self.is_open = False

    def start(self) -> None:
        """Take over the transactional id; blocks until the coordinator has finished the ghost's transaction."""
        self._retry(lambda: self._producer.init_transactions(self.timeout), "init", self.timeout * 6)

    def begin(self) -> None:
        """Open a transaction (local: the broker hears of it with the first record)."""
        self._producer.begin_transaction()
        self.is_open = True

    def produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> None:
        """Queue a record into the open transaction; waits when the local queue is full (back-pressure)."""
        try:
            self.queue(topic, value, key, partition)
        except BufferError:
            self._produce_when_there_is_room(topic, value, key, partition)

    def produce_tracked(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        on_delivery: DeliveryCallback,
    ) -> None:
        """Queue a record as `produce` does, and learn its offset through `on_delivery` before the commit returns."""
        try:
            self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)
        except BufferError:
            self._produce_when_there_is_room(topic, value, key, partition, on_delivery)

    def send_offsets(self, offsets: Sequence[TopicPartition], group: bytes) -> None:
        """Make source offsets part of the open transaction; raises TransactionFailed when they may not be."""
        self._retry(
            lambda: self._producer.send_offsets_to_transaction(list(offsets), group, self.timeout),
            "offsets",
            self.timeout,
        )

    def commit(self) -> None:
        """Commit outputs and source offsets as one; raises TransactionFailed when that is not certain."""
        self._retry(lambda: self._producer.commit_transaction(self.timeout), "commit", self.timeout)
        self.is_open = False
        # Serves delivery reports that carry the changelog's offsets.
        self._producer.poll(0)

    def mark(self, places: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
        """Write a record to each partition and take it back; return their offsets. No transaction may be open.

        Whatever was committed to a partition before is below its mark. To ask where it ends does not tell as much: a leader that was
        replaced and does not know it yet still answers, but it cannot take a record that all copies must have.
        """
        if not places:
            return {}
        marks: dict[tuple[str, int], int] = {}

        def note(error: KafkaError | None, message: Delivered) -> None:
            if error is None:
                marks[message.topic(), message.partition()] = message.offset()

        self.begin()
        for tp in places:
            self.produce_tracked(tp.topic, None, b"mark", tp.partition, note)
        self._producer.flush(self.timeout)
        self._producer.poll(0)
        if len(marks) < len(places):
            msg = f"marks: {len(places) - len(marks)} of {len(places)} records were not delivered"
            raise TransactionFailed(msg)
        self._retry(lambda: self._producer.abort_transaction(self.timeout), "abort", self.timeout)
        self.is_open = False
        return marks

    def close(self) -> None:
        """Abort what is open, best effort: readers are not left waiting for the transaction's time-out."""
        if self.is_open:
            with suppress(KafkaException):
                self._producer.abort_transaction(2)
            self.is_open = False
        self._producer.close()

    def _produce_when_there_is_room(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        on_delivery: DeliveryCallback | None = None,
    ) -> None:
        deadline = self._monotonic() + self.timeout
        while True:
            self._producer.poll(0.01)
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=on_delivery)
            except BufferError:
                if self._monotonic() > deadline:
                    msg = "the broker takes no records: the local queue stayed full for the transaction's time-out"
                    raise TransactionFailed(msg) from None
            else:
                return

    def _retry(self, step: Callable[[], object], name: str, seconds: float) -> None:
        deadline = self._monotonic() + seconds
        while True:
            try:
                step()
            except KafkaException as error:
                reason = error.args[0]
                if not reason.retriable() or reason.fatal() or self._monotonic() > deadline:
                    msg = f"transaction {name}: {reason.name()}: {reason.str()}"
                    raise TransactionFailed(msg) from error
            else:
                return
