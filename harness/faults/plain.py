"""What LangGraph's values look like as JSON: messages, interrupts and snapshots of a thread."""

from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from langgraph.types import PregelTask, StateSnapshot

from harness.models import Json


def to_json(value: object) -> bytes:
    """Return a value as JSON; messages become `type`, `text` and `id`, dataclasses their fields.

    Raises:
        TypeError: It holds something that has no such form.
    """
    return orjson.dumps(value, default=_plain)


def snapshot(state: StateSnapshot) -> Json:
    """Return what a thread held at one checkpoint; `checkpoint_id` is None where there is none."""
    metadata = state.metadata or {}
    return {
        "values": state.values,
        "next": list(state.next),
        "interrupts": list(state.interrupts),
        "tasks": [_task(task) for task in state.tasks],
        "step": metadata.get("step"),
        "source": metadata.get("source"),
        "checkpoint_id": _checkpoint_id(state.config),
        "parent_id": _checkpoint_id(state.parent_config),
    }


def _task(task: PregelTask) -> Json:
    inner = task.state
    return {
        "id": task.id,
        "name": task.name,
        "interrupts": list(task.interrupts),
        "state": snapshot(inner) if isinstance(inner, StateSnapshot) else None,
    }


def _checkpoint_id(config: Any) -> str | None:
    found: str | None = ((config or {}).get("configurable") or {}).get("checkpoint_id")
    return found


def _plain(value: object) -> object:
    if isinstance(value, BaseMessage):
        return {"type": value.type, "text": str(value.text), "id": value.id}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
