"""Databases on a small volume, which a test can fill."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from harness.provision import PostgresServer


@asynccontextmanager
async def database_in(server: PostgresServer, tablespace: str) -> AsyncIterator[str]:
    """Address of a database that lies in a tablespace and is dropped at the end."""
    name = sql.Identifier("harness_small")
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 TABLESPACE {}")
        await admin.execute(create.format(name, sql.Identifier(tablespace)))
        try:
            yield psycopg.conninfo.make_conninfo(server.url, dbname="harness_small")
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
