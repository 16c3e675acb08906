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

from harness.database import Database
from harness.errors import Conflict
from harness.models import Freed, Pruned
from harness.storage.postgres.links import SQL, Connection, links_of, rows
from harness.storage.retention import Settlement, Stays, settle

CROWDED: Final = {
    among: SQL.render("crowded", condition=SQL["of_threads"] if among else "")
    for among in (False, True)
}
"""The statements for the threads that are long: among given ones or all."""
TABLES: Final = frozenset({"checkpoints", "checkpoint_blobs", "checkpoint_writes"})
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
        Conflict: `act` did, or somebody else's change of the same rows came in between, five times.
    """
    attempt = 1
    while True:
        try:
            async with database.transaction() as connection:
                now = (await rows(connection, SQL["hold"], id=thread_id))[0]["now"]
                done = await act(connection, now)
                if dry_run:
                    raise Rollback
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return done
        attempt += 1


async def shorten(
    connection: Connection, thread_id: str, stays: Stays, *, with_calls: bool = True
) -> Pruned:
    """Delete the checkpoints that neither stay nor are needed, with all that only they use.

    To be called in a transaction of `in_thread`.

    Raises:
        Conflict: A run has just gone on from a checkpoint that was to go.
    """
    links = await links_of(connection, thread_id)
    settlement = settle(links, stays, with_calls=with_calls)
    pruned = Pruned(threads=int(bool(settlement)))
    if settlement.calls:
        pruned += await _delete_calls(connection, thread_id, settlement.calls)
    for namespace in settlement.gone:
        pruned += await _delete(connection, thread_id, namespace, settlement)
    return pruned


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
