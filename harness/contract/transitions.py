"""Transitions: a run's way through the statuses, and what its thread shows of it."""

from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    a_run,
    a_thread,
    an_assistant,
    everything,
    new_id,
    settle,
)
from harness.contract.runs import ENDS, STATUSES, a_run_that_is
from harness.errors import Conflict, InvalidInput
from harness.models import RunStatus, ThreadStatus
from harness.storage.extensions import BulkCreate, FullStorage, RunRecords


class RunTransitionsContract(StorageContract):
    """What statuses promise: pending, running, one end, and no way back."""

    needs: ClassVar[frozenset[type]] = frozenset({BulkCreate, RunRecords})

    @pytest.mark.invariant(26)
    @pytest.mark.parametrize("target", STATUSES)
    @pytest.mark.parametrize("current", STATUSES)
    async def test_every_step(
        self, storage: FullStorage, current: RunStatus, target: RunStatus
    ) -> None:
        """Pending may run or end, running may end; every other step is refused."""
        run = await a_run_that_is(storage, current)
        step = storage.runs.update_status(run.thread_id, run.run_id, target, owner=ALICE)
        allowed = (current == "pending" and target != "pending") or (
            current == "running" and target in ENDS
        )
        if allowed:
            moved = await step
            assert moved.status == target
            assert moved == await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        else:
            with pytest.raises(InvalidInput if target == "pending" else Conflict):
                await step
            assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == run

    async def test_update_status(self, storage: FullStorage) -> None:
        """Running counts an attempt; the end keeps the error that it was given."""
        run = await a_run(storage)
        running = await storage.runs.update_status(
            run.thread_id, run.run_id, "running", owner=ALICE
        )
        assert (running.status, running.attempt, running.error) == ("running", 1, None)
        assert running.updated_at > run.updated_at
        ended = await storage.runs.update_status(
            run.thread_id, run.run_id, "error", error="boom", owner=ALICE
        )
        assert (ended.status, ended.attempt, ended.error) == ("error", 1, "boom")
        assert ended.created_at == run.created_at

    @pytest.mark.parametrize(
        ("end", "given", "shown"),
        [
            ("success", None, "idle"),
            ("interrupted", None, "idle"),
            ("error", None, "error"),
            ("timeout", None, "error"),
            ("success", "interrupted", "interrupted"),
            ("error", "idle", "idle"),
        ],
    )
    async def test_thread_after_its_last_run(
        self,
        storage: FullStorage,
        end: RunStatus,
        given: ThreadStatus | None,
        shown: ThreadStatus,
    ) -> None:
        """The thread shows how its last run ended, or what it was told to show."""
        run = await a_run(storage)
        await storage.runs.update_status(
            run.thread_id, run.run_id, end, thread_status=given, owner=ALICE
        )
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == shown

    async def test_thread_stays_busy_while_another_run_waits(self, storage: FullStorage) -> None:
        """Only the end of the last active run changes the thread."""
        first = await a_run(storage)
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        await storage.runs.update_status(
            first.thread_id, first.run_id, "error", thread_status="interrupted", owner=ALICE
        )
        assert (await storage.threads.get(first.thread_id, owner=ALICE)).status == "busy"
        await storage.runs.update_status(first.thread_id, second.run_id, "success", owner=ALICE)
        assert (await storage.threads.get(first.thread_id, owner=ALICE)).status == "idle"

    async def test_thread_is_never_told_to_be_busy(self, storage: FullStorage) -> None:
        """Busy is what runs make it."""
        run = await a_run(storage)
        with pytest.raises(InvalidInput):
            await storage.runs.update_status(
                run.thread_id, run.run_id, "success", thread_status="busy", owner=ALICE
            )

    async def test_one_running_run_a_thread(self, storage: FullStorage) -> None:
        """While one run of a thread is running no other can start."""
        first = await a_run_that_is(storage, "running")
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        with pytest.raises(Conflict):
            await storage.runs.update_status(first.thread_id, second.run_id, "running", owner=ALICE)
        await storage.runs.update_status(first.thread_id, first.run_id, "success", owner=ALICE)
        moved = await storage.runs.update_status(
            first.thread_id, second.run_id, "running", owner=ALICE
        )
        assert moved.status == "running"

    async def test_concurrent_starts_on_one_thread(self, storage: FullStorage) -> None:
        """Of ten runs of a thread started at once, one is running."""
        first = await a_run(storage)
        runs = await storage.runs.create_many(
            [{"thread_id": first.thread_id, "assistant_id": first.assistant_id}] * 9, owner=ALICE
        )
        started, refused = await settle(
            (
                storage.runs.update_status(first.thread_id, run.run_id, "running", owner=ALICE)
                for run in [first, *runs]
            ),
            expect=Conflict,
        )
        assert (len(started), len(refused)) == (1, 9)
        running = await storage.runs.search(status="running", owner=ALICE)
        assert running == started

    @pytest.mark.invariant(26)
    async def test_of_concurrent_ends_one_counts(self, storage: FullStorage) -> None:
        """Cancel and success at once: one of them is the end, and stays it."""
        run = await a_run_that_is(storage, "running")
        ended, refused = await settle(
            (
                storage.runs.update_status(run.thread_id, run.run_id, status, owner=ALICE)
                for status in ENDS
            ),
            expect=Conflict,
        )
        assert (len(ended), len(refused)) == (1, 3)
        assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == ended[0]

    @pytest.mark.invariant(27)
    @pytest.mark.parametrize("status", ["pending", "running"])
    async def test_reject_while_a_run_is_active(
        self, storage: FullStorage, probe: Probe, status: RunStatus
    ) -> None:
        """`reject` is refused while a run is pending or running, and leaves no row."""
        run = await a_run_that_is(storage, status)
        before = await everything(probe)
        with pytest.raises(Conflict):
            await a_run(
                storage,
                thread_id=run.thread_id,
                assistant_id=run.assistant_id,
                multitask_strategy="reject",
            )
        assert await everything(probe) == before

    @pytest.mark.invariant(27)
    async def test_reject_after_the_last_run(self, storage: FullStorage) -> None:
        """`reject` is welcome once nothing is active."""
        run = await a_run_that_is(storage, "success")
        again = await a_run(
            storage,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            multitask_strategy="reject",
        )
        assert (again.status, again.multitask_strategy) == ("pending", "reject")

    @pytest.mark.invariant(27)
    @pytest.mark.parametrize("if_not_exists", ["reject", "create"])
    async def test_of_concurrent_rejects_one_wins(
        self, storage: FullStorage, if_not_exists: str
    ) -> None:
        """Twenty `reject` runs at once on one thread: one is queued, nineteen are conflicts."""
        assistant = await an_assistant(storage)
        thread_id = new_id()
        if if_not_exists == "reject":
            await a_thread(storage, thread_id=thread_id)
        won, refused = await settle(
            (
                a_run(
                    storage,
                    thread_id=thread_id,
                    assistant_id=assistant.assistant_id,
                    multitask_strategy="reject",
                    if_not_exists=if_not_exists,
                )
                for _ in range(20)
            ),
            expect=Conflict,
        )
        assert (len(won), len(refused)) == (1, 19)
        assert await storage.runs.list(thread_id, owner=ALICE) == won
