"""Fixtures of fresh storage for executors, in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest

from harness.database import ScratchDatabases
from tests.integration.executing import Bench, bench_of


@pytest.fixture
async def bench(scratch: ScratchDatabases | None) -> AsyncIterator[Bench]:
    """Fresh storage, with the graphs' own assistants."""
    async with bench_of(scratch) as made:
        yield made
