"""Databases that tests own: fresh ones, cloned from a migrated template, and one for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection
    from psycopg.rows import DictRow
    from psycopg_pool import AsyncConnectionPool

    from harness.database import Database, ScratchDatabases
    from harness.provision import PostgresServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scratch_databases(postgres_server: PostgresServer) -> AsyncIterator[ScratchDatabases]:
    """Make databases on the run's server: `async with scratch_databases.clone() as url`."""
    from harness.database import ScratchDatabases  # noqa: PLC0415 -- the plugin loads fast

    async with ScratchDatabases(postgres_server.url) as scratch:
        yield scratch


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(scratch_databases: ScratchDatabases) -> AsyncIterator[str]:
    """Address of a fresh, migrated database, dropped after the test."""
    async with scratch_databases.clone() as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def empty_database_url(scratch_databases: ScratchDatabases) -> AsyncIterator[str]:
    """Address of a fresh database without any schema of ours, dropped after the test."""
    async with scratch_databases.empty() as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open `Database` on a fresh, migrated database of this test."""
    from harness.config import DatabaseConfig  # noqa: PLC0415 -- the plugin loads fast
    from harness.database import Database  # noqa: PLC0415 -- likewise

    async with Database(DatabaseConfig.for_scratch(database_url), name="database") as opened:
        yield opened


@pytest.fixture
def postgres_pool(database: Database) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    """An open pool of connections to a fresh, migrated database of this test."""
    return database.pool


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database(scratch_databases: ScratchDatabases) -> AsyncIterator[Database]:
    """An open `Database` on the one migrated database that a run's tests share."""
    from harness.config import DatabaseConfig  # noqa: PLC0415 -- the plugin loads fast
    from harness.database import Database  # noqa: PLC0415 -- likewise

    async with (
        scratch_databases.clone() as url,
        Database(DatabaseConfig.for_scratch(url), name="shared") as opened,
    ):
        yield opened
