"""Retention: histories are shortened from their old end, and nothing else is touched."""

from datetime import timedelta
from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, BOB, a_thread, all_raise, new_id
from harness.contract.snapshots import add_states, checkpoint_id
from harness.errors import InvalidInput
from harness.models import Pruned
from harness.storage.extensions import FullStorage, Retention, Snapshots


async def left(storage: FullStorage, thread_id: str, owner: str = ALICE) -> list[int]:
    """Return the numbers of the states that are there, newest first."""
    history = await storage.threads.get_history(thread_id, limit=100, owner=owner)
    return [state.values["n"] for state in history]


class RetentionContract(StorageContract):
    """What `prune_history` promises of snapshots."""

    needs: ClassVar[frozenset[type]] = frozenset({Retention, Snapshots})

    @pytest.mark.invariant(4)
    async def test_the_newest_stay(self, storage: FullStorage) -> None:
        """So many of the newest stay as they were, the oldest of them as a root."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 5)
        before = await storage.threads.get(mine.thread_id, owner=ALICE)
        pruned = await storage.threads.prune_history([mine.thread_id], keep=2, owner=ALICE)
        assert (pruned.threads, pruned.rows, pruned.states.rows) == (1, 3, 3)
        assert pruned.freed_bytes > 0
        newest, root = await storage.threads.get_history(mine.thread_id, owner=ALICE)
        assert newest == states[4]
        assert (root.values, root.checkpoint) == (states[3].values, states[3].checkpoint)
        assert root.parent_checkpoint is None
        assert await storage.threads.get(mine.thread_id, owner=ALICE) == before

    async def test_a_history_goes_on_after_it(self, storage: FullStorage) -> None:
        """The next state follows the newest one, and counts on."""
        mine = await a_thread(storage)
        states = await add_states(storage, mine.thread_id, 3)
        await storage.threads.prune_history(keep=1, owner=ALICE)
        added = await storage.threads.add_state(mine.thread_id, {"n": 3}, owner=ALICE)
        assert added.parent_checkpoint is not None
        assert added.parent_checkpoint["checkpoint_id"] == checkpoint_id(states[2])
        assert await left(storage, mine.thread_id) == [3, 2]

    async def test_only_what_is_old_goes(self, storage: FullStorage, probe: Probe) -> None:
        """With an age, what is younger stays; with a number too, so do so many of the newest."""
        old, both, young = [await a_thread(storage) for _ in range(3)]
        for thread in (old, both):
            await add_states(storage, thread.thread_id, 3)
        await probe.age("thread_states", timedelta(hours=2))
        await storage.threads.add_state(both.thread_id, {"n": 3}, owner=ALICE)
        await add_states(storage, young.thread_id, 3)
        prune = storage.threads.prune_history
        pruned = await prune(older_than_s=3_600, owner=ALICE)
        assert (pruned.threads, pruned.rows) == (2, 5)
        assert await left(storage, old.thread_id) == [2]
        assert await left(storage, both.thread_id) == [3]
        assert await left(storage, young.thread_id) == [2, 1, 0]
        assert await prune(keep=2, older_than_s=3 * 3_600, owner=ALICE) == Pruned()

    async def test_a_dry_run_deletes_nothing(self, storage: FullStorage) -> None:
        """It says what would go, and that is then what goes."""
        mine = await a_thread(storage)
        await add_states(storage, mine.thread_id, 4)
        would = await storage.threads.prune_history(keep=1, dry_run=True, owner=ALICE)
        assert await left(storage, mine.thread_id) == [3, 2, 1, 0]
        assert await storage.threads.prune_history(keep=1, owner=ALICE) == would
        assert would.rows == 3

    @pytest.mark.invariant(6)
    async def test_only_the_owners_threads_are_shortened(self, storage: FullStorage) -> None:
        """Another owner's are passed over, named or not; without an owner it is everybody's."""
        mine, theirs = await a_thread(storage), await a_thread(storage, owner=BOB)
        for thread, owner in ((mine, ALICE), (theirs, BOB)):
            for number in range(3):
                await storage.threads.add_state(thread.thread_id, {"n": number}, owner=owner)
        prune = storage.threads.prune_history
        assert (await prune([theirs.thread_id, new_id()], keep=1, owner=ALICE)) == Pruned()
        assert (await prune(keep=2, owner=ALICE)).rows == 1
        assert await left(storage, theirs.thread_id, BOB) == [2, 1, 0]
        assert (await prune(keep=1, owner=None)).rows == 3
        assert await left(storage, theirs.thread_id, BOB) == [2]

    async def test_named_threads_alone_are_shortened(self, storage: FullStorage) -> None:
        """What is not named stays; no names are no threads."""
        mine, other = await a_thread(storage), await a_thread(storage)
        for thread in (mine, other):
            await add_states(storage, thread.thread_id, 2)
        assert await storage.threads.prune_history([], keep=1, owner=ALICE) == Pruned()
        await storage.threads.prune_history([mine.thread_id], keep=1, owner=ALICE)
        assert await left(storage, mine.thread_id) == [1]
        assert await left(storage, other.thread_id) == [1, 0]

    async def test_what_stays_must_be_said(self, storage: FullStorage) -> None:
        """Without a number and an age, and with impossible ones, nothing goes."""
        mine = await a_thread(storage)
        await add_states(storage, mine.thread_id, 2)
        prune = storage.threads.prune_history
        await all_raise(
            InvalidInput,
            prune(owner=ALICE),
            prune(keep=0, owner=ALICE),
            prune(older_than_s=-1, owner=ALICE),
            prune(older_than_s=float("nan"), owner=ALICE),
            prune(["no id"], keep=1, owner=ALICE),
            prune("abc", keep=1, owner=None),
        )
        assert await left(storage, mine.thread_id) == [1, 0]
