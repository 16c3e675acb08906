"""What storage offers beyond `langgraph_sdk`: narrow protocols, each of which a backend may lack.

The promises of `harness.storage.interface` hold here too.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from harness.models import (
    Assistant,
    ClaimedRun,
    Cron,
    CronFiring,
    IfNotExists,
    Lease,
    MultitaskStrategy,
    Pruned,
    Run,
    RunStatus,
    SortOrder,
    Thread,
    ThreadHead,
    ThreadState,
    ThreadStatus,
)
from harness.storage.interface import (
    AssistantStore,
    CronStore,
    ItemStore,
    JsonObject,
    RunStore,
    Storage,
    ThreadStore,
)
from harness.storage.leases import Leases

RunSortBy = Literal["run_id", "status", "created_at", "updated_at"]

RecordT = TypeVar("RecordT")


class BulkCreate(Protocol[RecordT]):
    """Creates in bulk."""

    async def create_many(self, rows: Sequence[JsonObject], *, owner: str) -> list[RecordT]:
        """Create one record for each mapping of `create`'s arguments, all or none, in their order.

        Raises:
            Conflict: An id is taken or given twice.
        """


class BulkPut(Protocol):
    """Puts items in bulk."""

    async def put_many(self, rows: Sequence[JsonObject], *, owner: str) -> None:
        """Put one item for each mapping of `put_item`'s arguments, all or none; the last wins."""


class Snapshots(Protocol):
    """Stores states given by the caller, where no graph has run."""

    async def add_state(
        self,
        thread_id: str,
        values: JsonObject,
        *,
        next: Sequence[str] = (),  # noqa: A002 -- the SDK's name
        tasks: Sequence[JsonObject] = (),
        interrupts: Sequence[JsonObject] = (),
        metadata: JsonObject | None = None,
        checkpoint_id: str | None = None,
        owner: str,
    ) -> ThreadState:
        """Make a snapshot the thread's head, together with the thread's `values`.

        Raises:
            Conflict: The thread has a state with that checkpoint id.
        """


class HeadCache(Protocol):
    """Lets threads show the state that a graph's checkpointer keeps of them."""

    async def cache_head(
        self,
        thread_id: str,
        head: ThreadHead,
        *,
        thread_status: ThreadStatus | None = None,
        seen_at: datetime | None = None,
        owner: str,
    ) -> Thread:
        """Show another head: values, checkpoint, interrupts and error together.

        `thread_status` is what the thread becomes unless a run keeps it busy; by default it stays.
        Who repairs what it read gives the `state_updated_at` of that reading as `seen_at`.

        Raises:
            Conflict: The thread's state has changed since `seen_at`.
        """


class Retention(Protocol):
    """Shortens the histories of threads."""

    async def prune_history(
        self,
        thread_ids: Sequence[str] | None = None,
        *,
        keep: int | None = None,
        older_than_s: float | None = None,
        dry_run: bool = False,
        owner: str | None,
    ) -> Pruned:
        """Delete old snapshots and LangGraph's old checkpoints; return what that freed.

        Of each history (a thread's snapshots, and the checkpoints of each of its namespaces) the
        newest `keep` stay, and with `older_than_s` all that are younger too; the newest one
        always. What a checkpoint that stays needs, stays: its writes, the blobs it refers to, and
        the ancestors from which its delta channels are rebuilt. A subgraph's call goes with the
        root checkpoint that it started from. See `harness.storage.retention`.

        Each thread is pruned in a transaction of its own, so that an interruption leaves whole
        threads, and a run that writes to the thread meanwhile goes on. (One that has just been
        started from a checkpoint that goes finds no parent: prune when nobody travels in time.)

        Args:
            thread_ids: Which threads; None for all. What is missing or not the owner's is passed
                over.
            keep: How many, at least 1; by default 1, if there is an age.
            older_than_s: Seconds, by the clock of whoever made the checkpoint.
            dry_run: Delete nothing, and say what would go.
            owner: Whose threads; None takes everybody's, and checkpoints of threads that only
                LangGraph knows.

        Raises:
            InvalidInput: Neither `keep` nor `older_than_s` is given, or one is no such number.
            Conflict: A thread's checkpoints kept changing; those of the threads before are pruned.
        """


class ThreadKeeper(Protocol):
    """Clears away threads whose time is over."""

    async def sweep(self, *, limit: int = 1_000, owner: str | None = None) -> int:
        """Remove or shorten up to `limit` threads that are due, of one owner or all; say how many.

        A thread that is removed goes with its states, runs, crons and checkpoints in one
        transaction. Of several sweeps at once one gets it, and counts it.
        """


class RunRecords(Protocol):
    """Looks at runs across threads and changes them without a lease."""

    async def update(self, thread_id: str, run_id: str, *, metadata: JsonObject, owner: str) -> Run:
        """Merge metadata shallowly."""

    async def search(
        self,
        *,
        thread_id: str | None = None,
        assistant_id: str | None = None,
        status: RunStatus | None = None,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: RunSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Run]:
        """Find runs of all the owner's threads."""

    async def count(
        self,
        *,
        thread_id: str | None = None,
        assistant_id: str | None = None,
        status: RunStatus | None = None,
        metadata: JsonObject | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""

    async def get_active(self, thread_id: str, *, owner: str) -> Run | None:
        """Return the thread's running run, else its oldest pending one, else None."""

    async def update_status(
        self,
        thread_id: str,
        run_id: str,
        status: RunStatus,
        *,
        error: str | None = None,
        thread_status: ThreadStatus | None = None,
        head: ThreadHead | None = None,
        owner: str,
    ) -> Run:
        """Move a run on, from outside its lease, which is lost by it.

        `pending` goes to `running` (an attempt without a lease) or a terminal status, `running`
        to a terminal one. `thread_status` is what the thread becomes if no other run keeps it
        busy; by default `idle` after success and interruption, `error` after error and timeout.
        A `head` is what it shows from then on, whatever keeps it busy; a start has none.

        Raises:
            Conflict: The run is terminal, or the step is none of these, or another run is running.
        """


class RunQueue(Protocol):
    """Hands runs to workers under leases that the database's clock ends."""

    async def begin(
        self,
        thread_id: str,
        assistant_id: str,
        *,
        lease_s: float,
        kwargs: JsonObject | None = None,
        metadata: JsonObject | None = None,
        multitask_strategy: MultitaskStrategy = "enqueue",
        if_not_exists: IfNotExists = "reject",
        run_id: str | None = None,
        owner: str,
    ) -> tuple[Run, Lease | None]:
        """Create a run and claim it in one step, for a worker that is free.

        Where another run of its thread is pending or running it is queued, and there is no lease.

        Raises:
            NotFound: There is no such assistant or thread.
            Conflict: The id is taken; or the strategy is `reject`, and the thread is busy.
        """

    async def claim(
        self, *, lease_s: float, owner: str | None = None, full: Collection[str] = ()
    ) -> ClaimedRun | None:
        """Take a run that may run now, or one whose lease has run out; None if none may.

        A run may run when it is pending, due, first of its thread's queue, and nothing is running
        on the thread. Owners take turns, in the order of their names, from the one after whom this
        storage object served last; an owner's oldest run is taken. So nobody waits for more than
        one run of each other owner, whatever they have queued.

        Args:
            lease_s: For how many seconds it is the caller's.
            owner: Whose; None: anybody's, since a worker serves all owners.
            full: Owners to pass over, who have as many runs as they may at this worker.
        """

    async def heartbeat(self, lease: Lease, *, lease_s: float, owner: str) -> Lease:
        """Prolong a lease.

        Raises:
            LeaseLost: It is not the run's current one.
        """

    async def hand_back(self, lease: Lease, *, owner: str) -> Run:
        """Make the run pending again, without a lease; the next claim raises the attempt.

        Raises:
            LeaseLost: It is not the run's current one.
        """

    async def finish(
        self,
        lease: Lease,
        status: RunStatus,
        *,
        error: str | None = None,
        thread_status: ThreadStatus | None = None,
        head: ThreadHead | None = None,
        owner: str,
    ) -> Run:
        """End the run with a terminal status (see `update_status` for its thread), in one step.

        Raises:
            LeaseLost: It is not the run's current one.
        """

    async def discard(
        self, thread_id: str, run_id: str, *, lease: Lease | None = None, owner: str
    ) -> None:
        """Remove a run with its thread, which was made for it alone, and all that is of it.

        A thread that has the same id since, but not this run, is another one and stays.

        Args:
            thread_id: The run's thread.
            run_id: The run.
            lease: Whoever executes the run gives its lease; None: whatever the run's status is.
            owner: Whose it is.

        Raises:
            NotFound: There is no such run.
            LeaseLost: The lease is not the run's current one.
        """


class ItemKeeper(Protocol):
    """Counts items and clears away expired ones."""

    async def count_items(
        self,
        namespace_prefix: Sequence[str],
        /,
        *,
        filter: JsonObject | None = None,  # noqa: A002 -- the SDK's name
        owner: str,
    ) -> int:
        """Count what `search_items` would find without a limit."""

    async def sweep(self, *, limit: int = 1_000, owner: str | None = None) -> int:
        """Remove up to `limit` expired items, of one owner or all; return how many.

        An expired item is never returned, swept or not.
        """


class CronQueue(Protocol):
    """Reads single crons and fires the due ones."""

    async def get(self, cron_id: str, *, owner: str) -> Cron:
        """Return a cron."""

    async def claim_due(self, *, limit: int = 100, owner: str | None = None) -> list[CronFiring]:
        """Fire the crons that are due, of one owner or all: each makes one run, exactly once.

        A firing advances `next_run_date` past now and makes the run (for a cron without a thread:
        on a new one) in one transaction. Dates missed meanwhile are not made up for.
        """


class FullAssistants(AssistantStore, BulkCreate[Assistant], Protocol):
    """Assistants, with everything."""


class FullThreads(
    ThreadStore, BulkCreate[Thread], Snapshots, HeadCache, Retention, ThreadKeeper, Protocol
):
    """Threads, with everything."""


class FullRuns(RunStore, RunRecords, BulkCreate[Run], RunQueue, Protocol):
    """Runs, with everything."""


class FullItems(ItemStore, BulkPut, ItemKeeper, Protocol):
    """Items, with everything."""


class FullCrons(CronStore, BulkCreate[Cron], CronQueue, Protocol):
    """Crons, with everything."""


class FullStorage(Storage, Protocol):
    """Storage that lacks nothing."""

    @property
    def assistants(self) -> FullAssistants:
        """Assistants and their versions."""

    @property
    def threads(self) -> FullThreads:
        """Threads with state and history."""

    @property
    def runs(self) -> FullRuns:
        """Runs of threads."""

    @property
    def items(self) -> FullItems:
        """The key-value store."""

    @property
    def crons(self) -> FullCrons:
        """Schedules."""

    @property
    def leases(self) -> Leases:
        """The leases of runs, for those who execute them."""
