"""A database on a small volume, which a test can fill."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
from psycopg import sql

from harness.errors import ProvisionError
from harness.faults.starve import SmallVolume, small_volume
from harness.provision import PostgresServer


@asynccontextmanager
async def small_database(server: PostgresServer) -> AsyncIterator[tuple[SmallVolume, str]]:
    """Make a volume, and a database on it; where no volume can be made, the test is skipped."""
    async with AsyncExitStack() as stack:
        try:
            volume = await stack.enter_async_context(small_volume(server))
        except ProvisionError as exc:
            pytest.skip(f"no small disk can be made here: {exc}")
        yield volume, await stack.enter_async_context(_database_in(server, volume.tablespace))


@asynccontextmanager
async def _database_in(server: PostgresServer, tablespace: str) -> AsyncIterator[str]:
    """Address of a database that lies in a tablespace and is dropped at the end."""
    name = sql.Identifier("harness_small")
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 TABLESPACE {}")
        await admin.execute(create.format(name, sql.Identifier(tablespace)))
        try:
            yield psycopg.conninfo.make_conninfo(server.url, dbname="harness_small")
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
