"""Puts and writes are there whole or not at all: refused, cancelled, or killed halfway."""

import asyncio
import itertools
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from harness.contract.checkpointer.base import CheckpointerContract, Killer, Saver, SaverProbe
from harness.contract.checkpointer.builders import (
    Story,
    a_checkpoint,
    at,
    counts,
    some_metadata,
    written,
)

_WRITES = (("c", 0), ("d", [1]), ("e", "2"))


class _Unstorable:
    """A value that no serializer knows."""


class _CancelledAt:
    """Awaits a call and cancels it where it waits for the nth time: no clock, no luck.

    Args:
        call: What is called.
        wait: The wait at which it is cancelled, from 0.
        late: Whether what it waits for has come by then, but was not yet looked at.
    """

    def __init__(self, call: Coroutine[Any, Any, Any], wait: int, *, late: bool) -> None:
        self._call, self._wait, self._late = call, wait, late

    def __await__(self) -> Generator[Any, Any, Any]:
        """Pass on what the call waits for, and count."""
        task = asyncio.current_task()
        assert task is not None
        thrown: BaseException | None = None
        waits = 0
        while True:
            try:
                waited_for = self._call.send(None) if thrown is None else self._call.throw(thrown)
            except StopIteration as end:
                return end.value
            here = waits == self._wait
            waits += 1
            if here and not self._late:
                task.cancel()
            try:
                yield waited_for
                thrown = asyncio.CancelledError() if here and self._late else None
            except BaseException as exc:  # noqa: BLE001 -- the call is to see it, whatever it is
                thrown = exc


def _put(saver: Saver, thread_id: object, checkpoint_id: str | None = None) -> Any:
    """Return the call that puts a checkpoint with three blobs, and the config of it."""
    versions = {channel: saver.get_next_version(None, None) for channel in "abc"}
    values = {channel: [channel] for channel in "abc"}
    checkpoint = a_checkpoint(values, versions, checkpoint_id)
    call = saver.aput(at(thread_id), checkpoint, some_metadata(), versions)
    return call, at(thread_id, "", checkpoint["id"])


class SaverAtomicContract(CheckpointerContract):
    """What `aput` and `aput_writes` promise when they do not succeed."""

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_a_refused_put_leaves_nothing(self, saver: Saver, probe: SaverProbe) -> None:
        """A checkpoint with a value that cannot be stored leaves no row of itself."""
        story = Story(saver)
        with pytest.raises(TypeError):
            await story.step({"a": [1], "b": _Unstorable(), "c": [3]})
        assert await counts(probe, story.thread_id) == (0, 0, 0)

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_refused_writes_leave_nothing(self, saver: Saver, probe: SaverProbe) -> None:
        """Of a task's writes none is stored when one cannot be."""
        story = Story(saver)
        await story.step()
        with pytest.raises(TypeError):
            await story.write(1, _Unstorable(), 3)
        assert await counts(probe, story.thread_id) == (1, 0, 0)

    @pytest.mark.invariant(46)
    async def test_a_put_killed_halfway_is_undone(
        self, saver: Saver, probe: SaverProbe, killer: Killer
    ) -> None:
        """When the client dies between two rows of a put, none of them is there."""
        story = Story(saver)
        call, config = _put(saver, story.thread_id)
        acknowledged = await killer.during_put(call, config)
        whole = (1, 3, 0)
        assert await counts(probe, story.thread_id) == (whole if acknowledged else (0, 0, 0))

    @pytest.mark.invariant(46)
    async def test_writes_killed_halfway_are_undone(
        self, saver: Saver, probe: SaverProbe, killer: Killer
    ) -> None:
        """When the client dies between two of a task's writes, none of them is there."""
        story = Story(saver)
        config = await story.step()
        call = saver.aput_writes(config, _WRITES, "task")
        acknowledged = await killer.during_writes(call, config, "task", last=2)
        assert (await counts(probe, story.thread_id))[2] == (3 if acknowledged else 0)

    async def test_a_saver_outlives_a_killed_call(self, saver: Saver, killer: Killer) -> None:
        """A call that was killed does not keep the saver from storing the next."""
        call, config = _put(saver, Story(saver).thread_id)
        await killer.during_put(call, config)
        await self._works(saver)

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_a_cancelled_put_is_whole_or_absent(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Cancelled at any of its waits, a put has stored all of its rows or none."""
        for wait in itertools.count():
            over = []
            for late in (False, True):
                story = Story(saver)
                call = _put(saver, story.thread_id)[0]
                over.append(await self._cancel(call, wait, late=late))
                assert await counts(probe, story.thread_id) in {(0, 0, 0), (1, 3, 0)}
            if all(over):
                break
        await self._works(saver)

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_cancelled_writes_are_whole_or_absent(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Cancelled at any of its waits, a task's writes are all stored or none is."""
        for wait in itertools.count():
            over = []
            for late in (False, True):
                story = Story(saver)
                config = await story.step()
                call = saver.aput_writes(config, _WRITES, "task")
                over.append(await self._cancel(call, wait, late=late))
                assert (await counts(probe, story.thread_id))[2] in {0, 3}
            if all(over):
                break
        await self._works(saver)

    async def _cancel(self, call: Coroutine[Any, Any, Any], wait: int, *, late: bool) -> bool:
        """Cancel a call where it waits for the nth time; return whether it was over before."""
        task = asyncio.ensure_future(_CancelledAt(call, wait, late=late))
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return not task.cancelled()

    async def _works(self, saver: Saver) -> None:
        """See that the saver goes on to store."""
        async with asyncio.timeout(self.patience_s):
            story = Story(saver)
            await story.step({"c": [1]})
            await story.write("on")
            assert await written(saver, story.head) == ["on"]
