"""A run whose lease is gone writes nothing: every kind of ending meets every kind of write."""

import asyncio
import copy
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from harness.agents.graph import Saver
from harness.errors import LeaseLost, NotFound
from harness.persistence import (
    Fence,
    Fenceable,
    PooledSaver,
    direct,
    fenced,
    hold_thread,
    write_alone,
)
from harness.persistence.memory import MemorySaver
from harness.persistence.memory_retention import MemoryCheckpoints
from tests.integration.fencing import (
    ENDS,
    LEAVES_NOTHING,
    OTHER,
    OWNER,
    PAST,
    WRITES,
    Begun,
    End,
    Place,
    Write,
    in_memory,
    waits_for_a_lock,
    ways_to_delete,
)

pytest_plugins = ("tests.integration.fencing_fixtures",)
pytestmark = pytest.mark.invariant(52, 53, 61)


def fenced_by(saver: Saver, fence: Fence) -> Saver:
    """Return a saver as a run has it."""
    assert isinstance(saver, Fenceable)
    return cast("Saver", saver.fenced_by(fence))


async def without_context(call: Coroutine[Any, Any, None]) -> None:
    """Await a call that knows nothing of its caller, as those of a thread's own."""
    await asyncio.get_running_loop().create_task(call, context=Context())


async def refused(place: Place, run: Begun, write: Write) -> None:
    """Assert that a write is refused, adds nothing, and tells the execution."""
    before, told = await place.rows(run.thread), []
    fence = replace(run.fence, on_lost=lambda: told.append(True))
    with fenced(fence), pytest.raises(LeaseLost):
        await write(place.saver, run)
    assert await place.rows(run.thread) == before
    assert told
    with pytest.raises(LeaseLost):
        await without_context(write(fenced_by(place.saver, fence), run))
    assert await place.rows(run.thread) == before
    assert len(told) == 2


@pytest.mark.parametrize("ended", ENDS)
async def test_after_its_end_a_run_writes_nothing(place: Place, ended: str) -> None:
    """Whatever ended it, and whatever it writes, it is refused; before, it was let through."""
    run = await place.begun()
    with fenced(run.fence):
        for name, write in WRITES.items():
            if name != "copy":  # onto nothing only
                await write(place.saver, run)
    assert await place.rows(run.thread) > PAST
    await ENDS[ended](place, run)
    if ended in LEAVES_NOTHING:
        assert await place.rows(run.thread) == Counter()
    for write in WRITES.values():
        await refused(place, run, write)


@pytest.mark.parametrize("ended", ENDS)
async def test_whoever_has_a_runs_saver_is_fenced(place: Place, ended: str) -> None:
    """Without any context, what a run's saver writes or deletes passes until the run is over."""
    run = await place.begun()
    saver = fenced_by(place.saver, run.fence)
    for name, write in WRITES.items():
        if name != "copy":  # onto nothing only
            await without_context(write(saver, run))
    assert await place.rows(run.thread) > PAST
    await ENDS[ended](place, run)
    before = await place.rows(run.thread)
    for name, write in (WRITES | ways_to_delete(place)).items():
        if name == "delete for run" and ended in LEAVES_NOTHING | {"rolled back"}:
            continue  # there is nothing that it could delete
        with pytest.raises(LeaseLost):
            await without_context(write(saver, run))
    assert await place.rows(run.thread) == before


async def test_a_run_deletes_what_its_owner_has(place: Place) -> None:
    """Its saver deletes its own thread's checkpoints, and none of another owner's threads."""
    for delete in ways_to_delete(place).values():
        run, others = await place.begun(), await place.begun(OTHER)
        await without_context(WRITES["put of few"](place.saver, others))
        saver, before = fenced_by(place.saver, run.fence), await place.rows(others.thread)
        with pytest.raises(NotFound):
            await without_context(delete(saver, others))
        assert await place.rows(others.thread) == before
        await without_context(WRITES["put of few"](saver, run))
        had = await place.rows(run.thread)
        await without_context(delete(saver, run))
        assert (await place.rows(run.thread))["checkpoints"] < had["checkpoints"]


async def test_a_server_writes_nothing_without_a_fence(place: Place) -> None:
    """Where a fence is required, who is unknown writes and deletes nothing; the server does."""
    run = await place.begun()
    strict = copy.copy(place.saver)
    assert isinstance(strict, Fenceable)
    strict.requires_fence = True
    saver, before = cast("Saver", strict), await place.rows(run.thread)
    for write in (*WRITES.values(), *ways_to_delete(place).values()):
        with pytest.raises(LeaseLost):
            await write(saver, run)
    assert await place.rows(run.thread) == before
    for keep in (write_alone, hold_thread):
        async with keep(saver, run.thread):
            await WRITES["put of few"](saver, run)
    with fenced(run.fence):
        await WRITES["put of few"](saver, run)
    assert (await place.rows(run.thread))["checkpoints"] == before["checkpoints"] + 3


async def _write(place: Place, run: Begun, write: Write) -> None:
    with fenced(run.fence):
        await write(place.saver, run)


async def meet(
    executing: Place, ending: Place, end: End, write: Write, *, first: str
) -> Counter[str]:
    """Have a write of one process and an ending by another meet; return what is left of the thread.

    The first one has done its work and not committed when the other one begins, which has to wait
    for the commit. A write that came second is refused.
    """
    assert isinstance(executing.saver, PooledSaver)
    assert isinstance(ending.saver, PooledSaver)
    run = await executing.begun()
    if first == "end":
        async with ending.saver.database.unit():
            await end(ending, run)
            task = asyncio.create_task(_write(executing, run, write))
            await waits_for_a_lock(task, executing)
        with pytest.raises(LeaseLost):
            await task
    else:
        async with executing.saver.database.unit():
            await _write(executing, run, write)
            task = asyncio.create_task(end(ending, run))
            waits = await waits_for_a_lock(task, ending)
        await task
        assert waits
    return await executing.rows(run.thread)


BY_OTHERS = (
    "cancelled",
    "run deleted",
    "rolled back",
    "discarded",
    "thread deleted",
    "thread pruned",
    "assistant deleted",
    "thread made anew",
)
"""Endings by processes that know nothing of the lease."""
KINDS = ("put", "put of few", "put of many", "writes", "writes, many", "special writes")


@pytest.mark.postgres
@pytest.mark.parametrize("write", KINDS)
@pytest.mark.parametrize("ended", BY_OTHERS)
async def test_a_write_that_meets_an_end(processes: list[Place], ended: str, write: str) -> None:
    """One waits for the other: an end that came first refuses the write, a later one removes it."""
    executing, ending = processes
    end, made = ENDS[ended], WRITES[write]
    past = Counter[str]() if ended in LEAVES_NOTHING else PAST
    assert await meet(executing, ending, end, made, first="end") == past
    left = await meet(executing, ending, end, made, first="write")
    # A rollback removes the run's checkpoints, and not what it wrote beside an older one.
    if ended in LEAVES_NOTHING or (ended == "rolled back" and write.startswith("put")):
        assert left == past
    else:
        assert left > past


@pytest.mark.postgres
async def test_the_next_run_begins_after_a_rollback(processes: list[Place]) -> None:
    """Whoever claims the thread's next run waits until what the first one wrote is gone."""
    executing, ending = processes
    assert isinstance(ending.saver, PooledSaver)
    run = await executing.begun()
    await _write(executing, run, WRITES["put of few"])
    second = await executing.storage.runs.create(run.thread, run.assistant, owner=OWNER)

    async def begin() -> Counter[str]:
        claimed = None
        while claimed is None or claimed.run.run_id != second.run_id:
            claimed = await executing.storage.runs.claim(lease_s=3_600, owner=OWNER)
            await asyncio.sleep(0)
        return await executing.rows(run.thread)

    async with ending.saver.database.unit():
        await ENDS["rolled back"](ending, run)
        beginning = asyncio.create_task(begin())
        await asyncio.wait({beginning}, timeout=0.05)
        assert not beginning.done()
    assert await beginning == PAST


class WithoutFence(PooledSaver):
    """Writes what it is given, as LangGraph's saver does."""

    async def _store(self, name: str, row: str | None, rows: int, params: Any) -> None:
        await self._answer(direct.statement(name, row, rows), params)


class BySnapshot(PooledSaver):
    """Looks for the lease in the same statement, and locks nothing."""

    locks = ""

    async def _pass(self, fence: Fence, thread_id: str, query_at: Any, params: Any) -> None:
        def otherwise(place: direct.Place) -> str:
            return str(query_at(place)).replace(" FOR SHARE", self.locks)

        await super()._pass(fence, thread_id, otherwise, params)


class AgainstDeletionOnly(BySnapshot):
    """Locks the run against its deletion, and not against other changes."""

    locks = " FOR KEY SHARE"


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("fault", "ended", "first"),
    [
        (WithoutFence, "thread deleted", "end"),
        (WithoutFence, "cancelled", "end"),
        (WithoutFence, "thread deleted", "write"),
        (BySnapshot, "thread deleted", "end"),
        (BySnapshot, "cancelled", "end"),
        (BySnapshot, "rolled back", "write"),
        (AgainstDeletionOnly, "cancelled", "end"),
    ],
)
async def test_a_saver_with_a_hole_in_its_fence_is_caught(
    processes: list[Place], fault: type[PooledSaver], ended: str, first: str
) -> None:
    """Without a fence, with one that only looks, or that locks too little, the meeting fails."""
    executing, ending = processes
    assert isinstance(executing.saver, PooledSaver)
    broken = replace(executing, saver=fault(executing.saver.database))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await meet(broken, ending, ENDS[ended], WRITES["put of few"], first=first)


class Held(JsonPlusSerializer):
    """A serializer that stops at a value until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Stop, and serialise."""
        self.reached.set()
        assert self.go.wait(10)
        return super().dumps_typed(obj)


class CheckedOnly(MemorySaver):
    """Looks for the lease, and lets it go while it writes."""

    @contextmanager
    def _let_through(self, thread_id: Any) -> Iterator[None]:
        with super()._let_through(thread_id):
            pass
        yield


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("ended", ["thread deleted", "run deleted", "cancelled"])
async def test_in_memory_a_thread_that_writes_is_waited_for(ended: str, *, sound: bool) -> None:
    """A node that is no coroutine writes from a thread: its run does not end in the midst of it."""
    serde = Held()
    place = in_memory()
    assert isinstance(place.saver, MemorySaver)
    saver = (MemorySaver if sound else CheckedOnly)(place.saver.tables)
    saver.serde = serde
    place.saver.tables.beside[:] = [MemoryCheckpoints(saver)]
    run = await place.begun()
    over: list[bool] = []

    def end() -> None:
        asyncio.run(ENDS[ended](place, run))
        over.append(serde.go.is_set())

    writing = asyncio.create_task(
        _write(replace(place, saver=saver), run, WRITES["put by a thread"])
    )
    await asyncio.to_thread(serde.reached.wait, 10)
    ending = asyncio.create_task(asyncio.to_thread(end))
    await asyncio.wait({ending}, timeout=0.1)  # time enough for one that does not wait
    serde.go.set()
    await asyncio.gather(writing, ending)
    assert over == [sound]
    if sound and ended == "thread deleted":
        assert await replace(place, saver=saver).rows(run.thread) == Counter()


def deletions(place: Place, run: Begun, thread: str) -> dict[str, Coroutine[Any, Any, Any]]:
    """Return what a run can have a saver delete of a thread, not yet begun."""
    made: dict[str, Coroutine[Any, Any, Any]] = {
        "by a thread": asyncio.to_thread(place.saver.delete_thread, thread),
        "delete": place.saver.adelete_thread(thread),
    }
    if isinstance(place.saver, PooledSaver):  # the one in memory cannot
        made["prune"] = place.saver.aprune([thread])
        made["prune all"] = place.saver.aprune([thread], strategy="delete")
        made["of runs"] = place.saver.adelete_for_runs([run.lease.run_id])
    return made


class TestDeletions:
    """What a run deletes through its saver, it deletes under its lease, of its owner's threads."""

    async def _with_a_past(self, place: Place, run: Begun, thread: str) -> Counter[str]:
        there = replace(run, lease=replace(run.lease, thread_id=thread))
        for _ in range(2):
            await WRITES["put of few"](place.saver, there)
        return await place.rows(thread)

    async def _thread(self, place: Place, run: Begun, where: str) -> str:
        """Return the run's own thread, or another of its owner's."""
        if where == "own":
            return run.thread
        return (await place.storage.threads.create(owner=OWNER)).thread_id

    async def test_another_owners_thread_is_not_found(self, place: Place) -> None:
        """Nothing of it goes, and the run can go on."""
        run = await place.begun()
        other = (await place.storage.threads.create(owner=OTHER)).thread_id
        before = await self._with_a_past(place, run, other)
        with fenced(run.fence):
            for deletion in deletions(place, run, other).values():
                with pytest.raises(NotFound):
                    await deletion
        assert await place.rows(other) == before
        await _write(place, run, WRITES["put"])

    @pytest.mark.parametrize("where", ["own", "its owner's"])
    async def test_after_its_end_a_run_deletes_nothing(self, place: Place, where: str) -> None:
        """It is refused, and the execution is told."""
        run = await place.begun()
        thread = await self._thread(place, run, where)
        before = await self._with_a_past(place, run, thread)
        await ENDS["cancelled"](place, run)
        for deletion in deletions(place, run, thread).values():
            told: list[bool] = []
            fence = replace(run.fence, on_lost=partial(told.append, True))
            with fenced(fence), pytest.raises(LeaseLost):
                await deletion
            assert told
        assert await place.rows(thread) == before

    @pytest.mark.parametrize("where", ["own", "its owner's"])
    async def test_under_its_lease_a_run_deletes(self, place: Place, where: str) -> None:
        """Each kind of deletion takes away something, and deleting everything."""
        run = await place.begun()
        thread = await self._thread(place, run, where)
        for name, deletion in deletions(place, run, thread).items():
            before = await self._with_a_past(place, run, thread)
            with fenced(run.fence):
                await deletion
            left = await place.rows(thread)
            assert left < before, name
            if name not in ("prune", "of runs"):
                assert left == Counter(), name


class TestElsewhere:
    """A run that writes to another thread than its own."""

    async def test_it_writes_to_its_owners_threads(self, place: Place) -> None:
        """What is there takes each kind of write, and the run's lease has to hold all the same."""
        run = await place.begun()
        other = (await place.storage.threads.create(owner=OWNER)).thread_id
        there = replace(run, lease=replace(run.lease, thread_id=other))
        with fenced(run.fence):
            for write in WRITES.values():
                if write is not WRITES["copy"]:
                    await write(place.saver, there)
        before = await place.rows(other)
        assert before
        assert await place.rows(run.thread) == PAST
        await ENDS["cancelled"](place, run)
        for write in WRITES.values():
            with fenced(run.fence), pytest.raises(LeaseLost):
                await write(place.saver, there)
        assert await place.rows(other) == before

    @pytest.mark.parametrize("kind", ["another owner's", "gone", "unknown", "no UUID", "capital"])
    async def test_it_brings_no_thread_to_life(self, place: Place, kind: str) -> None:
        """A thread that its owner does not have is not found; the run can go on."""
        run = await place.begun()
        owner = OTHER if kind == "another owner's" else OWNER
        thread = (await place.storage.threads.create(owner=owner)).thread_id
        if kind == "gone":
            await place.storage.threads.delete(thread, owner=OWNER)
        odd = {"unknown": str(uuid4()), "no UUID": "memories of ann", "capital": thread.upper()}
        other = odd.get(kind, thread)
        there = replace(run, lease=replace(run.lease, thread_id=other))
        for write in WRITES.values():
            with fenced(run.fence), pytest.raises(NotFound):
                await write(place.saver, there)
            with pytest.raises(NotFound):
                await without_context(write(fenced_by(place.saver, run.fence), there))
        assert await place.rows(other) == Counter()
        await _write(place, run, WRITES["put"])

    @pytest.mark.postgres
    @pytest.mark.parametrize("write", ["put of few", "special writes"])
    async def test_a_thread_that_is_being_deleted(self, processes: list[Place], write: str) -> None:
        """The write waits for the deletion, and is refused; a later deletion removes it."""
        executing, ending = processes
        assert isinstance(ending.saver, PooledSaver)
        assert isinstance(executing.saver, PooledSaver)
        for first in ("end", "write"):
            run = await executing.begun()
            other = (await executing.storage.threads.create(owner=OWNER)).thread_id
            there = replace(run, lease=replace(run.lease, thread_id=other))

            async def writing(run: Begun = run, there: Begun = there) -> None:
                with fenced(run.fence):
                    await WRITES[write](executing.saver, there)

            if first == "end":
                async with ending.saver.database.unit():
                    await ENDS["thread deleted"](ending, there)
                    task = asyncio.create_task(writing())
                    await waits_for_a_lock(task, executing)
                with pytest.raises(NotFound):
                    await task
            else:
                async with executing.saver.database.unit():
                    await writing()
                    task = asyncio.create_task(ENDS["thread deleted"](ending, there))
                    assert await waits_for_a_lock(task, ending)
                await task
            assert await executing.rows(other) == Counter()
