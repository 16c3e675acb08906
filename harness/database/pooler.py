"""Finds out whether a transaction pooler that loses prepared statements is in between."""

import asyncio
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import scalar_row

_BACKEND: Final = "SELECT pg_backend_pid()"
_PREPARED: Final = "SELECT pg_backend_pid() AS prepared"
_WAIT_S: Final = 1.0
"""A pooler with one backend keeps a client waiting as long as another one's transaction lasts."""


async def loses_prepared_statements(conninfo: str) -> bool:
    """Tell whether a prepared statement of one connection can be gone at its next use.

    Two live connections that are served by one backend are behind a pooler. What the first one has
    prepared is then executed while the second one occupies that backend: a pooler that keeps track
    of prepared statements (pgbouncer from 1.21 on, if configured so) carries them along. Where that
    cannot be tried, since the pooler has one backend only or the database is slow, it is not said.

    Raises:
        psycopg.Error: The database cannot be reached.
    """
    async with (
        await AsyncConnection.connect(conninfo, autocommit=True) as first,
        await AsyncConnection.connect(conninfo, autocommit=True) as second,
    ):
        first.prepare_threshold = 0
        try:
            async with asyncio.timeout(_WAIT_S):
                backend = await _scalar(first, _PREPARED)
                async with second.transaction():
                    second.prepare_threshold = None
                    if await _scalar(second, _BACKEND) != backend:
                        return False
                    await _scalar(first, _PREPARED)
        except (
            psycopg.errors.InvalidSqlStatementName,
            psycopg.errors.DuplicatePreparedStatement,
        ):
            return True
        except TimeoutError:
            return False
    return False


async def _scalar(connection: AsyncConnection[object], query: str) -> object:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(query.encode())
    return await cursor.fetchone()
