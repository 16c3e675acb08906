"""Storage and a checkpointer, in memory or on a database made for them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from harness.agents.graph import Saver
from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.persistence import PooledSaver, memory_saver, setup_langgraph
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend


@asynccontextmanager
async def stored(
    scratch: ScratchDatabases | None, kind: type[PooledSaver] = PooledSaver
) -> AsyncIterator[tuple[FullStorage, Saver]]:
    """Make both, fresh.

    Args:
        scratch: Where the database is made; None: memory.
        kind: Of the checkpointer on a database.
    """
    if scratch is None:
        backend = MemoryBackend()
        yield LocalStorage(backend), memory_saver(backend)
        return
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(scratch.clone())
        database = await stack.enter_async_context(Database(DatabaseConfig.for_scratch(url)))
        await setup_langgraph(database)
        yield LocalStorage(PostgresBackend(database)), kind(database)
