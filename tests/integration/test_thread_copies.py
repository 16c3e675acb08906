"""A thread that is copied while a run writes to it: the copy is whole in itself."""

from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio

from harness.database import ScratchDatabases
from tests.integration.fencing import INNER, MANY, WRITES, Place, in_memory, on_postgres


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def on_a_database(scratch_databases: ScratchDatabases) -> AsyncIterator[Place]:
    """A place on Postgres."""
    async with scratch_databases.clone() as url, on_postgres(url, 1) as [place]:
        yield place


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Place:
    """Where threads are copied."""
    if request.param == "memory":
        return in_memory()
    return cast("Place", request.getfixturevalue("on_a_database"))


@pytest.mark.parametrize("namespace", ["", INNER])
async def test_writes_are_copied_with_their_checkpoint_alone(place: Place, namespace: str) -> None:
    """Writes that were stored before their checkpoint stay behind; those of a stored one do not."""
    run, target = await place.begun(), str(uuid4())
    for write in ("writes, many", "writes of a subgraph"):
        await WRITES[write](place.saver, run)
    whole = await place.rows(run.thread)
    assert sum(whole.values()) == 2 + MANY + 1
    early = run.at(namespace)
    early["configurable"]["checkpoint_id"] = str(uuid4())
    await place.saver.aput_writes(early, [("c", 1), ("d", [2])], "task")
    await place.saver.acopy_thread(run.thread, target)
    assert await place.rows(target) == whole
