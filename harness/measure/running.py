"""What every measurement is made of: an empty result, scratch databases, progress, an end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.measure.environment import collect
from harness.measure.paired import OnProgress
from harness.measure.records import Kind, Results
from harness.provision import PostgresServer


def silent(done: int, total: int, label: str) -> None:
    """Show no progress."""


async def nothing_yet(kind: Kind, server: PostgresServer | None) -> Results:
    """Return results of this environment, made now, that hold nothing."""
    return Results(kind=kind, made_at=datetime.now(UTC), environment=await collect(server))


async def completed(measuring: Awaitable[None]) -> bool:
    """Whether it was measured to the end; an interruption ends here, with what there is by then."""
    try:
        await measuring
    except (asyncio.CancelledError, KeyboardInterrupt):
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return False
    return True


@asynccontextmanager
async def databases(
    server: PostgresServer | None, pool_sizes: Sequence[int | None]
) -> AsyncIterator[list[Database]]:
    """Lend migrated databases of our own, behind full pools of these sizes (None: by default)."""
    async with AsyncExitStack() as stack:
        lent = []
        if server is not None:
            scratch = await stack.enter_async_context(ScratchDatabases(server.url))
            for size in pool_sizes:
                url = await stack.enter_async_context(scratch.clone())
                lent.append(await stack.enter_async_context(pooled(url, size)))
        yield lent


@asynccontextmanager
async def one_database(
    server: PostgresServer, pool_sizes: Sequence[int]
) -> AsyncIterator[list[Database]]:
    """Lend one migrated database of our own, behind a full pool of each of these sizes."""
    async with AsyncExitStack() as stack:
        scratch = await stack.enter_async_context(ScratchDatabases(server.url))
        url = await stack.enter_async_context(scratch.clone())
        yield [await stack.enter_async_context(pooled(url, size)) for size in pool_sizes]


def pooled(url: str, size: int | None) -> Database:
    """Return a scratch database behind a full pool of this size (None: by default)."""
    config = DatabaseConfig.for_scratch(url)
    if size is not None:
        config = replace(config, pool_min_size=size, pool_max_size=size)
    return Database(config, name="measure")


class Progress:
    """Counts steps and tells of each."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self.label = ""
        self.done = 0
        self._total, self._tell = total, on_progress

    def step(self) -> None:
        """Tell of one more."""
        self.done += 1
        self._tell(self.done, self._total, self.label)
