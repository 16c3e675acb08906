"""Deleting, pruning and copying threads; what remains is counted behind the saver."""

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
    ids,
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
        assert await counts(probe, thread) == (8, 8, 12 + probe.sees_hidden)
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

    async def test_deltas_survive_pruning(self, saver: Saver) -> None:
        """A delta channel reads the same after pruning; or pruning is refused and does nothing."""
        story = Story(saver)
        await story.step({"c": _DeltaSnapshot([0])}, counters_since_delta_snapshot={"c": [0, 0]})
        for number in (1, 2):
            await story.write(number)
            counters = {"c": [number, number]}
            await story.step(emptied=("c",), counters_since_delta_snapshot=counters)
        history = await ids(saver, at(story.thread_id))
        read = saver.aget_delta_channel_history
        before = await read(config=story.head, channels=["c"])
        assert [value for _, _, value in before["c"]["writes"]] == [1, 2]
        try:
            await saver.aprune([str(story.thread_id)], strategy="keep_latest")
        except NotImplementedError:
            assert await ids(saver, at(story.thread_id)) == history
        assert await read(config=story.head, channels=["c"]) == before


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

    async def test_a_target_that_exists_is_not_overwritten(
        self, saver: Saver, probe: SaverProbe
    ) -> None:
        """Copying onto a thread that has checkpoints is refused, and leaves both as they were."""
        one, other = await _long(saver), await _long(saver)
        with pytest.raises(ValueError, match="already"):
            await saver.acopy_thread(str(one.thread_id), str(other.thread_id))
        assert await counts(probe, one.thread_id) == (4, 4, 6)
        assert await counts(probe, other.thread_id) == (4, 4, 6)
        assert (await found(saver, other.head)).checkpoint["channel_values"] == other.values


class SaverDeleteForRunsContract(CheckpointerContract):
    """What `adelete_for_runs` promises."""

    needs = frozenset({"adelete_for_runs"})

    @pytest.mark.invariant(46)
    async def test_what_a_run_made_goes(self, saver: Saver, probe: SaverProbe) -> None:
        """Checkpoints, blobs and writes of the runs named go, in every thread; others stay."""
        gone, kept = a_thread(), a_thread()
        stories = [Story(saver), Story(saver)]
        for story in stories:
            await story.step({"c": ["first"]}, run_id=kept)
            await story.write("first")
        before = stories[0].head
        for story in stories:
            for number in range(2):
                await story.step({"c": [number]}, run_id=gone)
                await story.write(number)
        await saver.adelete_for_runs([gone, a_thread()])
        for story in stories:
            assert await counts(probe, story.thread_id) == (1, 1, 1)
        head = await found(saver, at(stories[0].thread_id))
        assert head.config == before
        assert head.checkpoint["channel_values"] == {"c": ["first"]}
        assert await written(saver, before) == ["first"]

    async def test_what_others_share_with_it_stays(self, saver: Saver) -> None:
        """A value that a later run's checkpoint still has is not lost with its own run."""
        gone, kept = a_thread(), a_thread()
        story = Story(saver)
        await story.step({"old": ["of the first run"]}, run_id=gone)
        await story.step({"c": [1]}, run_id=kept)
        await saver.adelete_for_runs([gone])
        [one] = await listed(saver, at(story.thread_id))
        assert one.checkpoint["channel_values"] == {"old": ["of the first run"], "c": [1]}
        assert one.parent_config is None

    async def test_no_runs_are_no_checkpoints(self, saver: Saver, probe: SaverProbe) -> None:
        """Without names, and for a run that made nothing, nothing goes."""
        story = await _long(saver)
        await saver.adelete_for_runs([])
        await saver.adelete_for_runs([a_thread()])
        assert await counts(probe, story.thread_id) == (4, 4, 6)
