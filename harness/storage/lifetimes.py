"""The times to live of threads: from what a caller says to what a thread shows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from harness.config import MAX_TTL_MINUTES, ThreadTtlConfig
from harness.errors import InvalidInput
from harness.models import PruneStrategy, ThreadTtl
from harness.storage.checks import check_choice, check_number
from harness.storage.requests import TimeToLive


def check_thread_ttl(given: Any, default: TimeToLive | None = None) -> TimeToLive | None:
    """Return the time to live that a caller asks for a thread.

    Args:
        given: Minutes, or an object with `ttl` (minutes) and perhaps a `strategy`; None for the
            default.
        default: What a thread gets for which nothing is said.

    Raises:
        InvalidInput: It is neither.
    """
    if given is None:
        return default
    if not isinstance(given, Mapping):
        return TimeToLive(minutes=check_minutes(given), strategy="delete")
    if unknown := given.keys() - {"ttl", "strategy"}:
        raise InvalidInput(f"ttl has no field {min(map(str, unknown))!r}")
    return TimeToLive(
        minutes=check_minutes(given.get("ttl")),
        strategy=check_choice(given.get("strategy", "delete"), PruneStrategy, "ttl strategy"),
    )


def check_minutes(given: Any) -> float:
    """Return a time to live in minutes: above 0, at most a century, fractions allowed."""
    return check_number(given, "ttl", high=MAX_TTL_MINUTES)


def default_ttl(config: ThreadTtlConfig) -> TimeToLive | None:
    """Return the time to live of threads for which nothing is said."""
    if config.default_ttl is None:
        return None
    return TimeToLive(minutes=config.default_ttl, strategy=config.strategy)


def ttl_of(
    minutes: float | None, strategy: PruneStrategy | None, updated_at: datetime
) -> ThreadTtl | None:
    """Return what a thread shows of its time to live."""
    if minutes is None or strategy is None:
        return None
    return ThreadTtl(
        ttl_minutes=minutes,
        strategy=strategy,
        expires_at=updated_at + timedelta(minutes=minutes),
    )
