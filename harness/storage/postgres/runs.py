"""Runs, in Postgres: what callers do to them. What workers do is in `queue.py`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, get_args

from psycopg.errors import UniqueViolation
from psycopg.rows import scalar_row, tuple_row

from harness.database import Database
from harness.errors import Conflict, HarnessError, NotFound
from harness.models import SYSTEM, TERMINAL, Json, Lease, Run
from harness.storage.extensions import RunSortBy
from harness.storage.postgres.codec import dumps, utc
from harness.storage.postgres.heads import end_parameters, ends
from harness.storage.postgres.lifetimes import ttl_parameters
from harness.storage.postgres.new_runs import BURY, BulkOfRuns, begun, new_run, refused_by
from harness.storage.postgres.queue import PostgresQueue, lost
from harness.storage.postgres.records import rows_of, run, run_or_none
from harness.storage.postgres.refusals import MAX_ATTEMPTS, read_only, restless, taken
from harness.storage.postgres.searching import Searching, given, order_of, page_parameters
from harness.storage.postgres.sql import load
from harness.storage.requests import NewRun, Page, RunQuery, StatusChange

SQL: Final = load("runs")
SEARCHING: Final = Searching(SQL, get_args(RunSortBy), ["run_id"])
LISTS: Final = {
    names: SQL.render("list_thread", conditions=SEARCHING.where(names))
    for names in [(), ("where_status",)]
}
"""The statements for one thread's runs: all, or those of a status."""
ENDS: Final = ends("is_active")
_RUNS: Final = rows_of(run)


class PostgresRuns(PostgresQueue):
    """Carries out requests on runs and their queue."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._bulk = BulkOfRuns(database)

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        """Queue all or none."""
        if len(rows) > 1:
            return await self._bulk.insert(rows, owner=owner)
        [new] = rows
        run, _ = await self._insert_one(new, owner)
        return [run]

    async def begin(self, new: NewRun, *, lease_s: float, owner: str) -> tuple[Run, Lease | None]:
        """Queue a run, or start it where no other run of its thread is active."""
        return await self._insert_one(new, owner, lease=timedelta(seconds=lease_s))

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        """Return a run."""
        rows = await self._database.read(
            SQL["get"], _address(thread_id, run_id, owner), row_factory=_RUNS
        )
        if not rows:
            raise NotFound.of("run", run_id)
        return rows[0]

    async def update(self, thread_id: str, run_id: str, metadata: Json, *, owner: str) -> Run:
        """Merge metadata."""
        rows = await self._database.write(
            SQL["update"],
            {**_address(thread_id, run_id, owner), "metadata": dumps(metadata)},
            row_factory=_RUNS,
        )
        if not rows:
            raise await self._refusal(thread_id, run_id, owner)
        return rows[0]

    async def search(self, query: RunQuery, page: Page, *, owner: str) -> list[Run]:
        """Return a page of the runs that match."""
        conditions, parameters = _given(query)
        return await self._database.read(
            SEARCHING.search(conditions, order_of(page)),
            {**parameters, **page_parameters(page), "owner": owner},
            row_factory=_RUNS,
        )

    async def count(self, query: RunQuery, *, owner: str) -> int:
        """Count the runs that match."""
        conditions, parameters = _given(query)
        [number] = await self._database.read(
            SEARCHING.count(conditions), {**parameters, "owner": owner}, row_factory=scalar_row
        )
        return int(number)

    async def list_thread(self, query: RunQuery, page: Page, *, owner: str) -> list[Run]:
        """Return a page of a thread's runs."""
        conditions, parameters = given(status=query.status)
        parameters |= {
            "thread_id": query.thread_id,
            "owner": owner,
            "limit": page.limit,
            "offset": page.offset,
        }
        rows = await self._database.read(
            LISTS[conditions], parameters, row_factory=rows_of(run_or_none)
        )
        if not rows:
            raise NotFound.of("thread", query.thread_id)
        return [row for row in rows if row is not None]

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        """Remove a run, and settle its thread if it was the last active one."""
        if not await self._database.write(SQL["delete"], _address(thread_id, run_id, owner)):
            raise await self._refusal(thread_id, run_id, owner)

    async def discard(
        self, thread_id: str, run_id: str, lease: Lease | None, *, owner: str
    ) -> None:
        """Remove a run with its thread."""
        token = None if lease is None else lease.token
        parameters = {**_address(thread_id, run_id, owner), "token": token}
        if await self._database.write(SQL["discard"], parameters):
            return
        if lease is not None:
            await self.get(thread_id, run_id, owner=owner)
            raise lost(lease)
        raise await self._refusal(thread_id, run_id, owner)

    async def get_active(self, thread_id: str, *, owner: str) -> Run | None:
        """Return the running run, else the oldest pending one."""
        rows = await self._database.read(
            SQL["get_active"],
            {"thread_id": thread_id, "owner": owner},
            row_factory=rows_of(run_or_none),
        )
        if not rows:
            raise NotFound.of("thread", thread_id)
        return rows[0]

    async def update_status(
        self, thread_id: str, run_id: str, change: StatusChange, *, owner: str
    ) -> Run:
        """Move a run on and take its lease away."""
        parameters = _address(thread_id, run_id, owner)
        if change.status == "running":
            statement = SQL["start"]
            parameters["error"] = change.error
        else:
            statement = ENDS[change.head is not None]
            parameters |= end_parameters(change)
        for _ in range(MAX_ATTEMPTS):
            try:
                rows = await self._database.write(statement, parameters, row_factory=_RUNS)
            except UniqueViolation as exc:  # of the index that lets one run of a thread be running
                raise _another_runs(thread_id) from exc
            if rows:
                return rows[0]
            await self._check_step(thread_id, run_id, change, owner)
        raise restless("run", run_id)

    async def _insert_one(
        self, new: NewRun, owner: str, *, lease: timedelta | None = None
    ) -> tuple[Run, Lease | None]:
        create = new.if_not_exists == "create"
        parameters = {
            "run_id": new.run_id,
            "thread_id": new.thread_id,
            "assistant_id": new.assistant_id,
            "kwargs": dumps(new.kwargs),
            "metadata": dumps(new.metadata),
            "strategy": new.multitask_strategy,
            "delay": timedelta(seconds=new.after_seconds),
            "lease": lease,
            "owner": owner,
        }
        if create:
            parameters |= ttl_parameters(new.thread_ttl)
        for _ in range(MAX_ATTEMPTS):
            try:
                rows = await self._database.write(
                    SQL["insert_with_thread"] if create else SQL["insert"],
                    parameters,
                    row_factory=tuple_row,
                )
            except UniqueViolation as exc:
                if parameters["lease"] is None:
                    raise taken("run", new.run_id) from exc
                parameters["lease"] = None  # a run may be running that the thread does not know of
                continue
            for created_at, due_at, token, leased_until in rows:
                run = new_run(new, created_at=utc(created_at), due_at=utc(due_at))
                return (run, None) if token is None else begun(run, token, leased_until)
            refused = await self._why_not(new, owner)
            if refused is not None:
                raise refused
            if create:
                await self._database.write(BURY, {"ids": [new.thread_id]})
        raise restless("thread", new.thread_id)

    async def _why_not(self, new: NewRun, owner: str) -> HarnessError | None:
        """Return why a run was refused; None if the reason has gone away since."""
        [(thread_owner, has_assistant, is_taken, is_busy)] = await self._database.read(
            SQL["standing"],
            {
                "run_id": new.run_id,
                "thread_id": new.thread_id,
                "assistant_id": new.assistant_id,
                "owner": owner,
            },
            row_factory=tuple_row,
        )
        refused = refused_by(new, thread_owner, {new.assistant_id} if has_assistant else (), owner)
        if refused is not None:
            return refused
        if is_taken:
            return taken("run", new.run_id)
        if is_busy and new.multitask_strategy == "reject":
            return Conflict(f"a run of thread {new.thread_id} is pending or running")
        return None

    async def _check_step(
        self, thread_id: str, run_id: str, change: StatusChange, owner: str
    ) -> None:
        """Raise why a run's status could not change; return if the reason has gone away since."""
        address = {"id": run_id, "thread_id": thread_id}
        found = await self._database.read(SQL["owner_of"], address)
        if not found or found[0]["owner"] != owner:
            raise await self._refusal(thread_id, run_id, owner)
        status = found[0]["status"]
        if status in TERMINAL or (status == change.status == "running"):
            raise Conflict(f"run {run_id} is {status} and cannot become {change.status}")
        if change.status == "running" and found[0]["another_runs"]:
            raise _another_runs(thread_id)

    async def _refusal(self, thread_id: str, run_id: str, owner: str) -> HarnessError:
        rows = await self._database.read(SQL["owner_of"], {"id": run_id, "thread_id": thread_id})
        if rows and rows[0]["owner"] == SYSTEM != owner:
            return read_only("run", run_id)
        return NotFound.of("run", run_id)


def _address(thread_id: str, run_id: str, owner: str) -> dict[str, Any]:
    return {"id": run_id, "thread_id": thread_id, "owner": owner}


def _another_runs(thread_id: str) -> Conflict:
    return Conflict(f"another run of thread {thread_id} is running")


def _given(query: RunQuery) -> tuple[tuple[str, ...], dict[str, Any]]:
    return given(
        thread_id=query.thread_id,
        assistant_id=query.assistant_id,
        status=query.status,
        metadata=query.metadata,
    )
