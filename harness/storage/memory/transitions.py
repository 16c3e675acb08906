"""Steps of a run, and what they make of its thread."""

from collections.abc import Iterable
from datetime import datetime

from harness.models import ACTIVE, Lease, ThreadHead
from harness.storage.memory.rows import RunRow, ThreadRow
from harness.storage.memory.tables import Tables
from harness.storage.requests import StatusChange


def active_runs(tables: Tables, thread_id: str) -> list[RunRow]:
    """Return the pending and running runs of a thread."""
    return tables.runs.group("active", thread_id)


def age(run: RunRow) -> tuple[datetime, str]:
    """Return what orders a queue: the oldest first."""
    return run.created_at, run.run_id


def first_pending(runs: Iterable[RunRow], *, due: datetime | None = None) -> RunRow | None:
    """Return the oldest pending run, or the oldest one that is due by a time."""
    waiting = (
        run for run in runs if run.status == "pending" and (due is None or run.due_at <= due)
    )
    return min(waiting, key=age, default=None)


def start_run(
    tables: Tables,
    run: RunRow,
    now: datetime,
    *,
    error: str | None = None,
    lease: Lease | None = None,
) -> None:
    """Begin the run's next attempt, under a lease or without one."""
    tables.runs.change(
        run,
        status="running",
        attempt=run.attempt + 1,
        error=error,
        lease_token=lease.token if lease else None,
        leased_until=lease.expires_at if lease else None,
        updated_at=now,
    )


def end_run(tables: Tables, run: RunRow, change: StatusChange, now: datetime) -> None:
    """Give the run its terminal status; its thread, unless another run keeps it busy, settles.

    A head that comes with the change is shown in either case.
    """
    tables.runs.change(
        run,
        status=change.status,
        error=change.error,
        lease_token=None,
        leased_until=None,
        updated_at=now,
    )
    thread = tables.threads[run.thread_id]
    if change.head is not None:
        show_head(tables, thread, change.head, now)
    if not active_runs(tables, run.thread_id):
        tables.threads.change(thread, status=change.thread_status, updated_at=now)


def remove_run(tables: Tables, run: RunRow) -> None:
    """Delete a run; its thread settles if it was the last active one."""
    tables.runs.remove(run)
    if run.status in ACTIVE and not active_runs(tables, run.thread_id):
        tables.threads.change(
            tables.threads[run.thread_id], status="idle", updated_at=tables.clock.now()
        )


def show_head(tables: Tables, thread: ThreadRow, head: ThreadHead, now: datetime) -> None:
    """Let a thread show a head."""
    tables.threads.change(
        thread,
        values=head.values,
        checkpoint_id=head.checkpoint_id,
        interrupts=head.interrupts,
        error=head.error,
        updated_at=now,
        state_updated_at=now,
    )
