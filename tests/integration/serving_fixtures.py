"""Fixtures of servers: one for the tests of a module, in memory and on Postgres."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient

from harness.database import ScratchDatabases
from tests.integration.serving import Serving


@pytest.fixture(
    scope="module", params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def scratch(request: pytest.FixtureRequest) -> Iterator[ScratchDatabases | None]:
    """Where databases are made; None: the server stores in memory."""
    if request.param == "memory":
        yield None
    else:
        yield cast("ScratchDatabases", request.getfixturevalue("scratch_databases"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    scratch: ScratchDatabases | None, request: pytest.FixtureRequest
) -> AsyncIterator[Serving]:
    """A server, one for the tests of a module and each of memory and Postgres.

    The module may set `SETTINGS`, environment variables.
    """
    settings: dict[str, str] = getattr(request.module, "SETTINGS", {})
    async with contextlib.AsyncExitStack() as stack:
        url = None if scratch is None else await stack.enter_async_context(scratch.clone())
        yield await stack.enter_async_context(Serving(url, **settings))


@pytest.fixture
def client(server: Serving) -> LangGraphClient:
    """The official client of the module's server."""
    return server.client()
