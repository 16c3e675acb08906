"""All stores together: what hangs on what, and a whole life."""

from typing import ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, BOB, HOME, a_household, a_run, a_thread, everything
from harness.errors import NotFound
from harness.storage.extensions import FullStorage, RunQueue, RunRecords, Snapshots
from harness.storage.probe import TABLES


class CrossStoreIntegrationContract(StorageContract):
    """What the five resources promise about one another."""

    needs: ClassVar[frozenset[type]] = frozenset({RunQueue, RunRecords, Snapshots})

    @pytest.mark.invariant(38)
    async def test_thread_delete_cascades_to_runs_bug_pg_003(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Deleting a thread deletes its runs, whatever their status, and nobody else's."""
        first = await a_run(storage)
        for status in ("running", "success"):
            await storage.runs.update_status(first.thread_id, first.run_id, status, owner=ALICE)
            await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        kept = await a_run(storage)
        await storage.threads.delete(first.thread_id, owner=ALICE)
        assert [row["run_id"] for row in await probe.rows("runs")] == [kept.run_id]
        with pytest.raises(NotFound):
            await storage.runs.get(first.thread_id, first.run_id, owner=ALICE)

    @pytest.mark.invariant(38)
    async def test_thread_delete_leaves_nothing(self, storage: FullStorage, probe: Probe) -> None:
        """After its deletion no table names the thread; everything else is as it was."""
        kept = await a_household(storage, BOB)
        before = await everything(probe)
        home = await a_household(storage, ALICE)
        thread_id = home.thread.thread_id
        await storage.threads.delete(thread_id, owner=ALICE)
        for table in TABLES:
            for row in await probe.rows(table):
                assert row.get("thread_id") != thread_id, table
        await storage.assistants.delete(home.assistant.assistant_id, owner=ALICE)
        await storage.items.delete_item(HOME, home.item.key, owner=ALICE)
        assert await everything(probe) == before
        assert await storage.threads.get(kept.thread.thread_id, owner=BOB) == kept.thread

    @pytest.mark.invariant(38)
    async def test_a_run_of_a_deleted_thread_is_not_claimed(self, storage: FullStorage) -> None:
        """The queue forgets what hung on a deleted thread."""
        run = await a_run(storage)
        await storage.threads.delete(run.thread_id, owner=ALICE)
        assert await storage.runs.claim(lease_s=60) is None
        await a_thread(storage, thread_id=run.thread_id)
        assert await storage.runs.claim(lease_s=60) is None

    @pytest.mark.invariant(10)
    async def test_a_reused_run_id(self, storage: FullStorage) -> None:
        """A run's id is free again once the run, or its thread, is gone."""
        run = await a_run(storage)
        await storage.runs.delete(run.thread_id, run.run_id, owner=ALICE)
        again = await a_run(storage, run_id=run.run_id)
        await storage.threads.delete(again.thread_id, owner=ALICE)
        last = await a_run(storage, run_id=run.run_id, owner=BOB)
        assert (last.status, last.attempt) == ("pending", 0)

    async def test_full_lifecycle(self, storage: FullStorage, probe: Probe) -> None:
        """An assistant, a conversation of two turns with memory, a schedule; then nothing."""
        assistant = await storage.assistants.create(
            "agent", {"configurable": {"model": "m"}}, name="Ada", owner=ALICE
        )
        thread = await storage.threads.create(owner=ALICE)
        messages: list[dict[str, str]] = []
        for turn in ("My name is Alice", "What is my name?"):
            await storage.runs.create(
                thread.thread_id,
                assistant.assistant_id,
                kwargs={"input": {"messages": [turn]}},
                multitask_strategy="reject",
                owner=ALICE,
            )
            claim = await storage.runs.claim(lease_s=60)
            assert claim is not None
            state = await storage.threads.get_state(thread.thread_id, owner=ALICE)
            assert state.values.get("messages", []) == messages
            messages += [{"role": "user", "content": turn}, {"role": "ai", "content": "Alice"}]
            await storage.threads.add_state(thread.thread_id, {"messages": messages}, owner=ALICE)
            await storage.items.put_item(("users", ALICE), "name", {"is": "Alice"}, owner=ALICE)
            await storage.runs.finish(claim.lease, "success", owner=ALICE)
        cron = await storage.crons.create(
            assistant.assistant_id, schedule="0 9 * * 1", thread_id=thread.thread_id, owner=ALICE
        )
        after = await storage.threads.get(thread.thread_id, owner=ALICE)
        assert after.status == "idle"
        assert after.values == {"messages": messages}
        assert len(await storage.threads.get_history(thread.thread_id, owner=ALICE)) == 2
        runs = await storage.runs.list(thread.thread_id, owner=ALICE)
        assert [(run.status, run.attempt) for run in runs] == [("success", 1)] * 2
        assert await storage.crons.search(thread_id=thread.thread_id, owner=ALICE) == [cron]
        await storage.threads.delete(thread.thread_id, owner=ALICE)
        await storage.items.delete_item(("users", ALICE), "name", owner=ALICE)
        await storage.assistants.delete(assistant.assistant_id, owner=ALICE)
        for table in TABLES:
            assert await probe.count(table) == 0, table
