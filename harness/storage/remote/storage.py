"""A storage that is a server's: a client of the SDK for each owner, over one pool."""

from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import Final, Self

import httpx
from langgraph_sdk.client import LangGraphClient

from harness.storage.checks import check_owner
from harness.storage.remote.assistants import RemoteAssistants
from harness.storage.remote.crons import RemoteCrons
from harness.storage.remote.items import RemoteItems
from harness.storage.remote.runs import RemoteRuns
from harness.storage.remote.threads import RemoteThreads

Headers = Callable[[str], Mapping[str, str]]
"""Returns the headers by which the server knows an owner."""

_CONNECTIONS: Final = 100
_CONNECT_RETRIES: Final = 1
"""At once, since nothing was sent yet; the SDK's `get_client` goes on for seconds."""


class RemoteStorage:
    """A `Storage` over HTTP.

    Args:
        url: Where the server is.
        headers: Returns the headers of an owner's requests, such as
            `{"Authorization": "Bearer …"}`; none for a server without authentication. Asked for
            each request, so that tokens may expire.
        timeout_s: Seconds for one request.
    """

    def __init__(
        self, url: str, headers: Headers = lambda _: {}, *, timeout_s: float = 60.0
    ) -> None:
        self._url, self._headers, self._timeout_s = url, headers, timeout_s
        self._transport = httpx.AsyncHTTPTransport(
            retries=_CONNECT_RETRIES,
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
        )
        self._clients: dict[str, LangGraphClient] = {}
        self.assistants = RemoteAssistants(self.client)
        self.threads = RemoteThreads(self.client)
        self.runs = RemoteRuns(self.client)
        self.items = RemoteItems(self.client)
        self.crons = RemoteCrons(self.client)

    def client(self, owner: str) -> LangGraphClient:
        """Return the SDK's client that calls as an owner.

        Raises:
            InvalidInput: Nobody can be called so.
        """
        name = check_owner(owner)
        if name not in self._clients:
            self._clients[name] = LangGraphClient(
                httpx.AsyncClient(
                    base_url=self._url,
                    transport=self._transport,
                    timeout=self._timeout_s,
                    auth=_Caller(name, self._headers),
                )
            )
        return self._clients[name]

    async def close(self) -> None:
        """Close every connection."""
        self._clients.clear()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class _Caller(httpx.Auth):
    """Shows each request's server who calls."""

    def __init__(self, owner: str, headers: Headers) -> None:
        self._owner, self._headers = owner, headers

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.update(self._headers(self._owner))
        yield request
