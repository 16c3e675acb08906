"""Runs that wait behind others: who is next after each way a run can leave its place."""

from datetime import timedelta
from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, a_run, a_thread
from harness.contract.queue import HOUR, claimed
from harness.models import Run
from harness.storage.extensions import FullStorage, RunQueue, RunRecords


class WaitingRunsContract(StorageContract):
    """What the queue of one thread promises: nothing that may run is ever forgotten."""

    needs: ClassVar[frozenset[type]] = frozenset({RunQueue, RunRecords})

    async def _queue(
        self, storage: FullStorage, count: int = 3, *, after_seconds: float = 0
    ) -> list[Run]:
        """Queue runs on one thread, of which the first may have to wait for its time."""
        first = await a_run(storage, after_seconds=after_seconds)
        return [first] + [
            await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
            for _ in range(count - 1)
        ]

    async def _claims(self, storage: FullStorage, *expected: Run) -> None:
        """Work through the queue, and show that it is what was expected and no more."""
        for run in expected:
            claim = await claimed(storage)
            assert claim.run.run_id == run.run_id
            await storage.runs.finish(claim.lease, "success", owner=ALICE)
        assert await storage.runs.claim(lease_s=60) is None

    async def test_after_the_first_was_deleted(self, storage: FullStorage) -> None:
        """Deleting a waiting run lets the one behind it through."""
        first, second, third = await self._queue(storage)
        await storage.runs.delete(first.thread_id, first.run_id, owner=ALICE)
        await self._claims(storage, second, third)

    async def test_after_one_in_the_middle_was_deleted(self, storage: FullStorage) -> None:
        """Deleting a run in the middle changes nothing for the others."""
        first, second, third = await self._queue(storage)
        await storage.runs.delete(first.thread_id, second.run_id, owner=ALICE)
        await self._claims(storage, first, third)

    @pytest.mark.invariant(26)
    async def test_after_the_first_was_cancelled(self, storage: FullStorage) -> None:
        """A cancelled run is passed over."""
        first, second, third = await self._queue(storage)
        await storage.runs.update_status(first.thread_id, first.run_id, "interrupted", owner=ALICE)
        await self._claims(storage, second, third)

    async def test_after_the_running_one_was_deleted(self, storage: FullStorage) -> None:
        """Deleting a run that is being worked on frees the thread for the next."""
        first, second, third = await self._queue(storage)
        await claimed(storage)
        await storage.runs.delete(first.thread_id, first.run_id, owner=ALICE)
        assert (await storage.threads.get(first.thread_id, owner=ALICE)).status == "busy"
        await self._claims(storage, second, third)

    @pytest.mark.invariant(26)
    async def test_after_the_running_one_was_cancelled(self, storage: FullStorage) -> None:
        """Cancelling a run that is being worked on frees the thread for the next."""
        first, second, third = await self._queue(storage)
        await claimed(storage)
        await storage.runs.update_status(first.thread_id, first.run_id, "interrupted", owner=ALICE)
        await self._claims(storage, second, third)

    async def test_after_one_was_handed_back(self, storage: FullStorage) -> None:
        """A run handed back is first again."""
        queue = await self._queue(storage)
        await storage.runs.hand_back((await claimed(storage)).lease, owner=ALICE)
        await self._claims(storage, *queue)

    async def test_after_a_later_one_ran_first(self, storage: FullStorage) -> None:
        """A run started by hand out of turn holds the others up, and then they follow."""
        first, second, third = await self._queue(storage)
        await storage.runs.update_status(first.thread_id, third.run_id, "running", owner=ALICE)
        assert await storage.runs.claim(lease_s=60) is None
        await storage.runs.update_status(first.thread_id, third.run_id, "success", owner=ALICE)
        await self._claims(storage, first, second)

    async def test_an_expired_lease_comes_before_the_waiting(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Where a worker was lost its run is taken over first; the others wait for it."""
        queue = await self._queue(storage)
        await claimed(storage)
        await probe.age("runs", HOUR, run_id=queue[0].run_id)
        await self._claims(storage, *queue)

    async def test_order_is_that_of_creation_not_of_due_times(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Of runs that are all due the one created first is next, however late it came due."""
        late, second, third = await self._queue(storage, after_seconds=1800)
        await probe.update(
            "runs", {"due_at": late.created_at + timedelta(microseconds=1)}, run_id=late.run_id
        )
        await self._claims(storage, late, second, third)

    async def test_a_run_created_later_but_due_first(self, storage: FullStorage) -> None:
        """A run that is not due holds nobody up, and waits for its time."""
        _, second, third = await self._queue(storage, after_seconds=1800)
        await self._claims(storage, second, third)

    async def test_one_that_came_due_meanwhile(self, storage: FullStorage, probe: Probe) -> None:
        """A run that came due while another was worked on is next."""
        late, second, third = await self._queue(storage, after_seconds=1800)
        claim = await claimed(storage)
        assert claim.run.run_id == second.run_id
        await probe.age("runs", HOUR, run_id=late.run_id)
        assert await storage.runs.claim(lease_s=60) is None
        await storage.runs.finish(claim.lease, "success", owner=ALICE)
        await self._claims(storage, late, third)

    async def test_deleting_a_run_that_waits_for_its_time(self, storage: FullStorage) -> None:
        """A run deleted before it was due leaves its thread idle, and is never claimed."""
        run = await a_run(storage, after_seconds=1800)
        await storage.runs.delete(run.thread_id, run.run_id, owner=ALICE)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "idle"
        assert await storage.runs.claim(lease_s=60) is None

    async def test_a_copy_has_a_queue_of_its_own(self, storage: FullStorage) -> None:
        """Copying a busy thread copies nothing of its queue, and the copy can have its own."""
        first, second = await self._queue(storage, 2)
        copy = await storage.threads.copy(first.thread_id, owner=ALICE)
        own = await a_run(
            storage,
            thread_id=copy.thread_id,
            assistant_id=first.assistant_id,
            multitask_strategy="reject",
        )
        await self._claims(storage, first, second, own)
        assert (await storage.threads.get(copy.thread_id, owner=ALICE)).status == "idle"

    async def test_thread_is_idle_after_the_last(self, storage: FullStorage) -> None:
        """However the runs of a thread went, it is busy until the last of them has gone."""
        first, second, third, fourth = await self._queue(storage, 4)
        thread_id = first.thread_id

        async def status() -> str:
            return (await storage.threads.get(thread_id, owner=ALICE)).status

        claim = await claimed(storage)
        await storage.runs.hand_back(claim.lease, owner=ALICE)
        await storage.runs.delete(thread_id, second.run_id, owner=ALICE)
        await storage.runs.update_status(thread_id, third.run_id, "error", owner=ALICE)
        await storage.runs.finish((await claimed(storage)).lease, "timeout", owner=ALICE)
        assert await status() == "busy"
        await storage.runs.delete(thread_id, third.run_id, owner=ALICE)
        await storage.runs.update_status(thread_id, fourth.run_id, "success", owner=ALICE)
        assert await status() == "idle"
        again = await a_run(storage, thread_id=thread_id, assistant_id=first.assistant_id)
        assert await status() == "busy"
        await self._claims(storage, again)

    async def test_runs_made_by_the_probe_are_runs(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A pending run that lies in the table is claimed, however it got there."""
        template = await a_run(storage)
        thread = await a_thread(storage)
        await storage.runs.delete(template.thread_id, template.run_id, owner=ALICE)
        await probe.insert(
            "runs",
            {
                "run_id": template.run_id,
                "thread_id": thread.thread_id,
                "assistant_id": template.assistant_id,
                "owner": ALICE,
            },
        )
        claim = await claimed(storage)
        assert claim.run.run_id == template.run_id
