"""LangGraph's tables in Postgres: what looks behind a saver there, and what kills it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, TupleRow
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from harness.contract.checkpointer.base import Kept
from harness.errors import HarnessError

SaverPool = AsyncConnectionPool[AsyncConnection[DictRow]]

_TABLES: dict[Kept, str] = {
    "checkpoints": "checkpoints",
    "blobs": "checkpoint_blobs",
    "writes": "checkpoint_writes",
}


class PostgresSaverProbe:
    """Counts rows over a connection of its own."""

    sees_hidden = True

    def __init__(self, connection: AsyncConnection[TupleRow]) -> None:
        self._connection = connection

    async def count(self, kept: Kept, thread_id: str) -> int:
        """Count what is stored of a thread, in all its namespaces."""
        query = SQL("SELECT count(*) FROM {} WHERE thread_id = %s")
        cursor = await self._connection.execute(
            query.format(Identifier(_TABLES[kept])), (thread_id,)
        )
        [(count,)] = await cursor.fetchall()
        return int(count)


class PostgresKiller:
    """Holds a call up at its last row, and terminates its backend there.

    The last row's key is inserted by another transaction first, which never commits: the call
    waits for it with its other rows written. `pg_terminate_backend` is what an administrator or a
    failover does; the server undoes what was not committed.
    """

    def __init__(
        self, holder: AsyncConnection[TupleRow], observer: AsyncConnection[TupleRow]
    ) -> None:
        self._holder = holder
        self._observer = observer

    async def during_put(self, call: Coroutine[Any, Any, Any], config: Any) -> bool:
        """Kill an `aput` that has written its blobs."""
        insert = (
            "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint) "
            "VALUES (%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, '{}')"
        )
        async with self._held(insert, config["configurable"]):
            return await self._kill(call)

    async def during_writes(
        self, call: Coroutine[Any, Any, Any], config: Any, task_id: str, last: int
    ) -> bool:
        """Kill an `aput_writes` that has written all but its last."""
        insert = (
            "INSERT INTO checkpoint_writes "
            "(thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, blob) VALUES "
            "(%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(idx)s, '', '')"
        )
        key = {**config["configurable"], "task_id": task_id, "idx": last}
        async with self._held(insert, key):
            return await self._kill(call)

    @asynccontextmanager
    async def _held(self, insert: str, key: dict[str, Any]) -> AsyncIterator[None]:
        async with self._holder.transaction(force_rollback=True):
            await self._holder.execute(insert.encode(), key)
            yield

    async def _kill(self, call: Coroutine[Any, Any, Any]) -> bool:
        task = asyncio.ensure_future(call)
        holder = self._holder.info.backend_pid
        terminate = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE %s = ANY(pg_blocking_pids(pid)) AND datname = current_database()"
        )
        while not task.done():
            cursor = await self._observer.execute(terminate, (holder,))
            if await cursor.fetchall():
                break
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            return True
        if not isinstance(outcome, psycopg.OperationalError | HarnessError):
            raise outcome
        return False
