"""Runs that begin as they are created, for a worker that is free."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, a_run, all_raise, an_assistant, new_id, settle
from harness.contract.queue import HOUR, claimed
from harness.errors import Conflict, InvalidInput, LeaseLost, NotFound
from harness.models import Lease, Run
from harness.storage.extensions import FullStorage, RunQueue, RunRecords


class BeginningRunsContract(StorageContract):
    """What `begin` promises: what a create and a claim do, in one step or not at all."""

    needs: ClassVar[frozenset[type]] = frozenset({RunQueue, RunRecords})

    async def _begun(
        self, storage: FullStorage, run: Run, **asked: Any
    ) -> tuple[Run, Lease | None]:
        """Begin another run of a run's thread and assistant."""
        return await storage.runs.begin(
            run.thread_id, run.assistant_id, lease_s=60, owner=ALICE, **asked
        )

    async def _ended(self, storage: FullStorage) -> Run:
        """Return a run that has ended, on a thread that is idle again."""
        await a_run(storage)
        return await storage.runs.finish((await claimed(storage)).lease, "success", owner=ALICE)

    async def test_begin(self, storage: FullStorage) -> None:
        """On an idle thread a new run is running, under a lease, and its holder ends it."""
        before = await self._ended(storage)
        run, lease = await self._begun(storage, before, kwargs={"n": 1}, metadata={"m": 1})
        assert lease is not None
        assert run == await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        assert (run.status, run.attempt, run.error) == ("running", 1, None)
        assert (run.kwargs, run.metadata) == ({"n": 1}, {"m": 1, "owner": ALICE})
        assert (lease.run_id, lease.thread_id, lease.attempt) == (run.run_id, run.thread_id, 1)
        until = (lease.expires_at - run.created_at).total_seconds()
        assert until == pytest.approx(60, abs=1)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "busy"
        assert await storage.runs.claim(lease_s=60) is None
        await storage.runs.finish(lease, "success", owner=ALICE)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "idle"

    async def test_on_a_new_thread(self, storage: FullStorage) -> None:
        """The thread is made with the run; without `create` it must be there."""
        assistant = await an_assistant(storage)
        absent = replace(await a_run(storage), thread_id=new_id())
        with pytest.raises(NotFound):
            await self._begun(storage, absent)
        other = replace(absent, assistant_id=assistant.assistant_id)
        run, lease = await self._begun(storage, other, if_not_exists="create")
        assert lease is not None
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "busy"

    @pytest.mark.parametrize("if_not_exists", ["create", "reject"])
    async def test_behind_another_run(self, storage: FullStorage, if_not_exists: str) -> None:
        """While a run of the thread is running, pending or not yet due, a new one waits."""
        for delay in (0, 1800):
            first = await a_run(storage, after_seconds=delay)
            run, lease = await self._begun(storage, first, if_not_exists=if_not_exists)
            assert lease is None
            assert (run.status, run.attempt) == ("pending", 0)
            if not delay:
                await storage.runs.finish((await claimed(storage)).lease, "success", owner=ALICE)
            assert (await claimed(storage)).run.run_id == run.run_id
            third, lease = await self._begun(storage, first, if_not_exists=if_not_exists)
            assert lease is None
            assert third.status == "pending"

    async def test_behind_what_was_set_running_by_hand(self, storage: FullStorage) -> None:
        """A run without a lease keeps its thread busy as well."""
        first = await a_run(storage)
        await storage.runs.update_status(first.thread_id, first.run_id, "running", owner=ALICE)
        _, lease = await self._begun(storage, first)
        assert lease is None

    async def test_what_is_refused(self, storage: FullStorage) -> None:
        """A taken id, a busy thread and strategy `reject`: nothing is begun, nothing queued."""
        first = await a_run(storage)
        await all_raise(
            Conflict,
            self._begun(storage, first, run_id=first.run_id),
            self._begun(storage, first, multitask_strategy="reject"),
        )
        idle = await storage.threads.create(owner=ALICE)
        alone = replace(first, thread_id=idle.thread_id)
        with pytest.raises(Conflict):
            await self._begun(storage, alone, run_id=first.run_id)
        assert await storage.runs.count(owner=ALICE) == 1
        assert (await storage.threads.get(idle.thread_id, owner=ALICE)).status == "idle"

    async def test_the_running_runs_own_id(self, storage: FullStorage) -> None:
        """The id of the very run that the thread runs is taken, leased or set running by hand."""
        leased, _ = await self._begun(storage, await self._ended(storage))
        by_hand = await a_run(storage)
        await storage.runs.update_status(by_hand.thread_id, by_hand.run_id, "running", owner=ALICE)
        for run in (leased, by_hand):
            for if_not_exists in ("create", "reject"):
                with pytest.raises(Conflict):
                    await self._begun(storage, run, run_id=run.run_id, if_not_exists=if_not_exists)
            active = await storage.runs.get_active(run.thread_id, owner=ALICE)
            assert active is not None
            assert active.run_id == run.run_id
        assert await storage.runs.count(status="pending", owner=ALICE) == 0

    @pytest.mark.invariant(26)
    async def test_takeover_after_expiry(self, storage: FullStorage, probe: Probe) -> None:
        """A begun run whose worker is gone goes to the next one; what is behind it waits."""
        run, stale = await self._begun(storage, await self._ended(storage))
        assert stale is not None
        await a_run(storage, thread_id=run.thread_id, assistant_id=run.assistant_id)
        await probe.age("runs", HOUR, run_id=run.run_id)
        takeover = await claimed(storage)
        assert (takeover.run.run_id, takeover.run.attempt) == (run.run_id, 2)
        with pytest.raises(LeaseLost):
            await storage.runs.finish(stale, "success", owner=ALICE)

    async def test_handed_back(self, storage: FullStorage) -> None:
        """A begun run that is handed back is first in its thread's queue."""
        run, lease = await self._begun(storage, await self._ended(storage))
        assert lease is not None
        await a_run(storage, thread_id=run.thread_id, assistant_id=run.assistant_id)
        await storage.runs.hand_back(lease, owner=ALICE)
        assert (await claimed(storage)).run.run_id == run.run_id

    async def test_of_concurrent_begins_one_runs(self, storage: FullStorage) -> None:
        """However many begin on one thread, one is running, and the others come after it."""
        for new in (False, True):
            run = await self._ended(storage)
            if new:
                run = replace(run, thread_id=new_id())
            begun, _ = await settle(
                self._begun(storage, run, if_not_exists="create") for _ in range(10)
            )
            [(_, lease)] = [one for one in begun if one[1] is not None]
            assert lease is not None
            for _ in range(9):
                await storage.runs.finish(lease, "success", owner=ALICE)
                lease = (await claimed(storage)).lease
            await storage.runs.finish(lease, "success", owner=ALICE)
            assert await storage.runs.claim(lease_s=60) is None

    @pytest.mark.parametrize("lease_s", [0, -1, float("nan"), "60", None])
    async def test_bad_lease_time(self, storage: FullStorage, lease_s: object) -> None:
        """A lease lasts a number of seconds above 0; nothing is created for less."""
        run = await self._ended(storage)
        with pytest.raises(InvalidInput):
            await storage.runs.begin(
                run.thread_id,
                run.assistant_id,
                lease_s=lease_s,  # type: ignore[arg-type]  # wrong on purpose
                owner=ALICE,
            )
        assert await storage.runs.count(owner=ALICE) == 1
