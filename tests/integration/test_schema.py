"""The schema of a migrated database: what is there, and that making it again is nothing."""

import asyncio
from typing import LiteralString

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, scalar_row
from psycopg_pool import AsyncConnectionPool

from harness.schema import RUNTIME_TABLES, SCHEMA
from harness.schema.migrate import migrate
from harness.storage.probe import TABLES, columns

pytestmark = pytest.mark.postgres

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


async def column(pool: Pool, query: LiteralString) -> list[str]:
    """Return the one column that a query on the schema selects."""
    async with pool.connection() as connection:
        cursor = connection.cursor(row_factory=scalar_row)
        await cursor.execute(query, (SCHEMA,))
        return await cursor.fetchall()


class TestSchemaVerification:
    """What the seed asks of the schema."""

    async def test_langgraph_server_schema_exists(self, postgres_pool: Pool) -> None:
        """The schema is there, under its name."""
        found = await column(postgres_pool, "SELECT nspname FROM pg_namespace WHERE nspname = %s")
        assert found == ["langgraph_server"]

    async def test_all_runtime_tables_exist(self, postgres_pool: Pool) -> None:
        """The six tables of the resources are there, and those that these need."""
        found = await column(postgres_pool, "SELECT tablename FROM pg_tables WHERE schemaname = %s")
        assert set(RUNTIME_TABLES) == {
            "assistants",
            "threads",
            "thread_states",
            "runs",
            "store_items",
            "crons",
        }
        assert set(found) == {*RUNTIME_TABLES, "assistant_versions", "migrations"}

    async def test_tables_have_the_probes_columns(self, postgres_pool: Pool) -> None:
        """Every column that a probe knows is in its table."""
        found = await column(
            postgres_pool,
            "SELECT table_name || '.' || column_name FROM information_schema.columns"
            " WHERE table_schema = %s",
        )
        wanted = {f"{table}.{name}" for table in TABLES for name in columns(table)}
        assert wanted <= set(found)

    async def test_indexes_exist(self, postgres_pool: Pool) -> None:
        """Every table has its key, an index of owner and time, and one of metadata; all valid."""
        found = await column(
            postgres_pool,
            "SELECT tablename || ': ' || indexdef FROM pg_indexes WHERE schemaname = %s",
        )
        for table in RUNTIME_TABLES:
            own = [line for line in found if line.startswith(f"{table}: ")]
            assert any("CREATE UNIQUE INDEX" in line for line in own), table
            if table != "thread_states":
                assert any("(owner, created_at" in line for line in own), table
        for table in ("assistants", "threads", "runs", "crons"):
            assert any(line.startswith(f"{table}: ") and "metadata" in line for line in found)
        invalid = await column(
            postgres_pool,
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
            " AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = %s::regnamespace)",
        )
        assert invalid == []

    @pytest.mark.invariant(40)
    async def test_migrations_are_idempotent(self, postgres_pool: Pool) -> None:
        """Migrating again, and by two at once, changes nothing."""
        record = (
            "SELECT number || name || checksum || applied_at FROM langgraph_server.migrations"
            " WHERE %s <> ''"
        )
        before = await column(postgres_pool, record)
        assert before
        async with postgres_pool.connection() as one, postgres_pool.connection() as other:
            await asyncio.gather(migrate(one), migrate(other))
            await migrate(one)
        assert await column(postgres_pool, record) == before

    @pytest.mark.invariant(38)
    async def test_deletions_cascade_in_the_database(self, postgres_pool: Pool) -> None:
        """States, runs and crons hang on their thread by foreign keys, whoever deletes it."""
        found = await column(
            postgres_pool,
            "SELECT conrelid::regclass || ' -> ' || confrelid::regclass FROM pg_constraint"
            " WHERE contype = 'f' AND confdeltype = 'c' AND connamespace = %s::regnamespace",
        )
        on_threads = {
            line.split(" -> ")[0].split(".")[-1] for line in found if line.endswith(".threads")
        }
        assert {"thread_states", "runs", "crons"} <= on_threads

    async def test_row_level_security_is_on(self, postgres_pool: Pool) -> None:
        """Supabase's public roles see no row of any table."""
        found = await column(
            postgres_pool,
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND NOT rowsecurity",
        )
        assert found == []
