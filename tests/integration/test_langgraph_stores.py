"""The store contract on LangGraph's own stores and on ours, the known differences declared."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore

from harness.config import DatabaseConfig
from harness.contract.langgraph_store import QUESTIONS, LangGraphStoreContract
from harness.contract.store_base import Age
from harness.contract.store_differences import (
    IN_MEMORY,
    POSTGRES,
    STORE_DIFFERENCES,
    StoreDifference,
)
from harness.database import Database, ScratchDatabases
from harness.persistence.owner import owner_scope
from harness.persistence.store import AgentStore
from harness.storage.extensions import FullStorage
from harness.storage.probe import Probe


def differences_of(store: str) -> tuple[StoreDifference, ...]:
    """Return what a store is known to answer differently."""
    return tuple(known for known in STORE_DIFFERENCES if known.store == store)


class TestInMemoryStore(LangGraphStoreContract):
    """LangGraph's store in memory."""

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
        Database(DatabaseConfig(url=url), name="stock") as opened,
    ):
        store = AsyncPostgresStore(opened.pool)
        await store.setup()
        await _end(store)
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def stock_store(stock_database: Database) -> AsyncIterator[AsyncPostgresStore]:
    """Yield LangGraph's store, empty, told to pass over expired items: by itself it does not."""
    await stock_database.write("DELETE FROM store")
    store = AsyncPostgresStore(stock_database.pool, ttl={"omit_expired": True})
    yield store
    await _end(store)


class TestAsyncPostgresStore(LangGraphStoreContract):
    """LangGraph's store on Postgres."""

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


def test_every_difference_is_of_a_question() -> None:
    """Each declared difference names a test of the contract and says why, and stands there once."""
    assert {known.question for known in STORE_DIFFERENCES} <= QUESTIONS.keys()
    assert all(known.why for known in STORE_DIFFERENCES)
    asked = [(known.store, known.question) for known in STORE_DIFFERENCES]
    assert len(set(asked)) == len(asked)


async def _end(store: AsyncPostgresStore) -> None:
    """End the store's background task, which nothing else does."""
    task = store._task
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
