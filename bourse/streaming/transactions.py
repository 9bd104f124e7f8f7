"""A producer of transactions that writes to all partitions of a broker with one request.

librdkafka sends one for each partition, and a broker works through them one after the other (docs/decisions/0014). This one has the calls
and errors of librdkafka's, as far as the engine uses them. What it says to the brokers is in `conversation.py`.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bourse.streaming.batches import NO_HEADERS, Batch, Batches, DeliveryCallback
from bourse.streaming.conversation import Conversation, refusal
from bourse.streaming.requests import GroupMember, Place

T = TypeVar("T")
_STATE: Final = int(KafkaError._STATE)  # noqa: SLF001  (librdkafka's name for it)
_TIMED_OUT: Final = int(KafkaError._TIMED_OUT)  # noqa: SLF001
_CLOSE_SECONDS: Final = 2.0


class Transactions:
    """One transactional id's producer, used by one thread at a time, offsets apart; its connections have a thread of their own."""

    def __init__(self, settings: Mapping[str, str | int | float | bool]) -> None:
        """Take settings under librdkafka's names; nothing is contacted before `init_transactions`.

        Raises:
            ValueError: a setting is not known here.
        """
        left = dict(settings)
        self._brokers = Conversation(
            str(left.pop("bootstrap.servers")),
            str(left.pop("client.id")),
            str(left.pop("transactional.id")),
            int(left.pop("transaction.timeout.ms")),
            int(left.pop("socket.timeout.ms")),
        )
        self._batches = Batches(int(left.pop("batch.size")))
        self._room = int(left.pop("queue.buffering.max.kbytes")) * 1024
        if left:
            msg = f"the producer knows no setting {sorted(left)}"
            raise ValueError(msg)
        self._filling = self._batches.open
        self._sent_bytes = 0
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def init_transactions(self, timeout: float) -> None:
        """Connect, and fence whoever had the transactional id before; waits until what that one left open has ended."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_serve, args=(self._loop,), name="transactions", daemon=True
            )
            self._thread.start()
        self._call(self._brokers.take_over(), timeout)

    def begin_transaction(self) -> None:
        """Open a transaction; the brokers hear of it with its first record or offset."""
        if self._is_open:
            raise refusal(_STATE, "a transaction is open already")
        self._is_open = True

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        on_delivery: DeliveryCallback | None = None,
    ) -> None:
        """Add a record to its partition's batch; raises BufferError when there is no room for another batch."""
        place = topic, partition
        batch = self._filling.get(place) or self._another(place)
        if batch.add(batch.count, batch.time_ms, key, value, NO_HEADERS) is None:
            batch = self._another(place)
            batch.add(0, batch.time_ms, key, value, NO_HEADERS)
        if on_delivery is not None:
            batch.callbacks.append((batch.count, on_delivery))
        batch.count += 1

    def poll(self, timeout: float) -> int:
        """Tell of what has been written; with a `timeout`, have what is there written and wait so long for it first."""
        if timeout:
            self.flush(timeout)
        told = 0
        while self._brokers.delivered:
            tell, record = self._brokers.delivered.popleft()
            tell(None, record)
            told += 1
        return told

    def flush(self, timeout: float) -> int:
        """Have what is there written, wait so long for it, and return how many batches are still to be sent."""
        self._send(tuple(self._filling))
        with suppress(KafkaException):
            self._call(self._brokers.write(), timeout)
        return len(self._brokers.sent)

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], group_metadata: bytes, timeout: float
    ) -> None:
        """Make offsets of a group's member part of the open transaction."""
        self._must_be_open()
        places = {(tp.topic, tp.partition): tp.offset for tp in offsets}
        self._call(self._brokers.send_offsets(GroupMember.read(group_metadata), places), timeout)

    def commit_transaction(self, timeout: float) -> None:
        """Commit, when everything that was produced has been written."""
        self._must_be_open()
        self._send(tuple(self._filling))
        self._call(self._brokers.end(committed=True), timeout)
        self._ended()

    def abort_transaction(self, timeout: float) -> None:
        """Abort; what is not on its way yet is dropped."""
        self._must_be_open()
        self._call(self._brokers.end(committed=False), timeout)
        self._ended()

    def close(self) -> None:
        """Let go of the connections; a transaction that is open stays so until it times out."""
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._close(), loop)
            self._thread.join(_CLOSE_SECONDS)

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise refusal(_STATE, "no transaction is open")

    def _ended(self) -> None:
        self._is_open = False
        self._batches.clear()
        self._sent_bytes = self._brokers.written_bytes

    def _another(self, place: Place) -> Batch:
        """Begin a batch for a partition that has none, or a full one."""
        self._must_be_open()
        if self._brokers.failure is not None:
            raise self._brokers.failure
        if place in self._filling:
            self._send((place,))
            self._write()
        if self._sent_bytes - self._brokers.written_bytes > self._room:
            msg = "Local: Queue full"
            raise BufferError(msg)
        return self._batches.begin(place)

    def _send(self, places: Iterable[Place]) -> None:
        """Seal the batches of some partitions; they are written with the next that has to be."""
        sealed = [self._batches.seal(place, self._brokers.identity) for place in places]
        self._sent_bytes += sum(len(batch.data) for batch in sealed)
        self._brokers.sent.extend(sealed)

    def _write(self) -> None:
        """Have what is sealed written, without waiting for it: what fails shows in the next batch and in the commit."""
        if self._loop is not None and self._brokers.sent:
            asyncio.run_coroutine_threadsafe(self._brokers.write(), self._loop)

    def _call(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Have `work` done on the thread of the connections."""
        if self._loop is None:
            work.close()
            raise refusal(_STATE, "not connected")

        async def in_time() -> T:
            async with asyncio.timeout(seconds):
                return await work

        try:
            return asyncio.run_coroutine_threadsafe(in_time(), self._loop).result()
        except TimeoutError as error:
            raise refusal(_TIMED_OUT, f"no end after {seconds} s", retriable=True) from error

    async def _close(self) -> None:
        await self._brokers.close()
        # What still waits for an answer gets none; a loop would complain of tasks that it is closed upon.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        asyncio.get_running_loop().stop()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
