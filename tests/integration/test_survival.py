"""Postgres is killed, restarted, frozen, severed and starved; what was acknowledged is there.

SIGKILL ends processes, not the machine: the operating system keeps what they had written. These
tests prove crash recovery and say nothing about `fsync` or a loss of power, so they run on tmpfs.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from harness.config import DatabaseConfig
from harness.contract.survival import SurvivalContract, Victim
from harness.database import Database, ScratchDatabases
from harness.errors import DatabaseUnavailable, HarnessError, Overloaded
from harness.faults import process
from harness.faults.ledger import Ledger, read_ledger
from harness.faults.starve import connections_held, pool_held
from harness.faults.survival import verify
from harness.faults.writers import Crew
from harness.provision import EmbeddedServer, PostgresServer
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from tests.integration.disks import small_database
from tests.integration.forked.process import Forked
from tests.integration.wholeness import assert_whole

pytest_plugins = ("tests.integration.breakable_fixtures",)
pytestmark = [pytest.mark.postgres, pytest.mark.survival]

OWNER = "owner"

LAZY_COMMITS = {
    "synchronous_commit": "off",
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
    "wal_buffers": "64MB",
    "bgwriter_lru_maxpages": "0",
}
"""Acknowledge at once and write the log ten seconds later, and let nothing else write it."""


class Postgres:
    """A `Victim`: a database on a server that may be killed."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self.server = server
        self.url = url
        self._kills = 0

    def database(self, *, pool_max_size: int = 10, pool_timeout_s: float = 10) -> Database:
        """A pool of its own on that database."""
        return Database(
            DatabaseConfig(
                url=self.url,
                pool_min_size=min(2, pool_max_size),
                pool_max_size=pool_max_size,
                pool_timeout_s=pool_timeout_s,
            ),
            name="victim",
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[FullStorage]:
        """A pool of its own, and the storage over it."""
        async with self.database() as database:
            yield LocalStorage(PostgresBackend(database))

    async def kill(self) -> None:
        """SIGKILL the postmaster and all its children; each second time with all at a standstill.

        The server is faster than this process, so most of what is under way when it is killed has
        been answered. Frozen first, it dies with a statement on every connection.
        """
        self._kills += 1
        if self._kills % 2 == 0:
            process.freeze(self.server)
            await asyncio.sleep(0.05)  # there is no event for "nothing happens any more"
        await process.kill(self.server)

    async def start(self) -> None:
        """Start, through crash recovery."""
        await process.start(self.server)

    async def restart(self) -> None:
        """Stop and start."""
        await process.restart(self.server)


@asynccontextmanager
async def on(server: PostgresServer) -> AsyncIterator[Postgres]:
    """A migrated database on that server; it goes with the server."""
    url = server.url
    async with Database(DatabaseConfig(url=url), name="migration") as database:
        await database.migrate()
    yield Postgres(server, url)


@pytest.fixture
async def victim(
    breakable_server: PostgresServer, breakable_databases: ScratchDatabases
) -> AsyncIterator[Postgres]:
    """A migrated database on a server that may be killed; it is whole in the end."""
    async with breakable_databases.clone() as url:
        yield Postgres(breakable_server, url)
        await assert_whole(url)


class TestPostgresSurvival(SurvivalContract):
    """The contract, on a Postgres that is killed with all its children."""

    @pytest.fixture
    def victim(self, victim: Postgres) -> Victim:
        """The server of this test."""
        return victim

    @pytest.mark.slow  # kills leave more to find, and a restart is in the next test too
    async def test_acknowledged_writes_survive_restarts(
        self, victim: Victim, tmp_path: Path
    ) -> None:
        """Clean restarts under 20 writers lose nothing, and leave nothing half done."""
        await super().test_acknowledged_writes_survive_restarts(victim, tmp_path)


@pytest.mark.slow
async def test_the_check_finds_lost_writes(tmp_path: Path) -> None:
    """Control: with `synchronous_commit=off` a kill loses acknowledged writes, and it is seen."""
    path = tmp_path / "ledger"
    with EmbeddedServer(settings=LAZY_COMMITS) as server:
        async with on(server) as postgres:
            await postgres.restart()  # or the schema would be lost as well
            async with postgres.client() as storage:
                with Ledger(path) as ledger:
                    async with Crew(storage, ledger) as crew:
                        await crew.acknowledged(300)
                whole = await verify(read_ledger(path), storage)
            await postgres.kill()
            await postgres.start()
            async with postgres.client() as storage:
                report = await verify(read_ledger(path), storage)
    assert whole.survived, str(whole)
    assert report.count("lost") > 0, str(report)


async def test_a_new_process_finds_what_a_killed_one_was_told(
    victim: Postgres, tmp_path: Path
) -> None:
    """Writers in a child process die by SIGKILL; this process reads their ledger and their rows."""
    path = tmp_path / "ledger"
    env = {**os.environ, "DATABASE_URL": victim.url}
    with tempfile.TemporaryFile() as log:
        child = await Forked.start("harness.faults.child:main", [str(path)], env, log.fileno())
        try:
            async with asyncio.timeout(120):
                while int(await child.stdout.readline() or b"-1") < 300:
                    assert not child.stdout.at_eof(), "the child ended by itself"
        finally:
            child.kill()
            await child.wait()
    await process.sever(victim.url)  # a statement of the dead may still be running
    async with victim.client() as storage:
        report = await verify(read_ledger(path), storage)
    assert report.survived, str(report)
    assert report.acknowledged >= 300, str(report)
    assert report.unknown > 0, str(report)


@pytest.mark.slow
async def test_severed_writers_go_on(victim: Postgres, tmp_path: Path) -> None:
    """Every connection is terminated, again and again: nothing lost, nothing half, all go on."""
    path = tmp_path / "ledger"
    async with victim.client() as storage:
        with Ledger(path) as ledger:
            async with asyncio.timeout(120), Crew(storage, ledger) as crew:
                for _ in range(5):
                    await crew.acknowledged(100)
                    assert await process.sever(victim.url) > 0
                await crew.acknowledged(100)
        report = await verify(read_ledger(path), storage)
    assert report.survived, str(report)
    assert report.unknown > 0, str(report)


async def test_a_frozen_server_overloads_and_loses_nothing(victim: Postgres) -> None:
    """While nothing answers, callers get `Overloaded`; after the thaw the same connections work."""
    pids = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid"
    async with victim.database(pool_max_size=2, pool_timeout_s=0.3) as database:
        storage = LocalStorage(PostgresBackend(database))
        before = await database.read(pids)
        async with process.frozen(victim.server):
            pending = {asyncio.create_task(storage.threads.create(owner=OWNER)) for _ in range(6)}
            errors: list[BaseException | None] = []
            while len(pending) > 2:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                errors += [call.exception() for call in done]
        await asyncio.gather(*pending)
        assert [type(error) for error in errors] == [Overloaded] * 4
        assert await database.read(pids) == before
        assert await storage.threads.count(owner=OWNER) == 2


async def test_a_held_pool_overloads(victim: Postgres) -> None:
    """Who waits longer than `pool_timeout_s` gets `Overloaded`, and writes nothing."""
    async with victim.database(pool_max_size=2, pool_timeout_s=0.2) as database:
        storage = LocalStorage(PostgresBackend(database))
        async with pool_held(database):
            with pytest.raises(Overloaded):
                await storage.items.put_item(("a",), "key", {}, owner=OWNER)
            with pytest.raises(Overloaded):
                await storage.items.get_item(("a",), "key", owner=OWNER)
        assert await storage.items.get_item(("a",), "key", owner=OWNER) is None
        await storage.items.put_item(("a",), "key", {}, owner=OWNER)


@pytest.mark.slow
async def test_a_stopped_server_is_unavailable(victim: Postgres) -> None:
    """Calls to a server that is down say so; when it is back the first read succeeds."""
    async with victim.database(pool_timeout_s=1) as database:
        storage = LocalStorage(PostgresBackend(database))
        thread = await storage.threads.create(owner=OWNER)
        await victim.kill()
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.get(thread.thread_id, owner=OWNER)
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.create(owner=OWNER)
        await victim.start()
        assert await storage.threads.get(thread.thread_id, owner=OWNER) == thread
        assert await storage.threads.count(owner=OWNER) == 1


@pytest.mark.slow
async def test_a_server_without_free_connections(tmp_path: Path) -> None:
    """With no slot left a pool works on what it has, a new one says why it cannot open."""
    path = tmp_path / "ledger"
    with EmbeddedServer(settings={"max_connections": "12"}) as server:
        async with on(server) as postgres, postgres.client() as storage:
            with Ledger(path) as ledger:
                async with connections_held(server.url) as held:
                    assert 0 < held <= 12
                    with pytest.raises(DatabaseUnavailable, match="too many clients"):
                        await postgres.database().open()
                    async with asyncio.timeout(120), Crew(storage, ledger) as crew:
                        await crew.acknowledged(100)
                async with postgres.client() as fresh:
                    report = await verify(read_ledger(path), fresh)
    assert report.survived, str(report)
    assert report.unknown == 0, str(report)


async def test_a_full_disk_stops_writes_only(breakable_server: PostgresServer) -> None:
    """On a full disk writes fail clearly, reads go on, and freed space is used at once."""
    async with AsyncExitStack() as stack:
        volume, url = await stack.enter_async_context(small_database(breakable_server))
        database = await stack.enter_async_context(Database(DatabaseConfig(url=url)))
        await database.migrate()
        storage = LocalStorage(PostgresBackend(database))
        value = {"filler": "ünïcödé".join(map(str, range(20_000)))}
        written: list[str] = []

        async def write_on() -> None:
            for number in range(1_000):
                await storage.items.put_item(("a",), str(number), value, owner=OWNER)
                written.append(str(number))

        with volume.filled():
            with pytest.raises(HarnessError, match="disk is full"):
                await write_on()
            assert await storage.items.count_items((), owner=OWNER) == len(written)
        await storage.items.put_item(("a",), "after", value, owner=OWNER)
        for key in [*written, "after"]:
            item = await storage.items.get_item(("a",), key, owner=OWNER)
            assert item is not None
            assert item.value == value
        assert await storage.items.count_items((), owner=OWNER) == len(written) + 1
