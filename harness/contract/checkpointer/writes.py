"""Pending writes: their order, who is first, and who is replaced."""

import random

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP

from harness.contract.checkpointer.base import CheckpointerContract, Saver, SaverProbe
from harness.contract.checkpointer.builders import Story, at, counts, found, listed, written


class SaverWritesContract(CheckpointerContract):
    """What `aput_writes` promises."""

    @pytest.mark.invariant(46)
    async def test_writes_of_a_task_keep_their_order(self, saver: Saver) -> None:
        """A task's writes come back as it made them, past the tenth and of any channel."""
        story = Story(saver)
        config = await story.step()
        writes = [(random.choice("abc"), n) for n in range(25)]  # noqa: S311 -- any order will do
        await saver.aput_writes(config, writes, "task")
        kept = (await found(saver, config)).pending_writes or []
        assert [(channel, value) for _, channel, value in kept] == writes
        assert {task for task, _, _ in kept} == {"task"}

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_writes_are_in_the_order_of_tasks(self, saver: Saver) -> None:
        """Writes are sorted by task path, task id and index, whenever they arrived."""
        story = Story(saver)
        config = await story.step()
        tasks = [(path, task) for path in ("", "~a", "~b, 2") for task in ("1", "2", "0")]
        for path, task in random.sample(tasks, k=len(tasks)):
            writes = [("c", (path, task, index)) for index in range(2)]
            await saver.aput_writes(config, writes, task + path, path)
        wanted = [(path, task, n) for path, task in sorted(tasks) for n in range(2)]
        assert [tuple(value) for value in await written(saver, config)] == wanted
        [one] = await listed(saver, at(story.thread_id))
        assert [tuple(value) for _, _, value in one.pending_writes or []] == wanted

    @pytest.mark.invariant(46)
    async def test_the_first_write_of_a_task_stays(self, saver: Saver, probe: SaverProbe) -> None:
        """A task that runs again changes none of its writes, and adds those it lacked."""
        story = Story(saver)
        config = await story.step()
        await story.write("first")
        await story.write("second", "more")
        await story.write("third", channel="other")
        assert await written(saver, config) == ["first", "more"]
        assert (await counts(probe, story.thread_id))[2] == 2

    @pytest.mark.invariant(46)
    @pytest.mark.parametrize("channel", sorted(WRITES_IDX_MAP))
    async def test_special_writes_are_replaced(
        self, saver: Saver, probe: SaverProbe, channel: str
    ) -> None:
        """The last error, interrupt or resume of a task counts, beside its ordinary writes."""
        story = Story(saver)
        config = await story.step()
        await story.write("ordinary")
        for value in ("old", "new"):
            await story.write(value, channel=channel)
        await story.write("another's", task="another", channel=channel)
        kept = (await found(saver, config)).pending_writes or []
        assert sorted(kept, key=repr) == sorted(
            [
                ("task", "c", "ordinary"),
                ("task", channel, "new"),
                ("another", channel, "another's"),
            ],
            key=repr,
        )
        assert (await counts(probe, story.thread_id))[2] == 3

    async def test_writes_belong_to_their_checkpoint(self, saver: Saver) -> None:
        """Writes stay with the checkpoint they were made at; the next one begins without."""
        story = Story(saver)
        before = await story.step()
        await story.write("old")
        after = await story.step()
        assert await written(saver, after) == []
        await story.write("new")
        assert await written(saver, before) == ["old"]
        assert await written(saver, after) == ["new"]

    async def test_writes_may_come_before_their_checkpoint(self, saver: Saver) -> None:
        """Writes whose checkpoint is put later are there when it is, as in a background put."""
        story = Story(saver)
        later = at(story.thread_id, "", "1f000000-0000-6001-8000-000000000000")
        await saver.aput_writes(later, [("c", {"n": 1})], "task")
        assert await saver.aget_tuple(later) is None
        await story.step(checkpoint_id="1f000000-0000-6001-8000-000000000000")
        assert await written(saver, story.head) == [{"n": 1}]

    async def test_no_writes_are_no_error(self, saver: Saver, probe: SaverProbe) -> None:
        """A task that wrote nothing stores nothing."""
        story = Story(saver)
        await story.step()
        await story.write()
        assert await counts(probe, story.thread_id) == (1, 0, 0)
