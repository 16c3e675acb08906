"""Shortens the histories of threads in Postgres: states, and LangGraph's checkpoints if there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import InvalidInput
from harness.models import Freed, Pruned
from harness.storage.checks import check_id
from harness.storage.postgres import checkpoints
from harness.storage.postgres.checkpoints import in_thread, shorten
from harness.storage.postgres.links import Connection, rows
from harness.storage.postgres.sql import load
from harness.storage.requests import Keeping
from harness.storage.retention import newest

STATES: Final = load("states")
THREADS: Final = load("threads")
ALL_TABLES: Final = checkpoints.TABLES | {"thread_states"}
CROWDED: Final = {
    among: STATES.render("crowded", condition=STATES["of_threads"] if among else "")
    for among in (False, True)
}
"""The statements for the threads that have many states: among given ones or all."""


class PostgresRetention:
    """Prunes threads one by one, also where some of the tables are missing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._all_there = False

    async def tables(self) -> frozenset[str]:
        """Return which of the tables that hold histories there are."""
        if self._all_there:
            return ALL_TABLES
        there = await checkpoints.tables(self._database)
        self._all_there = there >= ALL_TABLES
        return there

    async def crowded(
        self, thread_ids: Sequence[str] | None, keeping: Keeping, owner: str | None
    ) -> list[str]:
        """Return the threads of which something might go, in the order of their ids.

        A thread that only LangGraph knows may have any text for an id.
        """
        there = await self.tables()
        ids = list(thread_ids) if thread_ids is not None else None
        if owner is not None:
            ids = await self._database.read(
                THREADS["own" if ids is None else "own_among"],
                {"owner": owner} if ids is None else {"owner": owner, "ids": ids},
                row_factory=scalar_row,
            )
        found: set[str] = set()
        if "thread_states" in there:
            among = None if ids is None else [one for one in ids if _is_ours(one)]
            found.update(await self._crowded(CROWDED, among, keeping))
        if there >= checkpoints.TABLES:
            found.update(await self._crowded(checkpoints.CROWDED, ids, keeping))
        return sorted(found)

    async def _crowded(
        self, statements: dict[bool, str], ids: list[str] | None, keeping: Keeping
    ) -> list[str]:
        parameters = {"keep": keeping.keep} | ({} if ids is None else {"ids": ids})
        return await self._database.read(
            statements[ids is not None], parameters, row_factory=scalar_row
        )

    async def prune(self, thread_id: str, keeping: Keeping, owner: str | None) -> Pruned:
        """Prune a thread, if it is the owner's, in one transaction.

        Raises:
            Conflict: Its checkpoints kept changing; nothing was written.
        """
        there = await self.tables()

        async def act(connection: Connection, now: datetime) -> Pruned:
            pruned = Pruned()
            if "thread_states" in there and _is_ours(thread_id):
                held = await rows(connection, THREADS["hold"], id=thread_id)
                if owner is not None and [row["owner"] for row in held] != [owner]:
                    return pruned
                pruned += await _prune_states(connection, thread_id, keeping)
            if there >= checkpoints.TABLES:
                pruned += await shorten(connection, thread_id, newest(keeping, now))
            return replace(pruned, threads=int(pruned.rows > 0))

        return await in_thread(self._database, thread_id, act, dry_run=keeping.dry_run)


async def _prune_states(connection: Connection, thread_id: str, keeping: Keeping) -> Pruned:
    [row] = await rows(
        connection,
        STATES["prune"],
        id=thread_id,
        keep=keeping.keep,
        older_than_s=keeping.older_than_s,
    )
    if row["rows"]:
        await rows(connection, STATES["make_roots"], id=thread_id, gone=row["gone"])
    return Pruned(states=Freed(rows=row["rows"], size_bytes=row["size_bytes"]))


def _is_ours(thread_id: str) -> bool:
    """Tell whether an id can be a thread's in storage: a UUID, as it is written there."""
    try:
        return check_id(thread_id, "thread") == thread_id
    except InvalidInput:
        return False
