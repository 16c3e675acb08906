"""Faults of any resource: promises 22, 37 to 39, and 42 to 44."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from harness.errors import NotFound, Overloaded
from harness.models import Assistant, Run, SortOrder, Thread
from harness.storage.memory.assistants import MemoryAssistants
from harness.storage.memory.crons import MemoryCrons
from harness.storage.memory.items import MemoryItems
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.tables import Tables
from harness.storage.memory.threads import MemoryThreads
from harness.storage.requests import AssistantChange, NewAssistant, NewItem, Page
from tests.integration.broken.fault import Fault, of_engine


class TiesAreInTheOrderOfTheTable(MemoryThreads):
    """Rows of equal times come in whatever order the page's plan finds them."""

    async def search(self, query: Any, page: Page, *, owner: str) -> list[Thread]:
        whole = replace(page, limit=10_000, offset=0)
        rows = await super().search(query, whole, owner=owner)
        if page.offset:
            rows = sorted(rows, key=lambda row: row.thread_id[::-1])
        rows = sorted(
            rows,
            key=lambda row: (getattr(row, page.sort_by) is None, getattr(row, page.sort_by)),
            reverse=page.sort_order == "desc",
        )
        return rows[page.offset : page.offset + page.limit]


class QueuesIgnoreIds(MemoryRuns):
    """Runs of one moment are claimed last in, first out."""

    async def claim(self, *, lease_s: float, owner: str | None, full: Collection[str]) -> Any:
        rows = list(self._tables.runs)
        for row in sorted(rows, key=lambda row: row.run_id, reverse=True):
            if row.status == "pending":
                for other in rows:
                    if other is not row and other.status == "pending":
                        self._tables.runs.change(other, status="timeout")
                claim = await super().claim(lease_s=lease_s, owner=owner, full=full)
                for other in rows:
                    if other.status == "timeout":
                        self._tables.runs.change(other, status="pending")
                return claim
        return await super().claim(lease_s=lease_s, owner=owner, full=full)


class CountStopsAtAPage(MemoryThreads):
    """Count never says more than three."""

    async def count(self, query: Any, *, owner: str) -> int:
        return min(3, await super().count(query, owner=owner))


class CountIgnoresConditions(MemoryCrons):
    """Count counts all that the owner has."""

    async def count(self, query: Any, *, owner: str) -> int:
        return len(self._tables.crons.group("owner", owner))


class _Forgetful(MemoryThreads):
    """A deletion of threads that leaves the rows of one table behind."""

    left = ""

    async def delete(self, thread_id: str, *, owner: str) -> None:
        table = getattr(self._tables, self.left)
        rows = table.group("thread", thread_id)
        await super().delete(thread_id, owner=owner)
        for row in rows:
            table.add(row)


class RunsOutliveTheirThread(_Forgetful):
    """The seed's BUG-PG-003."""

    left = "runs"


class StatesOutliveTheirThread(_Forgetful):
    """Deleted threads leave their snapshots behind."""

    left = "thread_states"


class CronsOutliveTheirThread(_Forgetful):
    """Deleted threads leave their crons behind."""

    left = "crons"


class UpdatesAreLost(MemoryAssistants):
    """An update reads, thinks, and writes what it made of what it read."""

    async def update(self, assistant_id: str, change: AssistantChange, *, owner: str) -> Assistant:
        before = self._writable(assistant_id, owner).metadata
        await asyncio.sleep(0)
        self._tables.assistants.change(self._tables.assistants[assistant_id], metadata=before)
        return await super().update(assistant_id, change, owner=owner)


class EmptyUpdatesDoNotCount(MemoryAssistants):
    """An update that names nothing makes no version."""

    async def update(self, assistant_id: str, change: AssistantChange, *, owner: str) -> Assistant:
        if not change.metadata and change.name is None and change.config is None:
            return await self.get(assistant_id, owner=owner)
        return await super().update(assistant_id, change, owner=owner)


class TheEleventhIsTurnedAway(MemoryThreads):
    """Ten requests are served at once, and nobody waits."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._serving = 0

    async def insert(self, rows: Any, *, owner: str) -> list[Thread]:
        if self._serving >= 10:
            raise Overloaded
        self._serving += 1
        await asyncio.sleep(0)
        self._serving -= 1
        return await super().insert(rows, owner=owner)


class OldestFirst(MemoryThreads):
    """Without a wish for an order the oldest come first."""

    async def search(self, query: Any, page: Page, *, owner: str) -> list[Thread]:
        other: SortOrder = "asc" if page.sort_order == "desc" else "desc"
        return await super().search(query, replace(page, sort_order=other), owner=owner)


class TextSortsByLocale(MemoryAssistants):
    """Names sort as in a dictionary."""

    async def search(self, query: Any, page: Page, *, owner: str) -> list[Assistant]:
        found = await super().search(query, page, owner=owner)
        if page.sort_by != "name":
            return found
        return sorted(found, key=lambda row: row.name.casefold(), reverse=page.sort_order == "desc")


class NoneSortsFirst(MemoryCrons):
    """Crons without a next date come before those with one."""

    async def search(self, query: Any, page: Page, *, owner: str) -> list[Any]:
        found = await super().search(query, page, owner=owner)
        nones = [row for row in found if getattr(row, page.sort_by) is None]
        others = [row for row in found if getattr(row, page.sort_by) is not None]
        return nones + others if page.sort_order == "asc" else others + nones


class LongNamesAreCut(MemoryAssistants):
    """What is longer than a column is cut without a word."""

    async def insert(self, rows: Sequence[NewAssistant], *, owner: str) -> list[Assistant]:
        return await super().insert(
            [replace(row, name=row.name[:255]) for row in rows], owner=owner
        )


class LargeValuesDoNotFit(MemoryItems):
    """An index over the value refuses what is longer than its page."""

    async def put(self, rows: Sequence[NewItem], *, owner: str) -> None:
        if any(len(repr(row.value)) > 2_704 for row in rows):
            raise RuntimeError("index row size exceeds btree version 4 maximum 2704")
        await super().put(rows, owner=owner)


class RunsOfDeletedThreadsAreFound(MemoryRuns):
    """A run that has been deleted can still be read."""

    async def delete(self, thread_id: str, run_id: str, *, owner: str) -> None:
        row = self._tables.runs.get(run_id)
        await super().delete(thread_id, run_id, owner=owner)
        if row is not None:
            self._tables.runs.add(row)

    async def get(self, thread_id: str, run_id: str, *, owner: str) -> Run:
        with suppress(NotFound):
            return await super().get(thread_id, run_id, owner=owner)
        raise KeyError(run_id)


FAULTS: Final[Sequence[Fault]] = (
    of_engine(22, threads=TiesAreInTheOrderOfTheTable),
    of_engine(22, runs=QueuesIgnoreIds),
    of_engine(37, threads=CountStopsAtAPage),
    of_engine(37, crons=CountIgnoresConditions),
    of_engine(38, threads=RunsOutliveTheirThread),
    of_engine(38, threads=StatesOutliveTheirThread),
    of_engine(38, threads=CronsOutliveTheirThread),
    of_engine(39, assistants=UpdatesAreLost),
    of_engine(39, assistants=EmptyUpdatesDoNotCount),
    of_engine(42, threads=TheEleventhIsTurnedAway),
    of_engine(43, threads=OldestFirst),
    of_engine(43, assistants=TextSortsByLocale),
    of_engine(43, crons=NoneSortsFirst),
    of_engine(44, assistants=LongNamesAreCut),
    of_engine(44, items=LargeValuesDoNotFit),
    of_engine(10, runs=RunsOfDeletedThreadsAreFound),
)
