"""Faults of threads whose time is over: promise 65."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

from collections.abc import Sequence
from typing import Any, Final

from harness.models import Thread
from harness.storage.memory.crons import MemoryCrons
from harness.storage.memory.inserting import taken
from harness.storage.memory.rows import CronRow, RunRow, ThreadRow
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.threads import MemoryThreads
from harness.storage.requests import NewThread, ThreadQuery
from tests.integration.broken.fault import Fault, of_engine


class ListsShowWhatGetDenies(MemoryThreads):
    """An expired thread is found until it is swept."""

    def _matching(self, query: ThreadQuery, owner: str) -> list[ThreadRow]:
        found = super()._matching(query, owner)
        return found or self._tables.threads.group("owner", owner)


class RunsOutliveAnExpiredThread(MemoryRuns):
    """The runs of an expired thread can be read until it is swept."""

    def _of_thread(self, thread_id: str, run_id: str) -> RunRow | None:
        return self._tables.runs.get(run_id)


class CronsOutliveAnExpiredThread(MemoryCrons):
    """The crons of an expired thread are found, and fire."""

    def _is_orphaned(self, row: CronRow) -> bool:
        return False


class SweepsLeaveTheRest(MemoryThreads):
    """A sweep removes the thread's row alone."""

    async def sweep(self, *, limit: int, owner: str | None) -> int:
        expired = [row for row in self._tables.threads if self._tables.has_expired(row)]
        for row in expired:
            self._tables.threads.remove(row)
        return len(expired)


class ExpiredIdsStayTaken(MemoryThreads):
    """Nobody gets the id of an expired thread before it is swept."""

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        for row in rows:
            if row.thread_id in self._tables.threads:
                raise taken("thread", row.thread_id)
        return await super().insert(rows, owner=owner)


class ReadingProlongs(MemoryThreads):
    """A thread is there for whoever asks often enough."""

    async def get(self, thread_id: str, *, owner: str) -> Thread:
        row: Any = self._tables.threads.get(thread_id)
        if row is not None:
            self._tables.threads.change(row, updated_at=self._tables.clock.now())
        return await super().get(thread_id, owner=owner)


FAULTS: Final[Sequence[Fault]] = (
    of_engine(65, threads=ListsShowWhatGetDenies),
    of_engine(65, runs=RunsOutliveAnExpiredThread),
    of_engine(65, crons=CronsOutliveAnExpiredThread),
    of_engine(65, threads=SweepsLeaveTheRest),
    of_engine(65, threads=ExpiredIdsStayTaken),
    of_engine(65, threads=ReadingProlongs),
)
