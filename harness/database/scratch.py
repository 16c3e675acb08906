"""Databases for tests and benchmarks: cloned from a migrated template, dropped when left."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from harness.config import DatabaseConfig, redact
from harness.database.conninfo import bounded, reason
from harness.database.database import Database
from harness.database.liveness import is_stale
from harness.errors import DatabaseUnavailable, ProvisionError

PREFIX = "harness_scratch"
"""Every database made here is called this, an underscore, and a random part."""

_FILE_COPY_SINCE = 15_00_00
_POLL_S = 0.005


def with_database(url: str, name: str) -> str:
    """Return the address of another database on the same server."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        return make_conninfo(url, dbname=name)
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k != "dbname"]
    return urlunsplit(parts._replace(path=f"/{quote(name)}", query=urlencode(query)))


class ScratchDatabases:
    """Makes databases on a server and drops them; touches no other database there.

    An async context manager, for one event loop. What it made is gone when it is left.

    Args:
        server_url: Address of any database on the server, of a user who may create databases.
    """

    def __init__(self, server_url: str) -> None:
        self._url = server_url
        self._prefix = f"{PREFIX}_{secrets.token_hex(6)}"
        self._numbers = count(1)
        self._template: str | None = None
        self._connection: AsyncConnection[TupleRow] | None = None
        self._mutex = asyncio.Lock()
        self._template_mutex = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the template and disconnect; safe to call twice."""
        template, self._template = self._template, None
        try:
            if template is not None:
                await self._drop(template)
        finally:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    @asynccontextmanager
    async def clone(self) -> AsyncIterator[str]:
        """Lend the address of a fresh, migrated database.

        Raises:
            DatabaseUnavailable: The server cannot be reached.
            ProvisionError: The user may not create databases.
        """
        template = await self._ensure_template()
        async with self._database(template) as url:
            yield url

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """Lend the address of a fresh database with nothing in it.

        Raises:
            DatabaseUnavailable: The server cannot be reached.
            ProvisionError: The user may not create databases.
        """
        async with self._database("template0") as url:
            yield url

    @asynccontextmanager
    async def _database(self, template: str) -> AsyncIterator[str]:
        name = f"{self._prefix}_{next(self._numbers)}"
        try:
            await self._create(name, template)
            yield with_database(self._url, name)
        finally:
            await self._drop(name)

    async def _ensure_template(self) -> str:
        async with self._template_mutex:
            if self._template is None:
                name = f"{self._prefix}_template"
                try:
                    await self._create(name, "template0")
                    url = with_database(self._url, name)
                    config = replace(
                        DatabaseConfig.for_scratch(url), pool_min_size=1, pool_max_size=1
                    )
                    async with Database(config, name=name) as database:
                        await database.migrate()
                    await self._close_to_clients(name)
                except BaseException:
                    await self._drop(name)
                    raise
                self._template = name
            return self._template

    async def _create(self, name: str, template: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'{}")
        async with self._maintenance() as connection:
            fast = connection.info.server_version >= _FILE_COPY_SINCE
            # The default strategy writes every page to the log, several times as slow here. Where
            # somebody is connected to the template, the server waits for up to 5 s by itself.
            strategy = sql.SQL(" STRATEGY FILE_COPY" if fast else "")
            await connection.execute(
                statement.format(sql.Identifier(name), sql.Identifier(template), strategy)
            )

    async def _close_to_clients(self, name: str) -> None:
        """Let nobody connect any more, and end who is connected."""
        async with self._maintenance() as connection:
            await connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
            )
            await self._end_sessions(connection, name)

    async def _end_sessions(self, connection: AsyncConnection[TupleRow], name: str) -> None:
        """End our user's sessions of a database, and wait until they are gone.

        Before it copies or drops, the server would wait as well, but in steps of 100 ms, also for
        sessions that their clients have just closed.
        """
        cursor = await connection.execute(
            "SELECT pg_terminate_backend(pid), pid FROM pg_stat_activity "
            "WHERE datname = %s AND usename = current_user",  # a pooler would keep ours for minutes
            (name,),
        )
        ended = [pid for _, pid in await cursor.fetchall()]
        if not ended:
            return
        while True:
            cursor = await connection.execute(
                "SELECT FROM pg_stat_activity WHERE pid = ANY(%s)", (ended,)
            )
            if cursor.rowcount == 0:
                return
            await asyncio.sleep(_POLL_S)

    async def _drop(self, name: str) -> None:
        async with self._maintenance() as connection:
            await self._end_sessions(connection, name)
            await connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    @asynccontextmanager
    async def _maintenance(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend the one connection that creates and drops; a new one if the server ended it."""
        async with self._mutex:
            if self._connection is None or is_stale(self._connection):
                self._connection = await self._connect()
            try:
                yield self._connection
            except psycopg.errors.InsufficientPrivilege as exc:
                user = self._connection.info.user
                raise ProvisionError(
                    f"the user {user} may not create databases at {redact(self._url)}; "
                    f'allow it with ALTER ROLE "{user}" CREATEDB, or unset DATABASE_URL to use an '
                    f"embedded server ({reason(exc)})"
                ) from exc

    async def _connect(self) -> AsyncConnection[TupleRow]:
        if self._connection is not None:
            await self._connection.close()
        try:
            return await AsyncConnection.connect(
                bounded(self._url), autocommit=True, prepare_threshold=None
            )
        except psycopg.Error as exc:
            raise DatabaseUnavailable(
                f"the database at {redact(self._url)} cannot be used: {reason(exc)}"
            ) from exc
