"""What this process executes, and how it hears that it must not any more."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness.models import Lease
from harness.server.execution.execution import Execution, Stop
from harness.storage.leases import LeaseKeeper


class Arrival:
    """A claim or a begin that is under way: its run can be seen, and stopped, before we know it."""

    def __init__(self) -> None:
        self._lost: set[str] = set()

    def lose(self, token: str) -> None:
        """Note a lease that was lost meanwhile; it may be the one that is about to arrive."""
        self._lost.add(token)

    def has_lost(self, lease: Lease) -> bool:
        """Whether the lease that has arrived was lost before it did."""
        return lease.token in self._lost


class Executions:
    """The executions of this process, by their runs."""

    def __init__(self) -> None:
        self._of_runs: dict[str, Execution] = {}
        self._arrivals: set[Arrival] = set()
        self._keeper: LeaseKeeper | None = None

    def __iter__(self) -> Iterator[Execution]:
        return iter(list(self._of_runs.values()))

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._of_runs

    def get(self, run_id: str) -> Execution | None:
        """Return what executes a run here; of several attempts the last."""
        return self._of_runs.get(run_id)

    def of_thread(self, thread_id: str, *, owner: str) -> list[Execution]:
        """Return what executes runs of an owner's thread."""
        return [e for e in self if (e.owner, e.run.thread_id) == (owner, thread_id)]

    def keep_with(self, keeper: LeaseKeeper) -> None:
        """Have the leases kept of what is added from now on, until it is removed."""
        self._keeper = keeper

    async def close(self) -> None:
        """Have no lease kept any more."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.close()

    @contextmanager
    def arriving(self) -> Iterator[Arrival]:
        """Remember which leases are lost while a claim or a begin is under way in the block.

        An execution is added before the block ends, so that there is no moment at which the loss
        of its lease would go unnoticed.
        """
        arrival = Arrival()
        self._arrivals.add(arrival)
        try:
            yield arrival
        finally:
            self._arrivals.discard(arrival)

    def add(self, execution: Execution) -> Execution | None:
        """Add what is about to be executed; return the same run's attempt before it, if any."""
        before = self._of_runs.get(execution.run.run_id)
        self._of_runs[execution.run.run_id] = execution
        if self._keeper is not None:
            self._keeper.keep(execution.lease)
        return before

    def remove(self, execution: Execution) -> None:
        """Remove what is not executed any more."""
        if self._of_runs.get(execution.run.run_id) is execution:
            del self._of_runs[execution.run.run_id]
        if self._keeper is not None:
            self._keeper.let_go(execution.lease)

    def lose(self, token: str) -> None:
        """Stop what is executed under a lease, which was lost; here, or as soon as it arrives."""
        for execution in self:
            if execution.lease.token == token:
                execution.stop(Stop.LOST)
                return
        for arrival in self._arrivals:
            arrival.lose(token)
