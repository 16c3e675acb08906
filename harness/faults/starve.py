"""Take away what a database needs: its connections, its pool, its disk space."""

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg import sql

from harness.database import Database
from harness.errors import ProvisionError
from harness.provision import PostgresServer

_BLOCK: Final = bytes(1 << 16)
_TABLESPACE: Final = "harness_small"


@asynccontextmanager
async def pool_held(database: Database) -> AsyncIterator[None]:
    """Hold every connection of a pool."""
    async with AsyncExitStack() as stack:
        for _ in range(database.config.pool_max_size):
            await stack.enter_async_context(database.pool.connection())
        yield


@asynccontextmanager
async def connections_held(url: str) -> AsyncIterator[int]:
    """Hold every connection that the server still gives out; yield how many there were.

    Meant for a server of its own with a small `max_connections`.
    """
    async with AsyncExitStack() as stack:
        held = 0
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            except psycopg.OperationalError as exc:
                if "too many clients" not in str(exc) and "connection slots" not in str(exc):
                    raise
                break
            await stack.enter_async_context(connection)
            held += 1
        yield held


@dataclass(frozen=True, slots=True)
class SmallVolume:
    """A file system of few bytes that holds a tablespace."""

    path: Path
    tablespace: str

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Leave no byte free for the length of the block."""
        ballast = self.path / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(_BLOCK)
                except OSError as exc:
                    if exc.errno != errno.ENOSPC:
                        raise
            yield
        finally:
            ballast.unlink(missing_ok=True)


@asynccontextmanager
async def small_volume(
    server: PostgresServer, *, size_bytes: int = 48 << 20
) -> AsyncIterator[SmallVolume]:
    """Mount a small tmpfs and make it a tablespace of the server; databases in it can fill it.

    The write-ahead log stays where it is: were it on the same volume, the server would end when
    that is full. Databases in the tablespace must be dropped before the block ends.

    Raises:
        ProvisionError: This user may not mount, or the server's processes cannot be seen.
    """
    pids = server.pids()
    with tempfile.TemporaryDirectory(prefix="harness-volume-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 -- the server's user must pass through it
        path = Path(folder) / "small"
        path.mkdir()
        await _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "tmpfs", str(path))
        try:
            place = path / "tablespace"
            place.mkdir()
            owner = psutil.Process(pids[0])
            os.chown(place, owner.uids().effective, owner.gids().effective)
            async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as admin:
                name = sql.Identifier(_TABLESPACE)
                make = sql.SQL("CREATE TABLESPACE {} LOCATION {}")
                await admin.execute(make.format(name, sql.Literal(str(place))))
                try:
                    yield SmallVolume(path, _TABLESPACE)
                finally:
                    await admin.execute(sql.SQL("DROP TABLESPACE {}").format(name))
        finally:
            await _run("umount", "--lazy", str(path))


async def _run(*command: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
    except OSError as exc:
        raise ProvisionError(f"{command[0]} cannot be run: {exc}") from exc
    _, said = await process.communicate()
    if process.returncode:
        raise ProvisionError(f"{command[0]} failed: {said.decode(errors='replace').strip()}")
