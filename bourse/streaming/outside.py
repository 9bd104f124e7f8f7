"""What the engine touches beyond its own code: Kafka's clients, a clock, and a thread to wait in.

An engine is handed these; it makes none of them itself. A worker has the real ones, the simulator its own, which
follow the same API.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from bourse.streaming.errors import CallHangs
from bourse.streaming.transactions import Transactions

T = TypeVar("T")
ClientSettings = dict[str, str | int | float | bool]


class Thread(Protocol):
    """Where calls wait that would hold up the event loop, one after the other."""

    def run(self, call: Callable[[], T], seconds: float) -> Awaitable[T]:
        """Begin `call` when those before it have ended; what is returned waits for it.

        Waiting gives what `call` returns, raises what it raises, and CallHangs when it is not back in time.
        """

    def close(self) -> None:
        """Let go of the thread; nothing runs after it."""


class WaitingThread:
    """One thread beside the event loop."""

    def __init__(self) -> None:
        """Start nothing yet: the first call does."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine")

    def run(self, call: Callable[[], T], seconds: float) -> Awaitable[T]:
        """Run `call` on the thread, whether or not anybody waits for it."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, call)
        return asyncio.ensure_future(_within(seconds, running))

    def close(self) -> None:
        """Let the thread end by itself."""
        self._pool.shutdown(wait=False)


async def _within(seconds: float, running: asyncio.Future[T]) -> T:
    try:
        return await asyncio.wait_for(running, seconds)
    except TimeoutError as error:
        if running.done() and not running.cancelled():
            raise  # the call's own
        msg = f"a call has not come back after {seconds:.0f} s"
        raise CallHangs(msg) from error


@dataclass(frozen=True, slots=True)
class Outside:
    """How an engine comes by each of them; clients are made from librdkafka's settings."""

    consumer: Callable[[ClientSettings], Consumer]
    producer: Callable[[ClientSettings], Transactions]
    admin: Callable[[ClientSettings], AdminClient]
    monotonic: Callable[[], float]
    """Seconds that never run backwards."""
    computed: Callable[[], float]
    """Seconds that the thread which asks has computed so far."""
    thread: Callable[[], Thread]


KAFKA: Final = Outside(Consumer, Transactions, AdminClient, time.monotonic, time.thread_time, WaitingThread)
"""The real ones."""
