"""Random histories of threads and their states."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.contract.stateful.core import TwoSides
from harness.contract.stateful.strategies import (
    CHECKPOINTS,
    HEADS,
    OBJECTS,
    OWNERS,
    PATTERNS,
    THREADS,
    Id,
    a_head,
    optional,
    pages,
)

_IF_EXISTS = st.sampled_from(["raise", "do_nothing"])
_STATUS = st.sampled_from(["idle", "busy", "interrupted", "error"])
_FILTERS = optional(metadata=PATTERNS, values=PATTERNS, status=_STATUS)
_STATE = optional(
    next=st.lists(st.sampled_from(["a", "b"]), max_size=2),
    tasks=st.lists(OBJECTS, max_size=1),
    interrupts=st.lists(OBJECTS, max_size=1),
    metadata=OBJECTS,
)


class ThreadRules(TwoSides):
    """Threads, created, changed, snapshot, copied, searched and removed."""

    @rule(thread_id=THREADS, metadata=OBJECTS, if_exists=_IF_EXISTS, owner=OWNERS)
    def create_thread(self, **arguments: Any) -> None:
        """Create one."""
        self.same("threads.create", **arguments)

    @rule(ids=st.lists(THREADS, max_size=3), if_exists=_IF_EXISTS, owner=OWNERS)
    def create_threads(self, ids: list[Id], if_exists: str, owner: str) -> None:
        """Create some or none."""
        rows: list[Any] = [{"thread_id": one, "if_exists": if_exists} for one in ids]
        self.same("threads.create_many", rows, owner=owner)

    @rule(thread_id=THREADS, owner=OWNERS)
    def get_thread(self, **arguments: Any) -> None:
        """Read one."""
        self.same("threads.get", **arguments)

    @rule(thread_id=THREADS, metadata=OBJECTS, owner=OWNERS)
    def update_thread(self, **arguments: Any) -> None:
        """Merge metadata."""
        self.same("threads.update", **arguments)

    @rule(
        query=_FILTERS,
        ids=st.none() | st.lists(THREADS, max_size=3),
        page=pages("thread_id", "status", "created_at", "updated_at", "state_updated_at"),
        owner=OWNERS,
    )
    def search_threads(
        self, query: dict[str, Any], ids: list[Id] | None, page: dict[str, Any], owner: str
    ) -> None:
        """Find and count."""
        self.same("threads.search", **query, ids=ids, **page, owner=owner)
        self.same("threads.count", **query, owner=owner)

    @rule(thread_id=THREADS, owner=OWNERS)
    def delete_thread(self, **arguments: Any) -> None:
        """Remove one."""
        self.same("threads.delete", **arguments)

    @rule(thread_id=THREADS, owner=OWNERS)
    def copy_thread(self, **arguments: Any) -> None:
        """Copy one; from now on `copy` is the new one."""
        answers = self.call("threads.copy", **arguments)
        if answers is not None:
            self.bind("copy", (answers[0].thread_id, answers[1].thread_id))
            self.expect_same("threads.copy", answers)

    @rule(
        ids=st.lists(THREADS, max_size=3),
        strategy=st.sampled_from(["delete", "keep_latest", "keep_latest"]),
        owner=OWNERS,
    )
    def prune_threads(self, ids: list[Id], strategy: str, owner: str) -> None:
        """Remove some, or all but their heads."""
        self.same("threads.prune", list(ids), strategy=strategy, owner=owner)

    @rule(
        thread_id=THREADS,
        checkpoint_id=st.none() | CHECKPOINTS,
        head=HEADS,
        thread_status=st.none() | _STATUS,
        owner=OWNERS,
    )
    def cache_head(self, checkpoint_id: Id | None, head: dict[str, Any], **arguments: Any) -> None:
        """Show another head."""
        self.same("threads.cache_head", head=a_head(checkpoint_id, head), **arguments)

    @rule(thread_id=THREADS, values=OBJECTS, checkpoint_id=CHECKPOINTS, given=_STATE, owner=OWNERS)
    def add_state(self, given: dict[str, Any], **arguments: Any) -> None:
        """Add a state."""
        self.same("threads.add_state", **arguments, **given)

    @rule(thread_id=THREADS, checkpoint_id=st.none() | CHECKPOINTS, owner=OWNERS)
    def get_state(self, **arguments: Any) -> None:
        """Read a state."""
        self.same("threads.get_state", **arguments)

    @rule(
        thread_id=THREADS,
        before=st.none() | CHECKPOINTS,
        metadata=PATTERNS,
        limit=st.integers(1, 4),
        owner=OWNERS,
    )
    def get_history(self, **arguments: Any) -> None:
        """Read the history."""
        self.same("threads.get_history", **arguments)
