"""Fixtures of places that runs are executed at, in memory and on Postgres."""

from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from tests.integration.fencing import (
    Place,
    in_memory,
    on_postgres,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def processes(scratch_databases: ScratchDatabases) -> AsyncIterator[list[Place]]:
    """The places of two processes on one database: one executes runs, the other ends them."""
    async with scratch_databases.clone() as url, on_postgres(url, 2) as places:
        yield places


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Place:
    """Where runs are executed."""
    if request.param == "memory":
        return in_memory()
    return cast("list[Place]", request.getfixturevalue("processes"))[0]
