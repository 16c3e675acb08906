"""Heads of threads: parameters and statements with which these are shown."""

from typing import Any, Final, Literal

from harness.models import ThreadHead
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.sql import load
from harness.storage.requests import StatusChange

_RUNS: Final = load("runs")


def ends(condition: Literal["is_active", "is_leased"]) -> dict[bool, str]:
    """Return the statements that end a run which meets a condition: True with a head."""
    current = _RUNS[condition]
    return {
        False: _RUNS.render("end", current=current),
        True: _RUNS.render("end_with_head", current=current),
    }


def end_parameters(change: StatusChange) -> dict[str, Any]:
    """Return the parameters of a run's end."""
    return {
        "status": change.status,
        "error": change.error,
        "thread_status": change.thread_status,
        **({} if change.head is None else head_parameters(change.head)),
    }


def head_parameters(head: ThreadHead) -> dict[str, Any]:
    """Return a head's parameters; the thread's error is not the run's `error`."""
    return {
        "values": None if head.values is None else dumps(head.values),
        "checkpoint_id": head.checkpoint_id,
        "interrupts": dumps(head.interrupts),
        "thread_error": None if head.error is None else dumps(head.error),
    }
