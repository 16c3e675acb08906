"""Where the agent server is measured: servers, an echo, and the same storage in this process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from harness.config import DatabaseConfig
from harness.database import Database
from harness.faults.served import Served
from harness.measure.raw_http import RawConnection
from harness.measure.rows import OWNER, Resource
from harness.measure.running import databases
from harness.measure.server_records import Checkpoints
from harness.measure.sites import PostgresSite
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend

ECHO: Final = (sys.executable, "-m", "harness.measure.floors.echo")
"""Robyn in a process of its own, answering each POST with its body."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server, and what it stores in as this process has it."""

    checkpoints: Checkpoints
    served: Served
    storage: FullStorage
    site: PostgresSite | None

    async def rows(self, resource: Resource, *, served: bool) -> int:
        """Count rows: with plain SQL, or in memory by asking the server, or else the storage."""
        if self.site is not None:
            return await self.site.count(resource)
        if served:
            async with RawConnection(self.served.url) as line:
                return int(await line.post(f"/{resource}/count", b"{}"))
        if resource == "assistants":
            return await self.storage.assistants.count(owner=OWNER)
        return await self.storage.threads.count(owner=OWNER)


@dataclass(frozen=True, slots=True)
class Pooled:
    """A server behind a pool of one size, and its database."""

    size: int
    served: Served
    site: PostgresSite


@dataclass(frozen=True, slots=True)
class Places:
    """Everything that is running."""

    echo: Served
    stores: Sequence[Place]
    pools: Sequence[Pooled]


@asynccontextmanager
async def places(server: PostgresServer | None, pool_sizes: Sequence[int]) -> AsyncIterator[Places]:
    """Start an echo, a server in memory and one on Postgres, and one for each other size of a pool.

    The first have their default settings; each on Postgres has its own database.

    Args:
        server: Where the databases are made; None: there are only the echo and memory.
        pool_sizes: Connections of the pools.
    """
    usual = DatabaseConfig().pool_max_size
    sizes = [size for size in pool_sizes if size != usual] if server is not None else []
    async with AsyncExitStack() as stack:
        lent = await stack.enter_async_context(databases(server, [None, *(2 for _ in sizes)]))
        for database in lent[:1]:
            await setup_langgraph(database)
        echo, memory = Served(command=ECHO), Served()
        served = [_on(database, size) for database, size in zip(lent, [None, *sizes], strict=False)]
        await asyncio.gather(*map(stack.enter_async_context, (echo, memory, *served)))
        stores = [Place("memory", memory, LocalStorage(MemoryBackend()), None)]
        pools = [
            Pooled(size, process, PostgresSite(database))
            for size, process, database in zip(sizes, served[1:], lent[1:], strict=True)
        ]
        for database in lent[:1]:
            site = PostgresSite(database)
            stores.append(Place("postgres", served[0], site.storage, site))
            if usual in pool_sizes:
                pools.append(Pooled(usual, served[0], site))
        yield Places(echo, stores, pools)


def _on(database: Database, pool_size: int | None) -> Served:
    settings = {}
    if pool_size is not None:
        names = ("DATABASE_POOL_MIN_SIZE", "DATABASE_POOL_MAX_SIZE")
        settings = dict.fromkeys(names, str(pool_size))
    return Served(str(database.config.url), settings=settings)
