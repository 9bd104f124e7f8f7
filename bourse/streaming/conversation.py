"""What a transactional producer says to the brokers: which request goes to whom, what is asked again, what is given up.

Rules: KIP-98 (transactions), KIP-447 (a group's offsets within them), KIP-890 (an epoch for each). Connections, metadata and the search for
coordinators are aiokafka's. Everything here runs on one event loop.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaError, KafkaException
from mode.utils.logging import get_logger

from bourse.streaming.batches import Batch, Delivered, DeliveryCallback
from bourse.streaming.requests import (
    Asked,
    EndTxn,
    Features,
    GroupMember,
    Identity,
    InitProducerId,
    Place,
    Produce,
    TxnOffsetCommit,
)

logger = get_logger(__name__)

_TRANSACTIONS_LEVEL: Final = 2
_CONNECT_SECONDS: Final = 0.2
_OK: Final = int(KafkaError.NO_ERROR)
_NO_ANSWER: Final = int(KafkaError._TRANSPORT)  # noqa: SLF001  (librdkafka's name for it)
_LATE: Final = int(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001
_FENCED = frozenset({KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})
_MOVED = frozenset(
    {
        _NO_ANSWER,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""Another broker may be the one to ask."""
_NOT_NOW = _MOVED | {
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.CONCURRENT_TRANSACTIONS,
}
"""The same request may succeed. All of them can be repeated without being done twice."""


def refusal(
    code: int, reason: str, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """Return what Kafka's own clients raise for a code."""
    if code in _FENCED:
        code, fatal, abort = KafkaError._FENCED, True, False  # noqa: SLF001
    return KafkaException(KafkaError(code, reason, fatal, retriable, abort))


class Conversation:
    """One transactional id's talk with the brokers."""

    def __init__(
        self, brokers: str, client_id: str, transactional_id: str, timeout_ms: int, answer_ms: int
    ) -> None:
        """Prepare; `timeout_ms` is the transaction's time-out, `answer_ms` how long a broker may take to answer."""
        self._brokers = brokers
        self._client_id = client_id
        self._name = transactional_id
        self._timeout_ms = timeout_ms
        self._answer_ms = answer_ms
        self._coordinators: dict[tuple[int, str], int] = {}
        self._waiting: defaultdict[Place, deque[Batch]] = defaultdict(deque)
        self._is_connected = False
        self._has_begun = False
        self.failure: Exception | None = None
        """Why nothing can be written any more."""
        self.identity: Identity = (-1, -1)
        """Whose the open transaction is, or the next one."""
        self.sent: deque[Batch] = deque()
        """Batches that are to be written, in order; another thread may add to them."""
        self.written_bytes = 0
        """How many bytes of batches have been written so far."""
        self.delivered: deque[tuple[DeliveryCallback, Delivered]] = deque()
        """Whom to tell of which record; another thread may take from them."""

    async def take_over(self) -> None:
        """Connect, and take the transactional id over; waits until what was left open under it has ended.

        Raises:
            KafkaException: the cluster does not know transactions of this version, or refuses.
        """
        await self._connect()
        await self._check_features()
        answer = await self._ask(
            CoordinationType.TRANSACTION,
            self._name,
            lambda: InitProducerId(self._name, self._timeout_ms),
            lambda answer: int(answer.error_code),
        )
        self.identity = answer.producer_id, answer.producer_epoch

    async def send_offsets(self, member: GroupMember, offsets: Mapping[Place, int]) -> None:
        """Make a group's offsets part of the transaction.

        Raises:
            KafkaException: the group has given the member's place to another, or the transaction is not this producer's any more.
        """
        self._has_begun = True
        await self._ask(
            CoordinationType.GROUP,
            member.group,
            lambda: TxnOffsetCommit(self._name, self.identity, member, offsets),
            lambda answer: next(
                (int(code) for _, rows, _ in answer.topics for _, code, _ in rows if code), _OK
            ),
        )

    async def write(self) -> None:
        """Write every batch that was sent until now.

        Raises:
            KafkaException: one of them, now or before, cannot be written.
        """
        # Whoever waits may stop waiting: a request must not be left half way for that.
        writing = asyncio.ensure_future(self._write())
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(writing)

    async def end(self, *, committed: bool) -> None:
        """End the transaction: with everything that was sent, or without.

        Raises:
            KafkaException: it cannot be committed, or is not this producer's any more.
        """
        if committed:
            await self.write()
        else:
            # What is on its way arrives before the end does, or belongs to an epoch that is over.
            self.sent.clear()
            async with self._writing:
                self._waiting.clear()
        if self._has_begun:
            answer = await self._ask(
                CoordinationType.TRANSACTION,
                self._name,
                lambda: EndTxn(self._name, self.identity, committed=committed),
                lambda answer: int(answer.error_code),
            )
            self.identity = answer.producer_id, answer.producer_epoch
        self._has_begun = False

    async def close(self) -> None:
        """Let go of the connections."""
        if not self._is_connected:
            return
        with suppress(Exception):
            await asyncio.wait_for(self._client.close(), 1)

    # -- finding brokers ------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        if self._is_connected:
            return
        self._writing = asyncio.Lock()
        self._client = AIOKafkaClient(
            bootstrap_servers=self._brokers,
            client_id=self._client_id,
            request_timeout_ms=self._answer_ms,
            retry_backoff_ms=20,
        )
        while True:
            try:
                await self._client.bootstrap()
            except errors.KafkaConnectionError as error:
                logger.warning("no broker answers yet: %s", error)
                await asyncio.sleep(_CONNECT_SECONDS)
            else:
                self._is_connected = True
                return

    async def _check_features(self) -> None:
        pauses = _Pauses()
        while True:
            try:
                answer = await self._client.send(self._client.get_random_node(), Features())
            except errors.KafkaError as error:
                if _code_of(error) != _NO_ANSWER:
                    raise
                await pauses.wait()
            else:
                break
        level = Features.levels(answer.tags).get("transaction.version", 0)
        if level < _TRANSACTIONS_LEVEL:
            reason = (
                f"the cluster's transaction.version is {level}: Kafka 4.0 or newer is needed, with "
                f"`kafka-features.sh upgrade --feature transaction.version={_TRANSACTIONS_LEVEL}`"
            )
            raise refusal(KafkaError.UNSUPPORTED_VERSION, reason, fatal=True)

    async def _leader(self, place: Place) -> int | None:
        cluster, partition = self._client.cluster, TopicPartition(*place)
        if cluster.leader_for_partition(partition) is None:
            await self._learn()
        leader: int | None = cluster.leader_for_partition(partition)
        return leader if leader != -1 else None

    async def _learn(self) -> None:
        """Ask who leads what.

        Of all topics: aiokafka lets a broker make those that it asks for by name, with whatever partitions and retention it has for strangers.
        """
        with suppress(errors.KafkaError, TimeoutError):
            await asyncio.wait_for(self._client.force_metadata_update(), self._answer_ms / 1000)

    async def _ask(
        self,
        kind: int,
        key: str,
        request: Callable[[], Asked],
        code_of: Callable[[Any], int],
    ) -> Any:  # noqa: ANN401  (each request has its own answer)
        """Ask the coordinator of `key` until it does what it is asked, or refuses to."""
        pauses = _Pauses()
        while True:
            answer = None
            try:
                node = self._coordinators.get((kind, key))
                if node is None:
                    node = self._coordinators[kind, key] = await self._client.coordinator_lookup(kind, key)
                answer = await self._client.send(node, request())
                code = code_of(answer)
            except errors.KafkaError as error:
                code = _code_of(error)
            if code == _OK:
                return answer
            if code not in _NOT_NOW:
                raise refusal(code, type(request()).__name__, abort=True)
            if code in _MOVED:
                self._coordinators.pop((kind, key), None)
            await pauses.wait()

    # -- writing --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        async with self._writing:
            if self.failure is not None:
                raise self.failure
            try:
                while self.sent or self._waiting:
                    while self.sent:
                        batch = self.sent.popleft()
                        self._waiting[batch.place].append(batch)
                    self._has_begun = True
                    await self._write_first({place: batches[0] for place, batches in self._waiting.items()})
            except Exception as error:
                self.failure = error
                raise

    async def _write_first(self, left: dict[Place, Batch]) -> None:
        """Write a batch to each of several partitions."""
        pauses, loop = _Pauses(), asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_ms / 1000
        while left:
            by_leader: defaultdict[int | None, list[Batch]] = defaultdict(list)
            for place, batch in left.items():
                by_leader[await self._leader(place)].append(batch)
            codes: dict[Place, int] = {}
            for found in await asyncio.gather(*(self._produce(*part) for part in by_leader.items())):
                codes.update(found)
            left = {place: batch for place, batch in left.items() if codes[place] != _OK}
            refused = {code for code in codes.values() if code != _OK}
            for code in refused - _NOT_NOW:
                raise refusal(code, Produce.__name__, abort=True)
            if left and loop.time() > deadline:
                raise refusal(_LATE, f"not written in time: {sorted(left)}", abort=True)
            if refused & _MOVED:
                await self._learn()
            if left:
                await pauses.wait()

    async def _produce(self, leader: int | None, batches: Iterable[Batch]) -> dict[Place, int]:
        """Write batches to the broker that leads their partitions; return a code for each partition."""
        codes = {batch.place: _NO_ANSWER for batch in batches}
        if leader is None:
            return codes
        request = Produce(self._name, self._answer_ms, {batch.place: batch.data for batch in batches})
        try:
            answer = await self._client.send(leader, request)
        except errors.KafkaError as error:
            return dict.fromkeys(codes, _code_of(error))
        for topic, rows, _ in answer.topics:
            for partition, code, offset, *_ in rows:
                codes[topic, partition] = int(code)
                if code == _OK:
                    self._is_written((topic, partition), offset)
        return codes

    def _is_written(self, place: Place, offset: int) -> None:
        batches = self._waiting[place]
        batch = batches.popleft()
        if not batches:
            del self._waiting[place]
        self.written_bytes += len(batch.data)
        self.delivered.extend((tell, Delivered(place, offset + number)) for number, tell in batch.callbacks)


class _Pauses:
    """Pauses between questions: the last transaction has ended in a few milliseconds, a leader is elected in more."""

    def __init__(self) -> None:
        self._seconds = 0.001

    async def wait(self) -> None:
        """Wait twice as long as the last time, and not for long."""
        await asyncio.sleep(self._seconds)
        self._seconds = min(2 * self._seconds, 0.05)


def _code_of(error: errors.KafkaError) -> int:
    """Return the broker's code for what aiokafka raises; what no broker has said is no answer, if it may be said again."""
    # It has the name of an answer, and is raised where there is none: whoever is to be asked may be somebody else by now.
    if isinstance(error, errors.RequestTimedOutError):
        return _NO_ANSWER
    if isinstance(error, errors.BrokerResponseError):
        return int(error.errno)
    if error.retriable:
        return _NO_ANSWER
    return int(KafkaError._FAIL)  # noqa: SLF001  (librdkafka's name for it)
