"""Retention: histories are shortened, and what stays is as it was.

What a graph's checkpoints need is asked where there are graphs; here, states are `add_state`'s.
"""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, BOB, a_thread, everything, new_id
from harness.errors import InvalidInput
from harness.models import Pruned
from harness.storage.extensions import FullStorage, Retention, Snapshots


async def _told(storage: FullStorage, count: int, *, owner: str = ALICE) -> str:
    """Return a thread with that many states."""
    thread = await a_thread(storage, owner=owner)
    for number in range(count):
        await storage.threads.add_state(thread.thread_id, {"n": number}, owner=owner)
    return thread.thread_id


async def _numbers(storage: FullStorage, thread_id: str, *, owner: str = ALICE) -> list[int]:
    """Return what the states of a history hold, newest first."""
    history = await storage.threads.get_history(thread_id, limit=100, owner=owner)
    return [state.values["n"] for state in history]


class RetentionContract(StorageContract):
    """What `prune_history` promises of states."""

    needs: ClassVar[frozenset[type]] = frozenset({Retention, Snapshots})

    @pytest.mark.invariant(2, 4)
    async def test_the_newest_stay(self, storage: FullStorage) -> None:
        """The newest `keep` stay as they were, the oldest of them as a root; the rest goes."""
        mine = await _told(storage, 5)
        thread = await storage.threads.get(mine, owner=ALICE)
        before = await storage.threads.get_history(mine, owner=ALICE)
        pruned = await storage.threads.prune_history([mine], keep=3, owner=ALICE)
        after = await storage.threads.get_history(mine, owner=ALICE)
        assert after[:2] == before[:2]
        assert (after[2].values, after[2].checkpoint) == (before[2].values, before[2].checkpoint)
        assert [state.parent_checkpoint for state in after[2:]] == [None]
        assert await storage.threads.get(mine, owner=ALICE) == thread
        assert (pruned.threads, pruned.states.rows, pruned.rows) == (1, 2, 2)
        assert pruned.freed_bytes == pruned.states.size_bytes > 0

    @pytest.mark.invariant(2)
    async def test_the_young_stay(self, storage: FullStorage, probe: Probe) -> None:
        """With an age, what is younger stays beside the newest `keep`."""
        mine = await _told(storage, 3)
        await probe.age("thread_states", timedelta(hours=1), thread_id=mine)
        for number in (3, 4):
            await storage.threads.add_state(mine, {"n": number}, owner=ALICE)
        prune = storage.threads.prune_history
        assert await prune([mine], older_than_s=3_700, owner=ALICE) == Pruned()
        assert (await prune([mine], keep=4, older_than_s=3_500, owner=ALICE)).states.rows == 1
        assert await _numbers(storage, mine) == [4, 3, 2, 1]
        assert (await prune([mine], older_than_s=3_500, owner=ALICE)).states.rows == 2
        assert await _numbers(storage, mine) == [4, 3]

    @pytest.mark.invariant(4)
    async def test_the_head_stays(self, storage: FullStorage, probe: Probe) -> None:
        """However old it is, the head stays, and the next state follows it."""
        mine = await _told(storage, 2)
        await probe.age("thread_states", timedelta(days=400), thread_id=mine)
        head = await storage.threads.get_state(mine, owner=ALICE)
        await storage.threads.prune_history(older_than_s=0, owner=ALICE)
        [kept] = await storage.threads.get_history(mine, owner=ALICE)
        assert (kept.values, kept.checkpoint) == (head.values, head.checkpoint)
        following = await storage.threads.add_state(mine, {"n": 2}, owner=ALICE)
        assert following.parent_checkpoint == kept.checkpoint

    async def test_a_dry_run_only_tells(self, storage: FullStorage, probe: Probe) -> None:
        """It tells what would go, and leaves every row as it is; afterwards nothing is left to."""
        for count in (3, 1, 4):
            await _told(storage, count)
        before = await everything(probe)
        told = await storage.threads.prune_history(keep=2, dry_run=True, owner=ALICE)
        assert await everything(probe) == before
        assert (told.threads, told.states.rows) == (2, 3)
        assert await storage.threads.prune_history(keep=2, owner=ALICE) == told
        assert await storage.threads.prune_history(keep=2, owner=ALICE) == Pruned()

    @pytest.mark.invariant(6)
    async def test_only_the_callers_are_pruned(self, storage: FullStorage) -> None:
        """Threads of others, of `system` too, are passed over, named or not; so are unknown ids."""
        mine = await _told(storage, 3)
        others = {owner: await _told(storage, 3, owner=owner) for owner in (BOB, "system")}
        named = [*others.values(), new_id()]
        assert await storage.threads.prune_history(named, keep=1, owner=ALICE) == Pruned()
        assert (await storage.threads.prune_history(keep=1, owner=ALICE)).threads == 1
        assert await _numbers(storage, mine) == [2]
        for owner, thread_id in others.items():
            assert await _numbers(storage, thread_id, owner=owner) == [2, 1, 0]

    async def test_nobody_in_particular_prunes_all(self, storage: FullStorage) -> None:
        """Without an owner everybody's threads are pruned; with ids, only these."""
        mine, bobs = await _told(storage, 3), await _told(storage, 3, owner=BOB)
        pruned = await storage.threads.prune_history([bobs, bobs], keep=2)
        assert (pruned.threads, pruned.states.rows) == (1, 1)
        assert await storage.threads.prune_history([], keep=1) == Pruned()
        assert await _numbers(storage, mine) == [2, 1, 0]
        assert (await storage.threads.prune_history(keep=1)).states.rows == 3
        assert await _numbers(storage, mine) == await _numbers(storage, bobs, owner=BOB) == [2]

    @pytest.mark.invariant(43)
    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"keep": 0},
            {"keep": -1},
            {"keep": 1.5},
            {"keep": True},
            {"keep": "1"},
            {"older_than_s": -1},
            {"older_than_s": "1"},
            {"older_than_s": float("nan")},
            {"older_than_s": float("inf")},
            {"keep": 1, "dry_run": 1},
            {"keep": 1, "thread_ids": ["7"]},
            {"keep": 1, "owner": ""},
        ],
        ids=str,
    )
    async def test_nonsense_is_refused(
        self, storage: FullStorage, probe: Probe, given: dict[str, Any]
    ) -> None:
        """What is no number, age, id or owner is refused, and so is pruning by neither."""
        await _told(storage, 2)
        before = await everything(probe)
        with pytest.raises(InvalidInput):
            await storage.threads.prune_history(**given)
        assert await everything(probe) == before
