"""A check before each write of a run's checkpoints: whoever has lost the run writes no more."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], Awaitable[None]]

_check: ContextVar[Check | None] = ContextVar("harness_fence", default=None)


@contextmanager
def fenced(check: Check) -> Iterator[None]:
    """Have a check pass before each write of checkpoints in this block and in tasks of it.

    Args:
        check: Raises if there must be no write.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


async def pass_fence() -> None:
    """Return if there may be a write; raise what the check raises otherwise."""
    check = _check.get()
    if check is not None:
        await check()
