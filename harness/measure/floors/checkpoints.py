"""The floor of a checkpointer: its statements through bare psycopg, values made beforehand."""

import json
from collections.abc import Callable
from typing import Any, Final

from langgraph.checkpoint.base import get_serializable_checkpoint_metadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.abc import Params
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from harness.measure.floors.bare import Pool, execute
from harness.measure.floors.sql import blocks
from harness.measure.turns import INLINE, Call, Get, Player, Put, Step, Turn, Write

_SQL: Final = blocks("checkpoints")
_GET: Final = f"{_SQL['select']} {_SQL['get']}"
_NEWEST: Final = f"{_SQL['select']} {_SQL['newest']}"
_ID: Final = "@id"
_THREAD: Final = "@thread"


def play_floor(pool: Pool, turn: Turn) -> Player:
    """Return a player of a turn that does nothing but send, on the pool's connections."""

    async def newest(thread_id: str, limit: int) -> int:
        return len(await _read(pool, _NEWEST, (thread_id, "", limit)))

    async def get(thread_id: str, _number: int) -> object:
        found = await _read(pool, _GET, {"thread_id": thread_id, "checkpoint_ns": ""})
        return found[0] if found else None

    def step(call: Call) -> Step:
        match call:
            case Get():
                return get
            case Put():
                return _put(pool, turn, call)
            case Write():
                return _write(pool, turn, call)

    return Player(steps=tuple(map(step, turn.calls)), newest=newest)


def _put(pool: Pool, turn: Turn, put: Put) -> Step:
    values = put.checkpoint["channel_values"]
    changed = [channel for channel in put.changed if not isinstance(values.get(channel), INLINE)]
    blobs = {}
    for channel in changed:  # one at most
        kind, blob = JsonPlusSerializer().dumps_typed(values[channel])
        blobs = {"channel_0": channel, "type_0": kind, "blob_0": blob}
    checkpoint = _checkpoint_text(turn, put)
    metadata = get_serializable_checkpoint_metadata(turn.config(_THREAD), put.metadata)
    metadata_text = json.dumps(metadata)

    async def step(thread_id: str, number: int) -> None:
        place = turn.number(put.place, number)
        checkpoint_id = turn.checkpoint_id(place)
        params = {
            "thread_id": thread_id,
            "checkpoint_ns": "",
            "checkpoint_id": checkpoint_id,
            "parent_id": turn.checkpoint_id(place - 1) if place else None,
            "checkpoint": Jsonb(checkpoint(checkpoint_id, number), dumps=str),
            "metadata": Jsonb(metadata_text.replace(_THREAD, thread_id), dumps=str),
        }
        if changed:
            [channel] = changed
            version = turn.version(put.versions[channel], number)
            await execute(pool, _SQL["put_with_blob"], {**params, **blobs, "version_0": version})
        else:
            await execute(pool, _SQL["put"], params)

    return step


def _write(pool: Pool, turn: Turn, write: Write) -> Step:
    params: dict[str, Any] = {
        "checkpoint_ns": "",
        "task_id": write.task_id,
        "task_path": write.task_path,
    }
    for n, (channel, value) in enumerate(write.writes):
        kind, blob = JsonPlusSerializer().dumps_typed(value)
        params |= {f"idx_{n}": n, f"channel_{n}": channel, f"type_{n}": kind, f"blob_{n}": blob}
    query = _SQL[f"write_{len(write.writes)}"]

    async def step(thread_id: str, number: int) -> None:
        checkpoint_id = turn.checkpoint_id(turn.number(write.place, number))
        address = {"thread_id": thread_id, "checkpoint_id": checkpoint_id}
        await execute(pool, query, {**params, **address})

    return step


def _checkpoint_text(turn: Turn, put: Put) -> Callable[[str, int], str]:
    """Return what makes a checkpoint's JSON of its id and its turn, by filling them in."""
    inline = {
        channel: value
        for channel, value in put.checkpoint["channel_values"].items()
        if isinstance(value, INLINE)
    }
    marks = {f"@{relative}@": relative for relative in set(put.versions.values())}
    versions = {channel: f"@{relative}@" for channel, relative in put.versions.items()}
    text = json.dumps(
        {**put.checkpoint, "id": _ID, "channel_values": inline, "channel_versions": versions}
    )

    def filled(checkpoint_id: str, number: int) -> str:
        found = text.replace(_ID, checkpoint_id)
        for mark, relative in marks.items():
            found = found.replace(mark, turn.version(relative, number))
        return found

    return filled


async def _read(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        cursor = connection.cursor(binary=True, row_factory=tuple_row)
        await cursor.execute(query, params)
        return await cursor.fetchall()
