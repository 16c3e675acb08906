"""Assistants: create, read, change, find and remove."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_cron,
    a_household,
    a_run,
    a_thread,
    all_raise,
    an_assistant,
    new_id,
    settle,
)
from harness.errors import Conflict, InvalidInput, NotFound
from harness.storage.extensions import FullStorage

if TYPE_CHECKING:
    from harness.models import Json


class AssistantStoreContract(StorageContract):
    """What `storage.assistants` promises."""

    async def test_create_and_get(self, storage: FullStorage) -> None:
        """What was created is what is read, with every field as it was given."""
        created = await storage.assistants.create(
            "agent",
            {"configurable": {"model": "m"}, "recursion_limit": 9},
            metadata={"team": "red"},
            name="Ada",
            description="counts",
            owner=ALICE,
        )
        assert created == await storage.assistants.get(created.assistant_id, owner=ALICE)
        assert created.graph_id == "agent"
        assert created.name == "Ada"
        assert created.description == "counts"
        assert created.config == {"configurable": {"model": "m"}, "recursion_limit": 9}
        assert created.context == {"model": "m"}
        assert created.metadata == {"team": "red", "owner": ALICE}
        assert created.version == 1
        assert created.created_at == created.updated_at
        assert created.created_at.utcoffset() is not None

    @pytest.mark.invariant(43)
    async def test_defaults(self, storage: FullStorage) -> None:
        """An assistant of which only the graph is known has the SDK's defaults."""
        created = await storage.assistants.create("agent", owner=ALICE)
        assert created.name == "Untitled"
        assert created.description is None
        assert created.config == {}
        assert created.context == {}
        assert created.metadata == {"owner": ALICE}

    async def test_context_is_mirrored_into_config(self, storage: FullStorage) -> None:
        """A context is the config's `configurable` too."""
        created = await an_assistant(storage, config={"tags": ["t"]}, context={"model": "m"})
        assert created.config == {"tags": ["t"], "configurable": {"model": "m"}}
        assert created.context == {"model": "m"}

    async def test_config_and_context_exclude_each_other(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Giving `configurable` and context is refused, on create and on update."""
        both: Json = {"config": {"configurable": {"a": 1}}, "context": {"b": 2}}
        with pytest.raises(InvalidInput):
            await an_assistant(storage, **both)
        assert await probe.count("assistants") == 0
        mine = await an_assistant(storage)
        with pytest.raises(InvalidInput):
            await storage.assistants.update(mine.assistant_id, **both, owner=ALICE)
        assert await storage.assistants.get(mine.assistant_id, owner=ALICE) == mine

    async def test_list_assistants(self, storage: FullStorage) -> None:
        """A search without conditions lists all, newest first."""
        created = [await an_assistant(storage, name=f"n{number}") for number in range(3)]
        assert await storage.assistants.search(owner=ALICE) == created[::-1]

    @pytest.mark.invariant(43)
    async def test_list_stops_at_ten_by_default(self, storage: FullStorage) -> None:
        """Ten are listed unless a limit is given."""
        for _ in range(12):
            await an_assistant(storage)
        assert len(await storage.assistants.search(owner=ALICE)) == 10
        assert len(await storage.assistants.search(limit=1_000, owner=ALICE)) == 12

    async def test_update_assistant(self, storage: FullStorage) -> None:
        """An update changes what it names and leaves the rest."""
        before = await an_assistant(
            storage, name="old", description="d", metadata={"a": 1, "b": {"c": 1}}
        )
        after = await storage.assistants.update(
            before.assistant_id,
            name="new",
            metadata={"b": {"d": 2}, "e": None},
            owner=ALICE,
        )
        assert after == await storage.assistants.get(before.assistant_id, owner=ALICE)
        assert after.name == "new"
        assert after.description == "d"
        assert after.graph_id == "agent"
        assert after.metadata == {"a": 1, "b": {"d": 2}, "e": None, "owner": ALICE}
        assert after.version == 2
        assert after.created_at == before.created_at
        assert after.updated_at > before.updated_at

    async def test_update_graph_and_description(self, storage: FullStorage) -> None:
        """Graph and description can change."""
        mine = await an_assistant(storage)
        after = await storage.assistants.update(
            mine.assistant_id, graph_id="other", description="now", owner=ALICE
        )
        assert (after.graph_id, after.description) == ("other", "now")
        after = await storage.assistants.update(mine.assistant_id, description="", owner=ALICE)
        assert (after.graph_id, after.description) == ("other", "")

    async def test_update_config_replaces_config_and_context(self, storage: FullStorage) -> None:
        """A new config takes the old one's place, and its `configurable` the context's."""
        mine = await an_assistant(storage, config={"configurable": {"a": 1}, "tags": ["t"]})
        after = await storage.assistants.update(
            mine.assistant_id, config={"configurable": {"b": 2}}, owner=ALICE
        )
        assert after.config == {"configurable": {"b": 2}}
        assert after.context == {"b": 2}
        after = await storage.assistants.update(
            mine.assistant_id, config={"recursion_limit": 3}, owner=ALICE
        )
        assert after.config == {"recursion_limit": 3}
        assert after.context == {}

    async def test_update_context_alone_keeps_the_rest_of_config(
        self, storage: FullStorage
    ) -> None:
        """A new context changes `configurable` and nothing else of the config."""
        mine = await an_assistant(storage, config={"configurable": {"a": 1}, "tags": ["t"]})
        after = await storage.assistants.update(mine.assistant_id, context={"b": 2}, owner=ALICE)
        assert after.config == {"tags": ["t"], "configurable": {"b": 2}}
        assert after.context == {"b": 2}

    async def test_delete_assistant(self, storage: FullStorage) -> None:
        """A deleted assistant is gone: reading and deleting it again find nothing."""
        mine = await an_assistant(storage)
        await storage.assistants.delete(mine.assistant_id, owner=ALICE)
        assert await storage.assistants.count(owner=ALICE) == 0
        with pytest.raises(NotFound):
            await storage.assistants.get(mine.assistant_id, owner=ALICE)
        with pytest.raises(NotFound):
            await storage.assistants.delete(mine.assistant_id, owner=ALICE)

    async def test_delete_takes_versions_and_crons_along(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Versions and crons go with their assistant; threads, runs and state stay."""
        home = await a_household(storage)
        await storage.assistants.update(home.assistant.assistant_id, name="two", owner=ALICE)
        await storage.assistants.delete(home.assistant.assistant_id, owner=ALICE)
        assert await probe.count("assistants") == 0
        assert await probe.count("assistant_versions") == 0
        assert await probe.count("crons") == 0
        run = await storage.runs.get(home.thread.thread_id, home.run.run_id, owner=ALICE)
        assert run == home.run
        assert await storage.threads.get_state(home.thread.thread_id, owner=ALICE) == home.state

    async def test_delete_of_a_system_assistant_takes_everybodys_crons(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A cron cannot outlive its assistant, whoever scheduled it."""
        shared = await an_assistant(storage, owner="system")
        await a_cron(storage, assistant_id=shared.assistant_id, owner=ALICE)
        await storage.assistants.delete(shared.assistant_id, owner="system")
        assert await probe.count("crons") == 0

    async def test_delete_threads_of_the_assistant(self, storage: FullStorage) -> None:
        """With `delete_threads` the caller's threads that name the assistant go too, no others."""
        mine, other = await an_assistant(storage), await an_assistant(storage)
        run = await a_run(storage, assistant_id=mine.assistant_id)
        kept = await a_run(storage, assistant_id=other.assistant_id)
        bobs = await a_thread(storage, owner=BOB, metadata={"assistant_id": mine.assistant_id})
        await storage.assistants.delete(mine.assistant_id, delete_threads=True, owner=ALICE)
        with pytest.raises(NotFound):
            await storage.threads.get(run.thread_id, owner=ALICE)
        assert await storage.runs.get(kept.thread_id, kept.run_id, owner=ALICE) == kept
        assert await storage.threads.get(bobs.thread_id, owner=BOB) == bobs

    async def test_owner_isolation(self, storage: FullStorage) -> None:
        """One owner's assistants do not exist for another."""
        mine = await an_assistant(storage, owner=ALICE)
        assert await storage.assistants.search(owner=BOB) == []
        assert await storage.assistants.count(owner=BOB) == 0
        with pytest.raises(NotFound):
            await storage.assistants.get(mine.assistant_id, owner=BOB)

    @pytest.mark.invariant(37)
    async def test_count_assistants(self, storage: FullStorage) -> None:
        """Count is the length of search, with every condition."""
        for number in range(4):
            await an_assistant(
                storage,
                graph_id=f"graph-{number % 2}",
                name=f"Name {number}",
                metadata={"parity": number % 2},
            )
        for condition in (
            {},
            {"graph_id": "graph-1"},
            {"graph_id": "nothing"},
            {"name": "name 3"},
            {"metadata": {"parity": 0}},
            {"metadata": {"parity": 0}, "graph_id": "graph-1"},
        ):
            found = await storage.assistants.search(**condition, owner=ALICE)
            assert await storage.assistants.count(**condition, owner=ALICE) == len(found)

    async def test_list_with_filters(self, storage: FullStorage) -> None:
        """Metadata is matched by containment with types, graph exactly, name by any part."""
        mine = await an_assistant(
            storage,
            graph_id="g",
            name="Straße 100% sure",
            metadata={"n": 3, "tags": ["a", "b"], "deep": {"x": 1, "y": 2}},
        )
        await an_assistant(storage, graph_id="h", name="Other", metadata={"n": "3"})
        search = storage.assistants.search
        within: list[Json] = [
            {"n": 3},
            {"n": 3.0},
            {"tags": ["b"]},
            {"tags": ["b", "a", "a"]},
            {"deep": {"y": 2}},
            {"deep": {}},
        ]
        for metadata in within:
            assert await search(metadata=metadata, owner=ALICE) == [mine], metadata
        without: list[Json] = [
            {"n": "3 "},
            {"n": True},
            {"tags": "b"},
            {"tags": [["b"]]},
            {"deep": {"y": 3}},
            {"missing": None},
        ]
        for metadata in without:
            assert await search(metadata=metadata, owner=ALICE) == [], metadata
        assert await search(graph_id="g", owner=ALICE) == [mine]
        assert await search(graph_id="G", owner=ALICE) == []
        for name in ("straße", "STRASSE", "100%", "SURE"):
            assert await search(name=name, owner=ALICE) == [mine], name
        for name in ("1%0", "str_ße", "nobody"):
            assert await search(name=name, owner=ALICE) == [], name

    @pytest.mark.invariant(23)
    async def test_updating_what_is_missing_creates_nothing(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """An update or a version of no assistant is NotFound, and leaves no row."""
        await all_raise(
            NotFound,
            storage.assistants.update(new_id(), name="x", owner=ALICE),
            storage.assistants.set_latest(new_id(), 1, owner=ALICE),
            storage.assistants.get_versions(new_id(), owner=ALICE),
        )
        assert await probe.count("assistants") == await probe.count("assistant_versions") == 0


class AssistantVersionsContract(StorageContract):
    """What versions promise: each update makes one, and each can be gone back to, whole."""

    async def test_versions_are_newest_first(self, storage: FullStorage) -> None:
        """Every update is kept as a version; limit and offset cut the list."""
        mine = await an_assistant(storage, name="v1")
        for number in (2, 3, 4):
            await storage.assistants.update(mine.assistant_id, name=f"v{number}", owner=ALICE)
        versions = await storage.assistants.get_versions(mine.assistant_id, owner=ALICE)
        assert [(v.version, v.name) for v in versions] == [
            (4, "v4"),
            (3, "v3"),
            (2, "v2"),
            (1, "v1"),
        ]
        assert all(a.created_at > b.created_at for a, b in pairwise(versions))
        some = await storage.assistants.get_versions(
            mine.assistant_id, limit=2, offset=1, owner=ALICE
        )
        assert some == versions[1:3]

    async def test_versions_by_metadata(self, storage: FullStorage) -> None:
        """Versions are found by the metadata that they had."""
        mine = await an_assistant(storage, metadata={"stage": "draft"})
        await storage.assistants.update(mine.assistant_id, metadata={"stage": "final"}, owner=ALICE)
        found = await storage.assistants.get_versions(
            mine.assistant_id, {"stage": "draft"}, owner=ALICE
        )
        assert [version.version for version in found] == [1]

    @pytest.mark.invariant(39)
    async def test_an_update_that_changes_nothing_counts(self, storage: FullStorage) -> None:
        """Every update makes a version, also an empty one."""
        mine = await an_assistant(storage)
        after = await storage.assistants.update(mine.assistant_id, owner=ALICE)
        assert after.version == 2
        assert after.updated_at > mine.updated_at

    async def test_set_latest_restores_everything(self, storage: FullStorage) -> None:
        """Going back restores graph, context, config, metadata, name and description."""
        first = await an_assistant(
            storage,
            graph_id="one",
            name="first",
            description="d1",
            config={"configurable": {"a": 1}, "tags": ["x"]},
            metadata={"stage": "draft"},
        )
        second = await storage.assistants.update(
            first.assistant_id,
            graph_id="two",
            name="second",
            description="d2",
            config={"configurable": {"b": 2}},
            metadata={"stage": "final", "more": True},
            owner=ALICE,
        )
        back = await storage.assistants.set_latest(first.assistant_id, 1, owner=ALICE)
        assert back == await storage.assistants.get(first.assistant_id, owner=ALICE)
        for field in ("graph_id", "name", "description", "config", "context", "metadata"):
            assert getattr(back, field) == getattr(first, field), field
        assert back.version == 1
        assert back.created_at == first.created_at
        assert back.updated_at > second.updated_at

    @pytest.mark.invariant(39)
    async def test_update_after_set_latest_makes_the_highest_version(
        self, storage: FullStorage
    ) -> None:
        """Going back makes no version; the next update is one more than the highest ever."""
        mine = await an_assistant(storage)
        for _ in range(2):
            await storage.assistants.update(mine.assistant_id, owner=ALICE)
        await storage.assistants.set_latest(mine.assistant_id, 1, owner=ALICE)
        assert len(await storage.assistants.get_versions(mine.assistant_id, owner=ALICE)) == 3
        after = await storage.assistants.update(mine.assistant_id, name="n", owner=ALICE)
        assert after.version == 4
        versions = await storage.assistants.get_versions(mine.assistant_id, owner=ALICE)
        assert [version.version for version in versions] == [4, 3, 2, 1]

    async def test_set_latest_of_no_version(self, storage: FullStorage) -> None:
        """A version that there never was is NotFound, and nothing changes."""
        mine = await an_assistant(storage)
        with pytest.raises(NotFound):
            await storage.assistants.set_latest(mine.assistant_id, 2, owner=ALICE)
        assert await storage.assistants.get(mine.assistant_id, owner=ALICE) == mine

    async def test_a_reused_id_has_no_old_versions(self, storage: FullStorage) -> None:
        """An assistant that was deleted and made again starts at version 1."""
        mine = await an_assistant(storage)
        await storage.assistants.update(mine.assistant_id, owner=ALICE)
        await storage.assistants.delete(mine.assistant_id, owner=ALICE)
        again = await an_assistant(storage, assistant_id=mine.assistant_id)
        assert again.version == 1
        assert len(await storage.assistants.get_versions(mine.assistant_id, owner=ALICE)) == 1

    @pytest.mark.invariant(39)
    async def test_twenty_concurrent_updates(self, storage: FullStorage) -> None:
        """Twenty updates at once are twenty versions, and every key of each is there."""
        mine = await an_assistant(storage)
        updated, _ = await settle(
            storage.assistants.update(
                mine.assistant_id, metadata={f"key-{number}": number}, owner=ALICE
            )
            for number in range(20)
        )
        assert sorted(one.version for one in updated) == list(range(2, 22))
        last = await storage.assistants.get(mine.assistant_id, owner=ALICE)
        assert last.version == 21
        assert last.metadata == {"owner": ALICE} | {f"key-{n}": n for n in range(20)}
        versions = await storage.assistants.get_versions(mine.assistant_id, limit=100, owner=ALICE)
        assert [version.version for version in versions] == list(range(21, 0, -1))
        for version in versions:
            assert len(version.metadata) == version.version

    @pytest.mark.invariant(11)
    async def test_versions_survive_a_conflicting_create(self, storage: FullStorage) -> None:
        """A create of a taken id leaves the versions as they were."""
        mine = await an_assistant(storage)
        await storage.assistants.update(mine.assistant_id, owner=ALICE)
        with pytest.raises(Conflict):
            await an_assistant(storage, assistant_id=mine.assistant_id)
        assert len(await storage.assistants.get_versions(mine.assistant_id, owner=ALICE)) == 2
