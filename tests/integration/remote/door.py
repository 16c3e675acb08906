"""The back door of a server that tests started: what no caller of its API can do."""

import asyncio
import contextlib
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import httpx

from harness.storage.probe import Probe


class Door:
    """Calls what lies behind a server, one call at a time; see `server.py` beside this."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._turn = asyncio.Lock()

    async def empty(self) -> None:
        """Have everything deleted."""
        await self._ask("door", "empty")

    @property
    def probe(self) -> Probe:
        """The raw rows of the server's storage."""
        return cast("Probe", self.behind("probe"))

    def behind(self, target: str) -> Any:
        """Return an object whose methods are those of the server's own object of that name."""
        return _Behind(self._ask, target)

    async def _ask(self, target: str, method: str, *args: Any, **kwargs: Any) -> Any:
        asked = pickle.dumps((target, method, args, kwargs))
        async with self._turn:
            self._writer.write(len(asked).to_bytes(4) + asked)
            await self._writer.drain()
            size = int.from_bytes(await self._reader.readexactly(4))
            answer = await self._reader.readexactly(size)
        result = pickle.loads(answer)  # noqa: S301 -- of our own server
        if isinstance(result, Exception):
            raise result
        return result


@contextlib.asynccontextmanager
async def opened(http: httpx.AsyncClient) -> AsyncIterator[Door]:
    """Open the back door of the server that a client is of."""
    port = (await http.post("/door")).raise_for_status().json()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Door(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


class _Behind:
    def __init__(self, ask: Callable[..., Awaitable[Any]], target: str) -> None:
        self._ask, self._target = ask, target

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._ask(self._target, method, *args, **kwargs)

        return call
