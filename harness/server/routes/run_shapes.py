"""What the server answers about runs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from harness.models import MultitaskStrategy, RunStatus


class RunShape(BaseModel):
    """One execution of an assistant on a thread."""

    run_id: str
    thread_id: str
    assistant_id: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any]
    status: RunStatus
    kwargs: dict[str, Any]
    """What it was asked to do."""
    multitask_strategy: MultitaskStrategy
    attempt: int
    """How often it was started; this and what follows the official server does not tell."""
    error: str | None
    """Why it failed."""
    due_at: datetime
    """Before which it is not started."""
