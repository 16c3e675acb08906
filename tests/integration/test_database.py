"""`Database` on a real server: what each way to send SQL returns and raises."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row, scalar_row, tuple_row

from harness.config import DatabaseConfig
from harness.database import Database, connections
from harness.database.connections import OPEN_TIMEOUT_S
from harness.errors import (
    ConfigError,
    Conflict,
    DatabaseUnavailable,
    HarnessError,
    InvalidInput,
    Overloaded,
    SchemaMismatch,
)
from harness.provision import PostgresServer

pytestmark = pytest.mark.postgres

TOO_LONG_FOR_AN_INDEX = (
    "INSERT INTO labels SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n"
)

Opener = Callable[..., Database]


@dataclass
class Row:
    """What the tests' table holds."""

    id: int
    note: str


@pytest.fixture
def opened(empty_database_url: str) -> Opener:
    """Open a `Database` with the given settings on an empty database of this test."""

    def open_database(
        *, pool_max_size: int = 10, pool_timeout_s: float = 10.0, prepare_threshold: int | None = 5
    ) -> Database:
        config = DatabaseConfig(
            url=empty_database_url,
            pool_min_size=min(2, pool_max_size),
            pool_max_size=pool_max_size,
            pool_timeout_s=pool_timeout_s,
            prepare_threshold=prepare_threshold,
        )
        return Database(config, name="test")

    return open_database


@pytest.fixture
async def database(opened: Opener) -> AsyncIterator[Database]:
    """Return an open database with an empty table `notes`."""
    async with opened() as database:
        await database.write("CREATE TABLE notes (id integer PRIMARY KEY, note text)")
        await database.write("CREATE TABLE labels (label text PRIMARY KEY)")
        yield database


async def in_one(database: Database, *statements: LiteralString) -> None:
    """Send the statements in one transaction."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


class TestLifecycle:
    """Opening and closing."""

    async def test_opens_a_named_pool_of_the_configured_size(self, database: Database) -> None:
        """The pool has its name and is full as soon as it is open."""
        assert database.pool.name == "test"
        assert database.pool.get_stats()["pool_available"] >= 1
        assert (database.pool.min_size, database.pool.max_size) == (2, 10)

    async def test_open_and_close_may_be_repeated(self, opened: Opener) -> None:
        """Opening twice keeps the pool, closing twice does nothing, and it opens again."""
        database = opened()
        async with database:
            pool = database.pool
            async with asyncio.timeout(60):
                await asyncio.gather(database.__aenter__(), database.__aenter__())
            assert database.pool is pool
        await database.__aexit__(None, None, None)
        async with database:
            assert await database.read("SELECT 1 AS one") == [{"one": 1}]

    async def test_a_closed_database_says_so(self, database: Database) -> None:
        """Using what is not open raises `DatabaseUnavailable`."""
        await database.close()
        with pytest.raises(DatabaseUnavailable, match="not open"):
            await database.read("SELECT 1")

    async def test_closing_releases_those_who_queue(self, opened: Opener) -> None:
        """Callers that wait for a connection are told that there will be none."""
        database = opened(pool_max_size=1)
        async with database, database.transaction():
            waiting = asyncio.create_task(database.read("SELECT 1"))
            while not database.pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0)
            await database.close()
            with pytest.raises(DatabaseUnavailable):
                await waiting

    def test_without_a_url_there_is_nothing_to_open(self) -> None:
        """A config without a URL is refused by name."""
        with pytest.raises(ConfigError, match="DATABASE_URL"):
            Database(DatabaseConfig())

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"dbname": "no_such_database"}, "does not exist"),
            ({"port": 1}, "refused"),
            ({"host": "no-such-host.invalid"}, "host"),
            ({"host": "/no/such/folder"}, "No such file"),
        ],
        ids=["database", "port", "host", "socket"],
    )
    async def test_an_unreachable_database_is_explained(
        self, empty_database_url: str, change: dict[str, str | int], why: str
    ) -> None:
        """The error says why, in one line."""
        url = make_conninfo(empty_database_url, **change)
        with pytest.raises(DatabaseUnavailable, match=why) as caught:
            await Database(DatabaseConfig(url=url)).open()
        assert "\n" not in str(caught.value)

    async def test_a_wrong_password_is_not_repeated(
        self, own_postgres_server: PostgresServer
    ) -> None:
        """The error says that the password is wrong, and not what it was."""
        url = make_conninfo(own_postgres_server.url, password="s3cret")  # noqa: S106  # wrong on purpose
        with pytest.raises(DatabaseUnavailable, match="password") as caught:
            await Database(DatabaseConfig(url=url)).open()
        assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"

    @pytest.mark.parametrize(
        "within_s", [0.2, pytest.param(OPEN_TIMEOUT_S, marks=pytest.mark.slow)]
    )
    async def test_a_silent_server_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch, within_s: float
    ) -> None:
        """A peer that accepts and says nothing counts as unreachable, whatever the URL asks."""
        monkeypatch.setattr(connections, "OPEN_TIMEOUT_S", within_s)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            config = DatabaseConfig(url=f"postgresql://u:pw@127.0.0.1:{port}/d?connect_timeout=60")
            began = perf_counter()
            with pytest.raises(DatabaseUnavailable, match="in time"):
                await Database(config).open()
            assert perf_counter() - began < 30


class TestStatements:
    """What comes back."""

    async def test_rows_are_dicts_or_what_the_caller_asks_for(self, database: Database) -> None:
        """Row factories work, and a statement without rows returns an empty list."""
        written = await database.write(
            "INSERT INTO notes VALUES (%(id)s, %(note)s) RETURNING *", {"id": 1, "note": "a"}
        )
        assert written == [{"id": 1, "note": "a"}]
        assert await database.write("INSERT INTO notes VALUES (2, 'b')") == []
        query, params = "SELECT * FROM notes WHERE id > %s ORDER BY id", (0,)
        records = await database.read(query, params, row_factory=class_row(Row))
        assert records == [Row(1, "a"), Row(2, "b")]
        assert await database.read(query, params, row_factory=tuple_row) == [(1, "a"), (2, "b")]
        assert await database.write(query, params, row_factory=scalar_row) == [1, 2]

    async def test_time_is_the_databases(self, database: Database) -> None:
        """`now` asks the database, and `clock_offset` is how far off this process is."""
        now = await database.now()
        assert now.tzinfo is UTC
        assert abs(now - (datetime.now(UTC) + database.clock_offset)) < timedelta(seconds=1)

    async def test_transactions_commit_together_or_not_at_all(self, database: Database) -> None:
        """An exception undoes every statement of its block."""
        await in_one(database, "INSERT INTO notes VALUES (1)", "INSERT INTO notes VALUES (2)")

        async def fail() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO notes VALUES (3)")
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert await database.read("SELECT id FROM notes", row_factory=scalar_row) == [1, 2]

    async def test_a_unit_is_one_transaction_whoever_sends(self, opened: Opener) -> None:
        """Reads, writes, transactions and tasks share its one connection and its end."""
        async with opened(pool_max_size=1, pool_timeout_s=1) as database:
            await database.write("CREATE TABLE notes (id integer PRIMARY KEY, note text)")

            async def insert(first: int) -> list[int]:
                await database.write("INSERT INTO notes VALUES (%s)", (first,))
                async with database.transaction() as connection:
                    await connection.execute("INSERT INTO notes VALUES (%s)", (first + 1,))
                await asyncio.create_task(
                    database.write("INSERT INTO notes VALUES (%s)", (first + 2,))
                )
                return await database.read("SELECT id FROM notes", row_factory=scalar_row)

            async def fail() -> None:
                async with database.unit():
                    assert await insert(1) == [1, 2, 3]
                    raise LookupError

            with pytest.raises(LookupError):
                await fail()
            async with database.unit():
                assert await insert(4) == [4, 5, 6]
            assert await database.read("SELECT id FROM notes", row_factory=scalar_row) == [4, 5, 6]

    async def test_a_swallowed_error_cannot_pass_for_a_commit(self, database: Database) -> None:
        """A block that hides a failed statement fails: its COMMIT would be a silent rollback."""

        async def hide_a_failure() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO notes VALUES (1)")
                with suppress(psycopg.errors.UniqueViolation):
                    await connection.execute("INSERT INTO notes VALUES (1)")

        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await hide_a_failure()
        assert await database.read("SELECT id FROM notes") == []


class TestErrors:
    """psycopg's errors become ours."""

    @pytest.mark.parametrize(
        ("query", "params", "error"),
        [
            ("SELECT %s::text", ("a\0b",), InvalidInput),
            ("SELECT %s::text::integer", ("99999999999",), InvalidInput),
            (TOO_LONG_FOR_AN_INDEX, None, InvalidInput),
            ("SELECT * FROM no_such_table", None, SchemaMismatch),
            ("SELECT * FROM no_such_schema.t", None, SchemaMismatch),
            ("SELECT pg_cancel_backend(pg_backend_pid())", None, Overloaded),
        ],
        ids=["nul", "range", "size", "table", "schema", "cancelled"],
    )
    async def test_server_errors_have_a_meaning(
        self,
        database: Database,
        query: str,
        params: tuple[str, ...] | None,
        error: type[HarnessError],
    ) -> None:
        """Each class of error raises the same HarnessError from `read`, `write`, `transaction`."""
        for send in (database.read, database.write):
            with pytest.raises(error) as caught:
                await send(query, params)
            assert isinstance(caught.value.__cause__, psycopg.Error)
        with pytest.raises(error):
            async with database.transaction() as connection:
                await connection.execute(query, params)
        assert await database.read("SELECT 1 AS one") == [{"one": 1}]

    async def test_a_read_only_database_is_named(self, database: Database) -> None:
        """Writing where only reading is allowed is a clear error."""
        with pytest.raises(HarnessError, match="read-only"):
            await in_one(database, "SET TRANSACTION READ ONLY", "INSERT INTO notes VALUES (1)")

    async def test_a_missing_right_is_named(self, database: Database) -> None:
        """A statement that the user may not send is a clear error."""
        with pytest.raises(HarnessError, match="lacks a right"):
            await in_one(database, "SET LOCAL ROLE pg_monitor", "SELECT * FROM notes")

    async def test_integrity_errors_are_left_to_the_caller(self, database: Database) -> None:
        """Only the caller knows what a broken constraint means."""
        await database.write("INSERT INTO notes VALUES (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            await database.write("INSERT INTO notes VALUES (1)")

    @pytest.mark.slow
    async def test_a_deadlocked_statement_is_sent_again(self, database: Database) -> None:
        """Of two that block each other the victim was undone, so a `write` tries once more."""
        await database.write("INSERT INTO notes VALUES (1), (2)")
        await database.write(
            "CREATE FUNCTION touch(a integer, b integer) RETURNS void LANGUAGE plpgsql AS $$"
            " BEGIN UPDATE notes SET note = coalesce(note, '') || 'x' WHERE id = a;"
            " PERFORM pg_sleep(0.1);"
            " UPDATE notes SET note = coalesce(note, '') || 'x' WHERE id = b; END $$"
        )
        before = await deadlocks(database)
        await asyncio.gather(
            database.write("SELECT touch(1, 2)"), database.write("SELECT touch(2, 1)")
        )
        notes = await database.read("SELECT note FROM notes", row_factory=scalar_row)
        assert notes == ["xx", "xx"]
        assert await deadlocks(database) > before

    async def test_a_deadlocked_transaction_is_a_conflict(self, database: Database) -> None:
        """A block cannot be repeated for the caller; its error says that nothing was written."""
        await database.write("INSERT INTO notes VALUES (1), (2)")
        ready = asyncio.Barrier(2)

        async def touch(first: int, second: int) -> None:
            async with database.transaction() as connection:
                await connection.execute("UPDATE notes SET note = 'x' WHERE id = %s", (first,))
                await ready.wait()
                await connection.execute("UPDATE notes SET note = 'x' WHERE id = %s", (second,))

        results = await asyncio.gather(touch(1, 2), touch(2, 1), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]
        assert any(isinstance(result, Conflict) for result in results)


async def deadlocks(database: Database) -> int:
    """How many the server has counted in this database, its sessions' latest ones included."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    rows = await database.read(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        row_factory=scalar_row,
    )
    count: int = rows[0]
    return count


class TestQueueing:
    """More callers than connections."""

    async def test_two_hundred_callers_share_ten_connections(self, database: Database) -> None:
        """They queue, and all are served."""
        sent = (database.write("INSERT INTO notes VALUES (%s)", (n,)) for n in range(200))
        await asyncio.gather(*sent)
        assert await database.read("SELECT count(*) AS n FROM notes") == [{"n": 200}]
        assert database.pool.get_stats()["pool_size"] <= 10

    async def test_past_the_timeout_a_caller_hears_overloaded(self, opened: Opener) -> None:
        """One clear error, and the database goes on afterwards."""
        async with opened(pool_max_size=1, pool_timeout_s=0.05) as database:
            async with database.transaction():
                with pytest.raises(Overloaded, match=r"0\.05 s"):
                    await database.read("SELECT 1")
                with pytest.raises(Overloaded, match=r"0\.05 s"):
                    await database.write("SELECT 1")
            assert await database.read("SELECT 1 AS one") == [{"one": 1}]

    async def test_a_storm_of_cancellations_costs_no_connection(self, opened: Opener) -> None:
        """Callers cancelled while they queue, send, or return leave the pool whole."""
        async with opened(pool_max_size=3) as database:
            for wave in range(40):
                tasks = [
                    asyncio.create_task(database.read("SELECT pg_sleep(0.001)")) for _ in range(12)
                ]
                for turn, task in enumerate(tasks):
                    if turn % 3:
                        delay = (wave + 1) * turn / 40_000
                        asyncio.get_running_loop().call_later(delay, task.cancel)
                await asyncio.gather(*tasks, return_exceptions=True)
            held = [database.transaction() for _ in range(3)]
            for transaction in held:
                await transaction.__aenter__()
            for transaction in held:
                await transaction.__aexit__(None, None, None)
            stats = database.pool.get_stats()
            assert (stats["pool_size"], stats["pool_available"]) == (3, 3)

    async def test_cancelled_while_it_returns_a_connection(self, opened: Opener) -> None:
        """Whoever is cancelled waiting for the pool's lock still hands over to the next caller."""
        async with opened(pool_max_size=1) as database:
            finish = asyncio.Event()

            async def hold() -> None:
                async with database.transaction():
                    await finish.wait()

            holding = asyncio.create_task(hold())
            queued = asyncio.create_task(database.read("SELECT 1 AS one"))
            while not database.pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0)
            async with database.pool._lock:
                finish.set()
                while not database.pool._lock._waiters:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0)
                holding.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await holding
            assert await asyncio.wait_for(queued, 2) == [{"one": 1}]

    async def test_a_cancelled_transaction_is_undone(self, database: Database) -> None:
        """Nothing of it is there, and the connection can be used again."""
        started = asyncio.Event()

        async def write_slowly() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO notes VALUES (1)")
                started.set()
                await connection.execute("SELECT pg_sleep(30)")

        task = asyncio.create_task(write_slowly())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.read("SELECT * FROM notes") == []
