"""LangGraph's checkpoints in Postgres, where they are deleted: threads shortened, one at a time.

Below LangGraph's own packages: rows and keys, nothing deserialized. The saver in
`harness.persistence` and the storage's retention both delete through this.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from psycopg import Rollback
from psycopg.rows import DictRow, scalar_row

from harness.database import Database, step_aside
from harness.errors import Conflict
from harness.models import Freed, Pruned
from harness.storage.postgres.links import SQL, Connection, links_of, rows
from harness.storage.retention import Settlement, Stays, settle

_ATTEMPTS: Final = 5

ResultT = TypeVar("ResultT")


async def tables(database: Database) -> frozenset[str]:
    """Return which of the tables that hold histories there are: LangGraph's, `thread_states`."""
    return frozenset(await database.read(SQL["tables"], row_factory=scalar_row))


async def in_thread(
    database: Database,
    thread_id: str,
    act: Callable[[Connection, datetime], Awaitable[ResultT]],
    *,
    dry_run: bool = False,
) -> ResultT:
    """Act in a transaction that keeps others from shortening the thread; undo it in a dry run.

    At READ COMMITTED: what goes is decided from one statement's snapshot and then deleted by its
    keys, so what a run stores meanwhile is neither seen nor deleted; and what the transaction
    before has deleted is seen, for which a snapshot taken before the wait would be too old.

    Args:
        database: Where.
        thread_id: Which.
        act: Given the connection and the database's time.
        dry_run: Whether to roll back in the end.

    Raises:
        Conflict: Five times somebody else's change of the same rows came in between.
    """
    attempt = 1
    while True:
        try:
            async with database.transaction() as connection:
                now = await hold(connection, thread_id)
                done = await act(connection, now)
                if dry_run:
                    raise Rollback
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return done
        await step_aside(attempt)
        attempt += 1


async def hold(connection: Connection, thread_id: str) -> datetime:
    """Keep others from shortening a thread until the transaction ends; return the time."""
    [row] = await rows(connection, SQL["hold"], id=thread_id)
    now: datetime = row["now"]
    return now


async def shorten(
    connection: Connection, thread_id: str, stays: Stays, *, with_calls: bool = True
) -> Pruned:
    """Delete the checkpoints that neither stay nor are needed, and return the rows they freed.

    With them goes all that only they use.

    To be called in a transaction of `in_thread`.

    Raises:
        Conflict: A run has just gone on from a checkpoint that was to go.
    """
    links = await links_of(connection, thread_id)
    settlement = settle(links, stays, with_calls=with_calls)
    pruned = Pruned()
    if settlement.calls:
        pruned += await _delete_calls(connection, thread_id, settlement.calls)
    for namespace in settlement.gone:
        pruned += await _delete(connection, thread_id, namespace, settlement)
    return pruned


async def shorten_thread(
    database: Database, thread_id: str, stays: Stays, *, with_calls: bool = True
) -> Pruned:
    """Shorten a thread in a transaction of its own; see `shorten`.

    Raises:
        Conflict: Its checkpoints kept changing; nothing was written.
    """

    async def act(connection: Connection, _: datetime) -> Pruned:
        return await shorten(connection, thread_id, stays, with_calls=with_calls)

    return await in_thread(database, thread_id, act)


async def threads_of_runs(database: Database, run_ids: Collection[str]) -> list[str]:
    """Return the threads that have checkpoints of these runs, sorted."""
    found = await database.read(SQL["of_runs"], {"run_ids": list(run_ids)}, row_factory=scalar_row)
    return sorted(found)


async def copy_thread(database: Database, source: str, target: str) -> None:
    """Copy all of a thread, in one transaction.

    Raises:
        Conflict: The target has checkpoints, blobs or writes already; nothing was written.
    """

    async def act(connection: Connection, _: datetime) -> bool:
        [row] = await rows(connection, SQL["is_taken"], target=target)
        if not row["taken"]:
            await rows(connection, SQL["copy"], id=source, target=target)
        return bool(row["taken"])

    if await in_thread(database, target, act):
        raise Conflict(f"thread {target} has checkpoints already")


async def _delete_calls(
    connection: Connection, thread_id: str, namespaces: Sequence[str]
) -> Pruned:
    place = {"id": thread_id, "namespaces": namespaces}
    return Pruned(
        checkpoints=await _freed(connection, SQL["delete_call_checkpoints"], **place),
        blobs=await _freed(connection, SQL["delete_call_blobs"], **place),
        writes=await _freed(connection, SQL["delete_call_writes"], **place),
    )


async def _delete(
    connection: Connection, thread_id: str, namespace: str, settlement: Settlement
) -> Pruned:
    gone = settlement.gone[namespace]
    place = {"id": thread_id, "namespace": namespace}
    garbage = defaultdict[str, list[str]](list)
    for row in await rows(connection, SQL["garbage"], **place, gone=gone):
        garbage[row["channel"]].append(row["version"])
    checkpoints = await _freed(connection, SQL["delete_checkpoints"], **place, gone=gone)
    blobs = Freed()
    for channel, versions in sorted(garbage.items()):
        blobs += await _freed(
            connection, SQL["delete_blobs"], **place, channel=channel, versions=versions
        )
    writes = await _freed(connection, SQL["delete_writes"], **place, gone=gone)
    made_roots = await rows(connection, SQL["make_roots"], **place, gone=gone)
    _check_known(made_roots, settlement.kept[namespace], thread_id)
    for channel, lost in settlement.lost.get(namespace, {}).items():
        await rows(connection, SQL["lose_channel"], **place, channel=channel, lost=lost)
    return Pruned(checkpoints=checkpoints, blobs=blobs, writes=writes)


def _check_known(made_roots: Sequence[DictRow], kept: Collection[str], thread_id: str) -> None:
    if any(row["checkpoint_id"] not in kept for row in made_roots):
        raise Conflict(
            f"a run has gone on from a checkpoint of thread {thread_id} that was to go; "
            "nothing was written"
        )


async def _freed(connection: Connection, statement: str, **parameters: Any) -> Freed:
    [row] = await rows(connection, statement, **parameters)
    return Freed(rows=row["rows"], size_bytes=row["size_bytes"])
