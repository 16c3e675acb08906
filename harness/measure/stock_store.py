"""LangGraph's own store on Postgres, over a pool, with an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.store.base import TTLConfig
from langgraph.store.postgres.aio import AsyncPostgresStore

from harness.database.connections import Pool


@asynccontextmanager
async def open_stock(
    pool: Pool, *, ttl: TTLConfig | None = None
) -> AsyncIterator[AsyncPostgresStore]:
    """Lend LangGraph's store; its tables are made by its own `setup()`.

    Args:
        pool: Where its operations go, one background batch at a time.
        ttl: What LangGraph calls so.
    """
    store = AsyncPostgresStore(pool, ttl=ttl)
    try:
        yield store
    finally:
        task = store._task  # noqa: SLF001 -- the background task, which nothing else ends
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
