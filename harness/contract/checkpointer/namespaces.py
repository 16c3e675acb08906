"""Namespaces and threads never leak into one another: checkpoints, blobs and writes."""

import pytest

from harness.contract.checkpointer.base import CheckpointerContract, Saver
from harness.contract.checkpointer.builders import (
    Story,
    a_checkpoint,
    a_thread,
    at,
    everywhere,
    found,
    id_of,
    ids,
    listed,
    some_metadata,
    written,
)

_NAMESPACES = ("", "inner", "inner:1", "inner|deeper", "inne", "%", "_nner")


class SaverNamespaceContract(CheckpointerContract):
    """What a saver promises about the namespaces of a thread, and about threads."""

    @pytest.mark.invariant(46)
    async def test_blobs_of_namespaces_are_apart(self, saver: Saver) -> None:
        """Channels of one name and version hold another value in each namespace."""
        thread, version = a_thread(), {"c": saver.get_next_version(None, None)}
        for namespace in _NAMESPACES:
            checkpoint = a_checkpoint({"c": [namespace]}, version)
            await saver.aput(at(thread, namespace), checkpoint, some_metadata(), version)
        for namespace in _NAMESPACES:
            there = await found(saver, at(thread, namespace))
            assert there.checkpoint["channel_values"] == {"c": [namespace]}
            assert there.config["configurable"]["checkpoint_ns"] == namespace

    @pytest.mark.invariant(46)
    async def test_writes_of_namespaces_are_apart(self, saver: Saver) -> None:
        """Writes of one task at checkpoints of one id are each namespace's own."""
        thread, checkpoint = a_thread(), a_checkpoint()
        for namespace in _NAMESPACES:
            config = await saver.aput(at(thread, namespace), checkpoint, some_metadata(), {})
            await saver.aput_writes(config, [("c", namespace)], "task")
        for namespace in _NAMESPACES:
            config = at(thread, namespace, checkpoint["id"])
            assert await written(saver, config) == [namespace]
        for one in await listed(saver, everywhere(thread)):
            [(_, _, value)] = one.pending_writes or []
            assert value == one.config["configurable"]["checkpoint_ns"]

    @pytest.mark.invariant(46)
    async def test_threads_are_apart(self, saver: Saver) -> None:
        """Threads whose ids and namespaces look alike when joined share nothing."""
        stem, checkpoint = a_thread(), a_checkpoint()
        version = {"c": saver.get_next_version(None, None)}
        checkpoint["channel_versions"] = version
        places = [(stem, "ab"), (f"{stem}a", "b"), (f"{stem}ab", ""), (f"{stem}%", "ab")]
        for place in places:
            mine = a_checkpoint({"c": list(place)}, version, checkpoint["id"])
            config = await saver.aput(at(*place), mine, some_metadata(), version)
            await saver.aput_writes(config, [("c", list(place))], "task")
        for place in places:
            there = await found(saver, at(*place))
            assert there.checkpoint["channel_values"] == {"c": list(place)}
            assert [value for _, _, value in there.pending_writes or []] == [list(place)]
            assert len(await listed(saver, everywhere(place[0]))) == 1

    @pytest.mark.invariant(46)
    async def test_lists_of_namespaces_are_apart(self, saver: Saver) -> None:
        """A namespace's list holds its checkpoints only, `before` and limit included."""
        thread = a_thread()
        stories = [Story(saver, thread, namespace) for namespace in _NAMESPACES]
        put: dict[str, list[str]] = {namespace: [] for namespace in _NAMESPACES}
        for _ in range(3):
            for story in stories:
                put[story.namespace].insert(0, id_of(await story.step()))
        for story in stories:
            place, mine = at(thread, story.namespace), put[story.namespace]
            assert await ids(saver, place) == mine
            assert await ids(saver, place, limit=2) == mine[:2]
            assert await ids(saver, place, before=story.head) == mine[1:]

    @pytest.mark.ours
    async def test_the_list_of_a_thread_has_all_namespaces(self, saver: Saver) -> None:
        """Asked without a namespace, all of a thread is listed, the newest first."""
        thread = a_thread()
        stories = [Story(saver, thread, namespace) for namespace in _NAMESPACES]
        put = [id_of(await story.step()) for _ in range(2) for story in stories]
        assert await ids(saver, everywhere(thread)) == put[::-1]
