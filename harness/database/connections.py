"""Lends live connections: opens the pool, refuses dead ones, and brings it back after an outage."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from harness.config import DatabaseConfig
from harness.database.conninfo import bounded, named, reason
from harness.database.gate import Gate, beneficiary
from harness.database.liveness import is_stale
from harness.database.pooler import loses_prepared_statements
from harness.database.translate import POOLED, raise_translated
from harness.database.usage import Usage
from harness.errors import ConfigError, DatabaseUnavailable, Overloaded

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

OPEN_TIMEOUT_S = 4.0
"""Seconds after which `open` gives up, so that a caller knows within five."""
_CLOSE_FAILED_TIMEOUT_S = 0.2
_RETRY_S = 0.1


@dataclass(slots=True)
class _Hold:
    """A connection that one task has for a while, with those that it starts."""

    of: "Connections"
    connection: AsyncConnection[DictRow]
    is_over: bool = False


_HOLD: Final = ContextVar[_Hold | None]("hold", default=None)


class Connections:
    """One pool of autocommitted connections, and what was learned while connecting.

    Args:
        config: What to connect to and how.
        name: Name of the pool.

    Raises:
        ConfigError: The config has no URL.
    """

    def __init__(self, config: DatabaseConfig, name: str) -> None:
        if config.url is None:
            raise ConfigError("DATABASE_URL is not set, so there is no database to open")
        self._config = config
        self._name = name
        self._conninfo = bounded(config.url)
        self._options: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": config.prepare_threshold,
        }
        self._pool: Pool | None = None
        self._mutex = asyncio.Lock()
        self.usage = Usage()
        self._failure: str | None = None
        self._reviver: asyncio.Task[None] | None = None
        self.clock_offset = timedelta()
        share = config.connections_per_owner
        self._gate = None if share is None else Gate(config.pool_max_size, share)

    @property
    def pool(self) -> Pool:
        """The open pool.

        Raises:
            DatabaseUnavailable: It is not open.
        """
        if self._pool is None:
            raise DatabaseUnavailable("the database is not open")
        return self._pool

    async def open(self) -> None:
        """Fill the pool; does nothing when it is open already.

        Raises:
            ConfigError: A pooler in between would lose the statements that are to be prepared.
            DatabaseUnavailable: That was not possible within 5 seconds; the message says why.
        """
        async with self._mutex:
            if self._pool is None:
                self._pool = await self._opened()

    async def _opened(self) -> Pool:
        pool = self._make_pool()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                # The pool does not tell why it cannot connect; a connection of our own does.
                await self._probe()
                await self._check_pooler()
                await pool.open(wait=True, timeout=2 * OPEN_TIMEOUT_S)
        except BaseException as exc:
            await pool.close(_CLOSE_FAILED_TIMEOUT_S)
            if isinstance(exc, TimeoutError):
                raise self.unavailable(self._failure or "it does not answer in time") from exc
            if isinstance(exc, psycopg.Error):
                raise self.unavailable(reason(exc)) from exc
            raise
        return pool

    def _make_pool(self) -> Pool:
        return AsyncConnectionPool(
            self._conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, **self._options},
            min_size=self._config.pool_min_size,
            max_size=self._config.pool_max_size,
            open=False,
            configure=self._prepare,
            name=self._name,
            timeout=self._config.pool_timeout_s,
            # Give up at once and let `_revive` see to it: the pool's own back-off doubles up to
            # minutes, and callers would still wait for it long after the server is back.
            reconnect_timeout=0,
            reconnect_failed=self._connect_failed,
        )

    async def close(self) -> None:
        """Close every connection; safe in every state, and twice."""
        async with self._mutex:
            pool, self._pool = self._pool, None
            reviver, self._reviver = self._reviver, None
            if reviver is not None:
                reviver.cancel()
                await asyncio.gather(reviver, return_exceptions=True)
            if pool is not None:
                await pool.close()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Lend a connection that was alive a moment ago; who holds none queues for it.

        Connections that the server has ended are recognised here, before anything is sent, so a
        restart costs no write. (The pool's own `check=` would cost each call a round trip, and
        makes a caller wait through its back-off.)

        Raises:
            Overloaded: None became free within the pool's timeout.
            DatabaseUnavailable: None can be made, and that for as long as the pool's timeout.
        """
        hold = _HOLD.get()
        if hold is not None and hold.of is self and not hold.is_over:
            yield hold.connection
            return
        pool, owner = self.pool, beneficiary()
        self.usage.asked()
        try:
            connection = await self._take(pool, owner)
        except BaseException:
            self.usage.gave_up()
            raise
        self.usage.taken()
        try:
            yield connection
        finally:
            self.usage.given()
            try:
                await self._take_back(pool, connection)
            finally:
                self._leave(owner)

    async def _take(self, pool: Pool, owner: str) -> AsyncConnection[DictRow]:
        """Return a connection, and be inside the gate."""
        deadline = monotonic() + self._config.pool_timeout_s
        if self._gate is not None:
            try:
                await self._gate.enter(owner, self._config.pool_timeout_s)
            except TimeoutError as exc:
                raise self._none_free() from exc
        try:
            return await self._live(pool, deadline)
        except BaseException:
            self._leave(owner)
            raise

    def _leave(self, owner: str) -> None:
        if self._gate is not None:
            self._gate.leave(owner)

    async def _live(self, pool: Pool, deadline: float) -> AsyncConnection[DictRow]:
        try:
            connection = await pool.getconn(max(deadline - monotonic(), 0.0))
            while is_stale(connection):
                await connection.close()
                await asyncio.shield(pool.putconn(connection))
                connection = await pool.getconn(deadline - monotonic())
        except PoolTimeout as exc:
            raise self._none_free() from exc
        except psycopg.Error as exc:
            raise_translated(exc)
        return connection

    def _none_free(self) -> DatabaseUnavailable | Overloaded:
        if self._failure is not None and not self.usage.in_use:
            return self.unavailable(self._failure)
        return Overloaded(
            f"no database connection became free within {self._config.pool_timeout_s:g} s"
        )

    @contextmanager
    def hold(self, connection: AsyncConnection[DictRow]) -> Iterator[None]:
        """Lend this connection to who asks in the block, or in a task that is started there."""
        hold = _Hold(self, connection)
        token = _HOLD.set(hold)
        try:
            yield
        finally:
            hold.is_over = True
            _HOLD.reset(token)

    async def _take_back(self, pool: Pool, connection: AsyncConnection[DictRow]) -> None:
        """Return a connection to its pool, also when the caller is being cancelled.

        Cancelled while it waits for the pool's lock, `putconn` loses the connection for good (seen
        once in 45,000 calls of a storm of cancellations). It waits for that lock only while callers
        queue, so that the shield's extra task, a fifth of a short statement, is saved otherwise.
        """
        if self.usage.waiting or _has_waiting(pool):
            await asyncio.shield(pool.putconn(connection))
        else:
            await pool.putconn(connection)

    def unavailable(self, why: str) -> DatabaseUnavailable:
        """Return the error that names this database, without its password, and the reason."""
        return DatabaseUnavailable(f"the database at {self._config.safe_url} cannot be used: {why}")

    async def _probe(self) -> None:
        async with await AsyncConnection.connect(
            self._conninfo, autocommit=True, prepare_threshold=None
        ) as connection:
            await connection.execute("SELECT 1")

    async def connect(self, name: str) -> AsyncConnection[DictRow]:
        """Return a new connection beyond the pool, for any event loop.

        Args:
            name: What it is for: behind the name of the application, where the URL gives none.

        Raises:
            psycopg.OperationalError: There is none to be had.
        """
        return await AsyncConnection.connect(
            named(self._conninfo, name), row_factory=dict_row, **self._options
        )

    async def _check_pooler(self) -> None:
        prepares = self._config.prepare_threshold is not None
        if prepares and await loses_prepared_statements(self._conninfo):
            raise ConfigError(POOLED.message)

    async def _prepare(self, connection: AsyncConnection[DictRow]) -> None:
        """Bound how long a statement takes on a new connection, and learn the server's time."""
        before = datetime.now(UTC)
        cursor = await connection.execute("SELECT clock_timestamp() AS now")
        row = await cursor.fetchone()
        after = datetime.now(UTC)
        if row is not None:
            self.clock_offset = row["now"] - (before + (after - before) / 2)
        if (timeout_s := self._config.session_timeout_s) is not None:
            await bound_statements(connection, timeout_s)
        self._failure = None

    async def _connect_failed(self, pool: AsyncConnectionPool[Any]) -> None:
        """Take over from a pool that has given up on a connection."""
        self._failure = self._failure or "no connection could be made"
        if self._reviver is None or self._reviver.done():
            self._reviver = asyncio.create_task(self._revive(pool), name=f"{self._name}-reviver")

    async def _revive(self, pool: AsyncConnectionPool[Any]) -> None:
        """As long as callers wait and connecting fails, try again, at a steady pace."""
        while self._failure is not None and not pool.closed and _has_waiting(pool):
            try:
                await self._probe()
            except psycopg.Error as exc:
                self._failure = reason(exc)
            else:
                await pool.check()  # makes it grow again
            await asyncio.sleep(_RETRY_S)


async def bound_statements(connection: AsyncConnection[DictRow], timeout_s: float) -> None:
    """Have the server give up whatever takes longer.

    A bound that the connection string or the role's own settings give comes first.
    """
    await connection.execute(
        "SELECT set_config('statement_timeout', %(ms)s, false)"
        " WHERE current_setting('statement_timeout') = '0'",
        {"ms": str(ceil(1_000 * timeout_s))},
    )


@asynccontextmanager
async def unbounded_statements(
    connection: AsyncConnection[DictRow], timeout_s: float
) -> AsyncIterator[None]:
    """Let statements of the block take as long as they do, and bound the connection again.

    A connection that cannot be bounded again is closed, so that its pool replaces it.

    Args:
        connection: In no transaction.
        timeout_s: The bound that `bound_statements` has given it.
    """
    try:
        await connection.execute("SET statement_timeout = 0")
        yield
    finally:
        try:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                await connection.execute("RESET statement_timeout")
                await bound_statements(connection, timeout_s)
            else:  # it is dead, or its pool rolls back what would be set now
                await connection.close()
        except BaseException as exc:
            await connection.close()
            if not isinstance(exc, psycopg.Error):
                raise


def _has_waiting(pool: AsyncConnectionPool[Any]) -> bool:
    return pool.get_stats()["requests_waiting"] > 0
