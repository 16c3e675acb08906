"""Nobody holds the database for long, and no owner holds all of its connections."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from psycopg.conninfo import make_conninfo

from harness.config import DatabaseConfig
from harness.database import Database, on_behalf_of
from harness.errors import OutcomeUnknown, Overloaded

pytestmark = pytest.mark.postgres


async def timeout_of(database: Database) -> str:
    """Return the bound of statements on a connection."""
    [row] = await database.read("SHOW statement_timeout")
    return str(row["statement_timeout"])


async def test_a_statement_that_takes_too_long_is_given_up(empty_database_url: str) -> None:
    """It ends as `Overloaded`, having done nothing, and its connection serves the next one."""
    patient = DatabaseConfig(url=empty_database_url, pool_min_size=1, pool_max_size=1)
    hurried = replace(patient, statement_timeout_s=0.2)
    insert = "WITH made AS (INSERT INTO notes VALUES (1)) SELECT pg_sleep(30)"
    async with Database(patient) as near, Database(hurried) as database:
        await near.write("CREATE TABLE notes (id integer)")
        for call in (database.read("SELECT pg_sleep(30)"), database.write(insert)):
            with pytest.raises(Overloaded, match="nothing was written"):
                await call
        with pytest.raises(Overloaded):
            await _in_a_transaction(database)
        assert await near.read("SELECT * FROM notes") == []
        assert database.pool.get_stats()["pool_size"] == 1


async def _in_a_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO notes VALUES (2)")
        await connection.execute("SELECT pg_sleep(30)")


@pytest.mark.parametrize(
    ("settings", "options", "bound"),
    [
        ({}, "", "30s"),
        ({"statement_timeout_s": 1.5}, "", "1500ms"),
        ({"statement_timeout_s": None}, "", "0"),
        ({"prepare_threshold": None}, "", "0"),
        ({}, "-c statement_timeout=7s", "7s"),
    ],
    ids=["default", "given", "none", "behind a transaction pooler", "of the address"],
)
async def test_where_the_bound_comes_from(
    empty_database_url: str, settings: dict[str, float | None], options: str, bound: str
) -> None:
    """From the settings; an own one of the address or role counts, and a pooler gets none."""
    url = make_conninfo(empty_database_url, options=options) if options else empty_database_url
    config = replace(DatabaseConfig(url=url), **settings)  # type: ignore[arg-type]  # by name
    async with Database(config) as database:
        assert await timeout_of(database) == bound


@pytest.mark.parametrize(
    ("options", "bound"),
    [("", "30s"), ("-c statement_timeout=7s", "7s")],
    ids=["of the settings", "of the address"],
)
@pytest.mark.parametrize("fails", [False, True], ids=["done", "raises"])
async def test_what_may_take_long_is_not_hurried(
    empty_database_url: str, options: str, bound: str, *, fails: bool
) -> None:
    """Making the tables is not bounded; afterwards the connection's bound is what it was before."""
    url = make_conninfo(empty_database_url, options=options) if options else empty_database_url
    config = DatabaseConfig(url=url, pool_min_size=1, pool_max_size=1)
    async with Database(config) as database:
        before = await database.read("SELECT pg_backend_pid() AS pid")
        with suppress(ZeroDivisionError):
            async with database.connection(unhurried=True) as connection:
                cursor = await connection.execute("SHOW statement_timeout")
                assert await cursor.fetchone() == {"statement_timeout": "0"}
                if fails:
                    raise ZeroDivisionError
        assert await timeout_of(database) == bound
        assert await database.read("SELECT pg_backend_pid() AS pid") == before


async def test_a_dead_connection_needs_no_bound(empty_database_url: str) -> None:
    """One that dies unhurried says so, and the next one of its pool is bounded."""
    config = DatabaseConfig(url=empty_database_url, pool_min_size=1, pool_max_size=1)
    async with Database(config) as database:
        with pytest.raises(OutcomeUnknown):
            async with database.connection(unhurried=True) as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await timeout_of(database) == "30s"


async def test_an_open_transaction_keeps_no_bound(empty_database_url: str) -> None:
    """What is left open is rolled back, and with it nothing that bounds the connection."""
    config = DatabaseConfig(url=empty_database_url, pool_min_size=1, pool_max_size=1)
    async with Database(config) as database:
        async with database.connection(unhurried=True) as connection:
            await connection.execute("BEGIN")
        assert await timeout_of(database) == "30s"


async def test_an_owner_has_a_part_of_the_connections(empty_database_url: str) -> None:
    """Who holds their part waits for their own, while another and the server's own work do not."""
    config = DatabaseConfig(
        url=empty_database_url, pool_max_size=4, pool_timeout_s=5, connections_per_owner=2
    )
    async with Database(config) as database:
        asked = asyncio.Event()

        async def ask() -> None:
            with on_behalf_of("mallory"):
                asked.set()
                await database.read("SELECT 1")

        with on_behalf_of("mallory"):
            async with database.connection(), database.connection():
                waiting = asyncio.create_task(ask())
                await asked.wait()
                with on_behalf_of("ada"):
                    await database.read("SELECT 1")
                with on_behalf_of(""):
                    await database.read("SELECT 1")
                assert not waiting.done()
                assert database.usage.waiting == 1
        await waiting
        assert (database.usage.waiting, database.usage.in_use) == (0, 0)


async def test_who_waits_too_long_for_their_own_is_told(empty_database_url: str) -> None:
    """Past the pool's timeout it is the same error as for everybody, and nothing is lost."""
    config = DatabaseConfig(
        url=empty_database_url, pool_max_size=2, pool_timeout_s=0.05, connections_per_owner=1
    )
    async with Database(config) as database:
        with on_behalf_of("mallory"):
            for _ in range(3):
                async with database.connection():
                    with pytest.raises(Overloaded, match=r"0\.05 s"):
                        await database.read("SELECT 1")
            async with database.unit():  # what it sends goes over its own
                assert await database.read("SELECT 1 AS one") == [{"one": 1}]


async def test_a_storm_of_cancellations_loses_no_room(empty_database_url: str) -> None:
    """Callers of many owners who give up at any moment leave the gate as open as before."""
    config = DatabaseConfig(url=empty_database_url, pool_max_size=3, connections_per_owner=2)
    async with Database(config) as database:

        async def ask(owner: str) -> None:
            with on_behalf_of(owner):
                await database.read("SELECT pg_sleep(0.001)")

        for wave in range(20):
            tasks = [asyncio.create_task(ask(f"{n % 3}")) for n in range(12)]
            for turn, task in enumerate(tasks):
                if turn % 3:
                    delay = (wave + 1) * turn / 40_000
                    asyncio.get_running_loop().call_later(delay, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
        async with database.connection(), database.connection(), database.connection():
            assert database.usage.in_use == 3
