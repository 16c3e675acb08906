"""Runs: create, read, change, find and remove."""

from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    BOB,
    a_run,
    a_thread,
    all_raise,
    an_assistant,
    everything,
    new_id,
)
from harness.errors import NotFound
from harness.models import Run, RunStatus
from harness.storage.extensions import FullStorage, RunRecords

STATUSES: tuple[RunStatus, ...] = (
    "pending",
    "running",
    "success",
    "error",
    "timeout",
    "interrupted",
)
ENDS: tuple[RunStatus, ...] = STATUSES[2:]


async def a_run_that_is(storage: FullStorage, status: RunStatus) -> Run:
    """Queue a run and take it to a status."""
    run = await a_run(storage)
    if status == "pending":
        return run
    return await storage.runs.update_status(run.thread_id, run.run_id, status, owner=ALICE)


class RunStoreContract(StorageContract):
    """What `storage.runs` promises about records."""

    needs: ClassVar[frozenset[type]] = frozenset({RunRecords})

    @pytest.mark.invariant(43)
    async def test_create_and_get(self, storage: FullStorage) -> None:
        """A new run is pending, was never started, and is read as it was created."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)
        created = await storage.runs.create(
            thread.thread_id,
            assistant.assistant_id,
            kwargs={"input": {"messages": []}, "stream_mode": ["values"]},
            metadata={"n": 1},
            owner=ALICE,
        )
        assert created == await storage.runs.get(thread.thread_id, created.run_id, owner=ALICE)
        assert created.thread_id == thread.thread_id
        assert created.assistant_id == assistant.assistant_id
        assert created.status == "pending"
        assert created.kwargs == {"input": {"messages": []}, "stream_mode": ["values"]}
        assert created.metadata == {"n": 1, "owner": ALICE}
        assert created.multitask_strategy == "enqueue"
        assert (created.attempt, created.error) == (0, None)
        assert created.created_at == created.updated_at == created.due_at

    async def test_after_seconds(self, storage: FullStorage) -> None:
        """A run that is to wait is due so much later than it was created."""
        run = await a_run(storage, after_seconds=90.5)
        assert (run.due_at - run.created_at).total_seconds() == pytest.approx(90.5)

    async def test_create_stamps_the_thread(self, storage: FullStorage) -> None:
        """A run makes its thread busy and leaves graph and assistant in its metadata."""
        thread = await a_thread(storage, metadata={"topic": "x"})
        assistant = await an_assistant(storage, graph_id="counter")
        await a_run(storage, thread_id=thread.thread_id, assistant_id=assistant.assistant_id)
        after = await storage.threads.get(thread.thread_id, owner=ALICE)
        assert after.status == "busy"
        assert after.metadata == {
            "topic": "x",
            "owner": ALICE,
            "graph_id": "counter",
            "assistant_id": assistant.assistant_id,
        }
        assert after.updated_at > thread.updated_at
        assert after.state_updated_at == thread.state_updated_at

    @pytest.mark.invariant(10)
    async def test_if_not_exists_creates_that_thread(self, storage: FullStorage) -> None:
        """A run on a thread that is not there makes the thread of that id, if told so."""
        assistant, wanted = await an_assistant(storage), new_id()
        run = await a_run(
            storage,
            thread_id=wanted,
            assistant_id=assistant.assistant_id,
            if_not_exists="create",
        )
        assert run.thread_id == wanted
        thread = await storage.threads.get(wanted, owner=ALICE)
        assert thread.status == "busy"
        assert thread.metadata == {
            "owner": ALICE,
            "graph_id": "agent",
            "assistant_id": assistant.assistant_id,
        }

    async def test_create_needs_thread_and_assistant(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A missing thread or assistant is NotFound, and no thread is made for it."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)
        before = await everything(probe)
        for thread_id, assistant_id, if_not_exists in (
            (new_id(), assistant.assistant_id, "reject"),
            (thread.thread_id, new_id(), "reject"),
            (new_id(), new_id(), "create"),
        ):
            with pytest.raises(NotFound):
                await a_run(
                    storage,
                    thread_id=thread_id,
                    assistant_id=assistant_id,
                    if_not_exists=if_not_exists,
                )
        assert await everything(probe) == before

    async def test_get_needs_the_runs_thread(self, storage: FullStorage) -> None:
        """A run is found on its own thread only."""
        run, other = await a_run(storage), await a_thread(storage)
        await all_raise(
            NotFound,
            storage.runs.get(other.thread_id, run.run_id, owner=ALICE),
            storage.runs.update(other.thread_id, run.run_id, metadata={}, owner=ALICE),
            storage.runs.update_status(other.thread_id, run.run_id, "error", owner=ALICE),
            storage.runs.delete(other.thread_id, run.run_id, owner=ALICE),
        )
        assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == run

    async def test_list_by_thread(self, storage: FullStorage) -> None:
        """A thread's runs are listed newest first, by status, limit and offset."""
        first = await a_run(storage)
        runs = [first] + [
            await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
            for _ in range(3)
        ]
        await a_run(storage)
        listed = storage.runs.list
        assert await listed(first.thread_id, owner=ALICE) == runs[::-1]
        assert await listed(first.thread_id, limit=2, offset=1, owner=ALICE) == runs[2:0:-1]
        assert await listed(first.thread_id, limit=0, owner=ALICE) == []
        done = await storage.runs.update_status(
            first.thread_id, runs[1].run_id, "success", owner=ALICE
        )
        assert await listed(first.thread_id, status="success", owner=ALICE) == [done]
        assert len(await listed(first.thread_id, status="pending", owner=ALICE)) == 3
        with pytest.raises(NotFound):
            await listed(new_id(), owner=ALICE)

    async def test_search(self, storage: FullStorage) -> None:
        """Runs of all the owner's threads are found by thread, assistant, status and metadata."""
        one = await a_run(storage, metadata={"n": 1})
        two = await a_run(storage, metadata={"n": 2})
        await a_run(storage, owner=BOB)
        search = storage.runs.search
        assert await search(owner=ALICE) == [two, one]
        assert await search(thread_id=one.thread_id, owner=ALICE) == [one]
        assert await search(assistant_id=two.assistant_id, owner=ALICE) == [two]
        assert await search(metadata={"n": 1}, owner=ALICE) == [one]
        assert await search(status="running", owner=ALICE) == []
        assert await search(status="pending", metadata={"n": 2}, owner=ALICE) == [two]
        assert await search(thread_id=new_id(), owner=ALICE) == []

    @pytest.mark.invariant(37)
    async def test_count_runs(self, storage: FullStorage) -> None:
        """Count is the length of search, with every condition."""
        runs = [await a_run(storage, metadata={"parity": n % 2}) for n in range(4)]
        await storage.runs.update_status(runs[0].thread_id, runs[0].run_id, "success", owner=ALICE)
        for condition in (
            {},
            {"status": "pending"},
            {"status": "error"},
            {"thread_id": runs[1].thread_id},
            {"assistant_id": runs[2].assistant_id},
            {"metadata": {"parity": 0}, "status": "pending"},
        ):
            found = await storage.runs.search(**condition, owner=ALICE)
            assert await storage.runs.count(**condition, owner=ALICE) == len(found)

    async def test_update_merges_metadata(self, storage: FullStorage) -> None:
        """Metadata merges shallowly and nothing else changes."""
        before = await a_run(storage, metadata={"a": 1, "b": {"c": 1}})
        after = await storage.runs.update(
            before.thread_id, before.run_id, metadata={"b": {"d": 2}}, owner=ALICE
        )
        assert after == await storage.runs.get(before.thread_id, before.run_id, owner=ALICE)
        assert after.metadata == {"a": 1, "b": {"d": 2}, "owner": ALICE}
        assert (after.status, after.attempt) == ("pending", 0)
        assert after.updated_at > before.updated_at

    async def test_delete_run(self, storage: FullStorage) -> None:
        """A deleted run is gone and no longer keeps its thread busy."""
        first = await a_run(storage)
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        await storage.runs.delete(first.thread_id, first.run_id, owner=ALICE)
        assert (await storage.threads.get(first.thread_id, owner=ALICE)).status == "busy"
        await storage.runs.delete(first.thread_id, second.run_id, owner=ALICE)
        assert (await storage.threads.get(first.thread_id, owner=ALICE)).status == "idle"
        for call in (storage.runs.get, storage.runs.delete):
            with pytest.raises(NotFound):
                await call(first.thread_id, first.run_id, owner=ALICE)

    async def test_delete_of_an_ended_run_leaves_the_thread(self, storage: FullStorage) -> None:
        """A thread keeps the status that a deleted run's end gave it."""
        run = await a_run_that_is(storage, "error")
        await storage.runs.delete(run.thread_id, run.run_id, owner=ALICE)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "error"

    async def test_get_active_run(self, storage: FullStorage) -> None:
        """The active run is the running one, else the oldest pending one."""
        first = await a_run(storage)
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        assert await storage.runs.get_active(first.thread_id, owner=ALICE) == first
        running = await storage.runs.update_status(
            first.thread_id, second.run_id, "running", owner=ALICE
        )
        assert await storage.runs.get_active(first.thread_id, owner=ALICE) == running

    async def test_no_active_run_when_completed(self, storage: FullStorage) -> None:
        """A thread whose runs have all ended, or that has none, has no active run."""
        for status in ENDS:
            run = await a_run_that_is(storage, status)
            assert await storage.runs.get_active(run.thread_id, owner=ALICE) is None
        empty = await a_thread(storage)
        assert await storage.runs.get_active(empty.thread_id, owner=ALICE) is None

    async def test_owner_isolation(self, storage: FullStorage) -> None:
        """One owner's runs do not exist for another."""
        run = await a_run(storage)
        assert await storage.runs.search(owner=BOB) == []
        assert await storage.runs.count(owner=BOB) == 0
        await all_raise(
            NotFound,
            storage.runs.get(run.thread_id, run.run_id, owner=BOB),
            storage.runs.list(run.thread_id, owner=BOB),
        )
