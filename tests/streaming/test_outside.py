"""The thread in which an engine waits for its clients."""

import asyncio
import threading

import pytest

from bourse.streaming.errors import CallHangs
from bourse.streaming.outside import WaitingThread


def test_a_call_that_never_comes_back_is_given_up() -> None:
    never = threading.Event()
    with pytest.raises(CallHangs, match="has not come back"):
        asyncio.run(run_in_thread(never.wait, 0.05, then=never.set))


def test_a_call_may_raise_a_timeout_of_its_own() -> None:
    def refuse() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(run_in_thread(refuse, 10))


async def run_in_thread(call, seconds, then=lambda: None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    thread = WaitingThread()
    try:
        return await thread.run(call, seconds)
    finally:
        then()
        thread.close()
