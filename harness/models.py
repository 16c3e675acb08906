"""The records that storage returns: frozen, with the field names of `langgraph_sdk.schema`.

A record is a copy. Its dicts and lists belong to whoever received it, and changing them changes
nothing in the store. Ids are UUIDs in their canonical text form; times are timezone-aware (UTC).
The owner of a row stands in its `metadata["owner"]`; items have no metadata and carry none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Json = dict[str, Any]
"""A JSON object, in the canonical form that `harness.storage.values` defines."""

RunStatus = Literal["pending", "running", "error", "success", "timeout", "interrupted"]
ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
MultitaskStrategy = Literal["reject", "interrupt", "rollback", "enqueue"]
IfExists = Literal["raise", "do_nothing"]
IfNotExists = Literal["create", "reject"]
OnRunCompleted = Literal["delete", "keep"]
PruneStrategy = Literal["delete", "keep_latest"]
SortOrder = Literal["asc", "desc"]

SYSTEM: Final = "system"
"""The owner whose rows everybody may read and nobody else may write."""

TERMINAL: Final[frozenset[RunStatus]] = frozenset({"error", "success", "timeout", "interrupted"})
"""The statuses a run never leaves."""

ACTIVE: Final[frozenset[RunStatus]] = frozenset({"pending", "running"})
"""The statuses of a run that keeps its thread busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantVersion:
    """What an assistant was at one of its versions."""

    assistant_id: str
    version: int
    """Counts from 1; every update makes the next one."""
    graph_id: str
    name: str
    description: str | None
    config: Json
    context: Json
    metadata: Json
    created_at: datetime
    """When this version came to be (for `Assistant`: when the assistant did)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant(AssistantVersion):
    """A graph with its configuration, as `langgraph_sdk.schema.Assistant`."""

    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTtl:
    """How long a thread lives after its last update, and what becomes of it then."""

    ttl_minutes: float
    strategy: PruneStrategy
    """`delete`: it goes with all that is of it; `keep_latest`: its latest state stays."""
    expires_at: datetime
    """`Thread.updated_at` and so many minutes; while a run is active, nothing expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation, as `langgraph_sdk.schema.Thread`."""

    thread_id: str
    status: ThreadStatus
    """`busy` exactly while a run of it is pending or running."""
    values: Json | None
    """The head state's values, cached for search; None until there is a state."""
    checkpoint_id: str | None
    """The head state's checkpoint, None until there is a state."""
    interrupts: Json
    """By task, what the head of a graph's thread waits for: `{task_id: [{"id", "value"}]}`."""
    error: Json | None
    """Why the last run of a graph's thread failed: `{"error", "message"}`; None if it did not."""
    metadata: Json
    created_at: datetime
    updated_at: datetime
    """Changes with metadata, status and state."""
    state_updated_at: datetime
    """Changes with state only; equals `created_at` until there is one."""
    ttl: ThreadTtl | None = None
    """None: it lives until somebody deletes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadHead:
    """What a thread is to show of its newest checkpoint, which the checkpointer has."""

    values: Json | None
    checkpoint_id: str | None
    interrupts: Json
    """As `Thread.interrupts`."""
    error: Json | None
    """As `Thread.error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadState:
    """A snapshot of a thread, as `langgraph_sdk.schema.ThreadState`.

    `checkpoint`, `metadata` and `created_at` are None, `values` and `next` empty, for a thread
    that has no state yet and for a checkpoint it does not have.
    """

    values: Json
    next: list[str]
    checkpoint: Json | None
    """`{"thread_id", "checkpoint_ns": "", "checkpoint_id"}`."""
    parent_checkpoint: Json | None
    metadata: Json | None
    created_at: datetime | None
    tasks: list[Json]
    interrupts: list[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """Rows that were deleted from one table."""

    rows: int = 0
    size_bytes: int = 0
    """What their values take up where they are stored, compressed if they are."""

    def __add__(self, other: "Freed") -> "Freed":
        return Freed(rows=self.rows + other.rows, size_bytes=self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What pruning freed, or would free, table by table."""

    threads: int = 0
    """How many threads lost something."""
    states: Freed = Freed()
    """Snapshots that were given to `add_state`."""
    checkpoints: Freed = Freed()
    blobs: Freed = Freed()
    writes: Freed = Freed()

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(freed.rows for freed in self._freed)

    @property
    def freed_bytes(self) -> int:
        """Size of all rows' values.

        Postgres gives this room to the next rows of the same table once it is vacuumed, which
        autovacuum does by itself; only VACUUM FULL gives it back to the disk. Indexes and row
        headers, which shrink too, are not counted.
        """
        return sum(freed.size_bytes for freed in self._freed)

    @property
    def _freed(self) -> "tuple[Freed, ...]":
        return self.states, self.checkpoints, self.blobs, self.writes

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(
            threads=self.threads + other.threads,
            states=self.states + other.states,
            checkpoints=self.checkpoints + other.checkpoints,
            blobs=self.blobs + other.blobs,
            writes=self.writes + other.writes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of an assistant on a thread, as `langgraph_sdk.schema.Run`."""

    run_id: str
    thread_id: str
    assistant_id: str
    status: RunStatus
    kwargs: Json
    """What the run was asked to do: input, command, config, context, stream_mode, …"""
    metadata: Json
    multitask_strategy: MultitaskStrategy
    attempt: int
    """How often the run was started: 0 while it was never claimed."""
    error: str | None
    """Why it ended as `error` or `timeout`."""
    due_at: datetime
    """Not claimed before this time (`after_seconds`)."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to execute one attempt of a run until `expires_at`, by the database's clock."""

    run_id: str
    thread_id: str
    token: str
    attempt: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """A run that is now `running`, and the lease under which it may be written to."""

    run: Run
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A value under a namespace and a key, as `langgraph_sdk.schema.Item`."""

    namespace: tuple[str, ...]
    key: str
    value: Json
    created_at: datetime
    """Kept when the item is overwritten."""
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A schedule that makes runs, as `langgraph_sdk.schema.Cron`."""

    cron_id: str
    assistant_id: str
    thread_id: str | None
    """None: each firing makes a thread of its own."""
    schedule: str
    """Five fields, or six with seconds last; weekday 0 and 7 are Sunday."""
    timezone: str | None
    """IANA name; None is UTC."""
    payload: Json
    """The keyword arguments of the runs it makes: `Run.kwargs`."""
    on_run_completed: OnRunCompleted
    end_time: datetime | None
    enabled: bool
    next_run_date: datetime | None
    """None once no firing lies before `end_time`."""
    metadata: Json
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFiring:
    """A due cron that was claimed: its next date was advanced and its run made, together."""

    cron: Cron
    """As it is after the claim."""
    scheduled_for: datetime
    """The `next_run_date` that had come due."""
    run: Run
