"""A place where webhooks arrive: a small HTTP server on this machine."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson


class Receiver:
    """Keeps what is posted to it, and answers with given statuses, the last of them for ever.

    Args:
        statuses: Of the first answer, the second, and so on.
    """

    def __init__(self, statuses: Sequence[int]) -> None:
        self._statuses = list(statuses)
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        """The bodies, decoded, in the order in which they came."""
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, keep its body, and answer."""
        head = await reader.readuntil(b"\r\n\r\n")
        [size] = [
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        self.received.put_nowait(orjson.loads(await reader.readexactly(size)))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        location = b"Location: /elsewhere\r\n" if 300 <= status < 400 else b""
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%sConnection: close\r\n\r\n"
            % (status, location)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    """Listen on a free port of this machine."""
    receiver = Receiver(statuses or [200])
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/hook?token=1"
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
