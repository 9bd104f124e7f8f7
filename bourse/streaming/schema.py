"""The Faust schema that lets a frame through as it is: records are decoded by the agents, once."""

from collections.abc import Awaitable, Callable

from faust import Schema
from faust.types import AppT, EventT, Message


class _FrameSchema(Schema):
    """Passes a message's value on untouched."""

    def compile(self, app: AppT, **_errors: object) -> Callable[..., Awaitable[EventT]]:
        """Return the decoder that Faust calls for each message."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT:  # noqa: ARG001
            return app.create_event(message.key, message.value, {}, message)

        return decode


def frame_schema() -> Schema:
    """Return the schema for topics that agents read in frames."""
    return _FrameSchema()
