"""Heads: what a thread shows of the newest checkpoint of a graph, changed in one step."""

from dataclasses import asdict, replace
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_run,
    a_thread,
    all_raise,
    everything,
    new_id,
    same,
    settle,
)
from harness.errors import Conflict, Forbidden, InvalidInput, LeaseLost, NotFound
from harness.models import Thread, ThreadHead, ThreadStatus
from harness.storage.extensions import FullStorage, HeadCache, RunQueue, RunRecords, Snapshots

INTERRUPTS = {"task": [{"id": "i", "value": {"ask": "sure?"}}]}
ERROR = {"error": "ValueError", "message": "boom"}


def a_head(number: int = 1, **given: Any) -> ThreadHead:
    """Return a head with values of its own, every field filled."""
    full = {
        "values": {"n": number},
        "checkpoint_id": new_id(),
        "interrupts": INTERRUPTS,
        "error": ERROR,
    }
    return ThreadHead(**full | given)


def shown(thread: Thread) -> ThreadHead:
    """Return what a thread shows."""
    return ThreadHead(
        values=thread.values,
        checkpoint_id=thread.checkpoint_id,
        interrupts=thread.interrupts,
        error=thread.error,
    )


class HeadCacheContract(StorageContract):
    """What a cached head promises, on its own and with a run's end."""

    needs: ClassVar[frozenset[type]] = frozenset({HeadCache, RunQueue, RunRecords, Snapshots})

    async def _leased(self, storage: FullStorage) -> Any:
        """Queue a run and take it."""
        run = await a_run(storage)
        claimed = await storage.runs.claim(lease_s=60)
        assert claimed is not None
        assert claimed.run.run_id == run.run_id
        return claimed

    @pytest.mark.invariant(9)
    async def test_cache_head(self, storage: FullStorage) -> None:
        """Values, checkpoint, interrupts and error are shown together, and found by."""
        mine = await a_thread(storage)
        assert shown(mine) == ThreadHead(values=None, checkpoint_id=None, interrupts={}, error=None)
        for head in (a_head(1), a_head(2, interrupts={}, error=None), a_head(3, values=None)):
            thread = await storage.threads.cache_head(mine.thread_id, head, owner=ALICE)
            assert shown(thread) == head
            assert thread == await storage.threads.get(mine.thread_id, owner=ALICE)
            assert [thread] == await storage.threads.search(ids=[mine.thread_id], owner=ALICE)
            assert thread.updated_at == thread.state_updated_at > mine.state_updated_at
            assert (thread.created_at, thread.metadata) == (mine.created_at, mine.metadata)
        await storage.threads.cache_head(mine.thread_id, a_head(4), owner=ALICE)
        assert await storage.threads.count(values={"n": 4}, owner=ALICE) == 1
        assert await storage.threads.count(values={"n": 2}, owner=ALICE) == 0

    @pytest.mark.parametrize("given", [None, "idle", "interrupted", "error"])
    async def test_status(self, storage: FullStorage, given: ThreadStatus | None) -> None:
        """The thread becomes what it is told to become, or stays what it was."""
        mine = await a_thread(storage)
        await storage.threads.add_state(mine.thread_id, {}, next=["ask"], owner=ALICE)
        thread = await storage.threads.cache_head(
            mine.thread_id, a_head(), thread_status=given, owner=ALICE
        )
        assert thread.status == (given or "interrupted")

    async def test_a_busy_thread_stays_busy(self, storage: FullStorage) -> None:
        """A head does not end a run, and no head makes a thread busy."""
        run = await a_run(storage)
        thread = await storage.threads.cache_head(
            run.thread_id, a_head(), thread_status="idle", owner=ALICE
        )
        assert thread.status == "busy"
        other = await a_thread(storage)
        with pytest.raises(InvalidInput):
            await storage.threads.cache_head(
                other.thread_id, a_head(), thread_status="busy", owner=ALICE
            )

    @pytest.mark.invariant(9)
    async def test_a_repair_that_comes_too_late(self, storage: FullStorage, probe: Probe) -> None:
        """Whoever says what it has seen changes nothing once the state is another."""
        mine = await a_thread(storage)
        seen = await storage.threads.cache_head(
            mine.thread_id, a_head(1), seen_at=mine.state_updated_at, owner=ALICE
        )
        await storage.threads.update(mine.thread_id, metadata={"no": "state"}, owner=ALICE)
        newer = await storage.threads.cache_head(
            mine.thread_id, a_head(2), seen_at=seen.state_updated_at, owner=ALICE
        )
        before = await everything(probe)
        with pytest.raises(Conflict):
            await storage.threads.cache_head(
                mine.thread_id, a_head(3), seen_at=seen.state_updated_at, owner=ALICE
            )
        assert await everything(probe) == before
        assert shown(newer).values == {"n": 2}

    @pytest.mark.invariant(9)
    async def test_of_concurrent_repairs_one_wins(self, storage: FullStorage) -> None:
        """Ten repairs of one reading are one change."""
        mine = await a_thread(storage)
        made, refused = await settle(
            (
                storage.threads.cache_head(
                    mine.thread_id, a_head(number), seen_at=mine.state_updated_at, owner=ALICE
                )
                for number in range(10)
            ),
            expect=Conflict,
        )
        assert (len(made), len(refused)) == (1, 9)
        assert await storage.threads.get(mine.thread_id, owner=ALICE) == made[0]

    @pytest.mark.invariant(9)
    async def test_a_run_ends_with_a_head(self, storage: FullStorage) -> None:
        """A run's end, the thread's status and its head are one step."""
        claimed = await self._leased(storage)
        head = a_head(error=None)
        ended = await storage.runs.finish(
            claimed.lease, "success", thread_status="interrupted", head=head, owner=ALICE
        )
        assert ended.status == "success"
        thread = await storage.threads.get(claimed.run.thread_id, owner=ALICE)
        assert (thread.status, shown(thread)) == ("interrupted", head)
        assert thread.updated_at == thread.state_updated_at

    @pytest.mark.invariant(9)
    async def test_a_run_is_ended_with_a_head(self, storage: FullStorage) -> None:
        """Whoever ends a run from outside its lease gives the head too, also beside other runs."""
        first = await a_run(storage)
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        for run, status in ((first, "busy"), (second, "error")):
            head = a_head()
            await storage.runs.update_status(
                run.thread_id, run.run_id, "error", error="boom", head=head, owner=ALICE
            )
            thread = await storage.threads.get(run.thread_id, owner=ALICE)
            assert (thread.status, shown(thread)) == (status, head)

    async def test_a_run_without_a_head_leaves_it(self, storage: FullStorage) -> None:
        """What ends before it did anything changes the thread's status only."""
        run = await a_run(storage)
        before = await storage.threads.cache_head(run.thread_id, a_head(), owner=ALICE)
        await storage.runs.update_status(run.thread_id, run.run_id, "interrupted", owner=ALICE)
        after = await storage.threads.get(run.thread_id, owner=ALICE)
        assert shown(after) == shown(before)
        assert after.state_updated_at == before.state_updated_at < after.updated_at

    @pytest.mark.invariant(26)
    async def test_a_stale_lease_writes_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """Neither the run nor the head changes by whoever has lost the run."""
        claimed = await self._leased(storage)
        await storage.runs.hand_back(claimed.lease, owner=ALICE)
        before = await everything(probe)
        with pytest.raises(LeaseLost):
            await storage.runs.finish(claimed.lease, "success", head=a_head(), owner=ALICE)
        assert await everything(probe) == before

    @pytest.mark.invariant(26)
    async def test_a_terminal_run_brings_no_head(self, storage: FullStorage, probe: Probe) -> None:
        """A run that has ended, and one that starts, have nothing to show."""
        run = await a_run(storage)
        with pytest.raises(InvalidInput):
            await storage.runs.update_status(
                run.thread_id, run.run_id, "running", head=a_head(), owner=ALICE
            )
        await storage.runs.update_status(run.thread_id, run.run_id, "success", owner=ALICE)
        before = await everything(probe)
        with pytest.raises(Conflict):
            await storage.runs.update_status(
                run.thread_id, run.run_id, "error", head=a_head(), owner=ALICE
            )
        assert await everything(probe) == before

    @pytest.mark.invariant(6)
    async def test_another_owner_shows_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """The head of another's thread, and of none, is NotFound; system's is read-only."""
        mine, shared = await a_thread(storage), await a_thread(storage, owner="system")
        claimed = await self._leased(storage)
        run = claimed.run
        before = await everything(probe)
        cache_head = storage.threads.cache_head
        await all_raise(
            NotFound,
            cache_head(mine.thread_id, a_head(), owner=BOB),
            cache_head(mine.thread_id, a_head(), seen_at=mine.created_at, owner=BOB),
            cache_head(new_id(), a_head(), owner=ALICE),
            storage.runs.update_status(
                run.thread_id, run.run_id, "success", head=a_head(), owner=BOB
            ),
        )
        with pytest.raises(LeaseLost):
            await storage.runs.finish(claimed.lease, "success", head=a_head(), owner=BOB)
        with pytest.raises(Forbidden):
            await cache_head(shared.thread_id, a_head(), owner=ALICE)
        assert await everything(probe) == before

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize(
        "bad",
        [
            {"values": {"text": "\x00"}},
            {"values": {"number": float("nan")}},
            {"values": [1]},
            {"interrupts": {"task": [{"value": "\ud800"}]}},
            {"interrupts": {"task": "sure?"}},
            {"error": {"message": "\x00"}},
            {"error": "boom"},
            {"checkpoint_id": "1"},
        ],
        ids=repr,
    )
    async def test_what_cannot_be_stored(
        self, storage: FullStorage, probe: Probe, bad: dict[str, Any]
    ) -> None:
        """It is refused before anything is written: the run goes on, under its lease."""
        claimed = await self._leased(storage)
        run, head = claimed.run, a_head(**bad)
        before = await everything(probe)
        await all_raise(
            InvalidInput,
            storage.threads.cache_head(run.thread_id, head, owner=ALICE),
            storage.threads.cache_head(run.thread_id, asdict(a_head()), owner=ALICE),  # type: ignore[arg-type]  # wrong on purpose
            storage.runs.finish(claimed.lease, "success", head=head, owner=ALICE),
            storage.runs.update_status(run.thread_id, run.run_id, "error", head=head, owner=ALICE),
        )
        assert await everything(probe) == before

    @pytest.mark.invariant(16)
    async def test_json_keeps_its_types(self, storage: FullStorage) -> None:
        """Numbers, texts and truth values stay apart; what comes back is a copy."""
        mixed = {"a": [1, 1.0, True, "1", None, 0.0], "b": {"c": 2**63 - 1}}
        head = a_head(values=mixed, interrupts={"t": [{"value": mixed}]}, error={"message": mixed})
        mine = await a_thread(storage)
        thread = await storage.threads.cache_head(mine.thread_id, head, owner=ALICE)
        assert thread.values is not None
        assert thread.error is not None
        for found in (thread.values, thread.interrupts["t"][0]["value"], thread.error["message"]):
            assert same(found, mixed)
            found["a"].clear()
        mixed["a"] = []
        kept = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert kept.values is not None
        assert len(kept.values["a"]) == len(kept.interrupts["t"][0]["value"]["a"]) == 6

    async def test_a_snapshot_replaces_a_head(self, storage: FullStorage) -> None:
        """It has neither interrupts nor an error; its parent is the snapshot before it."""
        mine = await a_thread(storage)
        await storage.threads.cache_head(mine.thread_id, a_head(), owner=ALICE)
        first = await storage.threads.add_state(mine.thread_id, {"s": 1}, owner=ALICE)
        assert first.parent_checkpoint is None
        assert first.checkpoint is not None
        thread = await storage.threads.get(mine.thread_id, owner=ALICE)
        assert shown(thread) == ThreadHead(
            values={"s": 1},
            checkpoint_id=first.checkpoint["checkpoint_id"],
            interrupts={},
            error=None,
        )
        await storage.threads.cache_head(mine.thread_id, a_head(), owner=ALICE)
        assert await storage.threads.get_state(mine.thread_id, owner=ALICE) == first
        second = await storage.threads.add_state(mine.thread_id, {"s": 2}, owner=ALICE)
        assert second.parent_checkpoint == first.checkpoint

    @pytest.mark.invariant(9)
    async def test_concurrent_snapshots_and_heads(self, storage: FullStorage) -> None:
        """Snapshots make one chain, whatever heads are shown between them."""
        mine = await a_thread(storage)
        await settle(
            storage.threads.add_state(mine.thread_id, {"n": number}, owner=ALICE)
            if number % 2
            else storage.threads.cache_head(mine.thread_id, a_head(number), owner=ALICE)
            for number in range(20)
        )
        history = await storage.threads.get_history(mine.thread_id, limit=100, owner=ALICE)
        parents = [state.parent_checkpoint for state in history]
        assert parents == [*(state.checkpoint for state in history[1:]), None]
        assert len(history) == 10

    async def test_copy_shows_the_same_head(self, storage: FullStorage) -> None:
        """A copied thread shows what its source shows."""
        mine = await a_thread(storage)
        head = a_head()
        await storage.threads.cache_head(mine.thread_id, head, owner=ALICE)
        copy = await storage.threads.copy(mine.thread_id, owner=ALICE)
        assert shown(copy) == head
        other = replace(head, values={"n": 9})
        await storage.threads.cache_head(mine.thread_id, other, owner=ALICE)
        assert shown(await storage.threads.get(copy.thread_id, owner=ALICE)) == head
