"""The announcer agent: instruments, participants, corporate actions and sessions in, one announcement for each partition out."""

from collections.abc import AsyncIterator, Callable, Coroutine

from bourse.agents.runner import StageRunner
from bourse.streaming.frames import Frame


def agent(runner: StageRunner) -> Callable[[AsyncIterator[Frame]], Coroutine[None, None, None]]:
    """Return the agent that takes frames through the stage."""

    async def announcer(frames: AsyncIterator[Frame]) -> None:
        async for frame in frames:
            runner.run(frame)

    return announcer
