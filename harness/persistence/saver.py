"""LangGraph's Postgres checkpointer on a shared pool, without its one lock for everybody."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncCursor
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow, dict_row, scalar_row

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import Conflict, DatabaseUnavailable, OutcomeUnknown
from harness.storage.postgres.checkpoints import in_thread, shorten
from harness.storage.postgres.links import SQL, Connection, rows
from harness.storage.requests import Keeping
from harness.storage.retention import Stays, newest, not_of

ResultT = TypeVar("ResultT")


class PooledSaver(AsyncPostgresSaver):
    """An `AsyncPostgresSaver` whose operations each take a connection of their own.

    The stock saver holds one `asyncio.Lock` around every operation, so that it uses one connection
    of a pool of any size, and deadlocks when it is called while its `alist` is iterated
    (https://github.com/langchain-ai/langgraph/issues/7259). A connection from a pool serves one
    operation at a time anyway, which is all that the lock is for.

    Connections come from a `Database`, which replaces dead ones before anything is sent, and whose
    errors are ours: a read whose connection dies is tried once more, a write raises
    `OutcomeUnknown`. Each write is one pipeline that ends in one Sync, therefore one transaction
    (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).

    `setup()` is the library's own, which races with itself; `setup_langgraph` does not.

    Args:
        database: An open database; the saver leaves closing it to its owner.
        serde: How values become bytes; by default the library's, which revives only registered
            types under LANGGRAPH_STRICT_MSGPACK=true. Without that variable a compiled graph
            registers none of its types, so being strict here alone would turn them into dicts.
    """

    def __init__(self, database: Database, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(database.pool, serde=serde)
        self._database = database

    @property
    def database(self) -> Database:
        """Where the checkpoints are."""
        return self._database

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        serde: SerializerProtocol | None = None,
    ) -> AsyncIterator[Self]:
        """Open a database for this saver alone.

        Args:
            conn_string: Where it is.
            pipeline: Of no effect: writes are pipelined always.
            serde: How values become bytes.

        Raises:
            DatabaseUnavailable: It cannot be reached within 5 seconds.
        """
        del pipeline
        async with Database(DatabaseConfig(url=conn_string), name="saver") as database:
            yield cls(database, serde=serde)

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        async with self._database.connection() as connection:
            cursor = connection.cursor(binary=True, row_factory=dict_row)
            if not pipeline:
                async with cursor:
                    yield cursor
            elif self.supports_pipeline:
                async with connection.pipeline(), cursor:
                    yield cursor
            else:
                async with connection.transaction(), cursor:
                    yield cursor

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, by default the newest of its thread and namespace.

        Raises:
            DatabaseUnavailable: Two connections in a row died, or there is none to be had.
            Overloaded: No connection became free in time.
        """
        read = super().aget_tuple
        named = _named(config)
        return await _read(lambda: read(named))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 -- the library's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first, as they are when the iteration begins.

        All are read before the first is yielded, so that no connection is held by a loop's body,
        nor by a loop that was left early. (The stock saver fetches all rows at once too.)

        Raises:
            DatabaseUnavailable: Two connections in a row died, or there is none to be had.
            Overloaded: No connection became free in time.
        """
        read = super().alist
        named = None if config is None else _named(config)

        async def everything() -> list[CheckpointTuple]:
            return [found async for found in read(named, filter=filter, before=before, limit=limit)]

        for found in await _read(everything):
            yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what rebuilds the delta channels of a checkpoint.

        Raises:
            DatabaseUnavailable: Two connections in a row died, or there is none to be had.
            Overloaded: No connection became free in time.
        """
        read = super().aget_delta_channel_history
        named = _named(config)
        return await _read(lambda: read(config=named, channels=channels))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its blobs, all or nothing.

        Raises:
            OutcomeUnknown: The connection died after it was sent.
            DatabaseUnavailable: There is none to be had; nothing was written.
            Overloaded: No connection became free in time; nothing was written.
        """
        return await super().aput(_named(config), checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, all or nothing; raises as `aput` does."""
        await super().aput_writes(_named(config), writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints, blobs and writes; raises as `aput` does."""
        await super().adelete_thread(str(thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete threads, or of each namespace all but the latest checkpoint; see `shorten`.

        Threads with delta channels keep what these are rebuilt from, where the stock saver refuses
        them; those that LangGraph.js marks as such are left as they are.

        Args:
            thread_ids: Which; each is pruned in a transaction of its own.
            strategy: `keep_latest` or `delete`.

        Raises:
            TypeError: The ids are one text.
            ValueError: There is no such strategy.
            Conflict: A thread kept changing; those before it are pruned.
            OutcomeUnknown: As of `aput`, for one thread.
        """
        if isinstance(thread_ids, str):
            raise TypeError("thread_ids must be several ids, not one text")
        if strategy not in {"keep_latest", "delete"}:
            raise ValueError(f"strategy must be keep_latest or delete, not {strategy!r}")
        for thread_id in dict.fromkeys(map(str, thread_ids)):
            if strategy == "delete":
                await self.adelete_thread(thread_id)
            else:
                await self._shorten(thread_id, _all_but_the_latest, with_calls=True)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that runs made, with their writes and the blobs only they use.

        Those from which a delta channel of another run's checkpoint is rebuilt stay. Looks through
        all checkpoints of all threads: LangGraph's tables have no index of runs. Each thread is a
        transaction; raises as `aprune` does.

        Args:
            run_ids: What the metadata of the checkpoints say under `run_id`.
        """
        runs = frozenset(map(str, run_ids))
        parameters = {"run_ids": sorted(runs)}
        threads = await self._database.read(SQL["of_runs"], parameters, row_factory=scalar_row)
        for thread_id in sorted(threads):
            await self._shorten(thread_id, lambda _: not_of(runs), with_calls=False)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints, blobs and writes of a thread, as they are at one moment.

        A thread that is not there has nothing to copy.

        Raises:
            Conflict: Something is stored under the target's id; nothing was written.
            OutcomeUnknown: As of `aput`.
        """
        source, target = str(source_thread_id), str(target_thread_id)

        async def copied(connection: Connection, _: datetime) -> bool:
            [row] = await rows(connection, SQL["is_taken"], target=target)
            if not row["taken"]:
                await rows(connection, SQL["copy"], id=source, target=target)
            return not row["taken"]

        refusal = Conflict(f"thread {target} has checkpoints already; nothing was written")
        try:
            if not await in_thread(self._database, target, copied):
                raise refusal
        except UniqueViolation as exc:  # a run has just begun there
            raise refusal from exc

    async def _shorten(
        self, thread_id: str, stays: Callable[[datetime], Stays], *, with_calls: bool
    ) -> None:
        async def act(connection: Connection, now: datetime) -> None:
            await shorten(connection, thread_id, stays(now), with_calls=with_calls)

        await in_thread(self._database, thread_id, act)


def _all_but_the_latest(now: datetime) -> Stays:
    return newest(Keeping(keep=1, older_than_s=None), now)


def _named(config: RunnableConfig) -> RunnableConfig:
    """Return the config with the thread's id as text, which is all that Postgres compares it to."""
    thread_id = config["configurable"]["thread_id"]
    if isinstance(thread_id, str):
        return config
    return {**config, "configurable": {**config["configurable"], "thread_id": str(thread_id)}}


async def _read(read: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Carry out what changes nothing; once more if its connection dies."""
    try:
        return await read()
    except OutcomeUnknown:
        try:
            return await read()
        except OutcomeUnknown as exc:
            raise DatabaseUnavailable(f"two connections in a row died ({exc})") from exc
