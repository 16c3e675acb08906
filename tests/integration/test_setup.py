"""Setting up LangGraph's tables: many processes at once, half-way, anew, and elsewhere."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.errors import DatabaseUnavailable, SchemaMismatch
from harness.faults.proxy import Proxy
from harness.persistence import PooledSaver, setup, setup_langgraph
from harness.schema import LANGGRAPH_TABLES
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from tests.integration.booting import booting

pytestmark = pytest.mark.postgres

NEEDS_VECTORS = {"vector_migrations", "store_vectors"}
LOOK = """
    SELECT n.nspname AS schema, c.relname AS name, c.relrowsecurity AS guarded,
           (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
           (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND NOT indisvalid) AS invalid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relname = ANY (%s) ORDER BY name
"""
TRIGGERS = "SELECT tgname AS name FROM pg_trigger WHERE tgname LIKE 'forget_%' ORDER BY tgname"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Return an autocommitted connection to a database that has been migrated only."""
    async with await AsyncConnection.connect(
        database_url, autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


async def assert_complete(url: str, schema: str = "public") -> None:
    """Check by the catalog that LangGraph's tables are there, whole, guarded and tied to ours."""
    async with await AsyncConnection.connect(url, row_factory=dict_row) as connection:
        cursor = await connection.execute(LOOK, (list(LANGGRAPH_TABLES),))
        tables = {row["name"]: row for row in await cursor.fetchall()}
        assert set(tables) == set(LANGGRAPH_TABLES) - NEEDS_VECTORS
        assert {row["schema"] for row in tables.values()} == {schema}
        assert all(row["guarded"] and not row["invalid"] for row in tables.values())
        assert [tables[name]["indexes"] for name in ("checkpoints", "checkpoint_blobs")] == [2, 2]
        assert [tables[name]["indexes"] for name in ("checkpoint_writes", "store")] == [2, 3]
        cursor = await connection.execute(TRIGGERS)
        assert [row["name"] for row in await cursor.fetchall()] == [
            "forget_checkpoints",
            "forget_early_writes",
            "forget_early_writes_of_deleted",
        ]


async def assert_deletion_reaches(database: Database, url: str) -> None:
    """Check that a thread's deletion, by a client at `url`, removes a row of LangGraph's."""
    saver = PooledSaver(database)
    counted = "SELECT count(*) AS n FROM checkpoint_writes"
    async with Database(DatabaseConfig(url=url)) as near:
        storage = LocalStorage(PostgresBackend(near))
        thread = await storage.threads.create(owner="ann")
        config = {"thread_id": thread.thread_id, "checkpoint_ns": "", "checkpoint_id": "c"}
        await saver.aput_writes({"configurable": config}, [("channel", 1)], "task")
        assert await database.read(counted) == [{"n": 1}]
        await storage.threads.delete(thread.thread_id, owner="ann")
    assert await database.read(counted) == [{"n": 0}]


def test_every_block_of_sql_is_used() -> None:
    """No block of `setup.sql` is left over, and the templates' fragment is named."""
    source = inspect.getsource(setup)
    assert all(f'"{name}"' in source for name in setup.SQL)


class TestManyProcesses:
    """Processes that boot at the same moment."""

    @pytest.mark.parametrize(
        ("count", "rounds"), [(2, 2), pytest.param(8, 5, marks=pytest.mark.slow)]
    )
    @pytest.mark.invariant(40)
    async def test_processes_boot_at_once_on_an_empty_database(
        self, scratch_databases: ScratchDatabases, count: int, rounds: int
    ) -> None:
        """All succeed, round after round, with a pool of one, and no invalid index remains."""
        async with booting("initialize", count) as boot:
            for _ in range(rounds):
                async with scratch_databases.empty() as url:
                    await boot(url)
                    await assert_complete(url)


class TestStates:
    """What setting up finds, and what it leaves."""

    async def test_a_second_time_changes_nothing(self, database_url: str) -> None:
        """It only reads: nothing is locked, made or altered."""
        async with Proxy(database_url) as proxy, Database(DatabaseConfig(url=proxy.url)) as far:
            await setup_langgraph(far)
            assert proxy.executions(r"lock|\b(create|alter|insert|reindex)\b")
            proxy.executed.clear()
            await setup_langgraph(far)
            assert proxy.executions("SELECT")
            assert not proxy.executions(r"lock|\b(create|alter|insert|reindex|drop)\b")
        await assert_complete(database_url)

    async def test_tables_that_langgraph_made_are_completed(
        self, database: Database, database_url: str
    ) -> None:
        """A database that the library's own `setup()` was run on gets what is missing."""
        await AsyncPostgresSaver(database.pool).setup()
        await AsyncPostgresStore(database.pool).setup()
        await setup_langgraph(database)
        await assert_complete(database_url)
        await assert_deletion_reaches(database, database_url)

    async def test_an_older_version_is_brought_up(
        self, database: Database, connection: AsyncConnection[DictRow], database_url: str
    ) -> None:
        """Tables as an older library left them get the migrations that they lack."""
        await setup_langgraph(database)
        newest = len(AsyncPostgresSaver.MIGRATIONS) - 1
        await connection.execute("ALTER TABLE checkpoint_writes DROP COLUMN task_path")
        await connection.execute("DELETE FROM checkpoint_migrations WHERE v = %s", (newest,))
        await setup_langgraph(database)
        await assert_complete(database_url)
        await connection.execute("SELECT task_path FROM checkpoint_writes")

    @pytest.mark.parametrize("changed", setup._TRIGGERS, ids=lambda trigger: trigger.name)
    async def test_a_trigger_of_another_version_is_made_anew(
        self, database: Database, connection: AsyncConnection[DictRow], changed: setup._Trigger
    ) -> None:
        """One with the same body, but for other events or rows, becomes what it is to be."""
        defined = "SELECT pg_get_triggerdef(oid) AS is FROM pg_trigger WHERE NOT tgisinternal"
        await setup_langgraph(database)
        before = await (await connection.execute(defined)).fetchall()
        old = replace(changed, event="INSERT", condition=None)
        for statement in (
            f"DROP TRIGGER {changed.name} ON langgraph_server.{changed.table}",
            old.definition,
        ):
            await connection.execute(statement.encode())
        assert await (await connection.execute(defined)).fetchall() != before
        await setup_langgraph(database)
        after = await (await connection.execute(defined)).fetchall()
        assert sorted(row["is"] for row in after) == sorted(row["is"] for row in before)

    async def test_an_invalid_index_is_rebuilt(
        self, database: Database, connection: AsyncConnection[DictRow], database_url: str
    ) -> None:
        """What a CREATE INDEX CONCURRENTLY that was given up leaves behind becomes valid."""
        await setup_langgraph(database)
        await connection.execute("DROP INDEX checkpoints_thread_id_idx")
        await connection.execute("SET lock_timeout = '50ms'")
        async with await AsyncConnection.connect(database_url) as holder:
            await holder.execute("LOCK TABLE checkpoints IN ROW EXCLUSIVE MODE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await connection.execute(
                    "CREATE INDEX CONCURRENTLY checkpoints_thread_id_idx ON checkpoints (thread_id)"
                )
        cursor = await connection.execute("SELECT 1 FROM pg_index WHERE NOT indisvalid")
        assert await cursor.fetchone()
        await setup_langgraph(database)
        await assert_complete(database_url)

    @pytest.mark.parametrize("where", ["CREATE INDEX CONCURRENTLY", "CREATE TRIGGER", "REINDEX"])
    async def test_cut_short_it_is_taken_up_again(self, database_url: str, where: str) -> None:
        """A death on the way is said to be one, and calling again finishes the work."""
        async with Proxy(database_url) as proxy, Database(DatabaseConfig(url=proxy.url)) as far:
            if where == "REINDEX":
                await setup_langgraph(far)
                await far.write(
                    "UPDATE pg_index SET indisvalid = false "
                    "WHERE indexrelid = 'store_prefix_idx'::regclass"
                )
            proxy.cut("before", where)
            with pytest.raises(DatabaseUnavailable, match=r"cut short|nothing was written"):
                await setup_langgraph(far)
            assert proxy.cuts == 1
            await setup_langgraph(far)
        await assert_complete(database_url)

    async def test_it_needs_our_schema(self, empty_database_url: str) -> None:
        """On a database that has not been migrated it says so."""
        async with Database(DatabaseConfig(url=empty_database_url)) as database:
            with pytest.raises(SchemaMismatch, match="migrated"):
                await setup_langgraph(database)

    @pytest.mark.parametrize("level", [r"repeatable\ read", "serializable"])
    async def test_strict_servers_do_not_hold_it_up(self, database_url: str, level: str) -> None:
        """Where transactions keep their snapshot by default, the lock's holder keeps none."""
        strict = make_conninfo(
            database_url,
            options=f"-cdefault_transaction_isolation={level}",
        )
        async with Database(DatabaseConfig(url=strict)) as strictly, asyncio.timeout(60):
            await setup_langgraph(strictly)
        await assert_complete(database_url)

    async def test_another_schema_of_the_search_path(
        self, database_url: str, connection: AsyncConnection[DictRow]
    ) -> None:
        """Tables go where the search path says, and who deletes need not have that path."""
        await connection.execute('CREATE SCHEMA "Lang graph"')
        path = r'-csearch_path="Lang\ graph",public'
        async with Database(
            DatabaseConfig(url=make_conninfo(database_url, options=path))
        ) as database:
            await setup_langgraph(database)
            await assert_complete(database_url, "Lang graph")
            await assert_deletion_reaches(database, database_url)
