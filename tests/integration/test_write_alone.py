"""What is written to a thread alone, and to none that is not there."""

import asyncio
from collections import Counter
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6

from harness.errors import NotFound
from harness.persistence import (
    fenced,
    hold_thread,
    write_alone,
)
from harness.persistence.memory import MemorySaver
from tests.integration.fencing import (
    ENDS,
    WRITES,
    Place,
    in_memory,
    waits_for_a_lock,
)

pytest_plugins = ("tests.integration.fencing_fixtures",)
pytestmark = pytest.mark.invariant(52, 53, 61)


async def test_in_memory_what_writes_alone_does_not_bring_a_thread_back() -> None:
    """An update of a state whose thread is deleted meanwhile, and made anew, is not found."""
    place = in_memory()
    run = await place.begun()
    await ENDS["finished"](place, run)
    async with write_alone(place.saver, run.thread):
        await WRITES["put of few"](place.saver, run)
        await ENDS["thread made anew"](place, run)
        for write in WRITES.values():
            with pytest.raises(NotFound):
                await write(place.saver, run)
    assert await place.rows(run.thread) == Counter()


@pytest.mark.postgres
async def test_what_writes_alone_is_waited_for(processes: list[Place]) -> None:
    """A deletion by another process comes after an update of the state, and takes it along."""
    executing, ending = processes
    run = await executing.begun()
    await ENDS["finished"](executing, run)
    async with write_alone(executing.saver, run.thread):
        await WRITES["put of few"](executing.saver, run)
        task = asyncio.create_task(ENDS["thread deleted"](ending, run))
        assert await waits_for_a_lock(task, ending)
        await WRITES["writes"](executing.saver, run)
    await task
    assert await executing.rows(run.thread) == Counter()


async def test_nothing_is_written_alone_to_a_thread_that_is_not_there(place: Place) -> None:
    """Nor is it held: neither would keep apart from one that is made a moment later."""
    for keep in (write_alone, hold_thread):
        missing = str(uuid4())
        if keep is hold_thread and isinstance(place.saver, MemorySaver):
            continue  # where nothing is held
        with pytest.raises(NotFound):
            async with keep(place.saver, missing):
                pytest.fail("it was let in")


@pytest.mark.invariant(46)
@pytest.mark.parametrize("is_fenced", [False, True])
async def test_what_is_refused_in_the_midst_leaves_nothing(place: Place, is_fenced: bool) -> None:
    """A value that cannot be stored, behind some that can: no blob and no write of them stays."""
    run = await place.begun()
    with fenced(run.fence):
        await WRITES["put of few"](place.saver, run)
        await place.saver.aput_writes(run.at(), [("c", 1)], "before")
    before = await place.rows(run.thread)
    versions: dict[str, Any] = dict.fromkeys("abc", "2")
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6())
    checkpoint["channel_values"] = {"a": [1], "b": object(), "c": [3]}
    checkpoint["channel_versions"] = versions
    with fenced(run.fence) if is_fenced else nullcontext():
        with pytest.raises(TypeError):
            await place.saver.aput(run.at(), checkpoint, {"step": 1}, versions)
        for task in ("new", "before"):
            with pytest.raises(TypeError):
                await place.saver.aput_writes(run.at(), [("c", 1), ("d", 2), ("e", object())], task)
    assert await place.rows(run.thread) == before
