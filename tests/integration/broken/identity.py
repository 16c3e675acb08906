"""Faults of identity and ownership: promises 10 to 14, 34 and 45."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from harness.errors import Conflict
from harness.models import SYSTEM, Assistant, Run, Thread
from harness.storage.memory.assistants import MemoryAssistants
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.threads import MemoryThreads
from harness.storage.requests import NewAssistant, NewRun, NewThread, ThreadChange
from harness.storage.resources.ownership import new_id
from harness.storage.resources.threads import Threads
from tests.integration.broken.fault import Fault, of_engine, of_face


class IdsAreMadeUp(MemoryThreads):
    """The caller's ids are ignored."""

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        made = [replace(row, thread_id=str(new_id())) for row in rows]
        return await super().insert(made, owner=owner)


class CreateMakesAnotherThread(MemoryRuns):
    """A run whose thread is missing gets a thread of some other id."""

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        made = [
            row
            if row.thread_id in self._tables.threads or row.if_not_exists == "reject"
            else replace(row, thread_id=str(new_id()))
            for row in rows
        ]
        return await super().insert(made, owner=owner)


class ATakenIdIsOverwritten(MemoryThreads):
    """A create under a taken id takes the row over."""

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        for row in rows:
            old = self._tables.threads.get(row.thread_id)
            if old is not None and row.if_exists == "raise":
                self._tables.threads.remove(old)
        return await super().insert(rows, owner=owner)


class DoNothingHandsOutOthersRows(MemoryThreads):
    """`do_nothing` returns whatever row has the id."""

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        [first, *_] = rows
        old = self._tables.threads.get(first.thread_id)
        if old is not None and first.if_exists == "do_nothing":
            return await super().insert(rows, owner=old.owner)
        return await super().insert(rows, owner=owner)


class ARefusedRunLeavesAThread(MemoryRuns):
    """The thread is made before it is known that the run cannot be."""

    async def insert(self, rows: Sequence[NewRun], *, owner: str) -> list[Run]:
        threads = MemoryThreads(self._tables)
        for row in rows:
            if row.if_not_exists == "create" and row.thread_id not in self._tables.threads:
                new = NewThread(
                    thread_id=row.thread_id, metadata={"owner": owner}, if_exists="raise"
                )
                await threads.insert([new], owner=owner)
        return await super().insert(rows, owner=owner)


class UpdatesReplaceMetadata(MemoryThreads):
    """An update of metadata forgets whose the row was."""

    async def update(self, thread_id: str, change: ThreadChange, *, owner: str) -> Thread:
        row = self._writable(thread_id, owner)
        self._tables.threads.change(row, metadata={})
        return await super().update(thread_id, change, owner=owner)


class TheOwnerIsKeptAside(MemoryThreads):
    """Who is asking stands in one place for all, as a thread-local would on one thread."""

    _asking = ""

    async def update(self, thread_id: str, change: ThreadChange, *, owner: str) -> Thread:
        self._asking = owner
        await asyncio.sleep(0)
        updated = await super().update(thread_id, change, owner=owner)
        self._tables.threads.change(
            self._tables.threads[thread_id],
            owner=self._asking,
            metadata={**updated.metadata, "owner": self._asking},
        )
        return updated


class SearchesAnswerEachOther(MemoryThreads):
    """Of concurrent searches all get the rows of the last one who asked."""

    _asking = ""

    async def search(self, query: Any, page: Any, *, owner: str) -> list[Thread]:
        self._asking = owner
        await asyncio.sleep(0)
        return await super().search(query, page, owner=self._asking)


class SystemRowsAreAnybodys(MemoryAssistants):
    """Everybody may write system's rows."""

    def _writable(self, assistant_id: str, owner: str) -> Any:
        row = self._tables.assistants.get(assistant_id)
        shared = row is not None and row.owner == SYSTEM
        return super()._writable(assistant_id, SYSTEM if shared else owner)


class SystemRowsAreHidden(MemoryAssistants):
    """System's assistants are in nobody's list but its own."""

    def _matching(self, query: Any, owner: str) -> list[Any]:
        return [row for row in super()._matching(query, owner) if row.owner == owner]


class OwnerComesFirst(Threads):
    """One method has its arguments in another order than the rest."""

    async def get(self, owner: str, thread_id: str) -> Thread:  # type: ignore[override]  # the fault
        return await super().get(thread_id, owner=owner)


class OwnerHasADefault(Threads):
    """One method asks on system's behalf when nobody is named."""

    async def get(self, thread_id: str, *, owner: str = SYSTEM) -> Thread:
        return await super().get(thread_id, owner=owner)


class DoNothingLooksFirst(MemoryAssistants):
    """Whether the row is there is found out before, not in, the insert."""

    async def insert(self, rows: Sequence[NewAssistant], *, owner: str) -> list[Assistant]:
        absent = all(row.assistant_id not in self._tables.assistants for row in rows)
        await asyncio.sleep(0)
        if absent:
            rows = [replace(row, if_exists="raise") for row in rows]
        return await super().insert(rows, owner=owner)


class DoNothingRaises(MemoryThreads):
    """`do_nothing` is not known."""

    async def insert(self, rows: Sequence[NewThread], *, owner: str) -> list[Thread]:
        if any(row.thread_id in self._tables.threads for row in rows):
            raise Conflict
        return await super().insert(rows, owner=owner)


FAULTS: Final[Sequence[Fault]] = (
    of_engine(10, threads=IdsAreMadeUp),
    of_engine(10, runs=CreateMakesAnotherThread),
    of_engine(11, threads=ATakenIdIsOverwritten),
    of_engine(11, threads=DoNothingHandsOutOthersRows),
    of_engine(11, runs=ARefusedRunLeavesAThread),
    of_engine(12, threads=UpdatesReplaceMetadata),
    of_engine(13, threads=TheOwnerIsKeptAside),
    of_engine(13, threads=SearchesAnswerEachOther),
    of_engine(14, assistants=SystemRowsAreAnybodys),
    of_engine(14, assistants=SystemRowsAreHidden),
    of_face(34, threads=OwnerComesFirst),
    of_face(34, threads=OwnerHasADefault),
    of_engine(45, assistants=DoNothingLooksFirst),
    of_engine(45, threads=DoNothingRaises),
)
