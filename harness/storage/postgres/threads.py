"""Threads, in Postgres; their states are in `states.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, get_args

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import Conflict, NotFound
from harness.models import Pruned, PruneStrategy, Thread
from harness.storage.interface import ThreadSortBy
from harness.storage.lifetimes import ttl_of
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.heads import head_parameters
from harness.storage.postgres.inserting import Inserting
from harness.storage.postgres.lifetimes import PostgresLifetimes, ttl_parameters
from harness.storage.postgres.records import rows_of, thread
from harness.storage.postgres.refusals import refusal
from harness.storage.postgres.retention import PostgresRetention
from harness.storage.postgres.searching import Searching, given, order_of, page_parameters
from harness.storage.postgres.sql import load
from harness.storage.postgres.states import PostgresStates
from harness.storage.requests import (
    HeadChange,
    Keeping,
    NewThread,
    Page,
    ThreadChange,
    ThreadQuery,
)

SQL: Final = load("threads")
SEARCHING: Final = Searching(SQL, get_args(ThreadSortBy), ["thread_id"])
_THREADS: Final = rows_of(thread)


class PostgresThreads(PostgresStates):
    """Carries out requests on threads and their states."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._retention = PostgresRetention(database)
        self._inserting = Inserting(
            database=database,
            blocks=SQL,
            kind="thread",
            identify=lambda new: new.thread_id,
            columns=_columns,
            record=_record,
            read=thread,
        )
        self._lifetimes = PostgresLifetimes(database, self._retention)

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        """Insert all or none."""
        return await self._inserting.insert(rows, owner=owner)

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        """Return a thread."""
        rows = await self._database.read(
            SQL["get"], {"id": thread_id, "owner": owner}, row_factory=_THREADS
        )
        if not rows:
            raise NotFound.of("thread", thread_id)
        return rows[0]

    async def update(self, thread_id: str, change: ThreadChange, *, owner: str) -> Thread:
        """Merge metadata, and set the time to live if one is given."""
        rows = await self._database.write(
            SQL["update"],
            {
                "id": thread_id,
                "owner": owner,
                "metadata": dumps(change.metadata),
                **ttl_parameters(change.ttl),
            },
            row_factory=_THREADS,
        )
        if not rows:
            raise await refusal(self._database, SQL["owner_of"], "thread", thread_id, owner=owner)
        return rows[0]

    async def search(self, query: ThreadQuery, page: Page, *, owner: str) -> list[Thread]:
        """Return a page of the threads that match."""
        conditions, parameters = _given(query)
        return await self._database.read(
            SEARCHING.search(conditions, order_of(page)),
            {**parameters, **page_parameters(page), "owner": owner},
            row_factory=_THREADS,
        )

    async def count(self, query: ThreadQuery, *, owner: str) -> int:
        """Count the threads that match."""
        conditions, parameters = _given(query)
        [number] = await self._database.read(
            SEARCHING.count(conditions), {**parameters, "owner": owner}, row_factory=scalar_row
        )
        return int(number)

    async def cache_head(self, thread_id: str, change: HeadChange, *, owner: str) -> Thread:
        """Show another head."""
        rows = await self._database.write(
            SQL["cache_head"],
            {
                **head_parameters(change.head),
                "id": thread_id,
                "owner": owner,
                "thread_status": change.thread_status,
                "seen_at": change.seen_at,
            },
            row_factory=_THREADS,
        )
        if rows:
            return rows[0]
        found = await self._database.read(SQL["owner_of"], {"id": thread_id})
        if found and found[0]["owner"] == owner:
            raise Conflict(f"the state of thread {thread_id} has changed")
        raise await refusal(self._database, SQL["owner_of"], "thread", thread_id, owner=owner)

    async def delete(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread and what is its."""
        if not await self._database.write(SQL["delete"], {"id": thread_id, "owner": owner}):
            raise await refusal(self._database, SQL["owner_of"], "thread", thread_id, owner=owner)

    async def copy(self, thread_id: str, new_id: str, *, owner: str) -> Thread:
        """Copy a thread and its states to the caller."""
        rows = await self._database.write(
            SQL["copy"],
            {"id": thread_id, "new_id": new_id, "owner": owner},
            row_factory=_THREADS,
        )
        if not rows:
            raise NotFound.of("thread", thread_id)
        return rows[0]

    async def prune(self, thread_ids: Sequence[str], strategy: PruneStrategy, *, owner: str) -> int:
        """Delete the caller's threads, or their states and checkpoints before the head."""
        named = {"ids": list(thread_ids), "owner": owner}
        if strategy == "keep_latest":
            own = await self._database.read(SQL["own_among"], named, row_factory=scalar_row)
            for thread_id in sorted(own):
                await self._retention.prune(thread_id, Keeping(keep=1, older_than_s=None), owner)
            return len(own)
        # Two statements: the second one's snapshot shows what was added while the first one waited.
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(SQL["lock_own"], named)
            locked = await cursor.fetchall()
            await cursor.execute(SQL["delete_many"], {"ids": locked})
        return len(locked)

    async def prune_history(
        self, thread_ids: Sequence[str] | None, keeping: Keeping, *, owner: str | None
    ) -> Pruned:
        """Delete old states and checkpoints, a transaction for each thread."""
        return await self._retention.prune_all(thread_ids, keeping, owner)

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Remove expired threads, and shorten those that are to keep their latest state."""
        return await self._lifetimes.sweep(limit=limit, owner=owner)


def _given(query: ThreadQuery) -> tuple[tuple[str, ...], dict[str, Any]]:
    return given(metadata=query.metadata, values=query.values, ids=query.ids, status=query.status)


def _columns(new: NewThread) -> dict[str, Any]:
    return {
        "thread_id": new.thread_id,
        "metadata": new.metadata,
        **ttl_parameters(new.ttl),
    }


def _record(new: NewThread, made_at: datetime) -> Thread:
    return Thread(
        thread_id=new.thread_id,
        status="idle",
        values=None,
        checkpoint_id=None,
        interrupts={},
        error=None,
        metadata=new.metadata,
        created_at=made_at,
        updated_at=made_at,
        state_updated_at=made_at,
        ttl=None if new.ttl is None else ttl_of(new.ttl.minutes, new.ttl.strategy, made_at),
    )
