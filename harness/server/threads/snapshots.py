"""States as callers see them, whether a graph's checkpoints hold them or storage does."""

from collections.abc import Mapping
from typing import Any, cast

from langgraph.types import PregelTask, StateSnapshot

from harness.models import Json, ThreadState
from harness.server.encoding import class_name, text_of
from harness.server.execution.outcomes import MAX_MESSAGE
from harness.server.execution.reading import Reading
from harness.server.threads.places import checkpoint_of


def state_of_snapshot(snapshot: StateSnapshot) -> Json:
    """Return a graph's state; where there is no checkpoint, an empty one."""
    if snapshot.created_at is None:
        return _state(values={}, next=[], tasks=[], interrupts=[])
    return _state(
        values=snapshot.values,
        next=list(snapshot.next),
        tasks=[_task(task) for task in snapshot.tasks],
        interrupts=[asked for task in snapshot.tasks for asked in task.interrupts],
        metadata=snapshot.metadata,
        created_at=snapshot.created_at,
        checkpoint=checkpoint_of(snapshot.config),
        parent_checkpoint=checkpoint_of(snapshot.parent_config),
    )


def state_of(read: Reading) -> Json:
    """Return a state as it was read; where its graph cannot read it, it says why."""
    state = state_of_snapshot(read.snapshot)
    return state if read.problem is None else {**state, "unreadable": read.problem}


def state_of_record(record: ThreadState) -> Json:
    """Return a state that was given to storage."""
    return _state(
        values=record.values,
        next=record.next,
        tasks=record.tasks,
        interrupts=record.interrupts,
        metadata=record.metadata,
        created_at=record.created_at,
        checkpoint=record.checkpoint,
        parent_checkpoint=record.parent_checkpoint,
    )


def selected_of(state: Json, select: list[str] | None) -> Json:
    """Return the fields of a state that were asked for; `values.<key>` is one of its values."""
    if not select:
        return state
    chosen = {name: state[name] for name in select if name in state}
    keys = [name.removeprefix("values.") for name in select if name.startswith("values.")]
    values = state["values"]
    if keys and "values" not in chosen and isinstance(values, Mapping):
        chosen["values"] = {key: values[key] for key in keys if key in values}
    return chosen


def _task(task: PregelTask) -> Json:
    around = None if isinstance(task.state, StateSnapshot) else task.state
    return {
        "id": task.id,
        "name": task.name,
        "path": list(task.path),
        "error": None if task.error is None else _error(task.error),
        "interrupts": list(task.interrupts),
        "checkpoint": cast("Any", around)["configurable"] if around else None,
        "state": state_of_snapshot(task.state) if isinstance(task.state, StateSnapshot) else None,
        "result": task.result,
    }


def _error(error: Any) -> str:
    return text_of(lambda: repr(error), MAX_MESSAGE) or class_name(type(error))


def _state(
    *,
    metadata: Any = None,
    created_at: Any = None,
    checkpoint: Json | None = None,
    parent_checkpoint: Json | None = None,
    **rest: Any,
) -> Json:
    """Return a state's fields, with the two that older clients read."""
    return {
        **rest,
        "metadata": metadata,
        "created_at": created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent_checkpoint,
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent_checkpoint and parent_checkpoint["checkpoint_id"],
    }
