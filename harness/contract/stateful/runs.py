"""Random histories of runs and of their queue."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.contract.stateful.core import TwoSides
from harness.contract.stateful.strategies import (
    ASSISTANTS,
    HEADS,
    OBJECTS,
    OWNERS,
    PATTERNS,
    RUNS,
    THREADS,
    Id,
    a_head,
    optional,
    pages,
)

_STRATEGIES = st.sampled_from(["enqueue", "enqueue", "reject", "interrupt", "rollback"])
_STATUS = st.sampled_from(["pending", "running", "error", "success", "timeout", "interrupted"])
_ENDED = st.sampled_from(["error", "success", "timeout", "interrupted"])
_SETTLED = st.sampled_from([None, "idle", "interrupted", "error"])
_ERROR = st.none() | st.text(max_size=3)
_NEW = optional(
    kwargs=OBJECTS,
    metadata=OBJECTS,
    multitask_strategy=_STRATEGIES,
    if_not_exists=st.sampled_from(["create", "reject"]),
    after_seconds=st.sampled_from([0, 50]),
)
_BEGUN = optional(
    kwargs=OBJECTS,
    metadata=OBJECTS,
    multitask_strategy=_STRATEGIES,
    if_not_exists=st.sampled_from(["create", "reject"]),
)
_FILTERS = optional(thread_id=THREADS, assistant_id=ASSISTANTS, status=_STATUS, metadata=PATTERNS)
_LEASES = st.integers(0, 5)


class RunRules(TwoSides):
    """Runs, created, moved on, claimed, searched and removed."""

    @rule(thread_id=THREADS, assistant_id=ASSISTANTS, run_id=RUNS, given=_NEW, owner=OWNERS)
    def create_run(self, given: dict[str, Any], **arguments: Any) -> None:
        """Queue one."""
        self.same("runs.create", **arguments, **given)

    @rule(
        thread_id=THREADS,
        assistant_id=ASSISTANTS,
        ids=st.lists(RUNS, max_size=3),
        multitask_strategy=_STRATEGIES,
        owner=OWNERS,
    )
    def create_runs(self, ids: list[Id], owner: str, **same: Any) -> None:
        """Queue some or none."""
        rows: list[Any] = [{**same, "run_id": one, "if_not_exists": "create"} for one in ids]
        self.same("runs.create_many", rows, owner=owner)

    @rule(thread_id=THREADS, run_id=RUNS, owner=OWNERS)
    def get_run(self, **arguments: Any) -> None:
        """Read one."""
        self.same("runs.get", **arguments)

    @rule(thread_id=THREADS, run_id=RUNS, metadata=OBJECTS, owner=OWNERS)
    def update_run(self, **arguments: Any) -> None:
        """Merge metadata."""
        self.same("runs.update", **arguments)

    @rule(
        thread_id=THREADS,
        status=st.none() | _STATUS,
        limit=st.integers(0, 3),
        offset=st.integers(0, 2),
        owner=OWNERS,
    )
    def list_runs(self, **arguments: Any) -> None:
        """List a thread's."""
        self.same("runs.list", **arguments)

    @rule(
        query=_FILTERS,
        page=pages("run_id", "status", "created_at", "updated_at"),
        owner=OWNERS,
    )
    def search_runs(self, query: dict[str, Any], page: dict[str, Any], owner: str) -> None:
        """Find and count."""
        self.same("runs.search", **query, **page, owner=owner)
        self.same("runs.count", **query, owner=owner)

    @rule(thread_id=THREADS, run_id=RUNS, owner=OWNERS)
    def delete_run(self, **arguments: Any) -> None:
        """Remove one."""
        self.same("runs.delete", **arguments)

    @rule(thread_id=THREADS, owner=OWNERS)
    def get_active_run(self, **arguments: Any) -> None:
        """Read the one that keeps a thread busy."""
        self.same("runs.get_active", **arguments)

    @rule(
        thread_id=THREADS,
        run_id=RUNS,
        status=_STATUS,
        error=_ERROR,
        thread_status=_SETTLED,
        head=st.none() | HEADS,
        owner=OWNERS,
    )
    def update_run_status(self, head: dict[str, Any] | None, **arguments: Any) -> None:
        """Move one on, with a head for its thread perhaps."""
        self.same("runs.update_status", head=head and a_head(None, head), **arguments)

    @rule(thread_id=THREADS, assistant_id=ASSISTANTS, run_id=RUNS, given=_BEGUN, owner=OWNERS)
    def begin_run(self, given: dict[str, Any], **arguments: Any) -> None:
        """Create one and take it under a lease."""
        answers = self.same("runs.begin", lease_s=60, **arguments, **given)
        if answers is not None and answers[0][1] is not None:
            self.leases.append((answers[0][1], answers[1][1]))

    @rule(owner=st.none() | OWNERS)
    def claim_run(self, owner: str | None) -> None:
        """Take one under a lease."""
        answers = self.same("runs.claim", lease_s=60, owner=owner)
        if answers is not None and answers[0] is not None:
            self.leases.append((answers[0].lease, answers[1].lease))

    @rule(which=_LEASES, owner=OWNERS)
    def heartbeat(self, which: int, owner: str) -> None:
        """Prolong a lease, an old one perhaps."""
        self.call_leased("runs.heartbeat", which, lease_s=60, owner=owner)

    @rule(which=_LEASES, owner=OWNERS)
    def hand_back(self, which: int, owner: str) -> None:
        """Give a lease up."""
        self.call_leased("runs.hand_back", which, owner=owner)

    @rule(
        which=_LEASES,
        status=_ENDED,
        error=_ERROR,
        thread_status=_SETTLED,
        head=st.none() | HEADS,
        owner=OWNERS,
    )
    def finish(self, which: int, head: dict[str, Any] | None, **arguments: Any) -> None:
        """End a leased run, with a head for its thread perhaps."""
        self.call_leased("runs.finish", which, head=head and a_head(None, head), **arguments)

    @rule(run_id=RUNS)
    def let_time_pass(self, run_id: Id) -> None:
        """Let a delay and a lease run out."""
        self.behind("age", "runs", timedelta(seconds=100), run_id=run_id)
