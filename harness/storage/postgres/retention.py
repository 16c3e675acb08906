"""Shortens the histories of threads in Postgres: states, and LangGraph's checkpoints if there."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import InvalidInput
from harness.models import Freed, Pruned
from harness.schema import CHECKPOINT_TABLES
from harness.storage.checks import check_id
from harness.storage.postgres import checkpoints
from harness.storage.postgres.checkpoints import in_thread, shorten
from harness.storage.postgres.links import Connection, rows
from harness.storage.postgres.sql import Blocks, load
from harness.storage.requests import Keeping
from harness.storage.retention import newest

STATES: Final = load("states")
THREADS: Final = load("threads")
CHECKPOINTS: Final = load("checkpoints")
OF_LANGGRAPH: Final = frozenset(CHECKPOINT_TABLES)
ALL_TABLES: Final = OF_LANGGRAPH | {"thread_states"}

OnThread = Callable[[int, int, str], None]
"""Told after each thread: how many are done, of how many, and which it was."""


def _crowded_in(blocks: Blocks) -> dict[bool, str]:
    """Return the statements for the threads that have many rows: among given ones or all."""
    return {
        among: blocks.render("crowded", condition=blocks["of_threads"] if among else "")
        for among in (False, True)
    }


CROWDED_STATES: Final = _crowded_in(STATES)
CROWDED_CHECKPOINTS: Final = _crowded_in(CHECKPOINTS)


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

    async def prune_all(
        self,
        thread_ids: Sequence[str] | None,
        keeping: Keeping,
        owner: str | None,
        *,
        on_thread: OnThread = lambda _done, _total, _thread_id: None,
    ) -> Pruned:
        """Prune threads, each in a transaction of its own: an owner's, or everybody's.

        Raises:
            Conflict: A thread's checkpoints kept changing; those of the threads before are pruned.
        """
        there = await self.tables()
        crowded = await self._crowded_among(thread_ids, keeping, owner, there)
        pruned = Pruned()
        for done, thread_id in enumerate(crowded, start=1):
            pruned += await self._prune(thread_id, keeping, owner, there)
            on_thread(done, len(crowded), thread_id)
        return pruned

    async def prune(self, thread_id: str, keeping: Keeping, owner: str | None) -> Pruned:
        """Prune a thread, if it is the owner's or None is given for everybody's, at once.

        Raises:
            Conflict: Its checkpoints kept changing; nothing was written.
        """
        return await self._prune(thread_id, keeping, owner, await self.tables())

    async def _crowded_among(
        self,
        thread_ids: Sequence[str] | None,
        keeping: Keeping,
        owner: str | None,
        there: Collection[str],
    ) -> list[str]:
        """Return the threads of which something might go, in the order of their ids.

        A thread that only LangGraph knows may have any text for an id.
        """
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
            found.update(await self._crowded(CROWDED_STATES, among, keeping))
        if OF_LANGGRAPH.issubset(there):
            found.update(await self._crowded(CROWDED_CHECKPOINTS, ids, keeping))
        return sorted(found)

    async def _crowded(
        self, statements: dict[bool, str], ids: list[str] | None, keeping: Keeping
    ) -> list[str]:
        parameters = {"keep": keeping.keep} | ({} if ids is None else {"ids": ids})
        return await self._database.read(
            statements[ids is not None], parameters, row_factory=scalar_row
        )

    async def _prune(
        self, thread_id: str, keeping: Keeping, owner: str | None, there: Collection[str]
    ) -> Pruned:
        async def act(connection: Connection, now: datetime) -> Pruned:
            pruned = Pruned()
            if "thread_states" in there and _is_ours(thread_id):
                held = await rows(connection, THREADS["hold"], id=thread_id)
                if owner is not None and [row["owner"] for row in held] != [owner]:
                    return pruned
                pruned += await _prune_states(connection, thread_id, keeping)
            if OF_LANGGRAPH.issubset(there):
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
