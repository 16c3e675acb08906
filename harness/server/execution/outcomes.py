"""How runs end."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import HarnessError
from harness.models import Run, RunStatus
from harness.server.encoding import class_name, clean, text_of

_NODE: Final = re.compile("During task with name '(.*)' and id '")

MAX_MESSAGE: Final = 10_000
"""Characters of an error's text that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    status: RunStatus
    values: Any = None
    """The thread's values, with `__interrupt__` where it waits for an answer; None: not known."""
    error: Mapping[str, str] | None = None
    """`error` (the type) and `message`."""


OnEnded = Callable[[Run, Outcome], None]
"""Called when the end of a run has been written."""


def error_of(exc: BaseException) -> dict[str, str]:
    """Return what readers are told of an error, as text that can be stored; of many the first.

    Nothing in the error makes that fail: what cannot be read of it is left out.
    """
    first = _first_of(exc)
    message = text_of(
        lambda: first.public if isinstance(first, HarnessError) else str(first), MAX_MESSAGE
    )
    if message is None:
        message = "its text cannot be read"
    return {"error": class_name(type(first)), "message": clean(message, nul=False)}


def _first_of(exc: BaseException) -> BaseException:
    """Return the first error of a group, and of the groups in it, whatever a subclass says."""
    while isinstance(exc, BaseExceptionGroup):
        exc = vars(BaseExceptionGroup)["exceptions"].__get__(exc)[0]
    return exc


def node_of(exc: BaseException) -> str | None:
    """Return the node that raised an error, as LangGraph notes it; None: no node did."""
    notes = getattr(exc, "__notes__", None)
    for note in notes if isinstance(notes, list) else ():
        found = _NODE.match(note) if isinstance(note, str) else None
        if found is not None:
            return found[1]
    return None


def error_text(error: Mapping[str, str]) -> str:
    """Return the line that is stored with the run."""
    return f"{error['error']}: {error['message']}"


def outcome_of(run: Run) -> Outcome:
    """Return how a stored run ended; its thread's values are not read."""
    if run.status not in ("error", "timeout"):
        return Outcome(status=run.status)
    kind, _, message = (run.error or "").partition(": ")
    return Outcome(status=run.status, error={"error": kind, "message": message})


def is_temporary(run: Run) -> bool:
    """Whether the run's thread was made for it, and goes with it."""
    return bool(run.kwargs.get("temporary")) and run.kwargs.get("on_completion") != "keep"
