"""The process-wide runtime on a real database."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from psycopg.conninfo import make_conninfo

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import ConfigError, SchemaMismatch
from harness.persistence import PooledSaver
from harness.runtime import (
    get_checkpointer,
    get_pool,
    get_storage,
    initialize_database,
    is_postgres_enabled,
    reset_storage,
    shutdown_database,
)

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
async def _fresh_runtime() -> AsyncIterator[None]:
    """Start and end without a database and without storage."""
    await shutdown_database()
    reset_storage()
    yield
    await shutdown_database()
    reset_storage()


async def test_it_migrates_stores_and_finds_again(empty_database_url: str) -> None:
    """What was stored is there after shutting down and starting again."""
    config = DatabaseConfig(url=empty_database_url)
    assert await initialize_database(config) is True
    assert is_postgres_enabled()
    assert get_pool() is not None
    thread = await get_storage().threads.create(owner="ann")
    await shutdown_database()
    assert not is_postgres_enabled()
    assert await initialize_database(config) is True
    assert await get_storage().threads.get(thread.thread_id, owner="ann") == thread


async def test_the_environment_names_the_database(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument, `DATABASE_URL` counts."""
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert await initialize_database() is True


async def test_concurrent_starts_open_one_pool(empty_database_url: str) -> None:
    """One opens it, all return True, and calling again changes nothing."""
    config = DatabaseConfig(url=empty_database_url)
    assert await asyncio.gather(*(initialize_database(config) for _ in range(5))) == [True] * 5
    pool = get_pool()
    assert await initialize_database(config) is True
    assert get_pool() is pool


async def test_the_checkpointer_is_ready_to_use(empty_database_url: str) -> None:
    """It is one pooled saver on tables that are there, and None once the database is shut."""
    await initialize_database(DatabaseConfig(url=empty_database_url))
    checkpointer = get_checkpointer()
    assert isinstance(checkpointer, PooledSaver)
    assert get_checkpointer() is checkpointer
    assert await checkpointer.aget_tuple({"configurable": {"thread_id": "t"}}) is None
    await shutdown_database()
    assert get_checkpointer() is None


def test_a_database_whose_loop_ended_is_opened_anew(database_url: str) -> None:
    """Without a shutdown, the next event loop of the process gets storage and saver of its own."""
    config = DatabaseConfig(url=database_url)

    async def boot() -> tuple[object, object]:
        assert await initialize_database(config) is True
        await get_storage().threads.count(owner="ann")
        pool = get_pool()
        assert pool is not None
        await pool.close()
        return get_storage(), get_checkpointer()

    before, after = asyncio.run(boot()), asyncio.run(boot())
    asyncio.run(shutdown_database())
    assert before[0] is not after[0]
    assert before[1] is not after[1]


async def test_another_database_is_refused_while_one_is_open(empty_database_url: str) -> None:
    """The error names the one that is open, and that one goes on."""
    await initialize_database(DatabaseConfig(url=empty_database_url))
    other = DatabaseConfig(url=make_conninfo(empty_database_url, dbname="other"))
    with pytest.raises(ConfigError, match="shutdown_database"):
        await initialize_database(other)
    assert is_postgres_enabled()


async def test_a_newer_schema_is_never_memory(empty_database_url: str) -> None:
    """It raises, whatever `required` says, and nothing stays open."""
    config = DatabaseConfig(url=empty_database_url)
    async with Database(config) as database:
        await database.migrate()
        await database.write(
            "INSERT INTO langgraph_server.migrations (number, name, checksum) "
            "VALUES (9999, 'from_the_future', '')"
        )
    with pytest.raises(SchemaMismatch, match="9999"):
        await initialize_database(config)
    assert not is_postgres_enabled()


@pytest.mark.parametrize("wrong", [pytest.param("password", marks=pytest.mark.slow), "dbname"])
async def test_a_server_that_refuses_means_memory(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    """A wrong password or database counts as unreachable, and the warning says which it was."""
    fixture = "own_postgres_server" if wrong == "password" else "postgres_server"
    url = make_conninfo(request.getfixturevalue(fixture).url, **{wrong: "n0_such_thing"})
    assert await initialize_database(DatabaseConfig(url=url)) is False
    (message,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert ("password" if wrong == "password" else "does not exist") in message
    assert wrong == "dbname" or "n0_such_thing" not in caplog.text
