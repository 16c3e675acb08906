"""The run queue, in Postgres: what workers do to runs, under leases."""

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from psycopg.errors import UniqueViolation
from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import InvalidInput, LeaseLost
from harness.models import ClaimedRun, Lease, Run
from harness.storage.checks import MAX_OWNER_BYTES, check_id
from harness.storage.postgres.heads import end_parameters, ends
from harness.storage.postgres.records import lease as lease_of
from harness.storage.postgres.records import rows_of, run
from harness.storage.postgres.refusals import key_of
from harness.storage.postgres.sql import load
from harness.storage.requests import StatusChange

SQL: Final = load("queue")
CLAIMS: Final = {
    owned: SQL.render(
        "claim",
        stretches=SQL["stretches"],
        run_owner=SQL["run_of_owner"] if owned else "",
        thread_owner=SQL["thread_of_owner"] if owned else "",
    )
    for owned in (False, True)
}
"""The statements that claim: a run of anybody, or of one owner."""
FINISHES: Final = ends("is_leased")
_QUEUED_AT_ONCE: Final = 1_000
_LAST: Final = chr(sys.maxunicode) * (MAX_OWNER_BYTES // 4 + 1)
"""Comes after every owner."""
_RUNS: Final = rows_of(run)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the `claim` template answers."""

    unqueued: bool
    recount: str | None
    locked_thread: str | None
    locked_run: str | None
    owner: str
    """The claimed run's."""
    claimed: ClaimedRun | None


class PostgresQueue:
    """Carries out the requests of workers on runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = ""
        """Whose run was claimed last; the next turn is that of the owner after it."""

    async def claim(
        self, *, lease_s: float, owner: str | None, full: Collection[str]
    ) -> ClaimedRun | None:
        """Start the oldest run that may run, of the owner whose turn it is.

        One statement, mostly. It is sent again when due runs had to be queued first, and when all
        that could be claimed was in somebody else's hands: then it waits its turn.
        """
        parameters: dict[str, Any] = {"lease": timedelta(seconds=lease_s), "full": list(full)}
        if owner is not None:
            parameters["owner"] = owner
        while True:
            parameters |= _turns(self._after, full)
            try:
                [answer] = await self._database.write(
                    CLAIMS[owner is not None], parameters, row_factory=rows_of(_answer)
                )
            except UniqueViolation as exc:  # a run is running that the thread does not know of
                await self._recount(key_of(exc))
                continue
            if answer.claimed is not None:
                self._after = answer.owner
                return answer.claimed
            if answer.unqueued:
                await self._queue_due()
            elif answer.recount is not None:
                await self._recount(answer.recount)
            elif answer.locked_thread is not None:
                await self._database.read(SQL["await_thread"], {"id": answer.locked_thread})
            elif answer.locked_run is not None:
                await self._database.read(SQL["await_run"], {"id": answer.locked_run})
            else:
                return None

    async def heartbeat(self, lease: Lease, *, lease_s: float, owner: str) -> Lease:
        """Prolong a lease."""
        rows = await self._database.write(
            SQL["heartbeat"],
            {**_current(lease, owner), "lease": timedelta(seconds=lease_s)},
            row_factory=rows_of(lease_of),
        )
        if not rows:
            raise lost(lease)
        return rows[0]

    async def hand_back(self, lease: Lease, *, owner: str) -> Run:
        """Make the run pending again."""
        rows = await self._database.write(
            SQL["hand_back"],
            {**_current(lease, owner), "thread_id": lease.thread_id},
            row_factory=_RUNS,
        )
        if not rows:
            raise lost(lease)
        return rows[0]

    async def finish(self, lease: Lease, change: StatusChange, *, owner: str) -> Run:
        """End the run."""
        rows = await self._database.write(
            FINISHES[change.head is not None],
            {**_current(lease, owner), "thread_id": lease.thread_id, **end_parameters(change)},
            row_factory=_RUNS,
        )
        if not rows:
            raise lost(lease)
        return rows[0]

    async def _queue_due(self) -> None:
        """Let threads know of their runs that have come due."""
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(SQL["lock_unqueued"], {"limit": _QUEUED_AT_ONCE})
            await cursor.execute(SQL["queue_due"], {"ids": await cursor.fetchall()})

    async def _recount(self, thread_id: str) -> None:
        """Set right what a thread says of its runs."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_thread"], {"thread_id": thread_id})
            # A second statement has a newer snapshot: it shows what was done before the lock.
            await connection.execute(SQL["recount"], {"thread_id": thread_id})


def _turns(after: str, full: Collection[str]) -> dict[str, Any]:
    """Return the parameters that say whose turn it is.

    Stretches of owners' names, in the order of turns, their ends excluded.
    """
    bounds = ["", *sorted(set(full)), _LAST]
    behind = after + "\x01"  # nothing lies between: an owner's name has no NUL

    def stretches() -> Iterator[tuple[str, str]]:
        for above, below in pairwise(bounds):
            yield max(above, after), below
        for above, below in pairwise(bounds):
            yield above, min(below, behind)

    open_ones = [(above, below) for above, below in stretches() if above < below]
    return {
        "after": after,
        "above": [above for above, _ in open_ones],
        "below": [below for _, below in open_ones],
    }


def _answer(row: Sequence[Any]) -> _Answer:
    owner, token, leased_until = row[4:7]
    claimed = None
    if token is not None:
        started = run(row[7:])
        held = (started.run_id, started.thread_id, token, started.attempt, leased_until)
        claimed = ClaimedRun(run=started, lease=lease_of(held))
    unqueued, recount, locked_thread, locked_run = row[:4]
    return _Answer(unqueued, recount, locked_thread, locked_run, owner, claimed)


def _current(lease: Lease, owner: str) -> dict[str, Any]:
    """Return the parameters that a current lease's run has.

    Raises:
        LeaseLost: The lease names no run or thread that could be.
    """
    try:
        check_id(lease.thread_id, "thread")
        return {"id": check_id(lease.run_id, "run"), "token": lease.token, "owner": owner}
    except InvalidInput as exc:
        raise lost(lease) from exc


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a write under a lease that is not the current one."""
    return LeaseLost(f"run {lease.run_id} is not under this lease any more")
