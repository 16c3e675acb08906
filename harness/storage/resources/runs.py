"""Runs: from arguments to requests."""

import builtins
from collections.abc import Collection, Sequence

from harness.errors import InvalidInput
from harness.models import (
    TERMINAL,
    ClaimedRun,
    IfNotExists,
    Lease,
    MultitaskStrategy,
    Run,
    RunStatus,
    SortOrder,
    ThreadHead,
    ThreadStatus,
)
from harness.storage.checks import check_choice, check_id, check_number, check_owner
from harness.storage.engine import RunEngine
from harness.storage.extensions import RunSortBy
from harness.storage.interface import JsonObject
from harness.storage.requests import NewRun, RunQuery, StatusChange, TimeToLive
from harness.storage.resources.arguments import (
    bulk_rows,
    canonical_head,
    make_page,
    optional_text,
    settled_status,
)
from harness.storage.resources.ownership import given_or_new, owned, stamped
from harness.storage.values import canonical_object

MAX_LEASE_S = 86_400.0
MAX_DELAY_S = 366 * 86_400.0
_THREAD_AFTER: dict[RunStatus, ThreadStatus] = {"error": "error", "timeout": "error"}


class Runs:
    """Runs and their queue; see `RunStore`, `RunRecords` and `RunQueue`.

    Args:
        engine: What carries out the requests.
        thread_ttl: The time to live of threads that runs make; None: for ever.
    """

    def __init__(self, engine: RunEngine, thread_ttl: TimeToLive | None = None) -> None:
        self._engine, self._thread_ttl = engine, thread_ttl

    async def create(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        after_seconds: float = 0,
        run_id: str | None = None,
        owner: str,
    ) -> Run:
        """Queue a run."""
        new = self._new(
            thread_id,
            assistant_id,
            kwargs=kwargs,
            metadata=metadata,
            multitask_strategy=multitask_strategy,
            if_not_exists=if_not_exists,
            after_seconds=after_seconds,
            run_id=run_id,
            owner=check_owner(owner),
        )
        [created] = await self._engine.insert([new], owner=owner)
        return created

    async def create_many(self, rows: Sequence[JsonObject], *, owner: str) -> builtins.list[Run]:
        """Create all or none."""
        check_owner(owner)
        news = bulk_rows(rows, lambda row: self._new(**row, owner=owner))
        return await self._engine.insert(news, owner=owner) if news else []

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        """Return a run."""
        return await self._engine.get(
            check_id(thread_id, "thread"), check_id(run_id, "run"), owner=check_owner(owner)
        )

    async def update(self, thread_id: str, run_id: str, *, metadata: JsonObject, owner: str) -> Run:
        """Merge metadata shallowly."""
        merged = owned(metadata, check_owner(owner))
        return await self._engine.update(
            check_id(thread_id, "thread"), check_id(run_id, "run"), merged, owner=owner
        )

    async def list(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: RunStatus | None = None,
        owner: str,
    ) -> builtins.list[Run]:
        """Return a thread's runs, newest first."""
        query = _query(check_id(thread_id, "thread"), None, status, None)
        page = make_page(limit, offset, min_limit=0)
        return await self._engine.list_thread(query, page, owner=check_owner(owner))

    async def search(
        self,
        *,
        thread_id: str | None = None,
        assistant_id: str | None = None,
        status: RunStatus | None = None,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: RunSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> builtins.list[Run]:
        """Find runs of all the owner's threads."""
        page = make_page(limit, offset, sort_by, RunSortBy, sort_order)
        query = _query(thread_id, assistant_id, status, metadata)
        return await self._engine.search(query, page, owner=check_owner(owner))

    async def count(
        self,
        *,
        thread_id: str | None = None,
        assistant_id: str | None = None,
        status: RunStatus | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find."""
        query = _query(thread_id, assistant_id, status, metadata)
        return await self._engine.count(query, owner=check_owner(owner))

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        """Remove a run."""
        await self._engine.delete(
            check_id(thread_id, "thread"), check_id(run_id, "run"), owner=check_owner(owner)
        )

    async def get_active(self, thread_id: str, *, owner: str) -> Run | None:
        """Return the run that keeps the thread busy."""
        return await self._engine.get_active(
            check_id(thread_id, "thread"), owner=check_owner(owner)
        )

    async def update_status(
        self,
        thread_id: str,
        run_id: str,
        status: RunStatus,
        *,
        error: str | None = None,
        thread_status: ThreadStatus | None = None,
        head: ThreadHead | None = None,
        owner: str,
    ) -> Run:
        """Move a run on, from outside its lease."""
        return await self._engine.update_status(
            check_id(thread_id, "thread"),
            check_id(run_id, "run"),
            _change(status, error, thread_status, head),
            owner=check_owner(owner),
        )

    async def begin(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        lease_s: float,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        run_id: str | None = None,
        owner: str,
    ) -> tuple[Run, Lease | None]:
        """Create a run and claim it in one step."""
        new = self._new(
            thread_id,
            assistant_id,
            kwargs=kwargs,
            metadata=metadata,
            multitask_strategy=multitask_strategy,
            if_not_exists=if_not_exists,
            run_id=run_id,
            owner=check_owner(owner),
        )
        return await self._engine.begin(new, lease_s=_lease_s(lease_s), owner=owner)

    async def claim(
        self, *, lease_s: float, owner: str | None = None, full: Collection[str] = ()
    ) -> ClaimedRun | None:
        """Take a run that may run now."""
        return await self._engine.claim(
            lease_s=_lease_s(lease_s),
            owner=None if owner is None else check_owner(owner),
            full=frozenset(check_owner(one) for one in full),
        )

    async def heartbeat(self, lease: Lease, *, lease_s: float, owner: str) -> Lease:
        """Prolong a lease."""
        return await self._engine.heartbeat(
            _lease(lease), lease_s=_lease_s(lease_s), owner=check_owner(owner)
        )

    async def hand_back(self, lease: Lease, *, owner: str) -> Run:
        """Make the run pending again."""
        return await self._engine.hand_back(_lease(lease), owner=check_owner(owner))

    async def finish(
        self,
        lease: Lease,
        status: RunStatus,
        *,
        error: str | None = None,
        thread_status: ThreadStatus | None = None,
        head: ThreadHead | None = None,
        owner: str,
    ) -> Run:
        """End the run."""
        change = _change(status, error, thread_status, head)
        if change.status not in TERMINAL:
            raise InvalidInput(f"a run ends as {', '.join(sorted(TERMINAL))}, not {status}")
        return await self._engine.finish(_lease(lease), change, owner=check_owner(owner))

    async def discard(
        self, thread_id: str, run_id: str, *, lease: Lease | None = None, owner: str
    ) -> None:
        """Remove a run with its thread."""
        await self._engine.discard(
            check_id(thread_id, "thread"),
            check_id(run_id, "run"),
            None if lease is None else _lease(lease),
            owner=check_owner(owner),
        )

    def _new(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        after_seconds: float = 0,
        run_id: str | None = None,
        owner: str,
    ) -> NewRun:
        return NewRun(
            run_id=given_or_new(run_id, "run"),
            thread_id=check_id(thread_id, "thread"),
            assistant_id=check_id(assistant_id, "assistant"),
            kwargs=canonical_object(kwargs, "kwargs"),
            metadata=stamped(metadata, owner),
            multitask_strategy=check_choice(
                multitask_strategy, MultitaskStrategy, "multitask_strategy"
            ),
            if_not_exists=check_choice(if_not_exists, IfNotExists, "if_not_exists"),
            after_seconds=check_number(
                after_seconds, "after_seconds", high=MAX_DELAY_S, or_zero=True
            ),
            thread_ttl=self._thread_ttl,
        )


def _query(
    thread_id: str | None,
    assistant_id: str | None,
    status: RunStatus | None,
    metadata: JsonObject | None,
) -> RunQuery:
    return RunQuery(
        thread_id=None if thread_id is None else check_id(thread_id, "thread"),
        assistant_id=None if assistant_id is None else check_id(assistant_id, "assistant"),
        status=None if status is None else check_choice(status, RunStatus, "status"),
        metadata=canonical_object(metadata, "metadata"),
    )


def _change(
    status: RunStatus,
    error: str | None,
    thread_status: ThreadStatus | None,
    head: ThreadHead | None,
) -> StatusChange:
    checked: RunStatus = check_choice(status, RunStatus, "status")
    if checked == "pending":
        raise InvalidInput("a run becomes pending again by hand_back only")
    if checked == "running" and head is not None:
        raise InvalidInput("a run that starts has no head for its thread to show")
    return StatusChange(
        status=checked,
        error=optional_text(error, "error"),
        thread_status=_THREAD_AFTER.get(checked, "idle")
        if thread_status is None
        else settled_status(thread_status),
        head=None if head is None else canonical_head(head),
    )


def _lease_s(value: float) -> float:
    return check_number(value, "lease_s", high=MAX_LEASE_S)


def _lease(lease: Lease) -> Lease:
    if not isinstance(lease, Lease):
        raise InvalidInput(f"lease must be a Lease, not {type(lease).__name__}")
    return lease
