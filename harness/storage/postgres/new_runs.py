"""New runs, in Postgres: their records, and many of them at once."""

from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection, Rollback
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow, scalar_row, tuple_row

from harness.database import Database
from harness.errors import Conflict, HarnessError, NotFound
from harness.models import SYSTEM, Lease, Run
from harness.storage.postgres.codec import dumps, utc
from harness.storage.postgres.lifetimes import ttl_parameters
from harness.storage.postgres.records import lease
from harness.storage.postgres.refusals import MAX_ATTEMPTS, read_only, restless, taken
from harness.storage.postgres.sql import load
from harness.storage.requests import NewRun

SQL: Final = load("runs")
BURY: Final = load("threads")["bury"]
"""The statement that removes those of some threads that have expired."""
_MICROSECOND: Final = timedelta(microseconds=1)


def new_run(new: NewRun, *, created_at: datetime, due_at: datetime) -> Run:
    """Return the record of a run that has just been queued."""
    return Run(
        run_id=new.run_id,
        thread_id=new.thread_id,
        assistant_id=new.assistant_id,
        status="pending",
        kwargs=new.kwargs,
        metadata=new.metadata,
        multitask_strategy=new.multitask_strategy,
        attempt=0,
        error=None,
        due_at=due_at,
        created_at=created_at,
        updated_at=created_at,
    )


def begun(run: Run, token: str, leased_until: datetime) -> tuple[Run, Lease]:
    """Return the record of a new run that is running, and its lease."""
    started = replace(run, status="running", attempt=run.attempt + 1)
    return started, lease((run.run_id, run.thread_id, token, started.attempt, leased_until))


class BulkOfRuns:
    """Queues many runs, all or none.

    One statement does it where nothing stands against it. Otherwise a transaction finds out what
    does, or makes the threads that are to be made: it locks the threads first, in the order of
    their ids. Every statement after that has a newer snapshot, which shows all that was done to
    those threads before.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, news: Sequence[NewRun], *, owner: str) -> list[Run]:
        """Queue all or none; errors are those of the first run that is refused."""
        made_at = await self._insert(news, owner)
        return [
            new_run(new, created_at=made_at, due_at=made_at + timedelta(seconds=new.after_seconds))
            for new in news
        ]

    async def _insert(self, news: Sequence[NewRun], owner: str) -> datetime:
        parameters = _parameters(news, owner)
        if not any(_depends(new) for new in news):
            with suppress(UniqueViolation):  # by which run, the transaction finds out
                made_at = await self._database.write(
                    SQL["insert_many"], parameters, row_factory=scalar_row
                )
                if made_at:
                    return utc(made_at[0])
        try:
            for _ in range(MAX_ATTEMPTS):
                async with self._database.transaction() as connection:
                    await _check(connection, news, owner)
                    cursor = connection.cursor(row_factory=scalar_row)
                    await cursor.execute(SQL["insert_many"], parameters)
                    made_at = await cursor.fetchall()
                    if not made_at:  # an assistant was deleted in between
                        raise Rollback
                if made_at:
                    return utc(made_at[0])
        except UniqueViolation as exc:
            raise taken("run", "of this batch") from exc
        raise restless("run", "of this batch")


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What the runs of a batch meet, one after another: the database, and the runs before them."""

    owner: str
    owners: dict[str, str]
    """Who owns a thread, for those that are there."""
    assistants: set[str]
    """Those that the caller sees."""
    busy: set[str]
    """Threads with an active run."""
    admitted: set[str] = field(default_factory=set)

    def refuse(self, new: NewRun) -> HarnessError | None:
        """Return why a run cannot be queued; None if it can."""
        refused = refused_by(new, self.owners.get(new.thread_id), self.assistants, self.owner)
        if refused is not None:
            return refused
        if new.run_id in self.admitted:
            return taken("run", new.run_id)
        if new.multitask_strategy == "reject" and new.thread_id in self.busy:
            return Conflict(f"a run of thread {new.thread_id} is pending or running")
        return None

    def admit(self, new: NewRun) -> None:
        """Let the runs after this one meet it."""
        self.owners.setdefault(new.thread_id, self.owner)
        self.busy.add(new.thread_id)
        self.admitted.add(new.run_id)


async def _check(connection: AsyncConnection[DictRow], news: Sequence[NewRun], owner: str) -> None:
    """Refuse the first run that cannot be queued, as if they came one after another."""
    standing = await _look(connection, news, owner)
    for index, new in enumerate(news):
        refused = standing.refuse(new)
        if refused is not None:
            # A run before it, or it itself, may have an id that somebody has.
            earlier = [row.run_id for row in news[: index + isinstance(refused, Conflict)]]
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(SQL["taken"], {"ids": earlier})
            for run_id in await cursor.fetchall():
                raise taken("run", run_id) from refused
            raise refused
        standing.admit(new)


async def _look(
    connection: AsyncConnection[DictRow], news: Sequence[NewRun], owner: str
) -> _Standing:
    """Make the threads that are to be made, lock them all, and see what is there."""
    thread_ids = sorted({new.thread_id for new in news})
    missing = sorted({new.thread_id for new in news if new.if_not_exists == "create"})
    made: set[str] = set()
    rows = connection.cursor(row_factory=tuple_row)
    ttl = ttl_parameters(news[0].thread_ttl)  # which is the same for all
    while True:
        if missing:
            parameters = {"ids": missing, "owner": owner, **ttl}
            await rows.execute(SQL["insert_missing_threads"], parameters)
            made |= {thread_id for (thread_id,) in await rows.fetchall()}
        await rows.execute(SQL["lock_threads"], {"ids": thread_ids})
        owners: dict[str, str] = dict(await rows.fetchall())
        if not set(missing) - owners.keys():
            break
        await rows.execute(BURY, {"ids": missing})  # some have expired and are in the way
    owners = {key: thread_owner for key, thread_owner in owners.items() if key not in made}
    assistant_ids = list({new.assistant_id for new in news})
    await rows.execute(SQL["visible_assistants"], {"ids": assistant_ids, "owner": owner})
    assistants = {assistant_id for (assistant_id,) in await rows.fetchall()}
    busy: set[str] = set()
    if any(new.multitask_strategy == "reject" for new in news):
        await rows.execute(SQL["busy_threads"], {"ids": thread_ids})
        busy = {thread_id for (thread_id,) in await rows.fetchall()}
    return _Standing(owner=owner, owners=owners, assistants=assistants, busy=busy)


def refused_by(
    new: NewRun, thread_owner: str | None, assistants: Container[str], owner: str
) -> HarnessError | None:
    """Return the error if the thread or the assistant cannot be used, None if both can.

    Args:
        new: The run.
        thread_owner: Who owns the thread, None if there is none.
        assistants: Those that the caller sees.
        owner: The caller.
    """
    if thread_owner == SYSTEM != owner:
        return read_only("thread", new.thread_id)
    if thread_owner is not None and thread_owner != owner and new.if_not_exists == "create":
        return taken("thread", new.thread_id)
    if thread_owner != owner and not (thread_owner is None and new.if_not_exists == "create"):
        return NotFound.of("thread", new.thread_id)
    if new.assistant_id not in assistants:
        return NotFound.of("assistant", new.assistant_id)
    return None


def _depends(new: NewRun) -> bool:
    """Whether more than the rows it refers to decides what a run does."""
    return new.if_not_exists == "create" or new.multitask_strategy == "reject"


def _parameters(news: Sequence[NewRun], owner: str) -> dict[str, Any]:
    threads = _wanted(news)
    return {
        "assistant_ids": list({new.assistant_id for new in news}),
        "thread_ids": list(threads),
        "threads": dumps(list(threads.values())),
        "runs": dumps([_row(new) for new in sorted(news, key=lambda new: new.run_id)]),
        "owner": owner,
    }


def _wanted(news: Sequence[NewRun]) -> dict[str, dict[str, Any]]:
    """Return what each thread gets: how many runs, the first of them, the last one's assistant."""
    threads: dict[str, dict[str, Any]] = {}
    for new in news:
        thread = threads.setdefault(
            new.thread_id, {"thread_id": new.thread_id, "runs": 0, "next_run_id": None}
        )
        thread["runs"] += 1
        thread["assistant_id"] = new.assistant_id
        if not _delay_us(new):
            first = thread["next_run_id"] or new.run_id
            thread["next_run_id"] = min(first, new.run_id)
    return threads


def _row(new: NewRun) -> dict[str, Any]:
    return {
        "run_id": new.run_id,
        "thread_id": new.thread_id,
        "assistant_id": new.assistant_id,
        "kwargs": new.kwargs,
        "metadata": new.metadata,
        "multitask_strategy": new.multitask_strategy,
        "delay_us": _delay_us(new),
    }


def _delay_us(new: NewRun) -> int:
    return timedelta(seconds=new.after_seconds) // _MICROSECOND
