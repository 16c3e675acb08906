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
- A run's graph has a saver of its own, bound to the fence (`Fenceable.fenced_by`): threads that a
  node starts without a context of their own are under the fence, too, as long as they live.
- Without a fence, as in a program that calls a graph itself, savers write what they are given. A
  server's saver (`requires_fence`) refuses such writes, but for those of the server (`unfenced`).
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self

from harness.errors import LeaseLost
from harness.models import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The lease under which a run is written.

    `on_lost` is called each time a write is refused because the lease is gone, maybe from another
    thread. (LangGraph may raise a put's `LeaseLost` only when the graph has ended.)
    """

    run_id: str
    thread_id: str
    owner: str
    token: str
    on_lost: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, lease: Lease, *, owner: str, on_lost: Callable[[], None] | None = None) -> Self:
        """Return the fence of a lease; prolonging the lease leaves it as it is."""
        return cls(
            run_id=lease.run_id,
            thread_id=lease.thread_id,
            owner=owner,
            token=lease.token,
            on_lost=on_lost,
        )

    def lost(self) -> LeaseLost:
        """Return the error of a write that this fence has stopped, and tell the execution."""
        if self.on_lost is not None:
            self.on_lost()
        return LeaseLost(f"run {self.run_id} is not under this lease any more; nothing was written")


_fence: ContextVar[Fence | None] = ContextVar("harness_fence", default=None)
_unfenced: ContextVar[bool] = ContextVar("harness_unfenced", default=False)


@contextmanager
def fenced(fence: Fence) -> Iterator[None]:
    """Have this project's savers write in this block, and in tasks of it, under a lease alone."""
    fence_before = _fence.set(fence)
    try:
        yield
    finally:
        _fence.reset(fence_before)


@contextmanager
def unfenced() -> Iterator[None]:
    """Let savers that require a fence write without one in this block, and in tasks of it."""
    unfenced_before = _unfenced.set(True)
    try:
        yield
    finally:
        _unfenced.reset(unfenced_before)


def current_fence() -> Fence | None:
    """Return the innermost fence; None: there is none around this call."""
    return _fence.get()


class Fenceable:
    """A saver that can be bound to a fence."""

    requires_fence = False
    """Whether what is neither under a fence nor in an `unfenced` block is refused."""
    _bound: Fence | None = None

    def fenced_by(self, fence: Fence) -> Self:
        """Return this saver as a run has it: whatever calls it, from any thread, is fenced."""
        bound = copy.copy(self)
        bound._bound = fence  # noqa: SLF001 -- its own copy's
        return bound

    def _write_fence(self) -> Fence | None:
        """Return the fence that a write is under; None: it needs none.

        Raises:
            LeaseLost: It needs one and has none.
        """
        fence = self._bound or current_fence()
        if fence is None and self.requires_fence and not _unfenced.get():
            raise LeaseLost("no run writes this under a lease; nothing was written")
        return fence
