"""LangGraph's Postgres checkpointer on a shared pool, without its one lock for everybody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import DatabaseUnavailable, InvalidInput, OutcomeUnknown
from harness.persistence.direct import DirectSaver
from harness.persistence.unwritten import counted
from harness.storage.postgres.checkpoints import (
    copy_thread,
    hold,
    shorten,
    shorten_thread,
    threads_of_runs,
)
from harness.storage.retention import Stays, not_of

ResultT = TypeVar("ResultT")


class PooledSaver(DirectSaver):
    """An `AsyncPostgresSaver` whose operations each take a connection of their own.

    The stock saver holds one `asyncio.Lock` around every operation, so that it uses one connection
    of a pool of any size, and deadlocks when it is called while its `alist` is iterated
    (https://github.com/langchain-ai/langgraph/issues/7259). A connection from a pool serves one
    operation at a time anyway, which is all that the lock is for.

    Connections come from a `Database`, which replaces dead ones before anything is sent, and whose
    errors are ours: a read whose connection dies is tried once more, a write raises
    `OutcomeUnknown`. Each write is one statement, therefore one transaction.

    `setup()` is the library's own, which races with itself; `setup_langgraph` does not.

    Args:
        database: An open database; the saver leaves closing it to its owner.
        serde: How values become bytes; by default a `Serializer`, which is strict under
            LANGGRAPH_STRICT_MSGPACK=true. Without that variable a compiled graph registers none of
            its classes, so that being strict here alone would refuse them.
        stores_configurable: Whether metadata take up what a config's `configurable` says, as
            LangGraph's savers have it.
    """

    def __init__(
        self,
        database: Database,
        *,
        serde: SerializerProtocol | None = None,
        stores_configurable: bool = True,
    ) -> None:
        super().__init__(database.pool, serde=serde, stores_configurable=stores_configurable)
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
            pipeline: Of no effect: each write is one statement.
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
            else:  # whole or absent, which a pipeline that is cancelled is not
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
            found = []
            async for one in read(named, filter=filter, before=before, limit=limit):
                found.append(one)
                await asyncio.sleep(0)  # small ones are read without a pause between them
            return found

        for one in await _read(everything):
            yield one

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
            LeaseLost: A run writes whose lease is gone, or nobody whom a saver that requires a
                fence knows (see `harness.persistence.fence`); nothing was written.
            NotFound: It writes to another thread, which its owner does not have; nothing was
                written.
            OutcomeUnknown: The connection died after it was sent.
            DatabaseUnavailable: There is none to be had; nothing was written.
            Overloaded: No connection became free in time; nothing was written.
        """
        with counted(config, checkpoint):
            return await super().aput(_named(config), checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, all or nothing; raises as `aput` does."""
        with counted(config):
            await super().aput_writes(_named(config), writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints, blobs and writes; raises as `aput` does."""
        async with self._held(str(thread_id)):
            await super().adelete_thread(str(thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread's checkpoints, blobs and writes, all or nothing; raises as `aput` does.

        Raises:
            Conflict: The target has some already; nothing was written.
        """
        source, target = str(source_thread_id), str(target_thread_id)
        async with self._held(target):
            await copy_thread(self._database, source, target)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete the checkpoints of threads, or all but the latest of each namespace.

        What the latest needs stays too, delta channels included: see `harness.storage.retention`.
        Each thread is a transaction of its own; raises as `aput` does.

        Args:
            thread_ids: Which threads.
            strategy: `keep_latest` or `delete`.

        Raises:
            TypeError: `thread_ids` is a text.
            InvalidInput: There is no such strategy.
            Conflict: A thread's checkpoints kept changing; those of the threads before are pruned.
        """
        if isinstance(thread_ids, str):
            raise TypeError("thread_ids must be a sequence of thread IDs, not a str")
        if strategy not in {"keep_latest", "delete"}:
            raise InvalidInput(f"there is no strategy {strategy!r}; use keep_latest or delete")
        for thread_id in dict.fromkeys(map(str, thread_ids)):
            if strategy == "delete":
                await self.adelete_thread(thread_id)
            else:
                await self._shorten(thread_id, lambda place, _: place == 0)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that runs made, but for those that others' need.

        Each thread is a transaction of its own; raises as `aput` does.

        Raises:
            Conflict: A thread's checkpoints kept changing; those of the threads before are done.
        """
        self._write_fence()  # nobody who may not write learns whether there is anything
        runs = frozenset(map(str, run_ids))
        for thread_id in await threads_of_runs(self._database, runs):
            await self._shorten(thread_id, not_of(runs), with_calls=False)

    async def _shorten(self, thread_id: str, stays: Stays, *, with_calls: bool = True) -> None:
        """Shorten a thread, under the fence that it needs."""
        fence = self._write_fence()
        if fence is None:
            await shorten_thread(self._database, thread_id, stays, with_calls=with_calls)
            return
        async with self._database.unit() as connection:
            await hold(connection, thread_id)  # before the run, as by all that lock both
            await self._hold_fence(fence, thread_id)
            await shorten(connection, thread_id, stays, with_calls=with_calls)

    @asynccontextmanager
    async def _held(self, thread_id: str) -> AsyncIterator[None]:
        """Make one transaction of the block, under the fence that it needs; raises as `aput`."""
        fence = self._write_fence()
        if fence is None:
            yield
            return
        async with self._database.unit():
            await self._hold_fence(fence, thread_id)
            yield


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
