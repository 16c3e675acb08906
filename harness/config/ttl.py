"""How long threads and items are kept, as a `langgraph.json` says it; all times are minutes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

MAX_TTL_MINUTES = 100 * 366 * 24 * 60.0
"""A century."""

Minutes = Annotated[float, Field(gt=0, le=MAX_TTL_MINUTES)]
Interval = Annotated[float, Field(ge=1 / 60, le=MAX_TTL_MINUTES)]
"""Minutes between sweeps, at least a second: each is a statement of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTtlConfig:
    """`checkpointer.ttl`: what becomes of threads that nothing has happened on for a while."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    strategy: Literal["delete", "keep_latest"] = "delete"
    """Remove the thread with all that is of it, or all its states but the latest."""
    default_ttl: Minutes | None = None
    """Of threads that say nothing themselves; None: they stay."""
    sweep_interval_minutes: Interval = 5.0
    sweep_limit: Annotated[int, Field(gt=0, lt=10**9)] = 1_000
    """Threads that one sweep takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTtlConfig:
    """`store.ttl`: how long items of the store live that say nothing themselves."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    refresh_on_read: bool = True
    """Whether reading an item begins its time to live anew, where the reader does not say."""
    default_ttl: Minutes | None = None
    """None: they stay."""
    sweep_interval_minutes: Interval = 5.0
