"""Checked requests: what a backend is asked to do once every argument has been found good.

`harness.storage.resources` makes them from the caller's arguments, with defaults filled in, ids
made and JSON copied into canonical form. A backend (`harness.storage.engine`) may trust them.
A field of an update that is None stays as it is. Nobody changes a request; those of new rows, of
which a bulk makes thousands, are not frozen, since that triples the time it takes to make one.
"""

from dataclasses import dataclass
from datetime import datetime

from harness.models import (
    IfExists,
    IfNotExists,
    Json,
    MultitaskStrategy,
    OnRunCompleted,
    PruneStrategy,
    RunStatus,
    SortOrder,
    ThreadHead,
    ThreadStatus,
)
from harness.storage.filters import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of an ordered result; the id breaks ties in the same direction."""

    limit: int
    offset: int
    sort_by: str = "created_at"
    sort_order: SortOrder = "desc"


@dataclass(slots=True, kw_only=True)
class NewAssistant:
    """An assistant to insert, owner already stamped into `metadata`."""

    assistant_id: str
    graph_id: str
    name: str
    description: str | None
    config: Json
    context: Json
    metadata: Json
    if_exists: IfExists


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantChange:
    """An update that makes a new version; `metadata` merges shallowly, the rest replaces."""

    graph_id: str | None
    name: str | None
    description: str | None
    config: Json | None
    context: Json | None
    metadata: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantQuery:
    """Which assistants; `name` is a part of the name, in any case."""

    metadata: Json
    graph_id: str | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToLive:
    """How long a thread lives after its last update, and what becomes of it then."""

    minutes: float
    strategy: PruneStrategy


@dataclass(slots=True, kw_only=True)
class NewThread:
    """A thread to insert, owner already stamped into `metadata`."""

    thread_id: str
    metadata: Json
    if_exists: IfExists
    ttl: TimeToLive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChange:
    """An update of a thread; `metadata` merges shallowly."""

    metadata: Json
    ttl: TimeToLive | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadQuery:
    """Which threads; `values` is contained in the head state's values."""

    metadata: Json
    values: Json
    ids: tuple[str, ...] | None
    status: ThreadStatus | None


@dataclass(slots=True, kw_only=True)
class NewState:
    """A snapshot that becomes the head of its thread; its parent is the head it finds."""

    checkpoint_id: str
    values: Json
    next: list[str]
    tasks: list[Json]
    interrupts: list[Json]
    metadata: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What stays of each history: the newest `keep`, and all that are younger than an age."""

    keep: int
    """At least 1."""
    older_than_s: float | None
    """Only what is older goes; None: whatever its age."""
    dry_run: bool = False
    """Only say what would go."""


@dataclass(slots=True, kw_only=True)
class NewRun:
    """A pending run to insert, owner already stamped into `metadata`."""

    run_id: str
    thread_id: str
    assistant_id: str
    kwargs: Json
    metadata: Json
    multitask_strategy: MultitaskStrategy
    if_not_exists: IfNotExists
    """`create` makes a missing thread, with metadata that names its owner."""
    after_seconds: float
    thread_ttl: TimeToLive | None = None
    """Of a thread that it makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs."""

    thread_id: str | None
    assistant_id: str | None
    status: RunStatus | None
    metadata: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A transition of a run, and what its thread becomes when no other run keeps it busy."""

    status: RunStatus
    error: str | None
    thread_status: ThreadStatus
    head: ThreadHead | None = None
    """What the thread shows from now on, other runs or not; None: what it showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChange:
    """A head for a thread to show, and what the thread becomes unless a run keeps it busy."""

    head: ThreadHead
    thread_status: ThreadStatus | None
    seen_at: datetime | None
    """Only while the thread's state is of this time; None: whatever it is."""


@dataclass(slots=True, kw_only=True)
class NewItem:
    """An item to put."""

    namespace: tuple[str, ...]
    key: str
    value: Json
    ttl_minutes: float | None
    """Minutes until it expires; None never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemQuery:
    """Which items: those under the prefix's labels that meet all conditions."""

    prefix: tuple[str, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceQuery:
    """Which namespaces; the label `*` matches any one label."""

    prefix: tuple[str, ...]
    suffix: tuple[str, ...]
    max_depth: int | None
    """Namespaces are cut to this many labels, and then listed once."""
    limit: int
    offset: int


@dataclass(slots=True, kw_only=True)
class NewCron:
    """A cron to insert, owner already stamped into `metadata`."""

    cron_id: str
    assistant_id: str
    thread_id: str | None
    schedule: str
    timezone: str | None
    payload: Json
    on_run_completed: OnRunCompleted
    end_time: datetime | None
    enabled: bool
    metadata: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CronChange:
    """An update of a cron; `metadata` merges shallowly, the rest replaces."""

    schedule: str | None
    timezone: str | None
    payload: Json | None
    on_run_completed: OnRunCompleted | None
    end_time: datetime | None
    clear_end_time: bool
    """True: there is no end time any more (`end_time` is None then)."""
    enabled: bool | None
    metadata: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class CronQuery:
    """Which crons."""

    assistant_id: str | None
    thread_id: str | None
    enabled: bool | None
    metadata: Json
