"""Reading one checkpoint: the latest, a given one, one that is not there, and its parents."""

from itertools import pairwise

import pytest

from harness.contract.checkpointer.base import CheckpointerContract, Saver, SaverProbe
from harness.contract.checkpointer.builders import (
    Story,
    a_thread,
    at,
    counts,
    found,
    id_of,
    listed,
)

_NOWHERE = "1eeeeeee-0000-6000-8000-000000000000"


class SaverReadContract(CheckpointerContract):
    """What `aget_tuple` promises."""

    async def test_unknown_ids_are_none(self, saver: Saver, probe: SaverProbe) -> None:
        """An unknown thread, namespace or checkpoint is None, and asking makes nothing."""
        story = Story(saver)
        await story.step({"c": [1]})
        nowhere = a_thread()
        assert await saver.aget_tuple(at(nowhere)) is None
        assert await saver.aget_tuple(at(nowhere, "", id_of(story.head))) is None
        assert await saver.aget_tuple(at(story.thread_id, "elsewhere")) is None
        assert await saver.aget_tuple(at(story.thread_id, "", _NOWHERE)) is None
        assert await listed(saver, at(nowhere)) == []
        assert await counts(probe, nowhere) == (0, 0, 0)
        assert await counts(probe, story.thread_id) == (1, 1, 0)

    @pytest.mark.ours
    async def test_the_latest_is_the_one_with_the_greatest_id(self, saver: Saver) -> None:
        """Without an id the newest checkpoint is read, whatever the order of the puts."""
        story = Story(saver)
        late = await story.step(checkpoint_id="1f000000-0000-6002-8000-000000000000")
        await story.step(checkpoint_id="1f000000-0000-6001-8000-000000000000")
        assert id_of((await found(saver, at(story.thread_id))).config) == id_of(late)

    async def test_each_checkpoint_stays_as_it_was(self, saver: Saver) -> None:
        """A checkpoint read by its id holds what it held, however the channels went on."""
        story = Story(saver)
        heads = [await story.step({"c": [n], "text": f"{n}"}) for n in range(12)]
        for number, head in enumerate(heads):
            there = await found(saver, head)
            assert there.checkpoint["channel_values"] == {"c": [number], "text": f"{number}"}
            assert there.metadata["step"] == number

    @pytest.mark.ours
    async def test_a_config_names_its_checkpoint(self, saver: Saver) -> None:
        """What put and read return names thread, namespace and checkpoint, and only these."""
        story = Story(saver)
        whole = {"thread_id": story.thread_id, "checkpoint_ns": ""}
        head = await story.step({"c": [1]})
        named = {**whole, "checkpoint_id": id_of(head)}
        bare = {"thread_id": story.thread_id, "checkpoint_id": id_of(head)}
        assert head["configurable"] == named
        assert (await found(saver, at(story.thread_id))).config["configurable"] == named
        assert (await found(saver, {"configurable": bare})).config["configurable"] == named

    async def test_parents_lead_back_to_the_root(self, saver: Saver) -> None:
        """Each parent config reads the checkpoint before, through a fork too; the root has none."""
        story = Story(saver, namespace="inner")
        root = await story.step()
        branch = story.fork()
        mine, its = await story.step(), await branch.step()
        last = await branch.step()
        assert (await found(saver, root)).parent_config is None
        assert (await found(saver, mine)).parent_config == root
        assert (await found(saver, its)).parent_config == root
        parent = (await found(saver, last)).parent_config
        assert parent is not None
        assert (await found(saver, parent)).config == its

    async def test_versions_grow(self, saver: Saver) -> None:
        """Each next version is greater than all before it."""
        versions = [saver.get_next_version(None, None)]
        for _ in range(120):
            versions.append(saver.get_next_version(versions[-1], None))
        assert all(one < other for one, other in pairwise(versions))

    async def test_versions_are_kept(self, saver: Saver) -> None:
        """Channel versions come back equal, and of the type that the saver gave them."""
        story = Story(saver)
        for number in range(3):
            await story.step({"c": [number], "d": [number]} if number else {"c": [0]})
        kept = (await found(saver, story.head)).checkpoint["channel_versions"]
        assert kept == story.versions
        assert {type(version) for version in kept.values()} == {
            type(version) for version in story.versions.values()
        }

    @pytest.mark.invariant(46)
    @pytest.mark.ours
    async def test_a_whole_number_names_a_thread(self, saver: Saver, probe: SaverProbe) -> None:
        """Thread 7 and thread "7" are one; or 7 is refused, and nothing is stored."""
        number = int.from_bytes(a_thread().encode()[:6])
        story = Story(saver, number)
        try:
            await story.step({"c": [1]})
        except (TypeError, ValueError):
            assert await counts(probe, number) == (0, 0, 0)
            return
        await story.write("x")
        for thread in (number, str(number)):
            there = await found(saver, at(thread))
            assert there.checkpoint["channel_values"] == {"c": [1]}
            assert len(there.pending_writes or []) == 1
            assert len(await listed(saver, at(thread))) == 1
        await saver.adelete_thread(number)  # type: ignore[arg-type]  # what callers do
        assert await counts(probe, number) == (0, 0, 0)
