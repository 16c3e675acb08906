"""The stores that are measured side by side, each with what empties, fills and counts it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore

from harness.contract.store_differences import IN_MEMORY, POSTGRES
from harness.database import Database
from harness.measure.names import OURS, OURS_IN_MEMORY
from harness.measure.rows import OWNER
from harness.measure.running import databases
from harness.measure.sites import MemorySite, PostgresSite
from harness.measure.stock_store import open_stock
from harness.persistence.store import AgentStore
from harness.provision import PostgresServer

_CHUNK: Final = 500


class StoreSite(Protocol):
    """A store, and what a measurement does behind its back."""

    name: str

    @property
    def store(self) -> BaseStore:
        """The store under measurement; another one after `clear`, perhaps."""

    async def clear(self) -> None:
        """Take everything away."""

    async def plant(self, items: Sequence[PutOp]) -> None:
        """Put items, and let the tables come to rest."""

    async def count(self) -> int:
        """Count the items, behind the store."""


class StockMemorySite:
    """LangGraph's store in memory."""

    name = IN_MEMORY

    def __init__(self) -> None:
        self.store = InMemoryStore()

    async def clear(self) -> None:
        """Start anew."""
        self.store = InMemoryStore()

    async def plant(self, items: Sequence[PutOp]) -> None:
        """Put items."""
        await self.store.abatch(items)

    async def count(self) -> int:
        """Count the items in its dict."""
        return sum(len(items) for items in self.store._data.values())  # noqa: SLF001 -- behind it


class StockPostgresSite:
    """LangGraph's store on Postgres."""

    name = POSTGRES

    def __init__(self, database: Database, store: AsyncPostgresStore) -> None:
        self._database = database
        self.store = store

    async def clear(self) -> None:
        """Truncate, as `PostgresSite.clear` does."""
        async with self._database.pool.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute("TRUNCATE store CASCADE")

    async def plant(self, items: Sequence[PutOp]) -> None:
        """Put items, a few hundred in one batch, then vacuum."""
        for start in range(0, len(items), _CHUNK):
            await self.store.abatch(items[start : start + _CHUNK])
        async with self._database.pool.connection() as connection:
            await connection.execute("VACUUM ANALYZE store")

    async def count(self) -> int:
        """Count the rows."""
        [row] = await self._database.read("SELECT count(*) AS count FROM store")
        return int(row["count"])


class OurSite:
    """Our store, on one of our storages."""

    def __init__(self, name: str, site: MemorySite | PostgresSite) -> None:
        self.name = name
        self._site = site
        self.store = AgentStore(site.storage)

    async def clear(self) -> None:
        """Empty the storage."""
        await self._site.clear()
        self.store = AgentStore(self._site.storage)

    async def plant(self, items: Sequence[PutOp]) -> None:
        """Put items in bulk, beside the store, then vacuum."""
        for start in range(0, len(items), _CHUNK):
            rows = [
                {"namespace": item.namespace, "key": item.key, "value": item.value}
                for item in items[start : start + _CHUNK]
            ]
            await self._site.storage.items.put_many(rows, owner=OWNER)
        await self._site.settle()

    async def count(self) -> int:
        """Count the rows."""
        return await self._site.count("items")


@asynccontextmanager
async def open_sites(server: PostgresServer | None) -> AsyncIterator[list[StoreSite]]:
    """Lend the stores, in the order of `STORES`; those on Postgres a scratch database each.

    Both are on pools of the default size.
    """
    async with databases(server, [None, None]) as lent, AsyncExitStack() as stack:
        ours_in_memory = OurSite(OURS_IN_MEMORY, MemorySite())
        if not lent:
            yield [StockMemorySite(), ours_in_memory]
            return
        theirs, ours = lent
        store = await stack.enter_async_context(open_stock(theirs.pool))
        await store.setup()
        yield [
            StockMemorySite(),
            StockPostgresSite(theirs, store),
            ours_in_memory,
            OurSite(OURS, PostgresSite(ours)),
        ]
