"""LangGraph's Postgres checkpointer with one statement a write, and no thread for what is small.

The stock saver opens a pipeline of statements for each write, and moves to a thread and back to
serialise values and to read what tasks wrote. For a chat's state both take longer than the work.
"""

import asyncio
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, Final, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from harness.storage.postgres.sql import Blocks

SQL: Final = Blocks(
    resources.files("harness.persistence").joinpath("checkpoints.sql").read_text(encoding="utf-8")
)
LARGE_BYTES: Final = 32 * 1024
"""From this size on, values are serialised and read in a thread: about a millisecond's work."""
_INLINE: Final = (str, int, float, bool, type(None))
"""Values that stand in the checkpoint's own row."""
_NEWEST_FORMAT: Final = 4
_CROWD: Final = 2
"""Statements under way from which on writes give way."""
_TURNS: Final = 30
"""About as often LangGraph awaits something between reading a state and the first token."""


class DirectSaver(AsyncPostgresSaver):
    """An `AsyncPostgresSaver` that reads and writes the same rows with less ado.

    Whether a value is large is known only once it has been serialised, so the size of its channel's
    last one tells: the first large value of a channel is serialised on the event loop.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._large: set[str] = set()
        self._under_way = 0
        """Statements that were sent and not answered."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint; its connection is given back before the values are read."""
        configurable = config["configurable"]
        checkpoint_id = get_checkpoint_id(config)
        block = SQL["one"] if checkpoint_id else SQL["newest"]
        params = {
            "thread_id": configurable["thread_id"],
            "checkpoint_ns": configurable.get("checkpoint_ns", ""),
            "checkpoint_id": checkpoint_id,
        }
        row = await self._fetched(f"{SELECT} {block}", params)
        if row is None:
            return None
        if row["checkpoint"]["v"] < _NEWEST_FORMAT and row["parent_checkpoint_id"]:
            return await super().aget_tuple(config)  # which moves what old versions have left
        return await self._load_checkpoint_tuple(row)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its blobs, in one statement."""
        await self._give_way()
        configurable = config["configurable"]
        thread_id, checkpoint_ns = configurable["thread_id"], configurable["checkpoint_ns"]
        inline, values = _divided(checkpoint["channel_values"])
        versions = {name: new_versions[name] for name in new_versions if name in values}
        params: dict[str, Any] = {
            "thread_id": thread_id,
            "checkpoint_ns": checkpoint_ns,
            "checkpoint_id": checkpoint["id"],
            "parent_id": configurable.get("checkpoint_id"),
            "checkpoint": Jsonb({**checkpoint, "channel_values": inline}),
            "metadata": Jsonb(get_serializable_checkpoint_metadata(config, metadata)),
        }
        block = "put_without_blobs"
        if versions:
            block = "put"
            dump, asked = self._dump_blobs, (thread_id, checkpoint_ns, values, versions)
            if self._large.isdisjoint(versions):
                rows = dump(*asked)
            else:
                rows = await asyncio.to_thread(dump, *asked)
            self._learn((row[2], row[5]) for row in rows)
            params |= {
                "channels": [row[2] for row in rows],
                "versions": [row[3] for row in rows],
                "types": [row[4] for row in rows],
                "blobs": [row[5] for row in rows],
            }
        await self._fetched(SQL[block], params)
        return {
            "configurable": {
                "thread_id": thread_id,
                "checkpoint_ns": checkpoint_ns,
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, in one statement."""
        if not writes:
            return
        await self._give_way()
        configurable = config["configurable"]
        place = (
            configurable["thread_id"],
            configurable["checkpoint_ns"],
            configurable["checkpoint_id"],
            task_id,
            task_path,
        )
        if self._large.isdisjoint(channel for channel, _ in writes):
            rows = self._dump_writes(*place, writes)
        else:
            rows = await asyncio.to_thread(self._dump_writes, *place, writes)
        self._learn((row[6], row[8]) for row in rows)
        block = "write"
        if all(channel in WRITES_IDX_MAP for channel, _ in writes):
            block = "rewrite"
            rows = list({row[5]: row for row in rows}.values())  # of one place the last one counts
        params = {
            "thread_id": place[0],
            "checkpoint_ns": place[1],
            "checkpoint_id": place[2],
            "task_id": task_id,
            "task_path": task_path,
            "places": [row[5] for row in rows],
            "channels": [row[6] for row in rows],
            "types": [row[7] for row in rows],
            "blobs": [row[8] for row in rows],
        }
        await self._fetched(SQL[block], params)

    async def _fetched(self, statement: str, params: dict[str, Any]) -> DictRow | None:
        """Send a statement, and return its first row."""
        self._under_way += 1
        try:
            async with self._cursor() as cursor:
                await cursor.execute(statement, params, binary=True)
                return await cursor.fetchone() if cursor.description else None
        finally:
            self._under_way -= 1

    async def _give_way(self) -> None:
        """Let other conversations go on before a write takes the event loop.

        With `durability="async"` nobody waits for a write, but whoever is about to read its first
        token waits for the processor. Alone, a conversation is not held up.
        """
        if self._under_way >= _CROWD:
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        blobs, writes = value["channel_values"] or [], value["pending_writes"] or []
        size_bytes = sum(len(blob[2] or b"") for blob in blobs) + sum(len(one[3]) for one in writes)
        if size_bytes < LARGE_BYTES:
            return self._loaded(value)
        return await asyncio.to_thread(self._loaded, value)

    def _loaded(self, row: DictRow) -> CheckpointTuple:
        place = {"thread_id": row["thread_id"], "checkpoint_ns": row["checkpoint_ns"]}
        parent_id, checkpoint = row["parent_checkpoint_id"], row["checkpoint"]
        values = {
            **(checkpoint.get("channel_values") or {}),
            **self._load_blobs(row["channel_values"]),
        }
        return CheckpointTuple(
            {"configurable": {**place, "checkpoint_id": row["checkpoint_id"]}},
            cast("Checkpoint", {**checkpoint, "channel_values": values}),
            row["metadata"],
            {"configurable": {**place, "checkpoint_id": parent_id}} if parent_id else None,
            self._load_writes(row["pending_writes"]),
        )

    def _learn(self, sizes: Iterable[tuple[str, bytes | None]]) -> None:
        """Remember which channels are large."""
        for channel, blob in sizes:
            if blob is not None and len(blob) >= LARGE_BYTES:
                self._large.add(channel)
            else:
                self._large.discard(channel)


SELECT: Final = " ".join(AsyncPostgresSaver.SELECT_SQL.split())
"""What the stock saver reads of a checkpoint."""


def _divided(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide channel values into those of the checkpoint's own row and those stored apart."""
    inline: dict[str, Any] = {}
    apart: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, _INLINE):
            inline[name] = value
        else:
            apart[name] = value
            if isinstance(value, _DeltaSnapshot):
                inline[name] = True  # the mark that its blob is a snapshot
    return inline, apart
