"""Kill, freeze, thaw and sever a server: faults of its processes and of all its connections.

SIGKILL ends the processes and leaves the operating system's page cache: it proves what survives a
crash of the server, and nothing about `fsync` or a loss of power.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil
import psycopg

from harness.provision import PostgresServer

_POLL_S = 0.005
"""`pg_terminate_backend` with a timeout looks ten times a second, for one backend after another."""


async def kill(server: PostgresServer) -> None:
    """SIGKILL the postmaster and all its children, and wait until they are gone.

    Raises:
        ProvisionError: This kind of server cannot be killed from here.
    """
    await asyncio.to_thread(server.kill)


async def restart(server: PostgresServer) -> None:
    """Stop the server as an administrator would, disconnecting everybody, and start it again."""
    await asyncio.to_thread(server.restart)


async def start(server: PostgresServer) -> None:
    """Start a killed server on what it left, through its crash recovery."""
    await asyncio.to_thread(server.start)


def freeze(server: PostgresServer) -> None:
    """SIGSTOP every process of the server: its connections stay, and nothing answers.

    Raises:
        ProvisionError: The processes of this kind of server cannot be seen from here.
    """
    for pid in server.pids():  # the postmaster is first, so no child is born meanwhile
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).suspend()


def thaw(server: PostgresServer) -> None:
    """SIGCONT every process of the server."""
    for pid in reversed(server.pids()):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).resume()


@asynccontextmanager
async def frozen(server: PostgresServer) -> AsyncIterator[None]:
    """Keep the server frozen for the length of the block, and thaw it however the block ends."""
    try:
        freeze(server)
        yield
    finally:
        thaw(server)


async def sever(url: str) -> int:
    """Terminate every other connection to the database at `url`; return how many there were.

    Returns when their backends have ended.
    """
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        cursor = await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        pids = [pid for (pid,) in await cursor.fetchall()]
        await connection.execute("SELECT pg_terminate_backend(unnest(%s::int[]))", (pids,))
        alive = "SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)"
        while await (await connection.execute(alive, (pids,))).fetchone():  # noqa: ASYNC110 -- a server has no event for it
            await asyncio.sleep(_POLL_S)
        return len(pids)
