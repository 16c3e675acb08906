"""Stands between a client and an HTTP server, and breaks connections once they were used."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 16


class Relay:
    """Passes on what comes, and instead of an answer may reset the connection.

    Args:
        url: Where the server is.
    """

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").rpartition(":")
        self._target = int(port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        """Where it is itself."""
        self.cuts = 0
        """How many of the next answers are not to come; the server has sent each."""

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._host, self._target)
        up = asyncio.ensure_future(_pump(reader, forth))
        try:
            while answer := await back.read(_CHUNK_BYTES):
                if self.cuts:
                    self.cuts -= 1
                    break
                writer.write(answer)
                await writer.drain()
        finally:
            up.cancel()
            for one in (writer, forth):
                one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
