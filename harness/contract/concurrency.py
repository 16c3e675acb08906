"""Many at once: nobody's rows are mixed up, nothing is lost, and the bad fail alone."""

import asyncio
from typing import Any, ClassVar

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import (
    ALICE,
    HOME,
    a_cron,
    a_run,
    a_thread,
    an_assistant,
    settle,
)
from harness.errors import Conflict, InvalidInput, NotFound
from harness.storage.extensions import CronQueue, FullStorage, RunRecords, Snapshots

USERS = 20


class ConcurrencyContract(StorageContract):
    """What concurrency promises: each call has its own effect, whoever else is calling."""

    needs: ClassVar[frozenset[type]] = frozenset({CronQueue, RunRecords, Snapshots})

    @pytest.mark.invariant(13)
    async def test_hundreds_of_requests_of_many_users(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """400 interleaved requests of 20 users leave no row under the wrong owner."""

        async def live(user: str, turn: int) -> None:
            mark = {"by": user, "turn": turn}
            assistant = await an_assistant(storage, owner=user, metadata=mark)
            thread = await a_thread(storage, owner=user, metadata=mark)
            await storage.threads.add_state(thread.thread_id, mark, owner=user)
            run = await a_run(
                storage,
                thread_id=thread.thread_id,
                assistant_id=assistant.assistant_id,
                owner=user,
                metadata=mark,
            )
            await storage.runs.update(
                run.thread_id, run.run_id, metadata={"again": user}, owner=user
            )
            await storage.items.put_item((user,), str(turn), mark, owner=user)
            await a_cron(storage, assistant_id=assistant.assistant_id, owner=user, metadata=mark)
            await storage.threads.update(thread.thread_id, metadata={"again": user}, owner=user)

        users = [f"user-{number}" for number in range(USERS)]
        await settle(live(user, turn) for turn in range(3) for user in users)
        for table in ("assistants", "threads", "runs", "crons"):
            rows = await probe.rows(table)
            assert len(rows) == 3 * USERS
            for row in rows:
                assert row["owner"] == row["metadata"]["owner"] == row["metadata"]["by"], table
        for row in await probe.rows("store_items"):
            assert [row["owner"]] == row["namespace"]
            assert row["value"]["by"] == row["owner"]
        states = {row["thread_id"]: row["values"] for row in await probe.rows("thread_states")}
        for row in await probe.rows("threads"):
            assert row["values"] == states[row["thread_id"]]
            assert row["values"]["by"] == row["owner"]

    @pytest.mark.invariant(13)
    async def test_concurrent_readers_see_their_own(self, storage: FullStorage) -> None:
        """200 reads at once answer each user with that user's rows."""
        users = [f"user-{number}" for number in range(USERS)]
        await settle(storage.threads.create(metadata={"by": user}, owner=user) for user in users)
        asked = users * 10
        answers, _ = await settle(storage.threads.search(owner=user) for user in asked)
        for user, answer in zip(asked, answers, strict=True):
            assert [thread.metadata["by"] for thread in answer] == [user]

    @pytest.mark.invariant(42)
    async def test_two_hundred_requests_at_once(self, storage: FullStorage, probe: Probe) -> None:
        """200 requests at once, reads and writes, are all served: they queue."""
        writes = [a_thread(storage, metadata={"n": number}) for number in range(100)]
        reads = [storage.threads.count(owner=ALICE) for _ in range(50)]
        puts = [
            storage.items.put_item(HOME, str(number), {"n": number}, owner=ALICE)
            for number in range(50)
        ]
        async with asyncio.timeout(120):
            await settle([*writes, *reads, *puts])
        assert await probe.count("threads") == 100
        assert await probe.count("store_items") == 50

    @pytest.mark.invariant(20)
    async def test_a_bad_write_among_good_ones_fails_alone(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Of 50 puts at once the one that cannot be stored is refused, and 49 are there."""
        good = [
            storage.items.put_item(HOME, str(number), {"n": number}, owner=ALICE)
            for number in range(49)
        ]
        bad = storage.items.put_item(HOME, "bad", {"n": float("nan")}, owner=ALICE)
        stored, refused = await settle([*good[:25], bad, *good[25:]], expect=InvalidInput)
        assert (len(stored), len(refused)) == (49, 1)
        assert await probe.count("store_items") == 49

    @pytest.mark.invariant(20)
    async def test_a_conflict_among_good_ones_fails_alone(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """What only the store can refuse, a taken id or a missing thread, fails alone too."""
        taken = await a_thread(storage)
        assistant = await an_assistant(storage)
        missing = assistant.assistant_id
        calls = [a_thread(storage) for _ in range(30)]
        calls.insert(10, a_thread(storage, thread_id=taken.thread_id))
        runs = [
            a_run(storage, thread_id=missing, assistant_id=assistant.assistant_id),
            a_run(storage, thread_id=taken.thread_id, assistant_id=assistant.assistant_id),
        ]
        stored, refused = await settle([*calls, *runs], expect=(Conflict, NotFound))
        assert (len(stored), len(refused)) == (31, 2)
        assert await probe.count("threads") == 31
        assert await probe.count("runs") == 1

    @pytest.mark.invariant(39)
    async def test_concurrent_updates_of_runs_and_crons(self, storage: FullStorage) -> None:
        """Twenty metadata updates at once of one run and one cron leave all their keys."""
        run, cron = await a_run(storage), await a_cron(storage)
        await settle(
            call
            for number in range(20)
            for call in (
                storage.runs.update(
                    run.thread_id, run.run_id, metadata={f"k{number}": number}, owner=ALICE
                ),
                storage.crons.update(cron.cron_id, metadata={f"k{number}": number}, owner=ALICE),
            )
        )
        keys = {"owner"} | {f"k{number}" for number in range(20)}
        after = await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        assert after.metadata.keys() == keys
        assert (await storage.crons.get(cron.cron_id, owner=ALICE)).metadata.keys() == keys

    @pytest.mark.invariant(38)
    async def test_deleting_while_others_write(self, storage: FullStorage, probe: Probe) -> None:
        """A thread deleted in the midst of writes to it is gone with all of them."""
        thread, assistant = await a_thread(storage), await an_assistant(storage)

        def writes() -> list[asyncio.Future[Any]]:
            return [
                asyncio.ensure_future(call)
                for _ in range(5)
                for call in (
                    storage.threads.add_state(thread.thread_id, {}, owner=ALICE),
                    a_run(
                        storage,
                        thread_id=thread.thread_id,
                        assistant_id=assistant.assistant_id,
                    ),
                    a_cron(
                        storage,
                        thread_id=thread.thread_id,
                        assistant_id=assistant.assistant_id,
                    ),
                )
            ]

        before = writes()
        deleted = asyncio.ensure_future(storage.threads.delete(thread.thread_id, owner=ALICE))
        await settle([*before, deleted, *writes()], expect=NotFound)
        await deleted
        for table in ("threads", "thread_states", "runs", "crons"):
            assert await probe.count(table) == 0, table

    @pytest.mark.invariant(9)
    async def test_readers_never_see_half_a_snapshot(self, storage: FullStorage) -> None:
        """A thread read while snapshots are added shows the values of its checkpoint."""
        mine = await a_thread(storage)

        async def write() -> None:
            for number in range(10):
                await storage.threads.add_state(mine.thread_id, {"n": number}, owner=ALICE)

        async def read() -> None:
            for _ in range(10):
                thread = await storage.threads.get(mine.thread_id, owner=ALICE)
                if thread.checkpoint_id is not None:
                    state = await storage.threads.get_state(
                        mine.thread_id, thread.checkpoint_id, owner=ALICE
                    )
                    assert state.values == thread.values
                    assert thread.state_updated_at == state.created_at

        await settle([write(), write(), read(), read()])
