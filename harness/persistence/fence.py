"""The fence around a run: what its code writes is written only under the run's current lease.

Whoever executes a run may have lost it without knowing: it was cancelled, rolled back or handed
back, its thread was deleted, or the process stood still until somebody else claimed it. So each
statement that writes checkpoints, blobs or writes for a run proves in itself that the lease is the
current one, with a lock on the run's row that a deletion or a cancellation has to wait for, or that
waits for these. What follows from that:

- What a write committed before a deletion goes with the thread; after it there is no run's row, and
  nothing is written.
- A run may write to its own thread, and to other threads that its owner has in storage. What is
  written to another thread proves that this thread is there, too: an id that storage does not know
  is `NotFound`, so that no deleted thread comes back and no checkpoint lies without a thread.
- What it deletes through a saver is fenced as its writes are.
- Without a fence, as in a program that calls a graph itself, savers write what they are given.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

from harness.errors import LeaseLost
from harness.models import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The lease under which a run is written."""

    run_id: str
    thread_id: str
    owner: str
    token: str

    @classmethod
    def of(cls, lease: Lease, *, owner: str) -> Self:
        """Return the fence of a lease; prolonging the lease leaves it as it is."""
        return cls(run_id=lease.run_id, thread_id=lease.thread_id, owner=owner, token=lease.token)

    def lost(self) -> LeaseLost:
        """Return the error of a write that this fence has stopped, and tell the execution."""
        on_lost = _on_lost.get()
        if on_lost is not None:
            on_lost()
        return LeaseLost(f"run {self.run_id} is not under this lease any more; nothing was written")


_fence: ContextVar[Fence | None] = ContextVar("harness_fence", default=None)
_on_lost: ContextVar[Callable[[], None] | None] = ContextVar("harness_on_lost", default=None)


@contextmanager
def fenced(fence: Fence, on_lost: Callable[[], None] | None = None) -> Iterator[None]:
    """Have this project's savers write in this block, and in tasks of it, under a lease alone.

    Args:
        fence: The lease.
        on_lost: Called each time a write is refused because the lease is gone, maybe from another
            thread. (LangGraph may raise a put's `LeaseLost` only when the graph has ended.)
    """
    fence_before, on_lost_before = _fence.set(fence), _on_lost.set(on_lost)
    try:
        yield
    finally:
        _on_lost.reset(on_lost_before)
        _fence.reset(fence_before)


def current_fence() -> Fence | None:
    """Return the innermost fence; None: there is none around this call."""
    return _fence.get()
