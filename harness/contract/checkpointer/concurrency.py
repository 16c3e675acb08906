"""One saver and many tasks at once: nobody's answer is another's, and nobody waits for ever."""

import asyncio

import pytest

from harness.contract.checkpointer.base import CheckpointerContract, Saver
from harness.contract.checkpointer.builders import (
    Story,
    a_thread,
    at,
    everywhere,
    found,
    id_of,
    ids,
    listed,
    written,
)

_TASKS = 50


class SaverConcurrencyContract(CheckpointerContract):
    """What a saver promises to tasks that share it."""

    @pytest.mark.invariant(46)
    async def test_fifty_conversations_at_once(self, saver: Saver) -> None:
        """Fifty tasks on threads of their own each read back their own steps and writes."""

        async def converse(number: int) -> None:
            story = Story(saver)
            for turn in range(3):
                head = await story.step({"c": [number, turn], "text": f"{number}"})
                await story.write([number, turn])
                there = await found(saver, head)
                assert there.checkpoint["channel_values"] == story.values
                assert [value for _, _, value in there.pending_writes or []] == [[number, turn]]
            history = await listed(saver, at(story.thread_id))
            kept = [one.checkpoint["channel_values"]["c"] for one in history]
            assert kept == [[number, turn] for turn in (2, 1, 0)]

        async with asyncio.timeout(self.patience_s), asyncio.TaskGroup() as group:
            for number in range(_TASKS):
                group.create_task(converse(number))

    @pytest.mark.invariant(46)
    async def test_fifty_tasks_write_at_one_checkpoint(self, saver: Saver) -> None:
        """Fifty tasks of one superstep write at once, and every write is there."""
        story = Story(saver)
        config = await story.step()
        async with asyncio.timeout(self.patience_s), asyncio.TaskGroup() as group:
            for number in range(_TASKS):
                group.create_task(story.write(number, -number, task=f"{number:02}"))
        assert await written(saver, config) == [
            sign * number for number in range(_TASKS) for sign in (1, -1)
        ]

    @pytest.mark.invariant(46)
    async def test_concurrent_puts_of_one_thread(self, saver: Saver) -> None:
        """Fifty puts into one thread at once are fifty checkpoints, each with its own value."""
        thread = a_thread()
        stories = [Story(saver, thread, f"{n % 5}") for n in range(_TASKS)]
        for number, story in enumerate(stories):  # versions never meet, as a loop's never do
            for _ in range(number):
                story.versions["c"] = saver.get_next_version(story.versions.get("c"), None)
        async with asyncio.timeout(self.patience_s), asyncio.TaskGroup() as group:
            for number, story in enumerate(stories):
                group.create_task(story.step({"c": [number]}))
        for number, story in enumerate(stories):
            assert (await found(saver, story.head)).checkpoint["channel_values"] == {"c": [number]}
        assert len(await ids(saver, everywhere(thread))) == _TASKS

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_reading_and_writing_while_iterating(self, saver: Saver) -> None:
        """A history can be read and written to between two of its entries; it stays as it began."""
        story = Story(saver)
        before = [id_of(await story.step({"c": [n]})) for n in range(4)]
        seen = []
        async with asyncio.timeout(self.stuck_s):
            async for one in saver.alist(at(story.thread_id)):
                seen.append(id_of(one.config))
                assert (await found(saver, one.config)).checkpoint == one.checkpoint
                await story.step()
                await story.write("more")
        assert seen == before[::-1]

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_a_namespace_begun_while_iterating(self, saver: Saver) -> None:
        """A subgraph may begin its namespace while its thread's history is being read."""
        story = Story(saver)
        for _ in range(3):
            await story.step()
        seen = 0
        async with asyncio.timeout(self.stuck_s):
            async for _ in saver.alist(everywhere(story.thread_id)):
                seen += 1
                await Story(saver, story.thread_id, f"inner:{seen}").step()
        assert seen == 3
