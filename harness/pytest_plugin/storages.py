"""Storages over every backend, empty at the start of a test, and the probes that look behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.database import Database
    from harness.storage.extensions import FullStorage
    from harness.storage.memory import MemoryBackend
    from harness.storage.probe import Probe


@pytest.fixture
def memory_backend() -> MemoryBackend:
    """An empty memory backend."""
    from harness.storage.memory import MemoryBackend  # noqa: PLC0415 -- the plugin loads fast

    return MemoryBackend()


@pytest.fixture
def memory_storage(memory_backend: MemoryBackend) -> FullStorage:
    """An empty storage in memory."""
    from harness.storage.local import LocalStorage  # noqa: PLC0415 -- the plugin loads fast

    return LocalStorage(memory_backend)


@pytest.fixture
def memory_probe(memory_backend: MemoryBackend) -> Probe:
    """The raw rows behind `memory_storage`."""
    from harness.storage.memory.probe import MemoryProbe  # noqa: PLC0415 -- the plugin loads fast

    return MemoryProbe(memory_backend.tables)


@pytest_asyncio.fixture(loop_scope="session")
async def postgres_storage(shared_database: Database) -> AsyncIterator[FullStorage]:
    """An empty storage on the database that the run's tests share."""
    from harness.storage.local import LocalStorage  # noqa: PLC0415 -- the plugin loads fast
    from harness.storage.postgres import PostgresBackend  # noqa: PLC0415 -- likewise

    await _delete_rows(shared_database)
    yield LocalStorage(PostgresBackend(shared_database))
    await _delete_rows(shared_database)


@pytest.fixture
def postgres_probe(shared_database: Database) -> Probe:
    """The raw rows behind `postgres_storage`."""
    from harness.storage.postgres.probe import PostgresProbe  # noqa: PLC0415 -- likewise

    return PostgresProbe(shared_database.pool)


@pytest.fixture
def storage(storage_backend: str, request: pytest.FixtureRequest) -> FullStorage:
    """An empty storage; the test runs once for each backend (see `--backend`)."""
    found: FullStorage = request.getfixturevalue(f"{storage_backend}_storage")
    return found


@pytest.fixture
def probe(storage_backend: str, request: pytest.FixtureRequest) -> Probe:
    """The raw rows behind `storage`."""
    found: Probe = request.getfixturevalue(f"{storage_backend}_probe")
    return found


async def _delete_rows(database: Database) -> None:
    """Empty the tables in one batch, children first; faster than TRUNCATE for few rows."""
    from psycopg.sql import SQL, Identifier  # noqa: PLC0415 -- the plugin loads fast

    from harness.schema import SCHEMA  # noqa: PLC0415 -- likewise
    from harness.storage.probe import TABLES  # noqa: PLC0415 -- likewise

    batch = SQL("; ").join(
        SQL("DELETE FROM {}").format(Identifier(SCHEMA, table)) for table in reversed(TABLES)
    )
    async with database.pool.connection() as connection:
        await connection.execute(batch)
