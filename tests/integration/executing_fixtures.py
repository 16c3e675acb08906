"""Fixtures of fresh storage for executors, in memory and on Postgres."""

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest

from harness.database import ScratchDatabases
from tests.integration.executing import Bench, bench_of


@pytest.fixture(
    params=[
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ]
)
def bench_scratch(request: pytest.FixtureRequest) -> Iterator[ScratchDatabases | None]:
    """Where databases are made; None: memory."""
    if request.param == "memory":
        yield None
    else:
        yield cast("ScratchDatabases", request.getfixturevalue("scratch_databases"))


@pytest.fixture
async def bench(bench_scratch: ScratchDatabases | None) -> AsyncIterator[Bench]:
    """Fresh storage, with the graphs' own assistants."""
    async with bench_of(bench_scratch) as made:
        yield made
