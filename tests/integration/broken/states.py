"""Faults of states, heads and history: promises 2 to 9, and 26."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the engine's

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from harness.models import Json, Lease, Run, Thread, ThreadState
from harness.storage.memory.items import MemoryItems
from harness.storage.memory.runs import MemoryRuns
from harness.storage.memory.threads import MemoryThreads
from harness.storage.memory.transitions import show_head
from harness.storage.requests import HeadChange, NewState, StatusChange
from harness.storage.resources.ownership import new_id
from tests.integration.broken.fault import Fault, of_engine


class HistoryShowsTheHeadEverywhere(MemoryThreads):
    """Every entry has the values of the newest."""

    async def get_history(self, thread_id: str, **asked: Any) -> list[ThreadState]:
        history = await super().get_history(thread_id, **asked)
        return [replace(state, values=history[0].values) for state in history]


class HistoryIsEmptyObjects(MemoryThreads):
    """Entries have lost their values."""

    async def get_history(self, thread_id: str, **asked: Any) -> list[ThreadState]:
        return [replace(one, values={}) for one in await super().get_history(thread_id, **asked)]


class CheckpointIdsAreRandom(MemoryThreads):
    """Each reading of the head names another checkpoint."""

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None, *, owner: str
    ) -> ThreadState:
        state = await super().get_state(thread_id, checkpoint_id, owner=owner)
        if state.checkpoint is None:
            return state
        return replace(state, checkpoint={**state.checkpoint, "checkpoint_id": str(new_id())})


class BeforeIsIgnored(MemoryThreads):
    """History always begins at the head."""

    async def get_history(
        self, thread_id: str, *, before: str | None, **asked: Any
    ) -> list[ThreadState]:
        return await super().get_history(thread_id, before=None, **asked)


class HistoryIsSortedById(MemoryThreads):
    """The order of history is that of checkpoint ids, as if they had been made in it."""

    def _states(self, thread_id: str) -> list[Any]:
        return sorted(super()._states(thread_id), key=lambda row: row.checkpoint_id)


class LimitIsIgnored(MemoryThreads):
    """A history is always whole."""

    async def get_history(self, thread_id: str, *, limit: int, **asked: Any) -> list[ThreadState]:
        return await super().get_history(thread_id, limit=10_000, **asked)


class UnknownBeforeIsTheWholeHistory(MemoryThreads):
    """A checkpoint that is not there cuts nothing off."""

    async def get_history(
        self, thread_id: str, *, before: str | None, **asked: Any
    ) -> list[ThreadState]:
        known = before is None or (thread_id, before) in self._tables.thread_states
        return await super().get_history(thread_id, before=before if known else None, **asked)


class LimitComesBeforeTheCondition(MemoryThreads):
    """The newest few are looked at, and then some of them left out."""

    async def get_history(
        self, thread_id: str, *, limit: int, before: str | None, metadata: Json, owner: str
    ) -> list[ThreadState]:
        newest = await super().get_history(
            thread_id, limit=limit, before=before, metadata={}, owner=owner
        )
        matching = await super().get_history(
            thread_id, limit=10_000, before=before, metadata=metadata, owner=owner
        )
        return [state for state in newest if state in matching]


class AnybodyReadsState(MemoryThreads):
    """The owner is not looked at when a state is read."""

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None, *, owner: str
    ) -> ThreadState:
        row = self._tables.threads.get(thread_id)
        return await super().get_state(
            thread_id, checkpoint_id, owner=owner if row is None else row.owner
        )


class AnybodyWritesState(MemoryThreads):
    """The owner is not looked at when a state is added."""

    async def add_state(self, thread_id: str, state: NewState, *, owner: str) -> ThreadState:
        row = self._tables.threads.get(thread_id)
        return await super().add_state(thread_id, state, owner=owner if row is None else row.owner)


class ItemsLeakAnOwner(MemoryItems):
    """A search shows everybody's items."""

    def _matching(self, query: Any, owner: str, now: Any) -> list[Any]:
        owners = {row.owner for row in self._tables.store_items}
        return [
            row
            for one in owners
            for row in super(ItemsLeakAnOwner, self)._matching(query, one, now)
        ]


class ValuesAreSetBeforeTheCheck(MemoryThreads):
    """A state that is refused has changed the thread already."""

    async def add_state(self, thread_id: str, state: NewState, *, owner: str) -> ThreadState:
        self._tables.threads.change(self._writable(thread_id, owner), values=state.values)
        return await super().add_state(thread_id, state, owner=owner)


class ThreadValuesLagBehind(MemoryThreads):
    """The thread keeps showing its first state."""

    async def add_state(self, thread_id: str, state: NewState, *, owner: str) -> ThreadState:
        thread = self._writable(thread_id, owner)
        before = thread.values
        added = await super().add_state(thread_id, state, owner=owner)
        if before is not None:
            self._tables.threads.change(thread, values=before)
        return added


class AnybodyShowsAHead(MemoryThreads):
    """The owner is not looked at when a head is cached."""

    async def cache_head(self, thread_id: str, change: HeadChange, *, owner: str) -> Thread:
        row = self._tables.threads.get(thread_id)
        return await super().cache_head(
            thread_id, change, owner=owner if row is None else row.owner
        )


class HeadsLoseTheirInterrupts(MemoryThreads):
    """Only values and checkpoint are kept of a head."""

    async def cache_head(self, thread_id: str, change: HeadChange, *, owner: str) -> Thread:
        bare = replace(change.head, interrupts={}, error=None)
        return await super().cache_head(thread_id, replace(change, head=bare), owner=owner)


class LateRepairsWin(MemoryThreads):
    """What a repair has seen is not looked at."""

    async def cache_head(self, thread_id: str, change: HeadChange, *, owner: str) -> Thread:
        return await super().cache_head(thread_id, replace(change, seen_at=None), owner=owner)


class RunsEndBeforeTheirHead(MemoryRuns):
    """A run's end and its head are two steps, and the second is left out."""

    async def finish(self, lease: Lease, change: StatusChange, *, owner: str) -> Run:
        return await super().finish(lease, replace(change, head=None), owner=owner)


class HeadsComeBeforeTheLease(MemoryRuns):
    """A head is shown before it is known whether the lease is good."""

    async def finish(self, lease: Lease, change: StatusChange, *, owner: str) -> Run:
        if change.head is not None:
            thread = self._tables.threads[lease.thread_id]
            show_head(self._tables, thread, change.head, self._tables.clock.now())
        return await super().finish(lease, change, owner=owner)


FAULTS: Final[Sequence[Fault]] = (
    of_engine(2, threads=HistoryShowsTheHeadEverywhere),
    of_engine(2, threads=HistoryIsEmptyObjects),
    of_engine(4, threads=CheckpointIdsAreRandom),
    of_engine(4, threads=BeforeIsIgnored),
    of_engine(4, threads=HistoryIsSortedById),
    of_engine(5, threads=LimitIsIgnored),
    of_engine(5, threads=UnknownBeforeIsTheWholeHistory),
    of_engine(5, threads=LimitComesBeforeTheCondition),
    of_engine(6, threads=AnybodyReadsState),
    of_engine(6, threads=AnybodyWritesState),
    of_engine(6, threads=AnybodyShowsAHead),
    of_engine(6, items=ItemsLeakAnOwner),
    of_engine(9, threads=ValuesAreSetBeforeTheCheck),
    of_engine(9, threads=ThreadValuesLagBehind),
    of_engine(9, threads=HeadsLoseTheirInterrupts),
    of_engine(9, threads=LateRepairsWin),
    of_engine(9, runs=RunsEndBeforeTheirHead),
    of_engine(26, runs=HeadsComeBeforeTheLease),
)
