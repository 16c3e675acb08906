"""Threads, their states and the history of these, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from harness.errors import Conflict
from harness.models import Json, Pruned, PruneStrategy, Thread, ThreadState
from harness.storage.memory.access import readable, visible, writable
from harness.storage.memory.inserting import insert_rows, taken
from harness.storage.memory.jsonb import contains
from harness.storage.memory.paging import paged
from harness.storage.memory.records import state_of, thread_of
from harness.storage.memory.retention import MemoryRetention
from harness.storage.memory.rows import StateRow, ThreadRow
from harness.storage.memory.tables import Tables
from harness.storage.memory.transitions import show_head
from harness.storage.requests import (
    HeadChange,
    Keeping,
    NewState,
    NewThread,
    Page,
    ThreadChange,
    ThreadQuery,
    TimeToLive,
)


class MemoryThreads:
    """Carries out requests on threads and their states."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._retention = MemoryRetention(tables)

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        """Insert all or none."""
        now = self._tables.clock.now()
        inserted, _ = insert_rows(
            self._tables.threads,
            rows,
            kind="thread",
            identify=lambda new: new.thread_id,
            make=lambda new: new_thread(new.thread_id, new.metadata, owner, now, new.ttl),
            owner=owner,
            has_expired=self._tables.has_expired,
            remove=self._tables.remove_thread,
        )
        return [thread_of(row) for row in inserted]

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        """Return a thread."""
        return thread_of(self._readable(thread_id, owner))

    async def update(self, thread_id: str, change: ThreadChange, *, owner: str) -> Thread:
        """Merge metadata, and set the time to live if one is given."""
        row = self._writable(thread_id, owner)
        ttl = change.ttl
        self._tables.threads.change(
            row,
            metadata={**row.metadata, **change.metadata},
            ttl_minutes=row.ttl_minutes if ttl is None else ttl.minutes,
            ttl_strategy=row.ttl_strategy if ttl is None else ttl.strategy,
            updated_at=self._tables.clock.now(),
        )
        return thread_of(row)

    async def search(self, query: ThreadQuery, page: Page, *, owner: str) -> list[Thread]:
        """Return a page of the threads that match."""
        found = paged(self._matching(query, owner), page, lambda row: row.thread_id)
        return [thread_of(row) for row in found]

    async def count(self, query: ThreadQuery, *, owner: str) -> int:
        """Count the threads that match."""
        return len(self._matching(query, owner))

    async def delete(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread and what is its."""
        self._tables.remove_thread(self._writable(thread_id, owner))

    async def copy(self, thread_id: str, new_id: str, *, owner: str) -> Thread:
        """Copy a thread and its states to the caller."""
        source = self._readable(thread_id, owner)
        now = self._tables.clock.now()
        row = replace(
            source,
            thread_id=new_id,
            owner=owner,
            status="idle" if source.status == "busy" else source.status,
            metadata={**source.metadata, "owner": owner},
            created_at=now,
            updated_at=now,
            state_updated_at=now,
            shortened_at=None,
        )
        self._tables.threads.add(row)
        for state in self._states(thread_id):
            self._tables.thread_states.add(replace(state, thread_id=new_id))
        return thread_of(row)

    async def prune(self, thread_ids: Sequence[str], strategy: PruneStrategy, *, owner: str) -> int:
        """Delete the caller's threads, or their states and checkpoints before the head."""
        rows = [self._tables.thread(thread_id) for thread_id in dict.fromkeys(thread_ids)]
        own = [row for row in rows if row is not None and row.owner == owner]
        for row in own:
            if strategy == "delete":
                self._tables.remove_thread(row)
            else:
                self._retention.prune(row.thread_id, Keeping(keep=1, older_than_s=None))
        return len(own)

    async def cache_head(self, thread_id: str, change: HeadChange, *, owner: str) -> Thread:
        """Show another head."""
        row = self._writable(thread_id, owner)
        if change.seen_at not in (None, row.state_updated_at):
            raise Conflict(f"the state of thread {thread_id} has changed")
        status = row.status if change.thread_status is None else change.thread_status
        show_head(self._tables, row, change.head, self._tables.clock.now())
        self._tables.threads.change(row, status="busy" if row.status == "busy" else status)
        return thread_of(row)

    async def prune_history(
        self, thread_ids: Sequence[str] | None, keeping: Keeping, *, owner: str | None
    ) -> Pruned:
        """Delete old states and checkpoints."""
        return self._retention.prune_all(thread_ids, keeping, owner)

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        """Remove expired threads, and shorten those that are to keep their latest state."""
        table, now = self._tables.threads, self._tables.clock.now()
        rows = list(table) if owner is None else table.group("owner", owner)
        gone = [(row.expires_at, row) for row in rows if row.expires_at is not None]
        long = [(row.shortens_at, row) for row in rows if row.shortens_at is not None]
        swept = 0
        for due in (gone, long):
            due.sort(key=lambda one: one[0])
            for at, row in due[: limit - swept]:
                if at > now:
                    break
                if due is gone:
                    self._tables.remove_thread(row)
                else:
                    self._retention.prune(row.thread_id, Keeping(keep=1, older_than_s=None))
                    table.change(row, shortened_at=row.updated_at)
                swept += 1
        return swept

    async def add_state(self, thread_id: str, state: NewState, *, owner: str) -> ThreadState:
        """Add a state and make it the head."""
        thread = self._writable(thread_id, owner)
        if (thread_id, state.checkpoint_id) in self._tables.thread_states:
            raise taken(f"thread {thread_id} checkpoint", state.checkpoint_id)
        now = self._tables.clock.now()
        head = self._head(thread_id)
        row = StateRow(
            thread_id=thread_id,
            checkpoint_id=state.checkpoint_id,
            parent_checkpoint_id=head.checkpoint_id if head else None,
            seq=head.seq + 1 if head else 1,
            values=state.values,
            next=state.next,
            tasks=state.tasks,
            interrupts=state.interrupts,
            metadata=state.metadata,
            created_at=now,
        )
        self._tables.thread_states.add(row)
        settled = "interrupted" if state.next else "idle"
        self._tables.threads.change(
            thread,
            values=state.values,
            checkpoint_id=state.checkpoint_id,
            interrupts={},
            error=None,
            status="busy" if thread.status == "busy" else settled,
            updated_at=now,
            state_updated_at=now,
        )
        return state_of(row)

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None, *, owner: str
    ) -> ThreadState:
        """Return the head, or the state at a checkpoint."""
        self._readable(thread_id, owner)
        if checkpoint_id is None:
            return state_of(self._head(thread_id))
        return state_of(self._tables.thread_states.get((thread_id, checkpoint_id)))

    async def get_history(
        self, thread_id: str, *, limit: int, before: str | None, metadata: Json, owner: str
    ) -> list[ThreadState]:
        """Return states, newest first."""
        self._readable(thread_id, owner)
        rows = self._states(thread_id)
        if before is not None:
            at = self._tables.thread_states.get((thread_id, before))
            rows = [row for row in rows if at is not None and row.seq < at.seq]
        found = [row for row in reversed(rows) if contains(row.metadata, metadata)]
        return [state_of(row) for row in found[:limit]]

    def _readable(self, thread_id: str, owner: str) -> ThreadRow:
        return readable(self._tables.thread(thread_id), "thread", thread_id, owner)

    def _writable(self, thread_id: str, owner: str) -> ThreadRow:
        return writable(self._tables.thread(thread_id), "thread", thread_id, owner)

    def _states(self, thread_id: str) -> list[StateRow]:
        """Return a thread's states, oldest first."""
        rows = self._tables.thread_states.group("thread", thread_id)
        return sorted(rows, key=lambda row: row.seq)

    def _head(self, thread_id: str) -> StateRow | None:
        states = self._tables.thread_states.group("thread", thread_id)
        return max(states, key=lambda row: row.seq, default=None)

    def _matching(self, query: ThreadQuery, owner: str) -> list[ThreadRow]:
        wanted = None if query.ids is None else frozenset(query.ids)
        return [
            row
            for row in visible(self._tables.threads, owner)
            if not self._tables.has_expired(row)
            and (wanted is None or row.thread_id in wanted)
            and (query.status is None or row.status == query.status)
            and contains(row.metadata, query.metadata)
            and (not query.values or contains(row.values, query.values))
        ]


def new_thread(
    thread_id: str, metadata: Json, owner: str, now: datetime, ttl: TimeToLive | None
) -> ThreadRow:
    """Return the row of a thread that has neither states nor runs."""
    return ThreadRow(
        thread_id=thread_id,
        owner=owner,
        status="idle",
        values=None,
        checkpoint_id=None,
        interrupts={},
        error=None,
        metadata=metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        ttl_minutes=None if ttl is None else ttl.minutes,
        ttl_strategy=None if ttl is None else ttl.strategy,
        shortened_at=None,
    )
