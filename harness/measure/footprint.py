"""What threads occupy in LangGraph's tables of a scratch database: rows, bytes, disk, log."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection

from harness.database import Database
from harness.schema import CHECKPOINT_TABLES
from harness.storage.postgres.sql import load

SQL: Final = load("footprint", package="harness.measure")
_CROWD_BYTES: Final = 4_000_000
"""About how much is stored to see what stored bytes take on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one thread occupies, by table."""

    rows: dict[str, int]
    stored_bytes: dict[str, int]
    """The rows as they are stored, compressed, without indexes."""


async def footprint(database: Database, thread_id: str) -> Footprint:
    """Count a thread's rows and their bytes with plain SQL."""
    found = await database.read(SQL["thread"], {"thread_id": thread_id})
    return Footprint(
        rows={row["table"]: row["rows"] for row in found},
        stored_bytes={row["table"]: row["bytes"] for row in found},
    )


async def disk_bytes(database: Database) -> dict[str, int]:
    """Return what each table takes on the disk, with its indexes and what it keeps out of line."""
    found = await database.read(SQL["disk"], {"tables": list(CHECKPOINT_TABLES)})
    return {row["table"]: row["bytes"] for row in found}


async def log_position(database: Database) -> int:
    """Return how many bytes the server has ever written to its write-ahead log."""
    [row] = await database.read(SQL["log"])
    return int(row["bytes"])


async def empty(database: Database) -> None:
    """Remove all threads, and give their pages back to the disk."""
    await database.write(SQL["empty"])


async def settle(database: Database) -> None:
    """Vacuum and analyze now, as autovacuum does some time after many rows were written."""
    await database.write(SQL["settle"])


async def copy_thread(database: Database, thread_id: str, copy: str, checkpoints: int) -> None:
    """Copy a thread as it was when its checkpoint of that number, from 1, had just been stored.

    The rows are copied with SQL, their bytes untouched. Nothing but their thread's id differs from
    what LangGraph wrote.

    Args:
        database: Where it is.
        thread_id: Whose first checkpoints are taken; it has one namespace and no forks.
        copy: The new thread's id.
        checkpoints: How many.
    """
    named = {"thread_id": thread_id, "copy": copy}
    async with _set_up(database) as connection:
        await connection.execute(SQL["copy_checkpoints"], {**named, "count": checkpoints})
        await connection.execute(SQL["copy_blobs"], named)
        await connection.execute(SQL["copy_writes"], named)


async def copy_whole(database: Database, thread_id: str, copies: Sequence[str]) -> None:
    """Copy all rows of a thread as often as there are new ids, in one transaction.

    The rows of all copies are mixed as they come when as many conversations are held at once.
    """
    named = {"thread_id": thread_id, "copies": list(copies)}
    async with _set_up(database) as connection:
        await connection.execute(SQL["crowd_checkpoints"], named)
        await connection.execute(SQL["crowd_blobs"], named)
        await connection.execute(SQL["crowd_writes"], named)


@asynccontextmanager
async def _set_up(database: Database) -> AsyncIterator[AsyncConnection[Any]]:
    """Lend a transaction whose rows need not survive a crash; what is timed is not done in it."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL synchronous_commit = off")
        yield connection


async def disk_factor(database: Database, thread_id: str) -> float:
    """Return the bytes on disk for each stored byte where many threads like this one lie.

    A thread alone is no measure: most of what it has on disk is room in its pages. So it is copied
    many times, and the files are weighed before and after. The copies stay.

    Args:
        database: A scratch database.
        thread_id: A thread that has rows.
    """
    there = await footprint(database, thread_id)
    stored = sum(there.stored_bytes.values())
    copies = max(_CROWD_BYTES // stored, 1)
    before = sum((await disk_bytes(database)).values())
    names = [f"{number}{thread_id}" for number in range(1, copies + 1)]
    await copy_whole(database, thread_id, names)
    after = sum((await disk_bytes(database)).values())
    return (after - before) / (copies * stored)
