"""One HTTP/1.1 connection that POSTs JSON, with next to nothing between it and the socket.

Beside a server that answers in a third of a millisecond a full client is most of what is measured:
httpx takes about a millisecond a request, this a tenth of one. It knows what these servers send.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from harness.errors import ResultsError

_LIMIT_BYTES: Final = 2**24


class RawConnection:
    """A connection that is kept alive; one request at a time.

    Args:
        url: Of the server, `http://host:port`.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), address.port or 80
        self._head = f"Host: {address.netloc}\r\nContent-Type: application/json\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, limit=_LIMIT_BYTES
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the body of the answer.

        Raises:
            ResultsError: Its status is not 200.
        """
        return b"".join([piece async for piece in self.stream(path, body)])

    async def stream(self, path: str, body: bytes) -> AsyncIterator[bytes]:
        """Yield the body of the answer as it comes.

        Raises:
            ResultsError: Its status is not 200.
        """
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200"):
            raise ResultsError(f"POST {path} was answered {answer.decode(errors='replace'):.200}")
        _, sized, rest = answer.partition(b"content-length:")
        if sized:
            yield await self._reader.readexactly(int(rest[: rest.index(b"\r\n")]))
            return
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
