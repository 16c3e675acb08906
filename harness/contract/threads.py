"""Threads: create, read, change, find, copy, prune and remove."""

from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_household,
    a_run,
    a_thread,
    new_id,
    settle,
)
from harness.errors import NotFound
from harness.models import Thread
from harness.storage.extensions import FullStorage, Snapshots


class ThreadStoreContract(StorageContract):
    """What `storage.threads` promises about threads themselves."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(43)
    async def test_create_and_get(self, storage: FullStorage) -> None:
        """A new thread is idle, has no values, and is read as it was created."""
        created = await storage.threads.create(metadata={"topic": "x"}, owner=ALICE)
        assert created == await storage.threads.get(created.thread_id, owner=ALICE)
        assert created.status == "idle"
        assert created.values is None
        assert created.checkpoint_id is None
        assert created.metadata == {"topic": "x", "owner": ALICE}
        assert created.created_at == created.updated_at == created.state_updated_at
        assert created.created_at.utcoffset() is not None

    async def test_update_merges_metadata(self, storage: FullStorage) -> None:
        """Metadata merges shallowly: nested objects are replaced, nulls are kept."""
        before = await a_thread(storage, metadata={"a": 1, "b": {"c": 1}})
        after = await storage.threads.update(
            before.thread_id, metadata={"b": {"d": 2}, "e": None}, owner=ALICE
        )
        assert after == await storage.threads.get(before.thread_id, owner=ALICE)
        assert after.metadata == {"a": 1, "b": {"d": 2}, "e": None, "owner": ALICE}
        assert after.updated_at > before.updated_at
        assert (after.created_at, after.state_updated_at) == (
            before.created_at,
            before.state_updated_at,
        )

    @pytest.mark.invariant(39)
    async def test_concurrent_updates_lose_nothing(self, storage: FullStorage) -> None:
        """Twenty updates of different keys at once leave all twenty keys."""
        mine = await a_thread(storage)
        await settle(
            storage.threads.update(mine.thread_id, metadata={f"k{n}": n}, owner=ALICE)
            for n in range(20)
        )
        after = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert after.metadata == {"owner": ALICE} | {f"k{n}": n for n in range(20)}

    async def test_list_threads(self, storage: FullStorage) -> None:
        """A search without conditions lists all, newest first."""
        created = [await a_thread(storage) for _ in range(3)]
        assert await storage.threads.search(owner=ALICE) == created[::-1]

    async def test_owner_isolation(self, storage: FullStorage) -> None:
        """One owner's threads do not exist for another."""
        mine = await a_thread(storage, owner=ALICE)
        assert await storage.threads.search(owner=BOB) == []
        assert await storage.threads.count(owner=BOB) == 0
        with pytest.raises(NotFound):
            await storage.threads.get(mine.thread_id, owner=BOB)

    async def test_search_by_metadata_values_ids_and_status(self, storage: FullStorage) -> None:
        """Each condition narrows, and all hold together."""
        plain = await a_thread(storage, metadata={"n": 1})
        stated = await a_thread(storage, metadata={"n": 2, "tags": ["a", "b"]})
        await storage.threads.add_state(
            stated.thread_id, {"messages": [{"role": "user"}], "n": 1}, owner=ALICE
        )
        busy = (await a_run(storage)).thread_id
        search = storage.threads.search

        def ids(found: list[Thread]) -> set[str]:
            return {thread.thread_id for thread in found}

        assert ids(await search(metadata={"n": 1}, owner=ALICE)) == {plain.thread_id}
        assert ids(await search(metadata={"tags": ["b"]}, owner=ALICE)) == {stated.thread_id}
        contained = {"messages": [{"role": "user"}]}
        assert ids(await search(values=contained, owner=ALICE)) == {stated.thread_id}
        assert ids(await search(values={"n": 2}, owner=ALICE)) == set()
        assert ids(await search(values={}, owner=ALICE)) == {
            plain.thread_id,
            stated.thread_id,
            busy,
        }
        assert ids(await search(ids=[plain.thread_id, busy, new_id()], owner=ALICE)) == {
            plain.thread_id,
            busy,
        }
        assert ids(await search(ids=[], owner=ALICE)) == set()
        assert ids(await search(status="busy", owner=ALICE)) == {busy}
        assert ids(await search(status="idle", metadata={"n": 2}, owner=ALICE)) == {
            stated.thread_id
        }

    @pytest.mark.invariant(37)
    async def test_count_threads(self, storage: FullStorage) -> None:
        """Count is the length of search, with every condition."""
        for number in range(4):
            thread = await a_thread(storage, metadata={"parity": number % 2})
            if number:
                await storage.threads.add_state(thread.thread_id, {"n": number}, owner=ALICE)
        await a_run(storage)
        for condition in (
            {},
            {"metadata": {"parity": 1}},
            {"values": {"n": 3}},
            {"values": {"n": 9}},
            {"status": "busy"},
            {"status": "idle", "metadata": {"parity": 0}},
        ):
            found = await storage.threads.search(**condition, owner=ALICE)
            assert await storage.threads.count(**condition, owner=ALICE) == len(found)

    async def test_delete_thread(self, storage: FullStorage) -> None:
        """A deleted thread is gone: reading and deleting it again find nothing."""
        mine = await a_thread(storage)
        await storage.threads.delete(mine.thread_id, owner=ALICE)
        assert await storage.threads.count(owner=ALICE) == 0
        for call in (storage.threads.get, storage.threads.delete):
            with pytest.raises(NotFound):
                await call(mine.thread_id, owner=ALICE)

    @pytest.mark.invariant(38)
    async def test_thread_delete_cascades_to_state_snapshots(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Deleting a thread leaves none of its states, and all of another's."""
        gone, kept = await a_thread(storage), await a_thread(storage)
        for thread in (gone, kept):
            for number in range(2):
                await storage.threads.add_state(thread.thread_id, {"n": number}, owner=ALICE)
        await storage.threads.delete(gone.thread_id, owner=ALICE)
        assert await probe.count("thread_states", thread_id=gone.thread_id) == 0
        assert await probe.count("thread_states", thread_id=kept.thread_id) == 2

    @pytest.mark.invariant(38)
    async def test_a_reused_id_starts_empty(self, storage: FullStorage) -> None:
        """A thread made again under a deleted one's id has nothing of it."""
        home = await a_household(storage)
        thread_id = home.thread.thread_id
        await storage.threads.delete(thread_id, owner=ALICE)
        again = await a_thread(storage, thread_id=thread_id)
        assert (again.status, again.values, again.checkpoint_id) == ("idle", None, None)
        assert again.metadata == {"owner": ALICE}
        assert await storage.threads.get_history(thread_id, owner=ALICE) == []
        assert (await storage.threads.get_state(thread_id, owner=ALICE)).values == {}
        assert await storage.runs.list(thread_id, owner=ALICE) == []
        assert await storage.crons.search(thread_id=thread_id, owner=ALICE) == []
        state = await storage.threads.add_state(thread_id, {"n": 1}, owner=ALICE)
        assert state.parent_checkpoint is None


class ThreadCopyContract(StorageContract):
    """What copies promise: the same states under another id, and a life of their own."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(2)
    async def test_copy_has_metadata_states_and_checkpoint_ids(self, storage: FullStorage) -> None:
        """A copy has the history of its original, with its own thread id in it."""
        mine = await a_thread(storage, metadata={"topic": "x"})
        for number in range(3):
            await storage.threads.add_state(
                mine.thread_id, {"n": number}, metadata={"step": number}, next=["b"], owner=ALICE
            )
        copy = await storage.threads.copy(mine.thread_id, owner=ALICE)
        assert copy == await storage.threads.get(copy.thread_id, owner=ALICE)
        original = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert copy.thread_id != mine.thread_id
        assert copy.metadata == original.metadata
        assert copy.values == {"n": 2}
        assert copy.checkpoint_id == original.checkpoint_id
        assert copy.status == original.status == "interrupted"
        assert copy.created_at > original.created_at
        theirs = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        ours = await storage.threads.get_history(copy.thread_id, owner=ALICE)
        assert len(ours) == 3
        for one, other in zip(ours, theirs, strict=True):
            assert one.checkpoint is not None
            assert other.checkpoint is not None
            assert one.checkpoint == {**other.checkpoint, "thread_id": copy.thread_id}
            assert (one.parent_checkpoint or {}).get("checkpoint_id") == (
                other.parent_checkpoint or {}
            ).get("checkpoint_id")
            assert (one.values, one.next, one.metadata, one.created_at) == (
                other.values,
                other.next,
                other.metadata,
                other.created_at,
            )

    async def test_copy_of_a_busy_thread_is_idle(self, storage: FullStorage, probe: Probe) -> None:
        """Runs and crons are not copied, and so the copy is not busy."""
        home = await a_household(storage)
        copy = await storage.threads.copy(home.thread.thread_id, owner=ALICE)
        assert home.thread.status == "busy"
        assert copy.status == "idle"
        assert copy.values == {"of": ALICE}
        assert await probe.count("runs", thread_id=copy.thread_id) == 0
        assert await probe.count("crons", thread_id=copy.thread_id) == 0

    async def test_copies_go_their_own_ways(self, storage: FullStorage) -> None:
        """What happens to either is not seen in the other."""
        mine = await a_thread(storage, metadata={"n": 1})
        first = await storage.threads.add_state(mine.thread_id, {"n": 1}, owner=ALICE)
        copy = await storage.threads.copy(mine.thread_id, owner=ALICE)
        await storage.threads.add_state(copy.thread_id, {"n": 2}, owner=ALICE)
        await storage.threads.update(copy.thread_id, metadata={"n": 2}, owner=ALICE)
        assert await storage.threads.get_history(mine.thread_id, owner=ALICE) == [first]
        original = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert (original.values, original.metadata["n"]) == ({"n": 1}, 1)
        await storage.threads.delete(mine.thread_id, owner=ALICE)
        assert len(await storage.threads.get_history(copy.thread_id, owner=ALICE)) == 2

    async def test_copy_of_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """Copying a thread that is not there, or not the caller's, makes none."""
        bobs = await a_thread(storage, owner=BOB)
        for thread_id in (new_id(), bobs.thread_id):
            with pytest.raises(NotFound):
                await storage.threads.copy(thread_id, owner=ALICE)
        assert await probe.count("threads") == 1

    @pytest.mark.invariant(14)
    async def test_copy_of_a_system_thread_is_the_callers(self, storage: FullStorage) -> None:
        """What may be read may be copied; the copy belongs to who made it."""
        shared = await a_thread(storage, owner="system", metadata={"topic": "x"})
        await storage.threads.add_state(shared.thread_id, {"n": 1}, owner="system")
        copy = await storage.threads.copy(shared.thread_id, owner=ALICE)
        assert copy.metadata == {"topic": "x", "owner": ALICE}
        await storage.threads.add_state(copy.thread_id, {"n": 2}, owner=ALICE)
        with pytest.raises(NotFound):
            await storage.threads.get(copy.thread_id, owner=BOB)


class ThreadPruneContract(StorageContract):
    """What prune promises: the caller's threads go, or keep their head; nothing else is touched."""

    needs: ClassVar[frozenset[type]] = frozenset({Snapshots})

    @pytest.mark.invariant(38)
    async def test_prune_deletes(self, storage: FullStorage, probe: Probe) -> None:
        """Each of the caller's threads is removed with all it has, and counted once."""
        home, kept = await a_household(storage), await a_thread(storage)
        bobs = await a_thread(storage, owner=BOB)
        systems = await a_thread(storage, owner="system")
        wanted = [home.thread.thread_id, home.thread.thread_id, new_id()]
        pruned = await storage.threads.prune(
            [*wanted, bobs.thread_id, systems.thread_id], owner=ALICE
        )
        assert pruned == 1
        left = {row["thread_id"] for row in await probe.rows("threads")}
        assert {str(one) for one in left} == {kept.thread_id, bobs.thread_id, systems.thread_id}
        for table in ("thread_states", "runs", "crons"):
            assert await probe.count(table) == 0, table

    @pytest.mark.invariant(4)
    async def test_prune_keeps_the_latest(self, storage: FullStorage) -> None:
        """With `keep_latest` the head stays, without a parent, and the thread is as it was."""
        mine, other = await a_thread(storage), await a_thread(storage)
        for number in range(3):
            for thread in (mine, other):
                await storage.threads.add_state(thread.thread_id, {"n": number}, owner=ALICE)
        before = await storage.threads.get(mine.thread_id, owner=ALICE)
        head = await storage.threads.get_state(mine.thread_id, owner=ALICE)
        pruned = await storage.threads.prune([mine.thread_id], strategy="keep_latest", owner=ALICE)
        assert pruned == 1
        [kept] = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        assert kept.parent_checkpoint is None
        assert (kept.checkpoint, kept.values) == (head.checkpoint, {"n": 2})
        assert await storage.threads.get(mine.thread_id, owner=ALICE) == before
        assert len(await storage.threads.get_history(other.thread_id, owner=ALICE)) == 3

    async def test_prune_of_nothing(self, storage: FullStorage) -> None:
        """No ids prune no threads; a thread without states keeps being there."""
        mine = await a_thread(storage)
        assert await storage.threads.prune([], owner=ALICE) == 0
        pruned = await storage.threads.prune([mine.thread_id], strategy="keep_latest", owner=ALICE)
        assert pruned == 1
        assert await storage.threads.get(mine.thread_id, owner=ALICE) == mine
