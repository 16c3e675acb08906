"""Puts and writes are there whole or not at all: refused, cancelled, or killed halfway."""

import asyncio
from collections.abc import Coroutine
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
    async def test_a_refused_put_leaves_nothing(self, saver: Saver, probe: SaverProbe) -> None:
        """A checkpoint with a value that cannot be stored leaves no row of itself."""
        story = Story(saver)
        with pytest.raises(TypeError):
            await story.step({"a": [1], "b": _Unstorable(), "c": [3]})
        assert await counts(probe, story.thread_id) == (0, 0, 0)

    @pytest.mark.invariant(46)
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
    async def test_a_cancelled_put_is_whole_or_absent(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Cancelled at any moment, a put has stored all of its rows or none."""
        for patience in range(12):
            story = Story(saver)
            await self._cancel(_put(saver, story.thread_id)[0], patience)
            assert await counts(probe, story.thread_id) in {(0, 0, 0), (1, 3, 0)}
        await self._works(saver)

    @pytest.mark.invariant(46)
    async def test_cancelled_writes_are_whole_or_absent(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Cancelled at any moment, a task's writes are all stored or none is."""
        for patience in range(12):
            story = Story(saver)
            config = await story.step()
            await self._cancel(saver.aput_writes(config, _WRITES, "task"), patience)
            assert (await counts(probe, story.thread_id))[2] in {0, 3}
        await self._works(saver)

    async def _cancel(self, call: Coroutine[Any, Any, Any], patience: int) -> None:
        """Make a call and cancel it after that many turns of the loop."""
        task = asyncio.ensure_future(call)
        for _ in range(patience):
            await asyncio.sleep(0)
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(outcome, Exception):
            raise outcome

    async def _works(self, saver: Saver) -> None:
        """See that the saver goes on to store."""
        async with asyncio.timeout(self.patience_s):
            story = Story(saver)
            await story.step({"c": [1]})
            await story.write("on")
            assert await written(saver, story.head) == ["on"]
