"""Threads whose time is over: gone at once, whole, and for everybody who asks."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, BOB, a_thread, all_raise, an_assistant, new_id, settle
from harness.errors import Conflict, InvalidInput, NotFound
from harness.models import Thread
from harness.storage.extensions import (
    BulkCreate,
    CronQueue,
    FullStorage,
    HeadCache,
    RunQueue,
    RunRecords,
    Snapshots,
    ThreadKeeper,
)

MINUTE = timedelta(minutes=1)
KEEP_LATEST: dict[str, Any] = {"ttl": 1, "strategy": "keep_latest"}


async def an_old_thread(storage: FullStorage, probe: Probe, **given: Any) -> Thread:
    """Create a thread of one minute, with a state, an ended run and a cron, two minutes ago."""
    thread = await a_thread(storage, **{"ttl": 1, **given})
    at: dict[str, Any] = {"owner": ALICE}
    await storage.threads.add_state(thread.thread_id, {"n": 1}, **at)
    assistant = (await an_assistant(storage)).assistant_id
    run, lease = await storage.runs.begin(thread.thread_id, assistant, lease_s=60, **at)
    assert lease is not None
    await storage.runs.finish(lease, "success", **at)
    await storage.crons.create(
        assistant, schedule="* * * * *", thread_id=thread.thread_id, metadata=run.metadata, **at
    )
    await probe.age("threads", 2 * MINUTE, thread_id=thread.thread_id)
    return thread


class ThreadTtlContract(StorageContract):
    """What a thread's time to live is, through the public calls alone."""

    async def test_it_is_shown(self, storage: FullStorage) -> None:
        """Minutes mean `delete`; an object names its strategy; a thread without one has none."""
        plain, timed = await a_thread(storage), await a_thread(storage, ttl=1.5)
        assert plain.ttl is None
        assert timed.ttl is not None
        assert (timed.ttl.ttl_minutes, timed.ttl.strategy) == (1.5, "delete")
        assert timed.ttl.expires_at == timed.updated_at + 1.5 * MINUTE
        assert await storage.threads.get(timed.thread_id, owner=ALICE) == timed
        kept = await a_thread(storage, ttl=KEEP_LATEST)
        assert kept.ttl is not None
        assert (kept.ttl.ttl_minutes, kept.ttl.strategy) == (1, "keep_latest")

    async def test_an_update_gives_another(self, storage: FullStorage) -> None:
        """An update replaces it, or leaves it, and begins it anew in either case."""
        thread = await a_thread(storage, ttl=5)
        left = await storage.threads.update(thread.thread_id, metadata={"a": 1}, owner=ALICE)
        assert left.ttl is not None
        assert (left.ttl.ttl_minutes, left.ttl.strategy) == (5, "delete")
        assert left.ttl.expires_at == left.updated_at + 5 * MINUTE
        new = await storage.threads.update(
            thread.thread_id, metadata={}, ttl=KEEP_LATEST, owner=ALICE
        )
        assert new.ttl is not None
        assert (new.ttl.ttl_minutes, new.ttl.strategy) == (1, "keep_latest")

    async def test_a_copy_lives_as_long(self, storage: FullStorage) -> None:
        """A copy has the original's time to live, from its own beginning."""
        thread = await a_thread(storage, ttl=5)
        copy = await storage.threads.copy(thread.thread_id, owner=ALICE)
        assert copy.ttl is not None
        assert copy.ttl.expires_at == copy.updated_at + 5 * MINUTE

    async def test_an_existing_thread_keeps_its_own(self, storage: FullStorage) -> None:
        """`do_nothing` leaves the time to live of the thread that is there."""
        thread = await a_thread(storage, ttl=5)
        same = await storage.threads.create(
            thread_id=thread.thread_id, if_exists="do_nothing", ttl=1, owner=ALICE
        )
        assert same == thread

    @pytest.mark.parametrize(
        "ttl",
        [
            *[0, -1, float("nan"), float("inf"), "1", True, 1e300, [], {}],
            *[{"strategy": "delete"}, {"ttl": 0}, {"ttl": 1, "strategy": "archive"}],
        ],
        ids=repr,
    )
    async def test_what_is_none(self, storage: FullStorage, ttl: Any) -> None:
        """A time to live is minutes above 0 with a known strategy; nothing else is accepted."""
        thread = await a_thread(storage)
        await all_raise(
            InvalidInput,
            storage.threads.create(ttl=ttl, owner=ALICE),
            storage.threads.update(thread.thread_id, metadata={}, ttl=ttl, owner=ALICE),
        )
        assert await storage.threads.count(owner=ALICE) == 1


class ThreadExpiryContract(StorageContract):
    """What becomes of a thread when its time is over, swept or not."""

    needs: ClassVar[frozenset[type]] = frozenset(
        {BulkCreate, CronQueue, HeadCache, RunQueue, RunRecords, Snapshots, ThreadKeeper}
    )

    @pytest.mark.invariant(65)
    async def test_no_call_shows_it(self, storage: FullStorage, probe: Probe) -> None:
        """An expired thread is in no list, no count and no answer, with its runs and crons."""
        thread = await an_old_thread(storage, probe)
        key = thread.thread_id
        assert await probe.count("threads") == 1
        [run], [cron] = await probe.rows("runs"), await probe.rows("crons")
        at = (key, run["run_id"])
        await all_raise(
            NotFound,
            storage.threads.get(key, owner=ALICE),
            storage.threads.update(key, metadata={}, owner=ALICE),
            storage.threads.delete(key, owner=ALICE),
            storage.threads.copy(key, owner=ALICE),
            storage.threads.get_state(key, owner=ALICE),
            storage.threads.get_history(key, owner=ALICE),
            storage.threads.add_state(key, {}, owner=ALICE),
            storage.runs.list(key, owner=ALICE),
            storage.runs.get_active(key, owner=ALICE),
            storage.runs.get(*at, owner=ALICE),
            storage.runs.update(*at, metadata={}, owner=ALICE),
            storage.runs.delete(*at, owner=ALICE),
            storage.runs.update_status(*at, "error", owner=ALICE),
            storage.runs.create(key, run["assistant_id"], owner=ALICE),
            storage.crons.get(cron["cron_id"], owner=ALICE),
            storage.crons.update(cron["cron_id"], metadata={}, owner=ALICE),
            storage.crons.update(cron["cron_id"], enabled=False, owner=ALICE),
            storage.crons.delete(cron["cron_id"], owner=ALICE),
            storage.crons.create(
                run["assistant_id"], schedule="* * * * *", thread_id=key, owner=ALICE
            ),
        )
        assert await storage.threads.search(owner=ALICE) == []
        assert await storage.threads.search(ids=[key], owner=ALICE) == []
        assert await storage.threads.count(owner=ALICE) == 0
        assert await storage.threads.prune([key], owner=ALICE) == 0
        assert await storage.threads.prune([key], strategy="keep_latest", owner=ALICE) == 0
        assert await storage.runs.search(owner=ALICE) == []
        assert await storage.runs.count(thread_id=key, owner=ALICE) == 0
        assert await storage.crons.search(owner=ALICE) == []
        assert await storage.crons.count(thread_id=key, owner=ALICE) == 0
        await probe.age("crons", 2 * MINUTE)
        assert await storage.crons.claim_due() == []

    @pytest.mark.invariant(65)
    async def test_to_the_second(self, storage: FullStorage, probe: Probe) -> None:
        """A thread of half a minute is there after 20 seconds and gone after 31."""
        thread = await a_thread(storage, ttl=0.5)
        await probe.age("threads", timedelta(seconds=20))
        await storage.threads.get(thread.thread_id, owner=ALICE)
        await probe.age("threads", timedelta(seconds=11))
        await all_raise(NotFound, storage.threads.get(thread.thread_id, owner=ALICE))

    @pytest.mark.parametrize("change", ["metadata", "state", "run"])
    async def test_a_change_begins_it_anew(
        self, storage: FullStorage, probe: Probe, change: str
    ) -> None:
        """Whatever changes a thread prolongs it; reading it does not."""
        thread = await a_thread(storage, ttl=1)
        key = thread.thread_id
        await probe.age("threads", timedelta(seconds=50))
        if change == "metadata":
            await storage.threads.update(key, metadata={}, owner=ALICE)
        elif change == "state":
            await storage.threads.add_state(key, {}, owner=ALICE)
        else:
            assistant = (await an_assistant(storage)).assistant_id
            _, lease = await storage.runs.begin(key, assistant, lease_s=60, owner=ALICE)
            assert lease is not None
            await storage.runs.finish(lease, "success", owner=ALICE)
        await probe.age("threads", timedelta(seconds=50))
        await storage.threads.get(key, owner=ALICE)
        await probe.age("threads", timedelta(seconds=11))
        await all_raise(NotFound, storage.threads.get(key, owner=ALICE))

    async def test_never_while_a_run_is_active(self, storage: FullStorage, probe: Probe) -> None:
        """A thread with a pending or a running run is there, and its time begins with their end."""
        thread = await a_thread(storage, ttl=1)
        key = thread.thread_id
        assistant = (await an_assistant(storage)).assistant_id
        await storage.runs.create(key, assistant, owner=ALICE)
        await probe.age("threads", 2 * MINUTE)
        assert await storage.threads.sweep() == 0
        claimed = await storage.runs.claim(lease_s=60)
        assert claimed is not None
        await probe.age("threads", 2 * MINUTE)
        assert await storage.threads.sweep() == 0
        await storage.runs.finish(claimed.lease, "success", owner=ALICE)
        await storage.threads.get(key, owner=ALICE)
        await probe.age("threads", 2 * MINUTE)
        assert await storage.threads.sweep() == 1

    @pytest.mark.invariant(65)
    @pytest.mark.parametrize("way", ["create", "do_nothing", "create_many", "run", "begin", "runs"])
    async def test_its_id_is_free(self, storage: FullStorage, probe: Probe, way: str) -> None:
        """Whoever uses an expired thread's id gets a thread with nothing of the old one."""
        old = await an_old_thread(storage, probe, metadata={"old": True})
        key = old.thread_id
        assistant = (await an_assistant(storage, owner=BOB)).assistant_id
        run: dict[str, Any] = {
            "thread_id": key,
            "assistant_id": assistant,
            "if_not_exists": "create",
        }
        if way == "create":
            await storage.threads.create(thread_id=key, owner=BOB)
        elif way == "do_nothing":
            await storage.threads.create(thread_id=key, if_exists="do_nothing", owner=BOB)
        elif way == "create_many":
            await storage.threads.create_many([{"thread_id": key}, {}], owner=BOB)
        elif way == "run":
            await storage.runs.create(**run, owner=BOB)
        elif way == "begin":
            await storage.runs.begin(**run, lease_s=60, owner=BOB)
        else:
            await storage.runs.create_many([run, run], owner=BOB)
        thread = await storage.threads.get(key, owner=BOB)
        assert "old" not in thread.metadata
        assert (thread.ttl, thread.values) == (None, None)
        assert await storage.threads.get_history(key, owner=BOB) == []
        assert await probe.count("crons") == 0
        assert await probe.count("runs", owner=ALICE) == 0

    async def test_a_refused_bulk_leaves_it(self, storage: FullStorage, probe: Probe) -> None:
        """A bulk that is refused has removed nothing, expired or not."""
        old, other = await an_old_thread(storage, probe), await a_thread(storage)
        rows = [{"thread_id": old.thread_id}, {"thread_id": other.thread_id}]
        create: dict[str, Any] = {"if_not_exists": "create", "assistant_id": new_id()}
        await all_raise(Conflict, storage.threads.create_many(rows, owner=ALICE))
        await all_raise(
            NotFound,
            storage.runs.create_many([{**row, **create} for row in rows], owner=ALICE),
        )
        assert await probe.count("threads", thread_id=old.thread_id) == 1
        assert await probe.count("thread_states", thread_id=old.thread_id) == 1

    @pytest.mark.invariant(65)
    async def test_a_sweep_takes_all_of_it(self, storage: FullStorage, probe: Probe) -> None:
        """A sweep removes the thread with its states, runs and crons, and nothing else."""
        await an_old_thread(storage, probe)
        stays = await a_thread(storage, ttl=60)
        assert await storage.threads.sweep() == 1
        for table in ("thread_states", "runs", "crons"):
            assert await probe.count(table) == 0, table
        assert [row["thread_id"] for row in await probe.rows("threads")] == [stays.thread_id]
        assert await storage.threads.sweep() == 0

    async def test_a_sweep_is_bounded(self, storage: FullStorage, probe: Probe) -> None:
        """A sweep takes as many as it may, of whom it may, removing first."""
        for owner in (ALICE, ALICE, BOB):
            await a_thread(storage, ttl=1, owner=owner)
        await a_thread(storage, ttl=KEEP_LATEST)
        await probe.age("threads", 2 * MINUTE)
        assert await storage.threads.sweep(limit=1, owner=ALICE) == 1
        assert await storage.threads.sweep(limit=2, owner=ALICE) == 2
        assert await storage.threads.sweep(owner=ALICE) == 0
        assert await storage.threads.sweep() == 1
        assert await probe.count("threads") == 1

    @pytest.mark.parametrize("strategy", ["delete", "keep_latest"])
    async def test_sweeps_at_once_share_the_work(
        self, storage: FullStorage, probe: Probe, strategy: Literal["delete", "keep_latest"]
    ) -> None:
        """Of several sweeps at once each thread is swept by one."""
        ttl = {"ttl": 1, "strategy": strategy}
        made = await storage.threads.create_many([{"ttl": ttl}] * 20, owner=ALICE)
        for n in range(2):
            await storage.threads.add_state(made[0].thread_id, {"n": n}, owner=ALICE)
        await probe.age("threads", 2 * MINUTE)
        swept, _ = await settle(storage.threads.sweep(limit=8) for _ in range(5))
        swept.append(await storage.threads.sweep())
        assert sum(swept) == 20
        assert await storage.threads.count(owner=ALICE) == (0 if strategy == "delete" else 20)
        assert await probe.count("thread_states") == (0 if strategy == "delete" else 1)

    async def test_keep_latest(self, storage: FullStorage, probe: Probe) -> None:
        """Of a thread that keeps its latest state a sweep leaves that, once for each rest."""
        thread = await a_thread(storage, ttl=KEEP_LATEST)
        key = thread.thread_id
        for n in range(3):
            await storage.threads.add_state(key, {"n": n}, owner=ALICE)
        assert await storage.threads.sweep() == 0
        await probe.age("threads", 2 * MINUTE)
        before = await storage.threads.get(key, owner=ALICE)
        assert await storage.threads.sweep() == 1
        assert await storage.threads.get(key, owner=ALICE) == before
        [state] = await storage.threads.get_history(key, owner=ALICE)
        assert state.values == {"n": 2}
        assert await storage.threads.sweep() == 0
        await storage.threads.add_state(key, {"n": 3}, owner=ALICE)
        await probe.age("threads", 2 * MINUTE)
        assert await storage.threads.sweep() == 1
        assert await probe.count("thread_states") == 1
