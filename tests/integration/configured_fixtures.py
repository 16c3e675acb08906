"""Fixtures of servers of `configured/`, in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from tests.integration.configured_servers import Configured, configured


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def configured_server() -> AsyncIterator[Configured]:
    """The one in memory that modules share."""
    async with configured() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stored_server(scratch_databases: ScratchDatabases) -> AsyncIterator[Configured]:
    """One on Postgres."""
    async with scratch_databases.clone() as url, configured(url) as server:
        yield server


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_server(request: pytest.FixtureRequest) -> Configured:
    """Both, one after the other."""
    name = "configured_server" if request.param == "memory" else "stored_server"
    found: Configured = request.getfixturevalue(name)
    return found
