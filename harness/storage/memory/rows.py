"""The rows of the seven tables, with the column names of the Postgres schema.

JSON in a row is never changed in place: an update puts a new object there. So rows may share it,
and only what enters or leaves the store is copied.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.models import (
    Json,
    MultitaskStrategy,
    OnRunCompleted,
    PruneStrategy,
    RunStatus,
    ThreadStatus,
)


@dataclass(slots=True, kw_only=True, eq=False)
class AssistantRow:
    """A row of `assistants`."""

    assistant_id: str
    owner: str
    graph_id: str
    name: str
    name_folded: str
    description: str | None
    config: Json
    context: Json
    metadata: Json
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class VersionRow:
    """A row of `assistant_versions`."""

    assistant_id: str
    version: int
    graph_id: str
    name: str
    description: str | None
    config: Json
    context: Json
    metadata: Json
    created_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class ThreadRow:
    """A row of `threads`."""

    thread_id: str
    owner: str
    status: ThreadStatus
    values: Json | None
    checkpoint_id: str | None
    interrupts: Json
    error: Json | None
    metadata: Json
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    ttl_minutes: float | None
    ttl_strategy: PruneStrategy | None
    shortened_at: datetime | None
    """What `updated_at` was when a sweep kept the latest state only."""

    @property
    def expires_at(self) -> datetime | None:
        """From when on the thread is as good as gone; None: it is not to go, or not yet."""
        if self.ttl_strategy != "delete" or self.status == "busy":
            return None
        return self._over_at

    @property
    def shortens_at(self) -> datetime | None:
        """From when on only its latest state stays; None: all do, or that is done already."""
        if self.ttl_strategy != "keep_latest" or self.status == "busy":
            return None
        if self.shortened_at is not None and self.shortened_at >= self.updated_at:
            return None
        return self._over_at

    @property
    def _over_at(self) -> datetime:
        return self.updated_at + timedelta(minutes=self.ttl_minutes or 0)


@dataclass(slots=True, kw_only=True, eq=False)
class StateRow:
    """A row of `thread_states`; `seq` rises within a thread."""

    thread_id: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    seq: int
    values: Json
    next: list[str]
    tasks: list[Json]
    interrupts: list[Json]
    metadata: Json
    created_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class RunRow:
    """A row of `runs`; a token and an end are there while the run is leased."""

    run_id: str
    thread_id: str
    owner: str
    assistant_id: str
    status: RunStatus
    kwargs: Json
    metadata: Json
    multitask_strategy: MultitaskStrategy
    attempt: int
    error: str | None
    due_at: datetime
    lease_token: str | None
    leased_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class ItemRow:
    """A row of `store_items`."""

    owner: str
    namespace: tuple[str, ...]
    key: str
    value: Json
    ttl_minutes: float | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class CronRow:
    """A row of `crons`."""

    cron_id: str
    owner: str
    assistant_id: str
    thread_id: str | None
    schedule: str
    timezone: str | None
    payload: Json
    on_run_completed: OnRunCompleted
    end_time: datetime | None
    enabled: bool
    next_run_date: datetime | None
    metadata: Json
    created_at: datetime
    updated_at: datetime
