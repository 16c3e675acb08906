"""Fixtures of servers, in memory and on Postgres; what wants no settings shares one of each."""

import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Final, cast

import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient

from harness.database import ScratchDatabases
from tests.integration import owners
from tests.integration.owners import client_of
from tests.integration.serving import Serving
from tests.integration.wholeness import assert_whole

_SHOWN: Final = 4_000
"""Characters of a server's log that are shown with a test that failed."""


class Servers:
    """Servers of some settings in one place, each started when it is first asked for.

    Args:
        stack: What they end with.
        scratch: Where their databases are made; None: they store in memory.
    """

    def __init__(
        self, stack: contextlib.AsyncExitStack, scratch: ScratchDatabases | None = None
    ) -> None:
        self._stack, self._scratch = stack, scratch
        self._running: dict[object, Serving] = {}

    async def get(self, settings: dict[str, str]) -> Serving:
        """Return the one that has these settings."""
        key = tuple(sorted(settings.items()))
        if key not in self._running:
            self._running[key] = await started(self._stack, self._scratch, **settings)
        return self._running[key]


async def started(
    stack: contextlib.AsyncExitStack, scratch: ScratchDatabases | None, **settings: str
) -> Serving:
    """Start a server, on a database of its own or in memory, that ends with the stack.

    Whatever tests had it do, its database is whole when it has ended.
    """
    url = None
    if scratch is not None:
        url = await stack.enter_async_context(scratch.clone())
        stack.push_async_callback(assert_whole, url)
    return await stack.enter_async_context(Serving(url, **settings))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server has logged with a test that failed."""
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    for server in (value for value in arguments.values() if isinstance(value, Serving)):
        if report.failed and report.when == "call":
            report.sections.append(("Log of the server", server.failures()[-_SHOWN:]))
    return report


@pytest.fixture(
    scope="module", params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def scratch(request: pytest.FixtureRequest) -> Iterator[ScratchDatabases | None]:
    """Where databases are made; None: the server stores in memory."""
    if request.param == "memory":
        yield None
    else:
        yield cast("ScratchDatabases", request.getfixturevalue("scratch_databases"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def memory_servers() -> AsyncIterator[Servers]:
    """The servers in memory that modules share; they end with the run."""
    async with contextlib.AsyncExitStack() as stack:
        yield Servers(stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_servers(scratch_databases: ScratchDatabases) -> AsyncIterator[Servers]:
    """The servers on Postgres that modules share; they end before their databases do."""
    async with contextlib.AsyncExitStack() as stack:
        yield Servers(stack, scratch_databases)


@pytest.fixture(scope="module")
def servers(scratch: ScratchDatabases | None, request: pytest.FixtureRequest) -> Servers:
    """The servers that share a place."""
    name = "memory_servers" if scratch is None else "postgres_servers"
    return cast("Servers", request.getfixturevalue(name))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    scratch: ScratchDatabases | None, servers: Servers, request: pytest.FixtureRequest
) -> AsyncIterator[Serving]:
    """A server in memory or on Postgres, with or without tokens.

    A module that sets other `SETTINGS`, environment variables, has one of its own.
    """
    settings: dict[str, str] = getattr(request.module, "SETTINGS", {})
    if settings in ({}, owners.SETTINGS):
        yield await servers.get(settings)
        return
    async with contextlib.AsyncExitStack() as stack:
        yield await started(stack, scratch, **settings)


@pytest.fixture(scope="module")
def client(server: Serving) -> LangGraphClient:
    """The official client of the module's server."""
    return server.client()


@pytest.fixture(scope="module")
def alice(server: Serving) -> LangGraphClient:
    """An owner's client, of a server that asks for tokens."""
    return client_of(server, "alice")


@pytest.fixture(scope="module")
def bob(server: Serving) -> LangGraphClient:
    """Another owner's client, likewise."""
    return client_of(server, "bob")
