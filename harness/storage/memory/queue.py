"""The run queue, in memory: what workers do to runs, under leases."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import uuid4

from harness.errors import LeaseLost
from harness.models import ClaimedRun, Lease, Run
from harness.storage.memory.records import run_of
from harness.storage.memory.rows import RunRow
from harness.storage.memory.tables import Tables
from harness.storage.memory.transitions import active_runs, age, end_run, first_pending, start_run
from harness.storage.requests import StatusChange


class MemoryQueue:
    """Carries out the requests of workers on runs."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._after = ""
        """Whose run was claimed last; the next turn is that of the owner after it."""

    async def claim(
        self, *, lease_s: float, owner: str | None, full: Collection[str]
    ) -> ClaimedRun | None:
        """Start the oldest run that may run, of the owner whose turn it is."""
        now = self._tables.clock.now()
        eligible = (
            self._eligible(active_runs(self._tables, str(thread_id)), now)
            for thread_id in self._tables.runs.groups("active")
        )
        run = min(
            (
                run
                for run in eligible
                if run is not None and owner in (None, run.owner) and run.owner not in full
            ),
            key=lambda run: (run.owner <= self._after, run.owner, *age(run)),
            default=None,
        )
        if run is None:
            return None
        self._after = run.owner
        lease = self._start(run, now, lease_s)
        return ClaimedRun(run=run_of(run), lease=lease)

    async def heartbeat(self, lease: Lease, *, lease_s: float, owner: str) -> Lease:
        """Prolong a lease."""
        run = self._leased(lease, owner)
        until = self._tables.clock.now() + timedelta(seconds=lease_s)
        self._tables.runs.change(run, leased_until=until)
        return Lease(
            run_id=run.run_id,
            thread_id=run.thread_id,
            token=lease.token,
            attempt=run.attempt,
            expires_at=until,
        )

    async def hand_back(self, lease: Lease, *, owner: str) -> Run:
        """Make the run pending again."""
        run = self._leased(lease, owner)
        self._tables.runs.change(
            run,
            status="pending",
            lease_token=None,
            leased_until=None,
            updated_at=self._tables.clock.now(),
        )
        return run_of(run)

    async def finish(self, lease: Lease, change: StatusChange, *, owner: str) -> Run:
        """End the run."""
        run = self._leased(lease, owner)
        end_run(self._tables, run, change, self._tables.clock.now())
        return run_of(run)

    def _start(self, run: RunRow, now: datetime, lease_s: float) -> Lease:
        """Begin the run's next attempt under a lease."""
        lease = Lease(
            run_id=run.run_id,
            thread_id=run.thread_id,
            token=str(uuid4()),
            attempt=run.attempt + 1,
            expires_at=now + timedelta(seconds=lease_s),
        )
        start_run(self._tables, run, now, lease=lease)
        return lease

    def _leased(self, lease: Lease, owner: str) -> RunRow:
        run = self._tables.runs.get(lease.run_id)
        if (
            run is None
            or run.owner != owner
            or run.lease_token is None
            or run.lease_token != lease.token
        ):
            raise lost(lease)
        return run

    def _eligible(self, active: list[RunRow], now: datetime) -> RunRow | None:
        """Return the run of one thread that a worker may take."""
        for run in active:
            if run.status == "running":
                expired = run.leased_until is not None and run.leased_until <= now
                return run if expired and run.lease_token not in self._tables.kept else None
        return first_pending(active, due=now)


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a write under a lease that is not the current one."""
    return LeaseLost(f"run {lease.run_id} is not under this lease any more")
