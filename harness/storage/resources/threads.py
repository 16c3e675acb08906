"""Threads: from arguments to requests."""

from collections.abc import Sequence
from datetime import datetime

from harness.errors import InvalidInput
from harness.models import (
    IfExists,
    Pruned,
    PruneStrategy,
    SortOrder,
    Thread,
    ThreadHead,
    ThreadState,
    ThreadStatus,
)
from harness.storage.checks import (
    check_choice,
    check_id,
    check_ids,
    check_integer,
    check_owner,
    check_time,
)
from harness.storage.engine import ThreadEngine
from harness.storage.interface import JsonObject, ThreadSortBy, ThreadTtlGiven
from harness.storage.lifetimes import check_thread_ttl
from harness.storage.requests import (
    HeadChange,
    NewState,
    NewThread,
    ThreadChange,
    ThreadQuery,
    TimeToLive,
)
from harness.storage.resources.arguments import (
    bulk_rows,
    canonical_head,
    check_names,
    make_keeping,
    make_page,
    object_list,
    settled_status,
)
from harness.storage.resources.ownership import given_or_new, owned, stamped
from harness.storage.values import canonical_object, check_text


class Threads:
    """Threads, their state and its history; see `ThreadStore`, `Snapshots` and `Retention`.

    Args:
        engine: What carries out the requests.
        ttl: The time to live of threads for which none is given; None: for ever.
    """

    def __init__(self, engine: ThreadEngine, ttl: TimeToLive | None = None) -> None:
        self._engine, self._ttl = engine, ttl

    async def create(
        self,
        *,
        metadata: JsonObject | None = None,
        thread_id: str | None = None,
        if_exists: IfExists = "raise",
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Store a new, idle thread."""
        new = self._new(
            metadata=metadata,
            thread_id=thread_id,
            if_exists=if_exists,
            ttl=ttl,
            owner=check_owner(owner),
        )
        [created] = await self._engine.insert([new], owner=owner)
        return created

    async def create_many(self, rows: Sequence[JsonObject], *, owner: str) -> list[Thread]:
        """Create all or none."""
        check_owner(owner)
        news = bulk_rows(rows, lambda row: self._new(**row, owner=owner))
        return await self._engine.insert(news, owner=owner) if news else []

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        """Return a thread."""
        return await self._engine.get(check_id(thread_id, "thread"), owner=check_owner(owner))

    async def update(
        self,
        thread_id: str,
        *,
        metadata: JsonObject,
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> Thread:
        """Merge metadata shallowly, and set the time to live if one is given."""
        change = ThreadChange(
            metadata=owned(metadata, check_owner(owner)), ttl=check_thread_ttl(ttl)
        )
        return await self._engine.update(check_id(thread_id, "thread"), change, owner=owner)

    async def search(
        self,
        *,
        metadata: JsonObject | None = None,
        values: JsonObject | None = None,
        ids: Sequence[str] | None = None,
        status: ThreadStatus | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: ThreadSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Thread]:
        """Find threads."""
        page = make_page(limit, offset, sort_by, ThreadSortBy, sort_order)
        query = _query(metadata, values, ids, status)
        return await self._engine.search(query, page, owner=check_owner(owner))

    async def count(
        self,
        *,
        metadata: JsonObject | None = None,
        values: JsonObject | None = None,
        ids: Sequence[str] | None = None,
        status: ThreadStatus | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find."""
        query = _query(metadata, values, ids, status)
        return await self._engine.count(query, owner=check_owner(owner))

    async def delete(self, thread_id: str, *, owner: str) -> None:
        """Remove a thread and all that belongs to it."""
        await self._engine.delete(check_id(thread_id, "thread"), owner=check_owner(owner))

    async def copy(self, thread_id: str, *, owner: str) -> Thread:
        """Return a new thread with the same metadata and states."""
        return await self._engine.copy(
            check_id(thread_id, "thread"), given_or_new(None, "thread"), owner=check_owner(owner)
        )

    async def prune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: PruneStrategy = "delete",
        owner: str,
    ) -> int:
        """Delete threads, or all but their latest state."""
        return await self._engine.prune(
            check_ids(thread_ids, "thread") or (),
            check_choice(strategy, PruneStrategy, "strategy"),
            owner=check_owner(owner),
        )

    async def cache_head(
        self,
        thread_id: str,
        head: ThreadHead,
        *,
        thread_status: ThreadStatus | None = None,
        seen_at: datetime | None = None,
        owner: str,
    ) -> Thread:
        """Show another head."""
        change = HeadChange(
            head=canonical_head(head),
            thread_status=None if thread_status is None else settled_status(thread_status),
            seen_at=None if seen_at is None else check_time(seen_at, "seen_at"),
        )
        return await self._engine.cache_head(
            check_id(thread_id, "thread"), change, owner=check_owner(owner)
        )

    async def prune_history(
        self,
        thread_ids: Sequence[str] | None = None,
        *,
        keep: int | None = None,
        older_than_s: float | None = None,
        dry_run: bool = False,
        owner: str | None,
    ) -> Pruned:
        """Delete old snapshots and checkpoints."""
        return await self._engine.prune_history(
            check_names(thread_ids) if owner is None else check_ids(thread_ids, "thread"),
            make_keeping(keep, older_than_s, dry_run=dry_run),
            owner=None if owner is None else check_owner(owner),
        )

    async def sweep(self, *, limit: int = 1_000, owner: str | None = None) -> int:
        """Remove or shorten threads whose time is over."""
        return await self._engine.sweep(
            limit=check_integer(limit, "limit", low=1, high=1_000_000),
            owner=None if owner is None else check_owner(owner),
        )

    async def add_state(
        self,
        thread_id: str,
        values: JsonObject,
        *,
        next: Sequence[str] = (),  # noqa: A002 -- the SDK's name
        tasks: Sequence[JsonObject] = (),
        interrupts: Sequence[JsonObject] = (),
        metadata: JsonObject | None = None,
        checkpoint_id: str | None = None,
        owner: str,
    ) -> ThreadState:
        """Make a snapshot the thread's head."""
        check_owner(owner)
        if isinstance(next, str) or not isinstance(next, Sequence):
            raise InvalidInput("next must be a list of node names")
        state = NewState(
            checkpoint_id=given_or_new(checkpoint_id, "checkpoint"),
            values=canonical_object(values, "values"),
            next=[check_text(node, "next") for node in next],
            tasks=object_list(tasks, "tasks"),
            interrupts=object_list(interrupts, "interrupts"),
            metadata=canonical_object(metadata, "metadata"),
        )
        return await self._engine.add_state(check_id(thread_id, "thread"), state, owner=owner)

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None = None, *, owner: str
    ) -> ThreadState:
        """Return the head state, or the one at a checkpoint."""
        return await self._engine.get_state(
            check_id(thread_id, "thread"),
            None if checkpoint_id is None else check_id(checkpoint_id, "checkpoint"),
            owner=check_owner(owner),
        )

    async def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> list[ThreadState]:
        """Return states, newest first."""
        return await self._engine.get_history(
            check_id(thread_id, "thread"),
            limit=make_page(limit, 0).limit,
            before=None if before is None else check_id(before, "checkpoint"),
            metadata=canonical_object(metadata, "metadata"),
            owner=check_owner(owner),
        )

    def _new(
        self,
        *,
        metadata: JsonObject | None = None,
        thread_id: str | None = None,
        if_exists: IfExists = "raise",
        ttl: ThreadTtlGiven | None = None,
        owner: str,
    ) -> NewThread:
        return NewThread(
            thread_id=given_or_new(thread_id, "thread"),
            metadata=stamped(metadata, owner),
            if_exists=check_choice(if_exists, IfExists, "if_exists"),
            ttl=check_thread_ttl(ttl, self._ttl),
        )


def _query(
    metadata: JsonObject | None,
    values: JsonObject | None,
    ids: Sequence[str] | None,
    status: ThreadStatus | None,
) -> ThreadQuery:
    return ThreadQuery(
        metadata=canonical_object(metadata, "metadata"),
        values=canonical_object(values, "values"),
        ids=check_ids(ids, "thread"),
        status=None if status is None else check_choice(status, ThreadStatus, "status"),
    )
