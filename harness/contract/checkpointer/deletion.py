"""Deleting, pruning and copying threads and runs; what remains is counted behind the saver."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from harness.contract.checkpointer.base import CheckpointerContract, Saver, SaverProbe
from harness.contract.checkpointer.builders import (
    Story,
    a_thread,
    at,
    counts,
    found,
    id_of,
    listed,
    written,
)


async def _long(saver: Saver, *, thread_id: str | None = None, namespace: str = "") -> Story:
    """Return a story of three checkpoints with a blob and two writes each, and an old channel."""
    story = Story(saver, thread_id, namespace)
    await story.step({"old": [namespace]})
    for number in range(3):
        await story.step({"c": [number]})
        await story.write(number, -number)
    return story


def _counters(number: int) -> dict[str, Any]:
    """Return the metadata of a checkpoint that many steps after the last snapshot."""
    return {"counters_since_delta_snapshot": {"c": [number, number]}}


async def _counted(
    saver: Saver, *, snapshots: Collection[int], steps: int, runs: Sequence[str] = ()
) -> Story:
    """Return a story whose delta channel `c` is stored at some steps, with a write at all but one.

    Its last step, at which nothing is stored, has no write of its own.
    """
    story, since = Story(saver), 0
    for number in range(steps):
        made_by: dict[str, Any] = {"run_id": runs[number]} if runs else {}
        if number in snapshots:
            since = 0
            await story.step({"c": _DeltaSnapshot([number])}, **made_by)
        else:
            since += 1
            await story.step(emptied=("c",), **_counters(since), **made_by)
        if number < steps - 1:
            await story.write(number)
    return story


async def _rebuilt(saver: Saver, story: Story) -> tuple[Any, list[Any]]:
    """Return from what delta channel `c` is rebuilt at a story's head: seed and writes."""
    histories = await saver.aget_delta_channel_history(config=story.head, channels=["c"])
    history = histories["c"]
    seed = history.get("seed")
    assert isinstance(seed, _DeltaSnapshot)
    return seed.value, [value for _, _, value in history["writes"]]


class SaverDeleteContract(CheckpointerContract):
    """What `adelete_thread` promises."""

    @pytest.mark.invariant(38, 46)
    async def test_delete_leaves_nothing(self, saver: Saver, probe: SaverProbe) -> None:
        """Checkpoints, blobs and writes of all namespaces go; a neighbour's stay."""
        story = await _long(saver)
        thread = str(story.thread_id)
        inner = await _long(saver, thread_id=thread, namespace="inner")
        other = await _long(saver, thread_id=f"{thread}0")
        await saver.aput_writes(at(thread, "", a_thread()), [("c", 1)], "early")
        assert await counts(probe, thread) == (8, 8, 13)
        before = await counts(probe, other.thread_id)
        await saver.adelete_thread(thread)
        assert await counts(probe, thread) == (0, 0, 0)
        assert await counts(probe, other.thread_id) == before == (4, 4, 6)
        assert await saver.aget_tuple(story.head) is None
        assert await saver.aget_tuple(inner.head) is None
        assert (await found(saver, other.head)).checkpoint["channel_values"] == other.values

    @pytest.mark.invariant(38, 46)
    async def test_a_reused_id_starts_empty(self, saver: Saver) -> None:
        """A thread made again under a deleted one's id, checkpoint ids too, has nothing of it."""
        story = await _long(saver)
        await saver.adelete_thread(str(story.thread_id))
        again = Story(saver, story.thread_id)
        again.versions = {"gone": story.versions["c"], "c": story.versions["c"]}
        await again.step(checkpoint_id=id_of(story.head))
        [one] = await listed(saver, at(story.thread_id))
        assert one.checkpoint["channel_values"] == {}
        assert one.pending_writes == []
        assert one.parent_config is None

    async def test_deleting_nothing_is_no_error(self, saver: Saver) -> None:
        """Deleting a thread that is not there does nothing, twice."""
        thread = a_thread()
        await saver.adelete_thread(thread)
        await saver.adelete_thread(thread)


class SaverPruneContract(CheckpointerContract):
    """What `aprune` promises."""

    needs = frozenset({"aprune"})

    async def test_the_latest_of_each_namespace_stays(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Each namespace keeps its last checkpoint whole, as a root, and nothing older."""
        story = await _long(saver)
        thread = str(story.thread_id)
        inner = await _long(saver, thread_id=thread, namespace="inner")
        other = await _long(saver)
        await saver.aprune([thread], strategy="keep_latest")
        for kept in (story, inner):
            [one] = await listed(saver, at(thread, kept.namespace))
            assert one.config == kept.head
            assert one.checkpoint["channel_values"] == kept.values
            assert await written(saver, kept.head) == [2, -2]
            assert one.parent_config is None
        assert await counts(probe, thread) == (2, 4, 4)
        assert await counts(probe, other.thread_id) == (4, 4, 6)
        await story.step({"c": ["on"]})
        assert (await found(saver, at(thread))).checkpoint["channel_values"] == story.values

    async def test_prune_can_delete(self, saver: Saver, probe: SaverProbe) -> None:
        """The strategy `delete` leaves nothing of the threads named, and all of the others."""
        one, two, other = [await _long(saver) for _ in range(3)]
        await saver.aprune([str(one.thread_id), a_thread(), str(two.thread_id)], strategy="delete")
        for gone in (one, two):
            assert await counts(probe, gone.thread_id) == (0, 0, 0)
        assert await counts(probe, other.thread_id) == (4, 4, 6)

    async def test_an_unknown_strategy_is_refused(self, saver: Saver, probe: SaverProbe) -> None:
        """A strategy that does not exist raises, and prunes nothing."""
        story = await _long(saver)
        with pytest.raises(ValueError, match="strategy"):
            await saver.aprune([str(story.thread_id)], strategy="keep_oldest")
        assert await counts(probe, story.thread_id) == (4, 4, 6)

    async def test_deltas_survive_pruning(self, saver: Saver, probe: SaverProbe) -> None:
        """A delta channel reads the same after pruning, and what it is not rebuilt from is gone."""
        story = await _counted(saver, snapshots=(0, 2), steps=5)
        thread = str(story.thread_id)
        before = await _rebuilt(saver, story)
        assert before == ([2], [2, 3])
        stored = await counts(probe, thread)
        if self.refuses_deltas:
            with pytest.raises(NotImplementedError):
                await saver.aprune([thread], strategy="keep_latest")
            assert await counts(probe, thread) == stored
            return
        await saver.aprune([thread], strategy="keep_latest")
        assert await _rebuilt(saver, story) == before
        checkpoints, blobs, writes = await counts(probe, thread)
        assert (checkpoints, writes) == (3, 2)
        assert 0 < blobs < stored[1]
        oldest = (await listed(saver, at(thread)))[-1]
        assert oldest.parent_config is None
        await story.write("on")
        await story.step(emptied=("c",), **_counters(3))
        assert await _rebuilt(saver, story) == ([2], [2, 3, "on"])


class SaverRunsContract(CheckpointerContract):
    """What `adelete_for_runs` promises."""

    needs = frozenset({"adelete_for_runs"})

    async def test_what_a_run_made_goes(self, saver: Saver, probe: SaverProbe) -> None:
        """Its checkpoints in all namespaces go, with their writes and blobs; other runs' stay."""
        thread, gone = a_thread(), [a_thread(), a_thread()]
        stories = [Story(saver, thread, namespace) for namespace in ("", "inner")]
        for story in stories:
            await story.step({"old": ["kept"], "c": [0]}, run_id="before")
            await story.write("before's")
            for run in gone:
                await story.step({"c": [run]}, run_id=run)
                await story.write("gone", "too")
            await story.step({"c": [3]}, run_id="after")
            await story.write("after's")
        assert await counts(probe, thread) == (8, 10, 12)
        await saver.adelete_for_runs(gone)
        assert await counts(probe, thread) == (4, 6, 4)
        for story in stories:
            after, before = await listed(saver, at(thread, story.namespace))
            assert after.checkpoint["channel_values"] == {"old": ["kept"], "c": [3]}
            assert before.checkpoint["channel_values"] == {"old": ["kept"], "c": [0]}
            assert [one.metadata.get("run_id") for one in (after, before)] == ["after", "before"]
            assert (await written(saver, after.config), await written(saver, before.config)) == (
                ["after's"],
                ["before's"],
            )
            assert after.parent_config is None

    async def test_all_threads_of_a_run(self, saver: Saver, probe: SaverProbe) -> None:
        """A run goes from every thread that it wrote to; one that wrote nothing is no error."""
        run, stories = a_thread(), [Story(saver) for _ in range(3)]
        for number, story in enumerate(stories):
            await story.step({"c": [number]}, run_id=run if number else "another")
        await saver.adelete_for_runs([])
        await saver.adelete_for_runs([a_thread()])
        assert await counts(probe, stories[1].thread_id) == (1, 1, 0)
        await saver.adelete_for_runs([a_thread(), run])
        found = [await counts(probe, story.thread_id) for story in stories]
        assert found == [(1, 1, 0), (0, 0, 0), (0, 0, 0)]

    async def test_deltas_of_other_runs_survive(self, saver: Saver, probe: SaverProbe) -> None:
        """A checkpoint stays as long as a delta channel of another run's is rebuilt from it."""
        run = a_thread()
        story = await _counted(saver, snapshots=(0, 2), steps=5, runs=[run] * 4 + ["another"])
        before, stored = await _rebuilt(saver, story), await counts(probe, story.thread_id)
        await saver.adelete_for_runs([run])
        assert await _rebuilt(saver, story) == before == ([2], [2, 3])
        checkpoints, blobs, writes = await counts(probe, story.thread_id)
        assert (checkpoints, writes) == (3, 2)
        assert 0 < blobs < stored[1]


class SaverCopyContract(CheckpointerContract):
    """What `acopy_thread` promises."""

    needs = frozenset({"acopy_thread"})

    async def test_a_copy_is_whole(self, saver: Saver, probe: SaverProbe) -> None:
        """Checkpoints, values, parents and writes of all namespaces are there under the new id."""
        story = await _long(saver)
        source, target = str(story.thread_id), a_thread()
        await _long(saver, thread_id=source, namespace="inner")
        await saver.acopy_thread(source, target)
        for namespace in ("", "inner"):
            copies = await listed(saver, at(target, namespace))
            for one, copy in zip(await listed(saver, at(source, namespace)), copies, strict=True):
                assert copy.config["configurable"] == {
                    **one.config["configurable"],
                    "thread_id": target,
                }
                assert (copy.checkpoint, copy.metadata, copy.pending_writes) == (
                    one.checkpoint,
                    one.metadata,
                    one.pending_writes,
                )
                assert bool(copy.parent_config) == bool(one.parent_config)
                if copy.parent_config:
                    assert (await found(saver, copy.parent_config)).config == copy.parent_config
        assert await counts(probe, target) == await counts(probe, source) == (8, 8, 12)

    async def test_a_copy_stands_alone(self, saver: Saver, probe: SaverProbe) -> None:
        """What happens to either thread afterwards does not happen to the other."""
        story = await _long(saver)
        source, target = str(story.thread_id), a_thread()
        await saver.acopy_thread(source, target)
        copied = at(target, "", id_of(story.head))
        await saver.aput_writes(copied, [("c", "mine")], "new")
        assert "mine" not in await written(saver, story.head)
        await saver.adelete_thread(source)
        assert (await found(saver, copied)).checkpoint["channel_values"] == story.values
        assert await counts(probe, target) == (4, 4, 7)

    async def test_a_target_in_use_is_refused(self, saver: Saver, probe: SaverProbe) -> None:
        """Onto a thread that has checkpoints nothing is copied, and it stays as it was."""
        source, target = [await _long(saver) for _ in range(2)]
        await source.step({"c": ["more"]})
        with pytest.raises(ValueError, match=str(target.thread_id)):
            await saver.acopy_thread(str(source.thread_id), str(target.thread_id))
        assert await counts(probe, target.thread_id) == (4, 4, 6)
        there = await found(saver, at(target.thread_id))
        assert (there.config, there.checkpoint["channel_values"]) == (target.head, target.values)
        assert await counts(probe, source.thread_id) == (5, 5, 6)

    async def test_a_copy_of_nothing_is_nothing(self, saver: Saver, probe: SaverProbe) -> None:
        """A thread that is not there has nothing to copy, which is no error."""
        target = a_thread()
        await saver.acopy_thread(a_thread(), target)
        assert await counts(probe, target) == (0, 0, 0)

    async def test_deltas_are_copied(self, saver: Saver) -> None:
        """Delta channels are rebuilt on the copy, at each of its checkpoints, and go on there."""
        story = await _counted(saver, snapshots=(0, 2), steps=5)
        target = a_thread()
        await saver.acopy_thread(str(story.thread_id), target)
        read = saver.aget_delta_channel_history
        for one in await listed(saver, at(story.thread_id)):
            copy = at(target, "", id_of(one.config))
            assert await read(config=copy, channels=["c"]) == await read(
                config=one.config, channels=["c"]
            )
        await saver.adelete_thread(str(story.thread_id))
        copied = story.fork()
        copied.thread_id, copied.head = target, at(target, "", id_of(story.head))
        await copied.write("on")
        await copied.step(emptied=("c",), **_counters(3))
        assert await _rebuilt(saver, copied) == ([2], [2, 3, "on"])
