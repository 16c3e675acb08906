"""Migrations: many processes at once, twice, from the future, and half-way."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row, scalar_row

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.errors import SchemaMismatch
from harness.schema import RUNTIME_TABLES, SCHEMA
from harness.schema.migrate import LOCK_KEY, Migration, migrate, shipped
from tests.integration.booting import booting

pytestmark = pytest.mark.postgres

PROCESSES = 8
ROUNDS = 10

FIRST = Migration(number=1, name="first", sql="CREATE TABLE langgraph_server.a (x int);")
SECOND = Migration(number=2, name="second", sql="CREATE TABLE langgraph_server.b (x int);")
BROKEN = Migration(
    number=2, name="broken", sql="CREATE TABLE langgraph_server.b (x int); SELECT 1 / 0;"
)


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Return an autocommitted connection to an empty database."""
    async with await AsyncConnection.connect(
        empty_database_url, autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


async def tables(connection: AsyncConnection[DictRow]) -> set[str]:
    """Return the names of the tables in harness's schema."""
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
    return set(await cursor.fetchall())


async def recorded(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return what the database knows of its migrations."""
    cursor = await connection.execute("SELECT * FROM langgraph_server.migrations ORDER BY number")
    return await cursor.fetchall()


class TestManyProcesses:
    """Processes that boot at the same moment."""

    @pytest.mark.slow
    @pytest.mark.invariant(40)
    async def test_eight_processes_boot_at_once_on_an_empty_database(
        self, scratch_databases: ScratchDatabases
    ) -> None:
        """All succeed, round after round, and the schema is made once."""
        async with booting("migrate", PROCESSES) as boot:
            for _ in range(ROUNDS):
                async with scratch_databases.empty() as url:
                    await boot(url)
                    await self.check_made_once(url)

    async def check_made_once(self, url: str) -> None:
        """Every migration is recorded, every table is there, and no index is invalid."""
        async with await AsyncConnection.connect(url, row_factory=dict_row) as connection:
            assert len(await recorded(connection)) == len(shipped())
            assert set(RUNTIME_TABLES) <= await tables(connection)
            cursor = await connection.execute("SELECT 1 FROM pg_index WHERE NOT indisvalid")
            assert await cursor.fetchone() is None

    async def test_who_waits_holds_up_nobody(
        self, connection: AsyncConnection[DictRow], empty_database_url: str
    ) -> None:
        """While one process migrates and another waits, CREATE INDEX CONCURRENTLY goes through."""
        async with await AsyncConnection.connect(
            empty_database_url, autocommit=True, row_factory=dict_row
        ) as other:
            await connection.execute("CREATE TABLE elsewhere (x int)")
            await connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            waiting = asyncio.create_task(migrate(other, [FIRST]))
            polls = "SELECT query ~ 'lock|ROLLBACK' FROM pg_stat_activity WHERE pid = %s"
            asking = connection.cursor(row_factory=scalar_row)
            polling = False
            while not polling:
                await asking.execute(polls, (other.info.backend_pid,))
                polling = bool(await asking.fetchone())
            await connection.execute("CREATE INDEX CONCURRENTLY ON elsewhere (x)")
            assert not waiting.done()
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await waiting
            assert await tables(other) == {"a", "migrations"}


class TestRecord:
    """What the database knows of its migrations."""

    async def test_migrations_are_recorded_and_applied_once(
        self, connection: AsyncConnection[DictRow]
    ) -> None:
        """A second run changes nothing, and a later one applies only what is new."""
        await migrate(connection, [FIRST])
        before = await recorded(connection)
        await migrate(connection, [FIRST])
        assert await recorded(connection) == before
        await migrate(connection, [FIRST, SECOND])
        after = await recorded(connection)
        assert after[:1] == before
        assert [(row["number"], row["name"]) for row in after] == [(1, "first"), (2, "second")]
        assert await tables(connection) == {"a", "b", "migrations"}

    async def test_the_packages_own_migrations_apply_twice(self, empty_database_url: str) -> None:
        """Every table of the runtime is there after `Database.migrate`, and a repeat is nothing."""
        async with Database(DatabaseConfig(url=empty_database_url)) as database:
            for _ in range(2):
                await database.migrate()
            async with database.transaction() as connection:
                assert set(RUNTIME_TABLES) <= await tables(connection)
                assert len(await recorded(connection)) == len(shipped())

    async def test_threads_of_the_first_schema_keep_their_head(
        self, connection: AsyncConnection[DictRow]
    ) -> None:
        """The newest snapshot of a thread is still known as such; one without has none."""
        await migrate(connection, shipped()[:1])
        await connection.execute(
            "INSERT INTO langgraph_server.threads (thread_id, owner, checkpoint_id, state_seq)"
            " VALUES (gen_random_uuid(), 'ada', gen_random_uuid(), 3),"
            " (gen_random_uuid(), 'ada', NULL, 0)"
        )
        await migrate(connection)
        cursor = await connection.execute(
            "SELECT state_id = checkpoint_id AS kept, state_id IS NULL AS none, interrupts, error"
            " FROM langgraph_server.threads ORDER BY state_seq DESC"
        )
        bare: dict[str, object] = {"interrupts": {}, "error": None}
        assert await cursor.fetchall() == [
            {"kept": True, "none": False, **bare},
            {"kept": None, "none": True, **bare},
        ]

    async def test_a_newer_schema_is_refused(self, connection: AsyncConnection[DictRow]) -> None:
        """A version that knows fewer migrations says so, and touches nothing."""
        await migrate(connection, [FIRST, SECOND])
        with pytest.raises(SchemaMismatch, match=r"at migration 2.*knows 1.*upgrade"):
            await migrate(connection, [FIRST])
        assert len(await recorded(connection)) == 2

    async def test_a_changed_migration_is_refused(
        self, connection: AsyncConnection[DictRow]
    ) -> None:
        """A schema made by other files than these is not built upon."""
        await migrate(connection, [FIRST])
        changed = Migration(number=1, name="first", sql=FIRST.sql + " -- changed")
        with pytest.raises(SchemaMismatch, match="migration 1"):
            await migrate(connection, [changed, SECOND])
        assert await tables(connection) == {"a", "migrations"}

    async def test_line_endings_do_not_count_as_a_change(
        self, connection: AsyncConnection[DictRow]
    ) -> None:
        """A checkout with other line endings is the same version."""
        lines = Migration(number=1, name="first", sql="SELECT 1;\nSELECT 2;\n")
        await migrate(connection, [lines])
        await migrate(
            connection, [Migration(number=1, name="first", sql="SELECT 1;\r\nSELECT 2;\r\n")]
        )
        assert len(await recorded(connection)) == 1

    async def test_a_failing_migration_leaves_nothing(
        self, connection: AsyncConnection[DictRow]
    ) -> None:
        """It is undone whole, those before it stay, and the next run takes up there."""
        with pytest.raises(psycopg.errors.DivisionByZero):
            await migrate(connection, [FIRST, BROKEN])
        assert await tables(connection) == {"a", "migrations"}
        await migrate(connection, [FIRST, SECOND])
        assert await tables(connection) == {"a", "b", "migrations"}
