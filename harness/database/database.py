"""The three ways to send SQL: a read, a write, and a transaction; and what each one's end means."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Params, QueryNoTemplate
from psycopg.pq import TransactionStatus
from psycopg.rows import AsyncRowFactory, DictRow, dict_row

from harness.config import DatabaseConfig
from harness.database.connections import Connections, Pool, unbounded_statements
from harness.database.conninfo import reason
from harness.database.liveness import has_died
from harness.database.patience import step_aside
from harness.database.translate import ROLLED_BACK, raise_translated
from harness.database.usage import Usage
from harness.errors import OutcomeUnknown
from harness.schema.migrate import migrate

Row = TypeVar("Row")

_ATTEMPTS = 4
"""How often a statement is sent that the server undid because of concurrent ones."""


class Database:
    """A pool of connections to one Postgres database, for one event loop.

    Use it as an async context manager, or `open` and `close` it. Nothing relies on the state of a
    session, so with `prepare_threshold=None` it works through a transaction pooler.

    Args:
        config: What to connect to and how.
        name: Name of the pool, in logs and statistics.

    Raises:
        ConfigError: The config has no URL.
    """

    def __init__(self, config: DatabaseConfig, *, name: str = "harness") -> None:
        self.config = config
        self._connections = Connections(config, name)

    @property
    def pool(self) -> Pool:
        """The open pool.

        Raises:
            DatabaseUnavailable: The database is not open.
        """
        return self._connections.pool

    @property
    def usage(self) -> Usage:
        """How its connections have been used; what takes one from the pool itself is not seen."""
        return self._connections.usage

    @property
    def clock_offset(self) -> timedelta:
        """The database's clock minus this process's, as of the newest connection."""
        return self._connections.clock_offset

    async def open(self) -> Self:
        """Connect; does nothing when it is open already.

        Raises:
            DatabaseUnavailable: There is no connection within 5 seconds; the message says why.
        """
        await self._connections.open()
        return self

    async def close(self) -> None:
        """Close every connection; safe in every state, and twice."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self, name: str) -> AsyncConnection[DictRow]:
        """Return a new connection beyond the pool, made as the pool's are, for any event loop.

        The caller closes it.

        Args:
            name: What it is for: behind the name of the application, where the URL gives none.

        Raises:
            psycopg.OperationalError: There is none to be had.
        """
        return await self._connections.connect(name)

    async def migrate(self) -> None:
        """Bring the schema up to this version; only ever adds.

        Raises:
            SchemaMismatch: The schema is newer than this version, or was made by other files.
            DatabaseUnavailable: The connection died; calling again takes up where it ended.
        """
        async with self._connections.lend() as connection:
            try:
                await migrate(connection)
            except psycopg.Error as exc:
                if has_died(connection, exc):
                    raise self._connections.unavailable(reason(exc)) from exc
                raise_translated(exc)

    async def now(self) -> datetime:
        """Return the database's time, in UTC."""
        rows = await self.read("SELECT clock_timestamp() AS now")
        now: datetime = rows[0]["now"]
        return now.astimezone(UTC)

    @overload
    async def read(self, query: QueryNoTemplate, params: Params | None = None) -> list[DictRow]: ...

    @overload
    async def read(
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Row],
    ) -> list[Row]: ...

    async def read(
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Any] = dict_row,
    ) -> list[Any]:
        """Send one statement that changes nothing; once more if its connection dies.

        Raises:
            DatabaseUnavailable: The second connection died too, or there is none to be had.
            Overloaded: No connection became free in time.
        """
        try:
            return await self._run(query, params, row_factory)
        except OutcomeUnknown:
            try:
                return await self._run(query, params, row_factory)
            except OutcomeUnknown as exc:
                why = f"two connections in a row died ({reason(exc.__cause__ or exc)})"
                raise self._connections.unavailable(why) from exc

    @overload
    async def write(
        self, query: QueryNoTemplate, params: Params | None = None
    ) -> list[DictRow]: ...

    @overload
    async def write(
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Row],
    ) -> list[Row]: ...

    async def write(
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Any] = dict_row,
    ) -> list[Any]:
        """Send one statement, which is its own transaction: one round trip, one commit.

        Raises:
            OutcomeUnknown: The connection died after the statement was sent.
            DatabaseUnavailable: There is no connection to send it on; nothing was written.
            Overloaded: No connection became free in time; nothing was written.
            psycopg.IntegrityError: For the caller to interpret; nothing was written.
        """
        return await self._run(query, params, row_factory)

    async def _run(
        self, query: QueryNoTemplate, params: Params | None, row_factory: AsyncRowFactory[Row]
    ) -> list[Row]:
        attempt = 1
        while True:
            async with self._connections.lend() as connection:
                cursor = connection.cursor(row_factory=row_factory)
                try:
                    await cursor.execute(query, params)
                    return await cursor.fetchall() if cursor.description else []
                except psycopg.Error as exc:
                    if has_died(connection, exc):
                        raise OutcomeUnknown(
                            "the connection died after the statement was sent; it may or may not "
                            f"have been applied ({reason(exc)})"
                        ) from exc
                    undone = connection.pgconn.transaction_status == TransactionStatus.INERROR
                    if undone or not isinstance(exc, ROLLED_BACK) or attempt == _ATTEMPTS:
                        raise_translated(exc)
            await step_aside(attempt)
            attempt += 1

    @asynccontextmanager
    async def connection(
        self, *, unhurried: bool = False
    ) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Lend a connection to who sends SQL of its own, such as LangGraph's saver.

        Args:
            unhurried: Whether statements may take as long as they do, such as those that make
                indexes of large tables. Not within `unit`.

        Raises:
            OutcomeUnknown: It died; what was sent last may or may not have been applied.
            DatabaseUnavailable: There is none to be had; nothing was sent.
            Overloaded: None became free in time; nothing was sent.
            psycopg.IntegrityError: For the caller to interpret; nothing was written.
        """
        timeout_s = self.config.session_timeout_s if unhurried else None
        async with self._connections.lend() as connection:
            try:
                if timeout_s is None:
                    yield connection
                else:
                    async with unbounded_statements(connection, timeout_s):
                        yield connection
            except psycopg.Error as exc:
                if has_died(connection, exc):
                    raise OutcomeUnknown(
                        "the connection died while it was used; what was sent last may or may not "
                        f"have been applied ({reason(exc)})"
                    ) from exc
                raise_translated(exc)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Send several statements that commit together when the block ends.

        Raises:
            OutcomeUnknown: The connection died while the commit was under way.
            DatabaseUnavailable: It died before that, so that nothing was written.
            Overloaded: No connection became free in time; nothing was written.
            Conflict: The server undid it because of concurrent ones; nothing was written.
            psycopg.IntegrityError: For the caller to interpret; nothing was written.
        """
        committing = False
        async with self._connections.lend() as connection:
            try:
                async with connection.transaction():
                    yield connection
                    if connection.pgconn.transaction_status == TransactionStatus.INERROR:
                        # COMMIT would roll back and report success.
                        raise psycopg.errors.InFailedSqlTransaction(
                            "a statement of this transaction failed and its error was ignored"
                        )
                    committing = True
            except psycopg.Error as exc:
                if not has_died(connection, exc):
                    raise_translated(exc)
                if committing:
                    raise OutcomeUnknown(
                        "the connection died during the commit; the transaction may or may not "
                        f"have been applied ({reason(exc)})"
                    ) from exc
                why = f"the connection died before the commit, nothing was written ({reason(exc)})"
                raise self._connections.unavailable(why) from exc

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Make one transaction of all that is sent in the block, by whatever method it is.

        Also what tasks send that are started there, one statement after the other. A statement that
        fails undoes everything.

        Raises:
            Exception: As `transaction`.
        """
        async with self.transaction() as connection:
            with self._connections.hold(connection):
                yield connection
