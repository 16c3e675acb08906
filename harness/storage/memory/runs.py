"""Runs, in memory: what callers do to them. What workers do is in `queue.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from harness.errors import Conflict
from harness.models import TERMINAL, Json, Lease, Run, RunStatus
from harness.storage.memory.access import may_read, readable, visible, writable
from harness.storage.memory.inserting import taken
from harness.storage.memory.jsonb import contains
from harness.storage.memory.paging import paged
from harness.storage.memory.queue import MemoryQueue, lost
from harness.storage.memory.records import run_of
from harness.storage.memory.rows import AssistantRow, RunRow, ThreadRow
from harness.storage.memory.threads import new_thread
from harness.storage.memory.transitions import (
    active_runs,
    end_run,
    first_pending,
    remove_run,
    start_run,
)
from harness.storage.requests import NewRun, Page, RunQuery, StatusChange


class MemoryRuns(MemoryQueue):
    """Carries out requests on runs and their queue."""

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        """Queue all or none."""
        now = self._tables.clock.now()
        plan = _Plan()
        for new in rows:
            self._plan_one(plan, new, owner, now)
        for thread in plan.new_threads.values():
            expired = self._tables.threads.get(thread.thread_id)
            if expired is not None:
                self._tables.remove_thread(expired)
            self._tables.threads.add(thread)
        for thread, assistant in plan.stamps:
            self._tables.threads.change(
                thread,
                status="busy",
                metadata={
                    **thread.metadata,
                    "graph_id": assistant.graph_id,
                    "assistant_id": assistant.assistant_id,
                },
                updated_at=now,
            )
        for run in plan.runs.values():
            self._tables.runs.add(run)
        return [run_of(run) for run in plan.runs.values()]

    async def begin(self, new: NewRun, *, lease_s: float, owner: str) -> tuple[Run, Lease | None]:
        """Queue a run, or start it where no other run of its thread is active."""
        alone = not active_runs(self._tables, new.thread_id)
        [queued] = await self.insert([new], owner=owner)
        if not alone:
            return queued, None
        run = self._tables.runs[queued.run_id]
        lease = self._start(run, run.created_at, lease_s)
        return run_of(run), lease

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        """Return a run."""
        return run_of(readable(self._of_thread(thread_id, run_id), "run", run_id, owner))

    async def update(self, thread_id: str, run_id: str, metadata: Json, *, owner: str) -> Run:
        """Merge metadata."""
        run = writable(self._of_thread(thread_id, run_id), "run", run_id, owner)
        self._tables.runs.change(
            run, metadata={**run.metadata, **metadata}, updated_at=self._tables.clock.now()
        )
        return run_of(run)

    async def search(self, query: RunQuery, page: Page, *, owner: str) -> list[Run]:
        """Return a page of the runs that match."""
        found = paged(self._matching(query, owner), page, lambda row: row.run_id)
        return [run_of(row) for row in found]

    async def count(self, query: RunQuery, *, owner: str) -> int:
        """Count the runs that match."""
        return len(self._matching(query, owner))

    async def list_thread(self, query: RunQuery, page: Page, *, owner: str) -> list[Run]:
        """Return a page of a thread's runs."""
        readable(self._tables.thread(query.thread_id), "thread", query.thread_id, owner)
        return await self.search(query, page, owner=owner)

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        """Remove a run, and settle its thread if it was the last active one."""
        run = writable(self._of_thread(thread_id, run_id), "run", run_id, owner)
        remove_run(self._tables, run)

    async def discard(
        self, thread_id: str, run_id: str, lease: Lease | None, *, owner: str
    ) -> None:
        """Remove a run with its thread."""
        run = writable(self._of_thread(thread_id, run_id), "run", run_id, owner)
        if lease is not None and run.lease_token != lease.token:
            raise lost(lease)
        self._tables.remove_thread(self._tables.threads[thread_id])

    async def get_active(self, thread_id: str, *, owner: str) -> Run | None:
        """Return the running run, else the oldest pending one."""
        readable(self._tables.thread(thread_id), "thread", thread_id, owner)
        active = active_runs(self._tables, thread_id)
        running = [run for run in active if run.status == "running"]
        chosen = running[0] if running else first_pending(active)
        return None if chosen is None else run_of(chosen)

    async def update_status(
        self, thread_id: str, run_id: str, change: StatusChange, *, owner: str
    ) -> Run:
        """Move a run on and take its lease away."""
        run = writable(self._of_thread(thread_id, run_id), "run", run_id, owner)
        _check_step(run, change.status)
        now = self._tables.clock.now()
        if change.status == "running":
            if any(other.status == "running" for other in active_runs(self._tables, thread_id)):
                raise Conflict(f"another run of thread {thread_id} is running")
            start_run(self._tables, run, now, error=change.error)
        else:
            end_run(self._tables, run, change, now)
        return run_of(run)

    def _plan_one(self, plan: "_Plan", new: NewRun, owner: str, now: datetime) -> None:
        """Check one request against what is there and what the batch will have made."""
        thread = self._planned_thread(plan, new, owner, now)
        assistant = readable(
            self._tables.assistants.get(new.assistant_id), "assistant", new.assistant_id, owner
        )
        if new.run_id in self._tables.runs or new.run_id in plan.runs:
            raise taken("run", new.run_id)
        if new.multitask_strategy == "reject" and (
            active_runs(self._tables, new.thread_id)
            or any(run.thread_id == new.thread_id for run in plan.runs.values())
        ):
            raise Conflict(f"a run of thread {new.thread_id} is pending or running")
        plan.stamps.append((thread, assistant))
        plan.runs[new.run_id] = _row(new, owner, now)

    def _planned_thread(self, plan: "_Plan", new: NewRun, owner: str, now: datetime) -> ThreadRow:
        thread = plan.new_threads.get(new.thread_id) or self._tables.thread(new.thread_id)
        if new.if_not_exists == "create":
            if thread is None:
                thread = new_thread(new.thread_id, {"owner": owner}, owner, now, new.thread_ttl)
                plan.new_threads[new.thread_id] = thread
            elif not may_read(thread, owner):
                raise taken("thread", new.thread_id)
        return writable(thread, "thread", new.thread_id, owner)

    def _of_thread(self, thread_id: str, run_id: str) -> RunRow | None:
        run = self._tables.runs.get(run_id)
        if run is None or run.thread_id != thread_id or self._tables.thread(thread_id) is None:
            return None
        return run

    def _matching(self, query: RunQuery, owner: str) -> list[RunRow]:
        rows = (
            visible(self._tables.runs, owner)
            if query.thread_id is None
            else self._tables.runs.group("thread", query.thread_id)
        )
        return [
            row
            for row in rows
            if may_read(row, owner)
            and self._tables.thread(row.thread_id) is not None
            and (query.assistant_id is None or row.assistant_id == query.assistant_id)
            and (query.status is None or row.status == query.status)
            and contains(row.metadata, query.metadata)
        ]


@dataclass(slots=True)
class _Plan:
    """What a batch of new runs will write once all of it has been checked."""

    new_threads: dict[str, ThreadRow] = field(default_factory=dict)
    stamps: list[tuple[ThreadRow, AssistantRow]] = field(default_factory=list)
    runs: dict[str, RunRow] = field(default_factory=dict)


def _check_step(run: RunRow, status: RunStatus) -> None:
    if run.status in TERMINAL or (run.status == "running" and status == "running"):
        raise Conflict(f"run {run.run_id} is {run.status} and cannot become {status}")


def _row(new: NewRun, owner: str, now: datetime) -> RunRow:
    return RunRow(
        run_id=new.run_id,
        thread_id=new.thread_id,
        owner=owner,
        assistant_id=new.assistant_id,
        status="pending",
        kwargs=new.kwargs,
        metadata=new.metadata,
        multitask_strategy=new.multitask_strategy,
        attempt=0,
        error=None,
        due_at=now + timedelta(seconds=new.after_seconds),
        lease_token=None,
        leased_until=None,
        created_at=now,
        updated_at=now,
    )
