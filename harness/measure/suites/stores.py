"""The store contract on LangGraph's own stores and on ours, the known differences declared.

`pytest --pyargs harness.measure.suites.stores` runs it without a tests folder.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore

from harness.config import DatabaseConfig
from harness.contract.langgraph_store import LangGraphStoreContract
from harness.contract.store_base import Age
from harness.contract.store_differences import (
    IN_MEMORY,
    POSTGRES,
    STORE_DIFFERENCES,
    StoreDifference,
)
from harness.database import Database, ScratchDatabases
from harness.measure.stock_store import open_stock
from harness.persistence.owner import owner_scope
from harness.persistence.store import AgentStore
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe

pytestmark = pytest.mark.asyncio(loop_scope="session")  # also where no pytest.ini says so


def differences_of(store: str) -> tuple[StoreDifference, ...]:
    """Return what a store is known to answer differently."""
    return tuple(known for known in STORE_DIFFERENCES if known.store == store)


class TestInMemoryStore(LangGraphStoreContract):
    """LangGraph's store in memory."""

    subject_name = IN_MEMORY
    differences = differences_of(IN_MEMORY)

    @pytest.fixture
    def store(self) -> BaseStore:
        """Return an empty store."""
        return InMemoryStore()

    @pytest.fixture
    def age(self) -> Age:
        """Do nothing: nothing in this store expires."""

        async def do_nothing(seconds: float) -> None:
            """Leave everything as it is."""

        return do_nothing


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stock_database(scratch_databases: ScratchDatabases) -> AsyncIterator[Database]:
    """A database of its own with LangGraph's store tables."""
    async with (
        scratch_databases.empty() as url,
        Database(DatabaseConfig.for_scratch(url), name="stock") as opened,
        open_stock(opened.pool) as store,
    ):
        await store.setup()
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def stock_store(stock_database: Database) -> AsyncIterator[AsyncPostgresStore]:
    """Yield LangGraph's store, empty, told to pass over expired items: by itself it does not."""
    await stock_database.write("DELETE FROM store")
    async with open_stock(stock_database.pool, ttl={"omit_expired": True}) as store:
        yield store


class TestAsyncPostgresStore(LangGraphStoreContract):
    """LangGraph's store on Postgres."""

    subject_name = POSTGRES
    differences = differences_of(POSTGRES)

    @pytest.fixture
    def store(self, stock_store: AsyncPostgresStore) -> BaseStore:
        """Return an empty store."""
        return stock_store

    @pytest.fixture
    def age(self, stock_database: Database) -> Age:
        """Return what moves every time into the past."""

        async def move(seconds: float) -> None:
            await stock_database.write(
                "UPDATE store SET expires_at = expires_at - %(by)s,"
                " created_at = created_at - %(by)s, updated_at = updated_at - %(by)s",
                {"by": timedelta(seconds=seconds)},
            )

        return move


class TestAgentStore(LangGraphStoreContract):
    """Our store, in memory and on Postgres: it answers every question with yes."""

    subject_name = AgentStore.__name__

    @pytest.fixture
    def store(self, storage: FullStorage) -> Iterator[BaseStore]:
        """Yield an empty store, as Ada's."""
        with owner_scope("ada"):
            yield AgentStore(storage)

    @pytest.fixture
    def age(self, probe: Probe) -> Age:
        """Return what moves every time into the past."""

        async def move(seconds: float) -> None:
            await probe.age("store_items", timedelta(seconds=seconds))

        return move
