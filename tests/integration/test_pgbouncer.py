"""`Database` and migrations through a transaction pooler, which keeps no session for anybody."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import scalar_row

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import ConfigError
from harness.provision.account import server_account
from harness.schema import RUNTIME_TABLES, SCHEMA
from harness.schema.migrate import shipped
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend

pytestmark = pytest.mark.postgres

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
SETTINGS = """
[databases]
* = host={host} port={port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits,options
logfile = {folder}/log
"""


@pytest.fixture
async def pooled_url(empty_database_url: str) -> AsyncIterator[str]:
    """Return the address of an empty database by way of a pgbouncer with four connections."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    account = server_account()
    direct = conninfo_to_dict(empty_database_url)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            listen_port = free.getsockname()[1]
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                host=direct["host"],
                port=direct["port"],
                user=direct["user"],
                password=direct.get("password", ""),
                listen_port=listen_port,
                folder=folder,
            )
        )
        if account is not None:
            account.owns(folder)
        process = await asyncio.create_subprocess_exec(
            PGBOUNCER,
            "-q",
            settings,
            stderr=asyncio.subprocess.DEVNULL,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        try:
            url = make_conninfo(
                "",
                host="127.0.0.1",
                port=listen_port,
                user=direct["user"],
                dbname=direct["dbname"],
                sslmode="disable",
            )
            await answering(url)
            yield url
        finally:
            process.terminate()
            await process.wait()


async def answering(url: str) -> None:
    """Wait until the pooler accepts connections."""
    async with asyncio.timeout(60):
        while True:
            try:
                await (await psycopg.AsyncConnection.connect(url)).close()
            except psycopg.OperationalError:
                await asyncio.sleep(0.01)
            else:
                return


async def test_everything_works_without_prepared_statements(pooled_url: str) -> None:
    """Migrations, and hundreds of mixed statements on fewer server connections than callers."""
    config = DatabaseConfig(url=pooled_url, prepare_threshold=None)
    async with Database(config) as database, Database(config) as other:
        await asyncio.gather(database.migrate(), other.migrate())
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
        found: list[int] = await database.read(query, (SCHEMA,), row_factory=scalar_row)
        assert found[0] > len(RUNTIME_TABLES)
        query = "SELECT count(*) FROM langgraph_server.migrations"
        assert await other.read(query, row_factory=scalar_row) == [len(shipped())]

        await database.write("CREATE TABLE notes (id integer PRIMARY KEY, note text)")

        async def work(n: int) -> list[str]:
            await database.write("INSERT INTO notes VALUES (%s, %s)", (n, "new"))
            async with database.transaction() as connection:
                await connection.execute("UPDATE notes SET note = 'old' WHERE id = %s", (n,))
                await connection.execute("UPDATE notes SET note = %s WHERE id = %s", (f"n{n}", n))
            return await database.read(
                "SELECT note FROM notes WHERE id = %s", (n,), row_factory=scalar_row
            )

        notes = await asyncio.gather(*(work(n) for n in range(200)))
        assert notes == [[f"n{n}"] for n in range(200)]


@pytest.mark.slow
async def test_leases_are_kept_and_their_loss_is_found(pooled_url: str) -> None:
    """Where LISTEN hears nothing, leases are prolonged, and a look finds the one that was lost."""
    config = DatabaseConfig(url=pooled_url, prepare_threshold=None)
    async with Database(config) as database:
        await database.migrate()
        storage = LocalStorage(PostgresBackend(database))
        assistant = await storage.assistants.create("g", owner="ada")
        leases = []
        for _ in range(2):
            thread = await storage.threads.create(owner="ada")
            _, lease = await storage.runs.begin(
                thread.thread_id, assistant.assistant_id, lease_s=1.5, owner="ada"
            )
            assert lease is not None
            leases.append(lease)
        lost: asyncio.Queue[str] = asyncio.Queue()
        keeper = storage.leases.keeper(lease_s=1.5, on_lost=lost.put_nowait)
        try:
            for lease in leases:
                keeper.keep(lease)
            await asyncio.sleep(2.5)
            assert await storage.runs.claim(lease_s=60) is None
            gone, kept = leases
            await storage.threads.delete(gone.thread_id, owner="ada")
            async with asyncio.timeout(20):
                assert await lost.get() == gone.token
            await storage.runs.heartbeat(kept, lease_s=60, owner="ada")
        finally:
            await keeper.close()


@pytest.mark.invariant(59)
async def test_a_pooler_that_loses_prepared_statements_is_refused(pooled_url: str) -> None:
    """With statements to be prepared it does not open, and says what to set."""
    for _ in range(3):  # whichever backends the pooler picks
        with pytest.raises(ConfigError, match="DATABASE_PREPARE_THRESHOLD=none"):
            await Database(DatabaseConfig(url=pooled_url), name="pooled").open()
