"""Connections to one database with LangGraph's tables, for all tests of savers; a pytest plugin.

Tests use threads of their own, so the tables are never emptied.
"""

from collections.abc import AsyncIterator

import pytest_asyncio
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg_pool import AsyncConnectionPool

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.persistence.saver import PooledSaver
from tests.integration.savers.postgres import SaverPool


async def _connect(url: str) -> AsyncConnection[DictRow]:
    return await AsyncConnection.connect(
        url, autocommit=True, prepare_threshold=0, row_factory=dict_row
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saver_database_url(scratch_databases: ScratchDatabases) -> AsyncIterator[str]:
    """Address of a database in which LangGraph's `setup` has been run."""
    async with scratch_databases.empty() as url:
        async with await _connect(url) as connection:
            await AsyncPostgresSaver(connection).setup()
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saver_pool(saver_database_url: str) -> AsyncIterator[SaverPool]:
    """A pool of ten connections, as LangGraph asks for them."""
    pool: SaverPool = AsyncConnectionPool(
        saver_database_url,
        open=False,
        min_size=2,
        max_size=10,
        name="savers",
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
    async with pool:
        yield pool


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saver_database(saver_database_url: str) -> AsyncIterator[Database]:
    """Our own way to the database, with a pool of its own."""
    async with Database(DatabaseConfig(url=saver_database_url), name="saver") as database:
        yield database


@pytest_asyncio.fixture(loop_scope="session")
async def saver_connection(saver_database_url: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection of this test, which may be killed."""
    async with await _connect(saver_database_url) as connection:
        yield connection


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def observer(saver_database_url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection that looks at what savers have stored."""
    async with await AsyncConnection.connect(saver_database_url, autocommit=True) as connection:
        yield connection


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def holder(saver_database_url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection that holds savers up."""
    async with await AsyncConnection.connect(saver_database_url, autocommit=True) as connection:
        yield connection


@pytest_asyncio.fixture(loop_scope="session")
async def stock_connection_saver(
    saver_connection: AsyncConnection[DictRow],
) -> AsyncPostgresSaver:
    """LangGraph's saver over one connection."""
    return AsyncPostgresSaver(saver_connection)


@pytest_asyncio.fixture(loop_scope="session")
async def stock_pool_saver(saver_pool: SaverPool) -> AsyncPostgresSaver:
    """LangGraph's saver over a pool."""
    return AsyncPostgresSaver(saver_pool)


@pytest_asyncio.fixture(loop_scope="session")
async def our_saver(saver_database: Database) -> PooledSaver:
    """This project's saver."""
    return PooledSaver(saver_database)
