"""What is asked of threads and their states, over HTTP."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from harness.models import IfExists, PruneStrategy, ThreadStatus
from harness.server.http import Schema
from harness.server.routes.paging import Sorted
from harness.server.routes.run_bodies import CheckpointBody, CommandBody
from harness.storage.checks import MAX_LIMIT
from harness.storage.interface import ThreadSortBy

Json = dict[str, Any]

ThreadField = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "values",
    "interrupts",
    "error",
    "checkpoint_id",
    "ttl",
]


class UpdateBody(Schema):
    """What a node would have written."""

    values: Json | list[Any] | None = None
    command: CommandBody | None = None
    """Instead of values."""
    as_node: str | None = None


class SuperstepBody(Schema):
    """Updates of several nodes, which count as one step."""

    updates: list[UpdateBody] = Field(min_length=1)


class TtlBody(Schema):
    """How long a thread lives after its last update, and what becomes of it then."""

    ttl: float = Field(allow_inf_nan=False)
    """Minutes, above 0."""
    strategy: PruneStrategy = "delete"
    """`delete`: it goes with all that is of it; `keep_latest`: its latest state stays."""


class NewThreadBody(Schema):
    """A thread to create."""

    thread_id: str | None = None
    metadata: Json | None = None
    if_exists: IfExists | None = None
    supersteps: list[SuperstepBody] | None = None
    """Applied to the graph that `metadata.graph_id` names."""
    ttl: TtlBody | float | None = None
    """Or the minutes alone; by default as the server is configured."""


class ThreadPatchBody(Schema):
    """Metadata to merge into a thread's."""

    metadata: Json | None = None
    ttl: TtlBody | float | None = None
    """What its time to live is from now on; null: what it was."""


class ThreadQuery(Schema):
    """What to show of a thread beside itself."""

    include: list[Literal["ttl"]] | None = None
    """Fields with commas between them; `ttl` is there in any case."""

    @field_validator("include", mode="before")
    @classmethod
    def _several(cls, given: list[str]) -> list[str]:
        return [name for each in given for name in each.split(",") if name]


class ThreadFilterBody(Schema):
    """Which threads."""

    is_search: ClassVar[bool] = True
    metadata: Json | None = None
    values: Json | None = None
    ids: list[str] | None = None
    status: ThreadStatus | None = None


class ThreadSearchBody(ThreadFilterBody, Sorted):
    """Which threads, and what of them."""

    sort_by: ThreadSortBy | None = None
    select: list[ThreadField] | None = None
    extract: dict[str, str] | None = Field(default=None, max_length=10)
    """Names, and paths such as `values.messages[-1].content` to what is shown under them."""


class PruneBody(Schema):
    """Threads to delete, or to shorten to their latest state."""

    thread_ids: list[str]
    strategy: PruneStrategy = "delete"


class BeforeBody(CheckpointBody):
    """A checkpoint, or LangGraph's config of one."""

    configurable: CheckpointBody | None = None


class StateQuery(Schema):
    """What of a state."""

    subgraphs: bool = False
    """Whether tasks that are subgraphs show their states."""
    select: list[str] | None = None
    """Fields, and `values.<key>` for one value."""


class StateAtBody(Schema):
    """Which state, and what of it."""

    checkpoint: CheckpointBody
    subgraphs: bool | None = None
    select: list[str] | None = None


class StateUpdateBody(Schema):
    """What to write to a state, as if a node had."""

    values: Json | list[Any] | None = None
    as_node: str | None = None
    checkpoint: CheckpointBody | None = None
    """Which state; what comes of it is the thread's head then."""
    checkpoint_id: str | None = None


class HistoryBody(Schema):
    """Which states of a history."""

    is_search: ClassVar[bool] = True
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    before: str | BeforeBody | None = None
    """A checkpoint or its id; it is not included."""
    metadata: Json | None = None
    checkpoint: CheckpointBody | None = None
    """Of the subgraph whose history it is."""
    select: list[str] | None = None


class HistoryQuery(Schema):
    """Which states of a history."""

    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    before: str | None = None
    select: list[str] | None = None
