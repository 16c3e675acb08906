"""Crons: from arguments to requests."""

from collections.abc import Sequence
from datetime import datetime

from harness.models import Cron, CronFiring, OnRunCompleted, SortOrder
from harness.storage.checks import (
    check_choice,
    check_flag,
    check_id,
    check_integer,
    check_owner,
    check_time,
)
from harness.storage.engine import CronEngine
from harness.storage.interface import CronSortBy, JsonObject, Keep
from harness.storage.requests import CronChange, CronQuery, NewCron, TimeToLive
from harness.storage.resources.arguments import bulk_rows, make_page
from harness.storage.resources.ownership import given_or_new, owned, stamped
from harness.storage.schedule import check_schedule, check_timezone
from harness.storage.values import canonical_object


class Crons:
    """Schedules that make runs; see `CronStore` and `CronQueue`.

    Args:
        engine: What carries out the requests.
        thread_ttl: The time to live of threads that firings make; None: for ever.
    """

    def __init__(self, engine: CronEngine, thread_ttl: TimeToLive | None = None) -> None:
        self._engine, self._thread_ttl = engine, thread_ttl

    async def create(
        self,
        assistant_id: str,
        *,
        schedule: str,
        thread_id: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        timezone: str | None = None,
        end_time: datetime | None = None,
        enabled: bool = True,
        on_run_completed: OnRunCompleted | None = None,
        cron_id: str | None = None,
        owner: str,
    ) -> Cron:
        """Store a cron."""
        new = _new(
            assistant_id,
            schedule=schedule,
            thread_id=thread_id,
            payload=payload,
            metadata=metadata,
            timezone=timezone,
            end_time=end_time,
            enabled=enabled,
            on_run_completed=on_run_completed,
            cron_id=cron_id,
            owner=check_owner(owner),
        )
        [created] = await self._engine.insert([new], owner=owner)
        return created

    async def create_many(self, rows: Sequence[JsonObject], *, owner: str) -> list[Cron]:
        """Create all or none."""
        check_owner(owner)
        news = bulk_rows(rows, lambda row: _new(**row, owner=owner))
        return await self._engine.insert(news, owner=owner) if news else []

    async def get(self, cron_id: str, *, owner: str) -> Cron:
        """Return a cron."""
        return await self._engine.get(check_id(cron_id, "cron"), owner=check_owner(owner))

    async def update(
        self,
        cron_id: str,
        *,
        schedule: str | None = None,
        timezone: str | None = None,
        payload: JsonObject | None = None,
        metadata: JsonObject | None = None,
        end_time: datetime | Keep | None = Keep.KEEP,
        enabled: bool | None = None,
        on_run_completed: OnRunCompleted | None = None,
        owner: str,
    ) -> Cron:
        """Change a cron."""
        check_owner(owner)
        change = CronChange(
            schedule=None if schedule is None else check_schedule(schedule),
            timezone=check_timezone(timezone),
            payload=None if payload is None else canonical_object(payload, "payload"),
            on_run_completed=_on_run_completed(on_run_completed),
            end_time=None
            if end_time is None or end_time is Keep.KEEP
            else check_time(end_time, "end_time"),
            clear_end_time=end_time is None,
            enabled=None if enabled is None else check_flag(enabled, "enabled"),
            metadata=owned(metadata, owner),
        )
        return await self._engine.update(check_id(cron_id, "cron"), change, owner=owner)

    async def search(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: CronSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Cron]:
        """Find crons."""
        page = make_page(limit, offset, sort_by, CronSortBy, sort_order)
        query = _query(assistant_id, thread_id, enabled, metadata)
        return await self._engine.search(query, page, owner=check_owner(owner))

    async def count(
        self,
        *,
        assistant_id: str | None = None,
        thread_id: str | None = None,
        enabled: bool | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find."""
        query = _query(assistant_id, thread_id, enabled, metadata)
        return await self._engine.count(query, owner=check_owner(owner))

    async def delete(self, cron_id: str, *, owner: str) -> None:
        """Remove a cron."""
        await self._engine.delete(check_id(cron_id, "cron"), owner=check_owner(owner))

    async def claim_due(self, *, limit: int = 100, owner: str | None = None) -> list[CronFiring]:
        """Fire the crons that are due."""
        return await self._engine.claim_due(
            limit=check_integer(limit, "limit", low=1, high=1_000),
            owner=None if owner is None else check_owner(owner),
            thread_ttl=self._thread_ttl,
        )


def _new(
    assistant_id: str,
    *,
    schedule: str,
    thread_id: str | None = None,
    payload: JsonObject | None = None,
    metadata: JsonObject | None = None,
    timezone: str | None = None,
    end_time: datetime | None = None,
    enabled: bool = True,
    on_run_completed: OnRunCompleted | None = None,
    cron_id: str | None = None,
    owner: str,
) -> NewCron:
    return NewCron(
        cron_id=given_or_new(cron_id, "cron"),
        assistant_id=check_id(assistant_id, "assistant"),
        thread_id=None if thread_id is None else check_id(thread_id, "thread"),
        schedule=check_schedule(schedule),
        timezone=check_timezone(timezone),
        payload=canonical_object(payload, "payload"),
        on_run_completed=_on_run_completed(on_run_completed) or "delete",
        end_time=None if end_time is None else check_time(end_time, "end_time"),
        enabled=check_flag(enabled, "enabled"),
        metadata=stamped(metadata, owner),
    )


def _on_run_completed(value: OnRunCompleted | None) -> OnRunCompleted | None:
    if value is None:
        return None
    checked: OnRunCompleted = check_choice(value, OnRunCompleted, "on_run_completed")
    return checked


def _query(
    assistant_id: str | None,
    thread_id: str | None,
    enabled: bool | None,
    metadata: JsonObject | None,
) -> CronQuery:
    return CronQuery(
        assistant_id=None if assistant_id is None else check_id(assistant_id, "assistant"),
        thread_id=None if thread_id is None else check_id(thread_id, "thread"),
        enabled=None if enabled is None else check_flag(enabled, "enabled"),
        metadata=canonical_object(metadata, "metadata"),
    )
