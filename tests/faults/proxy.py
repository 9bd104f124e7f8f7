"""A bad network: a small TCP proxy that stands between the workers and the broker, and does what it is told.

It runs in a thread of its own. What workers see of a broken network is what it lets through; the test itself talks to the
broker behind its back.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Final

HOST: Final = "127.0.0.1"
_CHUNK: Final = 1 << 20


class _Connection:
    """One client's connection and its continuation to the broker."""

    def __init__(self, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self.writers = (client, broker)
        self.has_lost_replies = False

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Listens on `port` and passes everything on to `target`, until a fault is set.

    `delay_seconds` holds up each reply; `is_silent` holds back everything in both directions until it is unset;
    `loses_replies` passes requests on and throws replies away.
    """

    def __init__(self, port: int, target: int) -> None:
        """Start listening."""
        self.port = port
        self.target = target
        self.delay_seconds = 0.0
        self.is_silent = False
        self.loses_replies = False
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.listen()

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"{HOST}:{self.port}"

    def listen(self) -> None:
        """Take connections (again)."""
        self._call(self._listen())

    def refuse(self) -> None:
        """Break every connection and take no new ones."""
        self._call(self._refuse())

    def cut(self) -> None:
        """Break every connection; clients may come back at once."""
        self._call(self._cut())

    def heal(self) -> None:
        """Be a good network again. Connections whose replies were lost are broken: half a reply helps nobody."""
        self.delay_seconds, self.is_silent = 0.0, False
        if self.loses_replies:
            self.loses_replies = False
            self._call(self._cut(lossy_only=True))
        self.listen()

    def close(self) -> None:
        """Stop for good."""
        self._call(self._refuse())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port, limit=_CHUNK)

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()
        await self._cut()

    async def _cut(self, *, lossy_only: bool = False) -> None:
        for connection in list(self._connections):
            if connection.has_lost_replies or not lossy_only:
                connection.abort()
        # Their tasks see the end of it now, so that none is left over when the loop stops.
        await asyncio.sleep(0.05)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker = await asyncio.open_connection(HOST, self.target, limit=_CHUNK)
        except OSError:
            client.transport.abort()
            return
        connection = _Connection(client, broker)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._requests(client_reader, broker), self._replies(broker_reader, client, connection)
            )
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._wait_while_silent()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._wait_while_silent()
                if self.loses_replies:
                    connection.has_lost_replies = True
                if connection.has_lost_replies:
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def _wait_while_silent(self) -> None:
        while self.is_silent:  # noqa: ASYNC110  (set from another thread)
            await asyncio.sleep(0.02)
