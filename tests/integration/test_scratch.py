"""Scratch databases: fresh, alike, alone, and gone afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow, scalar_row

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.database.scratch import PREFIX, with_database
from harness.errors import DatabaseUnavailable, ProvisionError
from harness.provision import PostgresServer
from harness.schema import RUNTIME_TABLES, SCHEMA

pytest_plugins = ("tests.integration.breakable_fixtures",)
pytestmark = pytest.mark.postgres


@pytest.fixture
async def maintenance(breakable_server: PostgresServer) -> AsyncIterator[AsyncConnection]:
    """Return a connection to look at a server on which nobody else makes databases."""
    async with await AsyncConnection.connect(breakable_server.url, autocommit=True) as connection:
        yield connection


async def databases(connection: AsyncConnection[TupleRow]) -> set[str]:
    """Return the names of all databases."""
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute("SELECT datname FROM pg_database")
    return set(await cursor.fetchall())


async def count_tables(url: str) -> int:
    """Count the tables of harness's schema."""
    async with Database(DatabaseConfig(url=url, pool_min_size=0, pool_max_size=1)) as database:
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
        counts: list[int] = await database.read(query, (SCHEMA,), row_factory=scalar_row)
        return counts[0]


async def test_a_clone_is_migrated_and_an_empty_one_is_not(
    scratch_databases: ScratchDatabases,
) -> None:
    """What each starts with, and that neither has what was written to another."""
    async with scratch_databases.clone() as first, scratch_databases.clone() as second:
        assert first != second
        assert await count_tables(first) > len(RUNTIME_TABLES)
        async with Database(DatabaseConfig(url=first)) as database:
            await database.write("CREATE TABLE langgraph_server.extra ()")
        assert await count_tables(first) == await count_tables(second) + 1
    async with scratch_databases.empty() as url:
        assert await count_tables(url) == 0


async def test_everything_is_dropped_and_nothing_else_is_touched(
    breakable_server: PostgresServer, maintenance: AsyncConnection[TupleRow]
) -> None:
    """Clones go when they are left, open connections or not; the template goes at the end."""
    somebody_elses = f"{PREFIX}_of_somebody_else"
    await maintenance.execute(f"CREATE DATABASE {somebody_elses}")
    before = await databases(maintenance)
    async with ScratchDatabases(breakable_server.url) as scratch:
        async with scratch.clone() as url:
            left_open = await AsyncConnection.connect(url)
            made = await databases(maintenance) - before
            assert len(made) == 2
            assert all(name.startswith(f"{PREFIX}_") for name in made)
        assert len(await databases(maintenance) - before) == 1
        await left_open.close()
    assert await databases(maintenance) == before
    await maintenance.execute(f"DROP DATABASE {somebody_elses}")


async def test_many_are_made_at_once_by_many_makers(
    breakable_server: PostgresServer, maintenance: AsyncConnection[TupleRow]
) -> None:
    """Clones of one template and of others do not get in each other's way."""
    before = await databases(maintenance)

    async def make(scratch: ScratchDatabases) -> None:
        async with scratch.clone() as url:
            assert await count_tables(url) > len(RUNTIME_TABLES)

    async with AsyncExitStack() as stack:
        makers = [
            await stack.enter_async_context(ScratchDatabases(breakable_server.url))
            for _ in range(3)
        ]
        await asyncio.gather(*(make(scratch) for scratch in makers for _ in range(4)))
        assert len(await databases(maintenance) - before) == len(makers)
    assert await databases(maintenance) == before


async def test_two_makers_may_clone_one_template(
    breakable_server: PostgresServer, maintenance: AsyncConnection[TupleRow]
) -> None:
    """A template that somebody is just looking at is waited for."""
    async with ScratchDatabases(breakable_server.url) as scratch:
        before = await databases(maintenance)
        async with scratch.clone():
            made = await databases(maintenance) - before
            template = next(name for name in made if name.endswith("_template"))
        await maintenance.execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS true")
        guest = await AsyncConnection.connect(with_database(breakable_server.url, template))
        clones = [scratch.clone() for _ in range(2)]
        making = asyncio.gather(*(clone.__aenter__() for clone in clones))
        await asyncio.sleep(0)
        await guest.close()
        await making
        for clone in clones:
            await clone.__aexit__(None, None, None)


async def test_a_server_that_restarts_is_no_obstacle(breakable_server: PostgresServer) -> None:
    """The template survives, and a new connection is made to create and drop with."""
    async with ScratchDatabases(breakable_server.url) as scratch:
        async with scratch.clone():
            await asyncio.to_thread(breakable_server.restart)
        async with scratch.clone() as url:
            assert await count_tables(url) > len(RUNTIME_TABLES)


async def test_a_user_without_the_right_is_told_which(
    breakable_server: PostgresServer, maintenance: AsyncConnection[TupleRow]
) -> None:
    """The error names CREATEDB and the user."""
    await maintenance.execute("CREATE ROLE intern LOGIN PASSWORD 'intern'")
    url = make_conninfo(breakable_server.url, user="intern", password="intern")  # noqa: S106  # a role of this test
    async with ScratchDatabases(url) as scratch:
        with pytest.raises(ProvisionError, match='ALTER ROLE "intern" CREATEDB'):
            await scratch.clone().__aenter__()
    await maintenance.execute("ALTER ROLE intern CREATEDB")
    async with ScratchDatabases(url) as scratch, scratch.clone() as clone:
        assert await count_tables(clone) > len(RUNTIME_TABLES)
    await maintenance.execute("DROP ROLE intern")


async def test_a_server_that_is_not_there_is_named() -> None:
    """The error is one clear line."""
    async with ScratchDatabases("postgresql://u:s3cret@127.0.0.1:1/d") as scratch:
        with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1") as caught:
            await scratch.clone().__aenter__()
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40w@h:5/old?sslmode=disable",
        "postgres://u:p%40w@h:5/old?dbname=older&sslmode=disable",
        "postgresql://u:p%40w@h:5?sslmode=disable",
        "host=h port=5 user=u password=p@w dbname=old sslmode=disable",
    ],
)
def test_only_the_database_of_an_address_is_replaced(url: str) -> None:
    """Whatever form the address has."""
    expected = {
        "host": "h",
        "port": "5",
        "user": "u",
        "password": "p@w",
        "sslmode": "disable",
        "dbname": "new one/%",
    }
    assert conninfo_to_dict(with_database(url, "new one/%")) == expected
