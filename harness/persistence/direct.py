"""LangGraph's Postgres checkpointer with one statement a call, and no thread for what is small.

The stock saver sends a pipeline of statements for each put, which stores a part of it when it is
cancelled between two of them. It also moves to a thread and back to serialise what it puts and to
read what tasks wrote, which takes longer than that work itself where the state is a chat's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, Final, Literal, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncCursor
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from harness.database.connections import Pool
from harness.errors import HarnessError, InvalidInput, NotFound, Unreadable
from harness.persistence.fence import Fence, Fenceable
from harness.persistence.inline import divided, scalars
from harness.persistence.metadata import without_configurable
from harness.persistence.serde import Serializer
from harness.persistence.unwritten import note_size
from harness.storage.checks import check_id
from harness.storage.postgres.sql import load

RowT = TypeVar("RowT", bound=tuple[Any, ...])
Place = Literal["at_home", "elsewhere"]
"""Whether a run writes to its own thread."""

SQL: Final = load("checkpoints", package="harness.persistence")
SELECT: Final = " ".join(AsyncPostgresSaver.SELECT_SQL.split())
"""What the stock saver reads of a checkpoint."""
ONE: Final = SELECT + " " + SQL["one"]
NEWEST: Final = SELECT + " " + SQL["newest"]
MOST_VALUES: Final = 8
"""Rows that travel as values. Each number of them is a statement of its own, to be prepared on each
connection; and psycopg parses anew, on each call, what has more than 50 parameters."""
LARGE_BYTES: Final = 32 * 1024
"""From this size on, values are serialised and read in a thread: about a millisecond of work."""
_CROWD: Final = 2
"""Statements under way from which on writes give way."""
_TURNS: Final = 30
"""About as often LangGraph awaits something between reading a state and the first token."""
_TURNS_ALONE: Final = 12
"""Enough for a conversation's own first token to come before its first write."""
_OLD: Final = 4
"""Checkpoints of formats before this one have parts elsewhere, which the stock saver gathers."""
_PLAIN: Final = (JsonPlusSerializer, Serializer)
"""Serializers, without their subclasses, that hide nothing of what they are given."""


class DirectSaver(Fenceable, AsyncPostgresSaver):
    """An `AsyncPostgresSaver` that reads and writes the same rows with less ado.

    How large a value is is known only once it has been serialised, so its channel's last size tells
    where that is done: the first large one is serialised on the event loop.

    A plain value lies in the checkpoint's own row if jsonb keeps it exactly; any other is a blob.
    With a serializer that may hide what it is given, such as LangGraph's `EncryptedSerializer`, all
    values are blobs, whatever the rows of before hold.

    Args:
        pool: Its connections are autocommitted, so that a statement is a transaction.
        serde: How values become bytes; by default a `Serializer`.
        stores_configurable: Whether metadata take up what a config's `configurable` says, as
            LangGraph's savers have it.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        serde: SerializerProtocol | None = None,
        stores_configurable: bool = True,
    ) -> None:
        super().__init__(pool, serde=Serializer() if serde is None else serde)
        self._stores_configurable = stores_configurable
        self._large: set[str] = set()
        self._under_way: set[object] = set()
        """Statements that were sent and not answered, whichever run's saver sent them."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint; its connection is given back before its values are read."""
        configurable = config["configurable"]
        checkpoint_id = get_checkpoint_id(config)
        params = {
            "thread_id": configurable["thread_id"],
            "checkpoint_ns": configurable.get("checkpoint_ns", ""),
            "checkpoint_id": checkpoint_id,
        }
        row = await self._answer(ONE if checkpoint_id else NEWEST, params)
        if row is None:
            return None
        if row["checkpoint"]["v"] < _OLD and row["parent_checkpoint_id"]:
            return await super().aget_tuple(config)
        return await self._load_checkpoint_tuple(row)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its blobs, all or nothing."""
        await self._give_way()
        hides = type(self.serde) not in _PLAIN
        inline, apart = divided(checkpoint["channel_values"], hides=hides)
        versions = {name: version for name, version in new_versions.items() if name in apart}
        if hides:  # a value that has not changed may lie inline in the rows of before
            versions = {**scalars(apart, checkpoint["channel_versions"]), **versions}
        told = config if self._stores_configurable else without_configurable(config)
        configurable = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable["checkpoint_ns"]
        blobs = await self._dumped(
            versions, lambda: self._dump_blobs(thread_id, namespace, apart, versions)
        )
        address = {
            "thread_id": thread_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint["id"],
        }
        params = {
            **address,
            "parent_id": configurable.get("checkpoint_id"),
            "checkpoint": Jsonb({**checkpoint, "channel_values": inline}),
            "metadata": Jsonb(get_serializable_checkpoint_metadata(told, metadata)),
            **_params(("channel", "version", "type", "blob"), [row[2:] for row in blobs]),
        }
        if blobs:
            await self._store("put_with_blobs", "blob", len(blobs), params)
        else:
            await self._store("put", None, 0, params)
        return {"configurable": address}

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, all or nothing."""
        if not writes:
            return
        await self._give_way()
        channels = [channel for channel, _ in writes]
        configurable = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable["checkpoint_ns"]
        checkpoint_id = configurable["checkpoint_id"]
        rows = await self._dumped(
            channels,
            lambda: self._dump_writes(
                thread_id, namespace, checkpoint_id, task_id, task_path, writes
            ),
        )
        special = all(channel in WRITES_IDX_MAP for channel in channels)
        if special:  # a statement changes a row once at most; of several writes the last one counts
            rows = list({row[5]: row for row in rows}.values())
        params = {
            "thread_id": thread_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
            "task_id": task_id,
            "task_path": task_path,
            **_params(("idx", "channel", "type", "blob"), [row[5:] for row in rows]),
        }
        await self._store("rewrite" if special else "write", "written", len(rows), params)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints, blobs and writes, all or nothing."""
        await self._answer(SQL["delete_thread"], {"thread_id": thread_id})

    async def _store(
        self, name: str, row: str | None, rows: int, params: Mapping[str, Any]
    ) -> None:
        """Send a statement that stores so many rows, under the fence that is around this call.

        Raises:
            LeaseLost: The run that writes has no lease any more; nothing was written.
            NotFound: It writes to another thread, which its owner does not have; likewise.
        """
        fence = self._write_fence()
        if fence is None:
            async with self._executed(statement(name, row, rows), params):
                return
        await self._pass(
            fence, params["thread_id"], lambda place: statement(name, row, rows, place), params
        )

    async def _hold_fence(self, fence: Fence, thread_id: str) -> None:
        """Lock a run, and the thread that it writes to, until the transaction ends; as `_store`."""
        await self._pass(
            fence, thread_id, lambda place: SQL.render("hold", fence=SQL[place]), params={}
        )

    async def _pass(
        self,
        fence: Fence,
        thread_id: str,
        query_at: Callable[[Place], str],
        params: Mapping[str, Any],
    ) -> None:
        """Send a statement that counts no row if the fence does not let it through."""
        of_run = {"fence_run": fence.run_id, "fence_token": fence.token}
        place: Place = "at_home" if thread_id == fence.thread_id else "elsewhere"
        params, prepare = {**params, **of_run}, None
        if place == "elsewhere":  # seldom: not worth the room among prepared statements
            of_thread = {"fence_place": _stored_thread(thread_id), "fence_owner": fence.owner}
            params, prepare = {**params, **of_thread}, False
        async with self._executed(query_at(place), params, prepare=prepare) as cursor:
            passed = cursor.rowcount > 0
        if not passed:
            if place == "elsewhere" and await self._answer(SQL["is_leased"], of_run) is not None:
                raise NotFound.of("thread", thread_id)
            raise fence.lost()

    async def _answer(self, query: str, params: Mapping[str, Any]) -> DictRow | None:
        """Send a statement, and return the first row if it returns any."""
        async with self._executed(query, params) as cursor:
            return await cursor.fetchone() if cursor.description else None

    @asynccontextmanager
    async def _executed(
        self, query: str, params: Mapping[str, Any], *, prepare: bool | None = None
    ) -> AsyncIterator[AsyncCursor[DictRow]]:
        """Send a statement; what comes back is there for the block."""
        sent = object()
        self._under_way.add(sent)
        try:
            async with self._cursor() as cursor:
                await cursor.execute(query, params, prepare=prepare, binary=True)
                yield cursor
        finally:
            self._under_way.discard(sent)

    async def _give_way(self) -> None:
        """Let conversations go on before a write takes the event loop.

        With `durability="async"` nobody waits for a write, but whoever is about to read its first
        token waits for the processor. Where it is waited for, the turns cost some microseconds.
        """
        for _ in range(_TURNS if len(self._under_way) >= _CROWD else _TURNS_ALONE):
            await asyncio.sleep(0)

    async def _dumped(
        self, channels: Collection[str], dump: Callable[[], list[RowT]]
    ) -> list[RowT]:
        """Serialise here, or in a thread where a channel was large the last time."""
        here = self._large.isdisjoint(channels)
        rows = dump() if here else await asyncio.to_thread(dump)
        note_size(sum(len(row[-1] or b"") for row in rows))
        self._large.difference_update(channels)
        self._large.update(
            channel
            for channel, row in zip(channels, rows, strict=True)
            if len(row[-1] or b"") >= LARGE_BYTES
        )
        return rows

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        """Read a row's values: here, or in a thread where they are large."""
        blobs = sum(len(blob) for _, _, blob in value["channel_values"] or ())
        writes = sum(len(blob) for _, _, _, blob, _, _ in value["pending_writes"] or ())
        if blobs + writes < LARGE_BYTES:
            return self._loaded(value)
        return await asyncio.to_thread(self._loaded, value)

    def _load_blobs(self, blob_values: list[tuple[bytes, bytes, bytes]]) -> dict[str, Any]:
        with _told():
            return super()._load_blobs(blob_values)

    def _load_writes(
        self, writes: list[tuple[bytes, bytes, bytes, bytes, bytes, bytes]] | None
    ) -> list[tuple[str, str, Any]]:
        with _told():
            return super()._load_writes(writes)

    def _migrate_pending_sends(self, *args: Any) -> None:
        with _told():
            super()._migrate_pending_sends(*args)

    def _build_delta_channels_writes_history(self, **given: Any) -> dict[str, DeltaChannelHistory]:
        with _told():
            return super()._build_delta_channels_writes_history(**given)

    def _loaded(self, row: DictRow) -> CheckpointTuple:
        checkpoint: Checkpoint = row["checkpoint"]
        inline, apart = checkpoint.get("channel_values"), self._load_blobs(row["channel_values"])
        parent_id = row["parent_checkpoint_id"]
        return CheckpointTuple(
            config=_config(row, row["checkpoint_id"]),
            checkpoint={**checkpoint, "channel_values": {**(inline or {}), **apart}},
            metadata=row["metadata"],
            parent_config=_config(row, parent_id) if parent_id else None,
            pending_writes=self._load_writes(row["pending_writes"]),
        )


def statement(name: str, row: str | None, rows: int, place: Place | None = None) -> str:
    """Return a statement that stores so many rows.

    Args:
        name: Its template.
        row: What its rows are; None: it has none of varying number.
        rows: How many.
        place: Where a run writes, under its fence; None: there is none.
    """
    return _statement(name, row, min(rows, MOST_VALUES + 1), place)


@cache
def _statement(name: str, row: str | None, rows: int, place: Place | None) -> str:
    if place is None:
        return SQL[name] if row is None else SQL.render(name, rows=_rows(row, rows))
    made = "" if row is None else SQL.render(f"{row}_fenced", made=_made(row, rows))
    return SQL.render(f"{name}_fenced", fence=SQL[place], rows=made)


def _rows(row: str, rows: int) -> str:
    if rows > MOST_VALUES:
        return SQL[f"many_{row}"]
    return "VALUES " + ", ".join(SQL.render(row, n=str(n)) for n in range(rows))


def _made(row: str, rows: int) -> str:
    if rows > MOST_VALUES:
        return SQL[f"many_made_{row}"]
    values = ", ".join(SQL.render(f"made_{row}", n=str(n)) for n in range(rows))
    return SQL.render(f"few_made_{row}", values=values)


def _stored_thread(thread_id: str) -> str:
    """Return an id as storage writes it, if it can be that of a thread there.

    Raises:
        NotFound: It cannot.
    """
    try:
        if check_id(thread_id, "thread") == thread_id:
            return thread_id
    except InvalidInput:
        pass
    raise NotFound.of("thread", thread_id)


def _params(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return what stands for rows in the statement that stores so many."""
    if len(rows) > MOST_VALUES:
        arrays = zip(columns, zip(*rows, strict=True), strict=True)
        return {f"{column}s": list(values) for column, values in arrays}
    return {
        f"{column}_{n}": value
        for n, row in enumerate(rows)
        for column, value in zip(columns, row, strict=True)
    }


def _config(row: DictRow, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": row["thread_id"],
            "checkpoint_ns": row["checkpoint_ns"],
            "checkpoint_id": checkpoint_id,
        }
    }


@contextmanager
def _told() -> Iterator[None]:
    """Have whatever a serializer raises be one error.

    Raises:
        Unreadable: It is none of ours.
    """
    try:
        yield
    except HarnessError:
        raise
    except Exception as exc:
        raise Unreadable.of(exc) from exc
