"""The proxy's faults, and what callers of a storage behind it see."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import psycopg
import pytest

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import DatabaseUnavailable, OutcomeUnknown, Overloaded
from harness.faults.ledger import Ledger, read_ledger
from harness.faults.life import Life
from harness.faults.pen import LifeOver
from harness.faults.proxy import Moment, Proxy
from harness.faults.survival import verify
from harness.faults.wire import SSL_REQUEST
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend

OWNER = "owner"

Connect = Callable[[str], Awaitable[psycopg.AsyncConnection]]


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of a fresh database."""
    async with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open connections that are closed after the test, whatever became of them."""
    async with AsyncExitStack() as stack:

        async def connect(url: str) -> psycopg.AsyncConnection:
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            return await stack.enter_async_context(connection)

        yield connect


@pytest.fixture
async def far(proxy: Proxy) -> AsyncIterator[FullStorage]:
    """A storage that reaches its database through the proxy."""
    config = DatabaseConfig(url=proxy.url, pool_min_size=1, pool_max_size=2, pool_timeout_s=5)
    async with Database(config, name="far") as database:
        yield LocalStorage(PostgresBackend(database))


@pytest.fixture
async def near(database_url: str) -> AsyncIterator[FullStorage]:
    """A storage on the same database, past the proxy."""
    async with Database(DatabaseConfig(url=database_url), name="near") as database:
        yield LocalStorage(PostgresBackend(database))


async def test_passes_everything_on(proxy: Proxy, connect: Connect) -> None:
    """Without a fault nothing is changed: prepared statements, errors, COPY both ways, 1 MB."""
    connection = await connect(proxy.url)
    for number in range(8):
        cursor = await connection.execute("SELECT %s::int", (number,))
        assert await cursor.fetchone() == (number,)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await connection.execute("SELECT 1 / 0")
    await connection.execute("CREATE TEMPORARY TABLE t (text text)")
    async with connection.cursor().copy("COPY t FROM STDIN") as copy:
        for _ in range(1_000):
            await copy.write_row(("x" * 1_000,))
    async with connection.cursor().copy("COPY t TO STDOUT") as copy:
        assert len([row async for row in copy.rows()]) == 1_000
    cursor = await connection.execute("SELECT %s::text", ("x" * (1 << 20),))
    assert await cursor.fetchone() == ("x" * (1 << 20),)
    assert proxy.executions(r"select \$1::int") == 8


async def test_serves_clients_that_ask_for_encryption_first(proxy: Proxy, connect: Connect) -> None:
    """A client that would rather talk TLS is told no, and talks on without."""
    connection = await connect(f"{proxy.url} sslmode=prefer")
    await connection.execute("SELECT 1")


async def test_delays(proxy: Proxy, connect: Connect) -> None:
    """Each direction waits as long as it is told to."""
    connection = await connect(proxy.url)
    proxy.delay_up_ms, proxy.delay_down_ms = 20, 30
    begin = perf_counter()
    await connection.execute("SELECT 1")
    assert perf_counter() - begin >= 0.050


async def test_stalls(proxy: Proxy, connect: Connect) -> None:
    """A stalled proxy lets nothing through, and loses nothing."""
    connection = await connect(proxy.url)
    proxy.stall()
    query = asyncio.create_task(connection.execute("SELECT 1"))
    other = await connect_raw(proxy)
    assert await asyncio.wait([query], timeout=0.1) == (set(), {query})
    proxy.flow()
    assert await (await query).fetchone() == (1,)
    other.close()


async def connect_raw(proxy: Proxy) -> socket.socket:
    """A TCP connection to the proxy that speaks no protocol."""
    port = int(psycopg.conninfo.conninfo_to_dict(proxy.url)["port"] or 0)
    raw = socket.socket()
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    return raw


async def test_resets(proxy: Proxy) -> None:
    """A reset is a TCP reset, which a client tells from an orderly end."""
    with await connect_raw(proxy) as raw:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, struct.pack("!II", 8, SSL_REQUEST))
        assert await loop.sock_recv(raw, 1) == b"N"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(raw, 1)


async def test_refuses_and_accepts_again(proxy: Proxy, connect: Connect) -> None:
    """Refusing turns away who comes, keeps who is there, and ends with `accept` on the port."""
    here = await connect(proxy.url)
    await proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        await connect(proxy.url)
    await here.execute("SELECT 1")
    await proxy.accept()
    await connect(proxy.url)


async def test_cut_in_a_transaction_comes_after_its_commit(
    proxy: Proxy, connect: Connect, database_url: str
) -> None:
    """`after` waits for the end of the transaction that the statement is part of."""
    direct, through = await connect(database_url), await connect(proxy.url)

    async def insert() -> None:
        async with through.transaction():
            await through.execute("INSERT INTO t VALUES (1)")
            await through.execute("INSERT INTO t VALUES (2)")

    await direct.execute("CREATE TABLE t (n int)")
    proxy.cut("after", on="insert into t")
    with pytest.raises(psycopg.OperationalError):
        await insert()
    cursor = await direct.execute("SELECT count(*) FROM t")
    assert await cursor.fetchone() == (2,)


async def test_a_write_cut_before_the_server_is_unknown_and_absent(
    proxy: Proxy, far: FullStorage, near: FullStorage
) -> None:
    """The statement never arrived; the caller cannot know, and nobody sends it again."""
    thread_id = str(uuid4())
    proxy.cut("before", on="insert into")
    with pytest.raises(OutcomeUnknown):
        await far.threads.create(thread_id=thread_id, owner=OWNER)
    assert proxy.cuts == 1
    assert proxy.executions("insert into") == 0
    assert await near.threads.count(owner=OWNER) == 0


async def test_a_write_cut_before_its_acknowledgement_is_unknown_and_there_once(
    proxy: Proxy, far: FullStorage, near: FullStorage
) -> None:
    """The server has committed; the caller cannot know, and nobody sends it again."""
    thread_id = str(uuid4())
    proxy.cut("after", on="insert into")
    with pytest.raises(OutcomeUnknown):
        await far.threads.create(thread_id=thread_id, owner=OWNER)
    assert proxy.cuts == 1
    assert proxy.executions("insert into") == 1
    assert [each.thread_id for each in await near.threads.search(owner=OWNER)] == [thread_id]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_read_that_is_cut_is_sent_once_more(
    proxy: Proxy, far: FullStorage, moment: Moment
) -> None:
    """One dead connection is invisible to a reader; two in a row are told."""
    thread = await far.threads.create(owner=OWNER)
    proxy.cut(moment, on="threads")
    assert await far.threads.get(thread.thread_id, owner=OWNER) == thread
    assert proxy.cuts == 1
    proxy.cut("before", on="threads", times=2)
    with pytest.raises(DatabaseUnavailable):
        await far.threads.get(thread.thread_id, owner=OWNER)
    assert await far.threads.get(thread.thread_id, owner=OWNER) == thread


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.slow), "after"])
async def test_every_statement_of_every_write_can_be_cut(
    proxy: Proxy,
    far: FullStorage,
    near: FullStorage,
    moment: Moment,
    tmp_path: Path,
) -> None:
    """Wherever a write of any resource is cut, all of it is there or nothing, as the error says.

    One life after another is cut one statement later, until a life writes its turn undisturbed.
    """
    path = tmp_path / "ledger"
    unknown = 0
    with Ledger(path) as ledger:
        for skip in range(200):
            proxy.spare()
            proxy.cut(moment, on=r"\w", skip=skip)
            try:
                await Life(far, ledger, f"{OWNER}-{skip}").turn()
            except LifeOver:
                unknown += 1
            if proxy.cuts == skip:
                break
        else:
            pytest.fail("no life ever got through its turn")
    report = await verify(read_ledger(path), near)
    assert report.survived, str(report)
    assert report.unknown == unknown > 10, str(report)


async def test_readers_and_writers_go_on_after_every_connection_was_reset(
    proxy: Proxy, far: FullStorage
) -> None:
    """The first read after a reset of all connections succeeds, and so does the first write."""
    thread = await far.threads.create(owner=OWNER)
    proxy.reset()
    assert await far.threads.get(thread.thread_id, owner=OWNER) == thread
    await far.threads.update(thread.thread_id, metadata={"after": 1}, owner=OWNER)


async def test_refused_connections_are_said_to_be(proxy: Proxy) -> None:
    """With nobody to connect to, calls fail as unavailable; with the server back, they work."""
    config = DatabaseConfig(url=proxy.url, pool_timeout_s=0.3)
    async with Database(config, name="refused") as database:
        storage = LocalStorage(PostgresBackend(database))
        thread = await storage.threads.create(owner=OWNER)
        await proxy.refuse()
        proxy.reset()
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.get(thread.thread_id, owner=OWNER)
        with pytest.raises(DatabaseUnavailable):
            await storage.threads.update(thread.thread_id, metadata={"n": 1}, owner=OWNER)
        await proxy.accept()
        assert await storage.threads.get(thread.thread_id, owner=OWNER) == thread


async def test_a_stall_overloads_the_pool_and_loses_nothing(
    proxy: Proxy, near: FullStorage
) -> None:
    """Who finds every connection stuck is told `Overloaded`; who had one gets its answer later."""
    config = DatabaseConfig(url=proxy.url, pool_min_size=2, pool_max_size=2, pool_timeout_s=0.3)
    async with Database(config, name="stalled") as database:
        storage = LocalStorage(PostgresBackend(database))
        proxy.stall()
        calls = [asyncio.create_task(storage.threads.create(owner=OWNER)) for _ in range(5)]
        refused: list[BaseException | None] = []
        pending = set(calls)
        while len(pending) > 2:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            refused += [call.exception() for call in done]
        proxy.flow()
        await asyncio.gather(*pending)
    assert [type(error) for error in refused] == [Overloaded] * 3
    assert await near.threads.count(owner=OWNER) == 2
