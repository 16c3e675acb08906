"""A server that tests stop, kill and restart, one test after another."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from harness.provision import PostgresServer
from harness.pytest_plugin.servers import private_server


@pytest.fixture(scope="session")
def breakable_server_of_all(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """The server of all those tests."""
    with private_server(pytestconfig) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def breakable_databases(
    breakable_server_of_all: PostgresServer,
) -> AsyncIterator[ScratchDatabases]:
    """Databases on it."""
    async with ScratchDatabases(breakable_server_of_all.url) as databases:
        yield databases


@pytest.fixture
def breakable_server(breakable_server_of_all: PostgresServer) -> Iterator[PostgresServer]:
    """A server that nobody else uses meanwhile; it runs again when the test is over."""
    yield breakable_server_of_all
    breakable_server_of_all.start()
