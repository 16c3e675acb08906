"""Reads what is to know of a thread's checkpoints in Postgres before some of them go."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from harness.storage.postgres.sql import load
from harness.storage.retention import Link, time_of

SQL: Final = load("checkpoints")

Connection = AsyncConnection[DictRow]
Blob = tuple[str, str, str]
"""A namespace, a channel and its version."""


async def links_of(connection: Connection, thread_id: str) -> list[Link]:
    """Return a thread's checkpoints, newest first in each namespace.

    None of a thread that LangGraph.js marks as one with delta channels: it does not say which of
    its channels they are, so nothing is known to be safe to delete.
    """
    found = await rows(connection, SQL["links"], id=thread_id)
    if not found or any(row["of_js"] for row in found):
        return []
    stored: set[Blob] = set()
    if channels := found[0]["channels"]:
        blobs = await rows(connection, SQL["stored"], id=thread_id, channels=channels)
        stored.update((row["checkpoint_ns"], row["channel"], row["version"]) for row in blobs)
    sending: set[tuple[str, str]] = set()
    if any(_is_old(row) for row in found):
        writes = await rows(connection, SQL["sends"], id=thread_id)
        sending.update((row["checkpoint_ns"], row["checkpoint_id"]) for row in writes)
    deltas = _deltas(found, stored)
    return [
        Link(
            namespace=row["checkpoint_ns"],
            checkpoint_id=row["checkpoint_id"],
            parent_id=row["parent_checkpoint_id"],
            made_at=time_of(row["ts"]),
            root=row["root"],
            run_id=row["run_id"],
            sends=_is_old(row) and (row["checkpoint_ns"], row["parent_checkpoint_id"]) in sending,
            **_deltas_in(row, deltas, stored),
        )
        for row in found
    ]


async def rows(connection: Connection, statement: str, **parameters: Any) -> list[DictRow]:
    """Send a statement; unprepared, so that its plan knows how long its arrays are.

    (The plan kept of a prepared one compares each row with an array's elements one by one.)
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters, prepare=False)
        return await cursor.fetchall() if cursor.description else []


def _is_old(row: Mapping[str, Any]) -> bool:
    """Tell whether a checkpoint reads its pending sends from its parent."""
    return row["v"] is not None and row["v"] < 4


def _deltas(found: Sequence[Mapping[str, Any]], stored: Collection[Blob]) -> frozenset[str]:
    """Return the delta channels: those counted, and those with a blob behind an inline `true`."""
    marked = {
        channel
        for row in found
        for channel, version, inline in _values(row)
        if inline == "true" and (row["checkpoint_ns"], channel, version) in stored
    }
    return frozenset(marked.union(found[0]["counted"]))


def _deltas_in(
    row: Mapping[str, Any], deltas: Collection[str], stored: Collection[Blob]
) -> dict[str, frozenset[str]]:
    """Return which delta channels are open and which are stored in a checkpoint.

    A value is stored as a blob, or inline; the walk to it passes an inline null by, as LangGraph's.
    """
    here: dict[str, set[str]] = {"open": set(), "stored": set()}
    for channel, version, inline in _values(row):
        if channel not in deltas:
            continue
        if inline not in {None, "null"} or (row["checkpoint_ns"], channel, version) in stored:
            here["stored"].add(channel)
        elif version is not None:
            here["open"].add(channel)
    return {name: frozenset(channels) for name, channels in here.items()}


def _values(row: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Return channels with their versions and what stands inline, as JSON text."""
    return zip(row["channels"], row["versions"], row["inline"], strict=True)
