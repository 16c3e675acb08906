"""What the server answers about threads and their states."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from harness.models import PruneStrategy, Thread, ThreadStatus


class TtlShape(BaseModel):
    """How long a thread lives after its last update, and what becomes of it then."""

    ttl_minutes: float
    strategy: PruneStrategy
    expires_at: datetime
    """Unless it is updated before, or a run is active."""


class ThreadShape(BaseModel):
    """A conversation."""

    thread_id: str
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    metadata: dict[str, Any]
    status: ThreadStatus
    config: dict[str, Any]
    values: dict[str, Any] | None
    """The head state's."""
    interrupts: dict[str, list[Any]]
    """What waits for an answer, by task."""
    error: dict[str, Any] | None
    """Why the last run failed."""
    checkpoint_id: str | None
    """The head state's; what the official server does not tell."""
    ttl: TtlShape | None
    """Null: it lives until somebody deletes it."""
    extracted: dict[str, Any] | None = None
    """What a search was asked to extract."""


class CheckpointShape(BaseModel):
    """A place in a thread's history."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str | None = None
    checkpoint_map: dict[str, str] | None = None


class TaskShape(BaseModel):
    """What would be executed next at a state."""

    id: str
    name: str
    path: list[Any]
    error: str | None
    interrupts: list[Any]
    checkpoint: CheckpointShape | None
    """Of the subgraph that the task is."""
    state: dict[str, Any] | None
    """Of that subgraph, where subgraphs were asked for."""
    result: Any


class StateShape(BaseModel):
    """A state of a thread."""

    values: Any
    next: list[str]
    tasks: list[TaskShape | dict[str, Any]]
    interrupts: list[Any]
    metadata: dict[str, Any] | None
    created_at: datetime | None
    checkpoint: CheckpointShape | None
    parent_checkpoint: CheckpointShape | None
    checkpoint_id: str | None
    parent_checkpoint_id: str | None
    unreadable: str | None = None
    """Why its graph cannot read it, if so; its values are then those of all channels, as stored."""


class UpdatedShape(BaseModel):
    """Where an update of a state was written."""

    checkpoint: CheckpointShape
    configurable: CheckpointShape
    checkpoint_id: str


class PrunedShape(BaseModel):
    """How many threads there were to prune."""

    pruned_count: int


def thread_shape(thread: Thread) -> dict[str, Any]:
    """Return what callers see of a thread."""
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "state_updated_at": thread.state_updated_at,
        "metadata": thread.metadata,
        "status": thread.status,
        "config": {},
        "values": thread.values,
        "interrupts": thread.interrupts,
        "error": thread.error,
        "checkpoint_id": thread.checkpoint_id,
        "ttl": None if thread.ttl is None else asdict(thread.ttl),
    }
