"""Crons, in memory."""

from collections.abc import Sequence
from datetime import datetime

from harness.models import Cron, CronFiring, Json
from harness.storage.memory.access import may_read, readable, visible, writable
from harness.storage.memory.inserting import taken
from harness.storage.memory.jsonb import contains
from harness.storage.memory.paging import paged
from harness.storage.memory.records import cron_of, run_of
from harness.storage.memory.rows import CronRow, RunRow, ThreadRow
from harness.storage.memory.tables import Tables
from harness.storage.memory.threads import new_thread
from harness.storage.requests import CronChange, CronQuery, NewCron, Page, TimeToLive
from harness.storage.resources.ownership import new_id
from harness.storage.schedule import next_firing


class MemoryCrons:
    """Carries out requests on crons."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, rows: Sequence[NewCron], *, owner: str) -> list[Cron]:
        """Insert all or none."""
        now = self._tables.clock.now()
        made: dict[str, CronRow] = {}
        for new in rows:
            row = _row(new, owner, now)
            if new.thread_id is not None:
                thread = self._tables.thread(new.thread_id)
                writable(thread, "thread", new.thread_id, owner)
            assistant = self._tables.assistants.get(new.assistant_id)
            readable(assistant, "assistant", new.assistant_id, owner)
            if new.cron_id in made or self._tables.crons.get(new.cron_id) is not None:
                raise taken("cron", new.cron_id)
            made[new.cron_id] = row
        for row in made.values():
            self._tables.crons.add(row)
        return [cron_of(row) for row in made.values()]

    async def get(self, cron_id: str, *, owner: str) -> Cron:
        """Return a cron."""
        return cron_of(readable(self._found(cron_id), "cron", cron_id, owner))

    async def update(self, cron_id: str, change: CronChange, *, owner: str) -> Cron:
        """Change a cron, and its next date where that depends on the change."""
        row = writable(self._found(cron_id), "cron", cron_id, owner)
        now = self._tables.clock.now()
        schedule = row.schedule if change.schedule is None else change.schedule
        timezone = row.timezone if change.timezone is None else change.timezone
        end_time = row.end_time if change.end_time is None else change.end_time
        if change.clear_end_time:
            end_time = None
        rescheduled = change.clear_end_time or any(
            given is not None
            for given in (change.schedule, change.timezone, change.end_time, change.enabled)
        )
        next_run_date = row.next_run_date
        if rescheduled:
            next_run_date = next_firing(schedule, timezone, after=now, end_time=end_time)
        self._tables.crons.change(
            row,
            schedule=schedule,
            timezone=timezone,
            payload={**row.payload, **(change.payload or {})},
            on_run_completed=change.on_run_completed or row.on_run_completed,
            end_time=end_time,
            enabled=row.enabled if change.enabled is None else change.enabled,
            next_run_date=next_run_date,
            metadata={**row.metadata, **change.metadata},
            updated_at=now,
        )
        return cron_of(row)

    async def search(self, query: CronQuery, page: Page, *, owner: str) -> list[Cron]:
        """Return a page of the crons that match."""
        found = paged(self._matching(query, owner), page, lambda row: row.cron_id)
        return [cron_of(row) for row in found]

    async def count(self, query: CronQuery, *, owner: str) -> int:
        """Count the crons that match."""
        return len(self._matching(query, owner))

    async def delete(self, cron_id: str, *, owner: str) -> None:
        """Remove a cron."""
        self._tables.crons.remove(writable(self._found(cron_id), "cron", cron_id, owner))

    async def claim_due(
        self, *, limit: int, owner: str | None, thread_ttl: TimeToLive | None
    ) -> list[CronFiring]:
        """Fire the crons that are due, those longest due first."""
        now = self._tables.clock.now()
        rows = self._tables.crons if owner is None else self._tables.crons.group("owner", owner)
        due = sorted(
            (row.next_run_date, row.cron_id)
            for row in rows
            if row.enabled
            and row.next_run_date is not None
            and row.next_run_date <= now
            and not self._is_orphaned(row)
        )
        fired = [self._tables.crons[cron_id] for _, cron_id in due[:limit]]
        following = [
            next_firing(row.schedule, row.timezone, after=now, end_time=row.end_time)
            for row in fired
        ]
        return [
            self._fire(row, scheduled_for, later, now, thread_ttl)
            for row, (scheduled_for, _), later in zip(fired, due, following, strict=False)
        ]

    def _fire(
        self,
        row: CronRow,
        scheduled_for: datetime,
        following: datetime | None,
        now: datetime,
        thread_ttl: TimeToLive | None,
    ) -> CronFiring:
        run = _run(row, self._stamped_thread(row, now, thread_ttl).thread_id, now)
        self._tables.runs.add(run)
        self._tables.crons.change(row, next_run_date=following)
        return CronFiring(cron=cron_of(row), scheduled_for=scheduled_for, run=run_of(run))

    def _stamped_thread(
        self, row: CronRow, now: datetime, thread_ttl: TimeToLive | None
    ) -> ThreadRow:
        """Return the thread to run on, busy: the cron's own, or a new one."""
        if row.thread_id is None:
            made_by = {"owner": row.owner, "cron_id": row.cron_id}
            thread = new_thread(new_id(), made_by, row.owner, now, thread_ttl)
            self._tables.threads.add(thread)
        else:
            thread = self._tables.threads[row.thread_id]
        stamp = {
            "graph_id": self._tables.assistants[row.assistant_id].graph_id,
            "assistant_id": row.assistant_id,
        }
        self._tables.threads.change(
            thread, status="busy", metadata={**thread.metadata, **stamp}, updated_at=now
        )
        return thread

    def _found(self, cron_id: str) -> CronRow | None:
        """Return a cron, unless its thread has expired."""
        row = self._tables.crons.get(cron_id)
        return None if row is None or self._is_orphaned(row) else row

    def _is_orphaned(self, row: CronRow) -> bool:
        return row.thread_id is not None and self._tables.thread(row.thread_id) is None

    def _matching(self, query: CronQuery, owner: str) -> list[CronRow]:
        rows = (
            visible(self._tables.crons, owner)
            if query.thread_id is None
            else self._tables.crons.group("thread", query.thread_id)
        )
        return [
            row
            for row in rows
            if may_read(row, owner)
            and not self._is_orphaned(row)
            and (query.assistant_id is None or row.assistant_id == query.assistant_id)
            and (query.enabled is None or row.enabled == query.enabled)
            and contains(row.metadata, query.metadata)
        ]


def _row(new: NewCron, owner: str, now: datetime) -> CronRow:
    return CronRow(
        cron_id=new.cron_id,
        owner=owner,
        assistant_id=new.assistant_id,
        thread_id=new.thread_id,
        schedule=new.schedule,
        timezone=new.timezone,
        payload=new.payload,
        on_run_completed=new.on_run_completed,
        end_time=new.end_time,
        enabled=new.enabled,
        next_run_date=next_firing(new.schedule, new.timezone, after=now, end_time=new.end_time),
        metadata=new.metadata,
        created_at=now,
        updated_at=now,
    )


def _run(cron: CronRow, thread_id: str, now: datetime) -> RunRow:
    """Return the run that a firing makes: the payload's, with the cron's owner and id."""
    kwargs: Json = dict(cron.payload)
    if cron.thread_id is None:
        kwargs["on_completion"] = cron.on_run_completed
    given = cron.payload.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    return RunRow(
        run_id=new_id(),
        thread_id=thread_id,
        owner=cron.owner,
        assistant_id=cron.assistant_id,
        status="pending",
        kwargs=kwargs,
        metadata={**metadata, "owner": cron.owner, "cron_id": cron.cron_id},
        multitask_strategy="enqueue",
        attempt=0,
        error=None,
        due_at=now,
        lease_token=None,
        leased_until=None,
        created_at=now,
        updated_at=now,
    )
