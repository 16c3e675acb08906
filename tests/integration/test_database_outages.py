"""`Database` while its server, its connections or the network go away."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Literal, LiteralString

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import DatabaseUnavailable, OutcomeUnknown
from harness.faults.proxy import Proxy
from harness.provision import PostgresServer

pytestmark = pytest.mark.postgres

PATIENCE_S = 2.0
"""Half a second is promised; a busy machine gets four times that."""
ROUNDS = 3


@pytest.fixture
async def proxy(empty_database_url: str) -> AsyncIterator[Proxy]:
    """Return a proxy in front of an empty database."""
    async with Proxy(empty_database_url) as proxy:
        yield proxy


@pytest.fixture
async def database(proxy: Proxy) -> AsyncIterator[Database]:
    """Return a database that is reached through the proxy, with an empty table `notes`."""
    config = DatabaseConfig(url=proxy.url, pool_timeout_s=5)
    async with Database(config, name="cut") as database:
        await database.write("CREATE TABLE notes (id integer PRIMARY KEY)")
        yield database


async def open_all(database: Database) -> None:
    """Make the pool grow to its full size."""
    await asyncio.gather(*(database.read("SELECT pg_sleep(0.05)") for _ in range(40)))


async def in_one(database: Database, *statements: LiteralString) -> None:
    """Send the statements in one transaction."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def end_all_sessions(url: str) -> None:
    """Have the server end all other sessions of the database, and wait until they are gone."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        others = True
        while others:
            cursor = await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            others = bool(await cursor.fetchall())


async def reset_all(proxy: Proxy) -> None:
    """Break every connection through the proxy, and wait until they are gone."""
    proxy.reset()
    while proxy.connections:  # noqa: ASYNC110  # the proxy tells nobody, and it takes no time
        await asyncio.sleep(0)


@asynccontextmanager
async def endless(proxy: Proxy) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Lead to the proxy's server on a way by which its last words arrive, its end only when asked.

    Yields the way's connection string, and what is set once the server has ended a connection.
    """
    ended = asyncio.Event()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await proxy.reach()
        asking = asyncio.create_task(pour(reader, server_writer))
        await pour(server_reader, writer)
        server_writer.close()
        ended.set()
        await asking
        writer.close()

    async with await asyncio.start_server(lead, "127.0.0.1", 0) as way:
        port = way.sockets[0].getsockname()[1]
        yield make_conninfo(proxy.url, port=port), ended


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, while something does and there is somebody to take it."""
    while (piece := await reader.read(1 << 16)) and not writer.is_closing():
        writer.write(piece)


class TestRecovery:
    """After the server or its connections went away, reads go on, and at once."""

    @pytest.mark.parametrize("how", [pytest.param("restart", marks=pytest.mark.slow), "kill"])
    async def test_the_first_read_after_a_restart_is_quick(
        self, own_postgres_server: PostgresServer, how: str
    ) -> None:
        """It succeeds within the half second that the issue promises, in the median of rounds."""
        seconds = []
        async with Database(DatabaseConfig(url=own_postgres_server.url)) as database:
            for _ in range(ROUNDS):
                await open_all(database)
                if how == "kill":
                    await asyncio.to_thread(own_postgres_server.kill)
                    await asyncio.to_thread(own_postgres_server.start)
                else:
                    await asyncio.to_thread(own_postgres_server.restart)
                began = perf_counter()
                assert await database.read("SELECT 1 AS one") == [{"one": 1}]
                seconds.append(perf_counter() - began)
        assert statistics.median(seconds) < PATIENCE_S

    @pytest.mark.slow
    async def test_callers_outwait_a_long_outage(self, own_postgres_server: PostgresServer) -> None:
        """A read that began while the server was down ends soon after it is back."""
        async with Database(DatabaseConfig(url=own_postgres_server.url)) as database:
            await asyncio.to_thread(own_postgres_server.stop)
            reading = asyncio.create_task(database.read("SELECT 1 AS one"))
            # The pool tries again after 1, 3 and 7 s: whoever waited for that would be too late.
            await asyncio.sleep(3.5)
            assert not reading.done()
            await asyncio.to_thread(own_postgres_server.start)
            began = perf_counter()
            assert await reading == [{"one": 1}]
            assert perf_counter() - began < PATIENCE_S

    async def test_a_server_that_stays_away_is_reported(self, proxy: Proxy) -> None:
        """Past the pool's timeout a caller hears that the database is gone, and why."""
        async with Database(DatabaseConfig(url=proxy.url, pool_timeout_s=0.5)) as database:
            await proxy.refuse()
            await reset_all(proxy)
            for send in (database.read, database.write):
                with pytest.raises(DatabaseUnavailable, match="refused"):
                    await send("SELECT 1")

    async def test_reads_and_writes_survive_the_end_of_all_sessions(
        self, empty_database_url: str
    ) -> None:
        """Ended sessions are noticed before anything is sent, so no write is in doubt."""
        async with Database(DatabaseConfig(url=empty_database_url)) as database:
            await database.write("CREATE TABLE notes (id integer PRIMARY KEY)")
            seconds = []
            for n in range(ROUNDS):
                await open_all(database)
                await end_all_sessions(empty_database_url)
                await database.write("INSERT INTO notes VALUES (%s)", (n,))
                await end_all_sessions(empty_database_url)
                began = perf_counter()
                assert await database.read("SELECT count(*) AS n FROM notes") == [{"n": n + 1}]
                seconds.append(perf_counter() - began)
            assert statistics.median(seconds) < PATIENCE_S

    async def test_a_last_word_ends_a_session_before_its_end_arrives(self, proxy: Proxy) -> None:
        """The server's message, after which it sends an end-of-file, is enough to be warned."""
        async with (
            endless(proxy) as (url, ended),
            Database(DatabaseConfig(url=url, pool_min_size=1)) as database,
        ):
            await database.write("CREATE TABLE notes (id integer PRIMARY KEY)")
            await end_all_sessions(proxy.url)
            await ended.wait()
            await database.write("INSERT INTO notes VALUES (1)")
            assert await database.read("SELECT id FROM notes") == [{"id": 1}]

    async def test_a_network_reset_is_survived(self, proxy: Proxy, database: Database) -> None:
        """After all connections were reset, the next read and the next write succeed."""
        await open_all(database)
        await reset_all(proxy)
        await database.write("INSERT INTO notes VALUES (1)")
        assert await database.read("SELECT * FROM notes") == [{"id": 1}]


class TestCutStatements:
    """Connections that die in the middle of a statement."""

    async def test_a_read_is_sent_twice_and_no_more(self, proxy: Proxy, database: Database) -> None:
        """Cut once it succeeds; cut twice it is reported."""
        proxy.cut("after", "first_read")
        assert await database.read("SELECT 1 AS first_read") == [{"first_read": 1}]
        assert proxy.executions("first_read") == 2
        proxy.cut("after", "second_read", times=3)
        with pytest.raises(DatabaseUnavailable, match="two connections"):
            await database.read("SELECT 1 AS second_read")
        assert proxy.executions("second_read") == 2

    @pytest.mark.parametrize(("moment", "stored"), [("before", 0), ("after", 1)])
    async def test_a_write_is_in_doubt_and_never_repeated(
        self, proxy: Proxy, database: Database, moment: Literal["before", "after"], stored: int
    ) -> None:
        """Whether or not it reached the server, the caller hears the same, and it is sent once."""
        proxy.cut(moment, "INSERT")
        with pytest.raises(OutcomeUnknown):
            await database.write("INSERT INTO notes VALUES (1)")
        assert proxy.executions("INSERT") == stored
        assert await database.read("SELECT count(*) AS n FROM notes") == [{"n": stored}]

    @pytest.mark.parametrize("signal", [pytest.param("terminate", marks=pytest.mark.slow), "kill"])
    async def test_a_session_ended_in_mid_statement_is_in_doubt(
        self, own_postgres_server: PostgresServer, signal: str
    ) -> None:
        """Whatever the server says as it goes, a write that was sent is in doubt."""
        async with Database(DatabaseConfig(url=own_postgres_server.url)) as database:
            writing = asyncio.create_task(database.write("SELECT pg_sleep(30) AS long_write"))
            find = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%AS long' || '_write'"
            async with await AsyncConnection.connect(
                own_postgres_server.url, autocommit=True
            ) as other:
                row = None
                while row is None:
                    row = await (await other.execute(find)).fetchone()
                if signal == "terminate":
                    await other.execute("SELECT pg_terminate_backend(%s)", row)
            if signal == "kill":
                await asyncio.to_thread(own_postgres_server.kill)
            with pytest.raises(OutcomeUnknown):
                await writing

    async def test_a_transaction_cut_before_its_commit_wrote_nothing(
        self, proxy: Proxy, database: Database
    ) -> None:
        """The server has rolled back, so the error says that nothing was written."""
        proxy.cut("before", "UPDATE")
        with pytest.raises(DatabaseUnavailable, match="nothing was written"):
            await in_one(database, "INSERT INTO notes VALUES (1)", "UPDATE notes SET id = 2")
        assert await database.read("SELECT * FROM notes") == []

    @pytest.mark.parametrize(("moment", "stored"), [("before", 0), ("after", 1)])
    async def test_a_transaction_cut_at_its_commit_is_in_doubt(
        self, proxy: Proxy, database: Database, moment: Literal["before", "after"], stored: int
    ) -> None:
        """The caller cannot know whether the commit arrived."""
        proxy.cut(moment, "COMMIT")
        with pytest.raises(OutcomeUnknown, match="commit"):
            await in_one(database, "INSERT INTO notes VALUES (1)")
        assert await database.read("SELECT count(*) AS n FROM notes") == [{"n": stored}]

    async def test_a_refused_connection_leaves_no_doubt(
        self, proxy: Proxy, database: Database
    ) -> None:
        """A write that found no connection was never sent, and says so."""
        database = Database(DatabaseConfig(url=proxy.url, pool_timeout_s=0.3), name="refused")
        async with database:
            await proxy.refuse()
            await reset_all(proxy)
            with pytest.raises(DatabaseUnavailable):
                await database.write("INSERT INTO notes VALUES (1)")
        assert proxy.executions("INSERT") == 0
