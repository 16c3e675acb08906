"""What callers of a storage over HTTP hear when a connection dies, theirs or the server's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from harness.errors import DatabaseUnavailable, Forbidden, OutcomeUnknown, Overloaded
from harness.faults.proxy import Proxy
from harness.storage.remote import RemoteStorage
from tests.integration import owners
from tests.integration.remote.relay import Relay
from tests.integration.serving import Serving

ONE_CONNECTION = {
    **owners.SETTINGS,
    "DATABASE_POOL_MIN_SIZE": "1",
    "DATABASE_POOL_MAX_SIZE": "1",
    "DATABASE_POOL_TIMEOUT_S": "0.2",
    "HARNESS_CONCURRENCY": "0",
}
"""Of a server whose only connection is its callers' alone: it executes nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """From a storage to the database, with a fault to put in at each of two places."""

    storage: RemoteStorage
    relay: Relay
    """Between the storage and the server."""
    proxy: Proxy
    """Between the server and its database."""

    async def count(self) -> int:
        """Count the threads."""
        return await self.storage.threads.count(owner="alice")


def show_token(owner: str) -> dict[str, str]:
    """Return the headers of an owner's requests."""
    return {"Authorization": f"Bearer {owners.token_of(owner)}"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def line(scratch_databases: ScratchDatabases) -> AsyncIterator[Line]:
    """A line without a fault."""
    async with (
        scratch_databases.clone() as url,
        Proxy(url) as proxy,
        Serving(proxy.url, **ONE_CONNECTION) as server,
        Relay(server.url) as relay,
        RemoteStorage(relay.url, show_token) as storage,
    ):
        yield Line(storage, relay, proxy)


async def test_a_write_is_in_doubt_and_never_repeated(line: Line) -> None:
    """Its answer was lost: it may have been done, and it was done once."""
    before = await line.count()
    line.relay.cuts = 1
    with pytest.raises(OutcomeUnknown):
        await line.storage.threads.create(owner="alice")
    assert line.relay.cuts == 0
    assert await line.count() == before + 1


async def test_a_read_is_sent_twice_and_no_more(line: Line) -> None:
    """Cut once it succeeds; cut twice it is reported."""
    found = await line.count()
    line.relay.cuts = 1
    assert await line.count() == found
    line.relay.cuts = 3
    with pytest.raises(DatabaseUnavailable):
        await line.count()
    assert line.relay.cuts == 1
    line.relay.cuts = 0


async def test_the_servers_doubt_is_the_callers(line: Line) -> None:
    """A write whose own connection to the database died is in doubt over the wire too."""
    before = await line.count()
    line.proxy.cut("after", r"INSERT INTO langgraph_server\.threads")
    with pytest.raises(OutcomeUnknown):
        await line.storage.threads.create(owner="alice")
    assert await line.count() == before + 1


async def test_an_overloaded_server_says_so(line: Line) -> None:
    """Who found no connection in time is told that nothing was done; who had one gets through."""
    before = await line.count()
    line.proxy.stall()
    first = asyncio.create_task(line.storage.threads.create(owner="alice"))
    second = asyncio.create_task(line.storage.threads.create(owner="alice"))
    try:
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        line.proxy.flow()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in outcomes if isinstance(one, Exception)] == [Overloaded]
    assert await line.count() == before + 1


async def test_no_server() -> None:
    """Where nothing listens, nothing was sent, and reads and writes say so."""
    async with Relay("http://127.0.0.1:1") as gone:
        url = gone.url
    async with RemoteStorage(url) as storage:
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.count(owner="alice")
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.create(owner="alice")


async def test_a_token_that_is_not_good(line: Line) -> None:
    """Whom the server does not know may do nothing."""
    async with RemoteStorage(line.relay.url, lambda _: {}) as storage:
        with pytest.raises(Forbidden):
            await storage.threads.count(owner="alice")
