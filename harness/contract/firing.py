"""When crons fire, and what a firing makes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest

from harness.contract.base import Probe, StorageContract
from harness.contract.builders import ALICE, BOB, a_cron, a_thread, an_assistant, settle
from harness.contract.crons import DAY, the_next
from harness.models import CronFiring
from harness.storage.extensions import BulkCreate, CronQueue, FullStorage, RunQueue, RunRecords

MINUTE = timedelta(minutes=1)
YEAR = timedelta(days=366)
"""What makes every cron of a year due when it is aged by that much."""
NOON_ON = {0: 7, 7: 7, 1: 1, 3: 3, 6: 6}
"""Weekday numbers of cron, and the ISO weekday that each means."""


class CronScheduleContract(StorageContract):
    """What `next_run_date` promises: the next firing after now, in the cron's timezone."""

    @pytest.mark.invariant(36)
    async def test_every_minute(self, storage: FullStorage) -> None:
        """A cron of every minute is due at the next full minute."""
        cron = await a_cron(storage, schedule="* * * * *")
        assert timedelta() < the_next(cron) - cron.created_at <= MINUTE
        assert (the_next(cron).second, the_next(cron).microsecond) == (0, 0)

    @pytest.mark.invariant(36)
    async def test_seconds_stand_last(self, storage: FullStorage) -> None:
        """Six fields name the second in the sixth."""
        cron = await a_cron(storage, schedule="* * * * * 30")
        assert the_next(cron).second == 30
        assert timedelta() < the_next(cron) - cron.created_at <= MINUTE

    @pytest.mark.invariant(36)
    @pytest.mark.parametrize(("number", "weekday"), NOON_ON.items())
    async def test_weekday_numbers(self, storage: FullStorage, number: int, weekday: int) -> None:
        """0 and 7 are Sunday, 1 is Monday, 6 is Saturday."""
        cron = await a_cron(storage, schedule=f"0 12 * * {number}")
        assert the_next(cron).isoweekday() == weekday
        assert the_next(cron).hour == 12
        assert the_next(cron) - cron.created_at <= 7 * DAY

    @pytest.mark.invariant(36)
    @pytest.mark.parametrize("timezone", ["Asia/Kolkata", "America/New_York", "Pacific/Apia"])
    async def test_timezone(self, storage: FullStorage, timezone: str) -> None:
        """Hours are the timezone's."""
        cron = await a_cron(storage, schedule="30 9 * * *", timezone=timezone)
        local = the_next(cron).astimezone(ZoneInfo(timezone))
        assert (local.hour, local.minute) == (9, 30)
        assert timedelta() < the_next(cron) - cron.created_at <= 25 * timedelta(hours=1)

    @pytest.mark.invariant(35)
    async def test_end_time(self, storage: FullStorage) -> None:
        """There is no next date past the end, and one that falls on the end counts."""
        now = datetime.now(UTC)
        over = await a_cron(storage, end_time=now - DAY)
        assert over.next_run_date is None
        soon = await a_cron(storage, schedule="0 0 1 1 *", end_time=now + timedelta(seconds=1))
        assert soon.next_run_date is None
        yearly = await a_cron(storage, schedule="0 0 1 1 *")
        exact = await a_cron(storage, schedule="0 0 1 1 *", end_time=yearly.next_run_date)
        assert exact.next_run_date == yearly.next_run_date

    async def test_a_disabled_cron_has_a_next_date(self, storage: FullStorage) -> None:
        """The date is computed whether the cron is enabled or not."""
        assert (await a_cron(storage, enabled=False)).next_run_date is not None

    @pytest.mark.invariant(35)
    async def test_updates_recompute_the_next_date(self, storage: FullStorage) -> None:
        """A new schedule, timezone or end time has a new next date."""
        cron = await a_cron(storage, schedule="0 12 * * *")
        update = storage.crons.update
        moved = await update(cron.cron_id, schedule="0 13 * * *", owner=ALICE)
        assert the_next(moved).hour == 13
        moved = await update(cron.cron_id, timezone="Asia/Tokyo", owner=ALICE)
        assert the_next(moved).hour == 4
        ended = await update(cron.cron_id, end_time=datetime.now(UTC) - DAY, owner=ALICE)
        assert ended.next_run_date is None
        reopened = await update(cron.cron_id, end_time=None, owner=ALICE)
        assert the_next(reopened).hour == 4

    @pytest.mark.invariant(35)
    async def test_other_updates_keep_the_next_date(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A due date is not lost by a change of metadata, and is by switching the cron on."""
        cron = await a_cron(storage)
        await probe.age("crons", YEAR, cron_id=cron.cron_id)
        kept = await storage.crons.update(
            cron.cron_id, metadata={"n": 1}, payload={}, on_run_completed="keep", owner=ALICE
        )
        assert the_next(kept) == the_next(cron) - YEAR
        switched = await storage.crons.update(cron.cron_id, enabled=True, owner=ALICE)
        assert the_next(switched) > switched.updated_at


class CronFiringContract(StorageContract):
    """What `claim_due` promises: each due date makes one run, and moves on."""

    needs: ClassVar[frozenset[type]] = frozenset({BulkCreate, CronQueue, RunQueue, RunRecords})

    async def _fire(self, storage: FullStorage) -> CronFiring:
        [firing] = await storage.crons.claim_due()
        return firing

    @pytest.mark.invariant(35)
    async def test_nothing_is_due(self, storage: FullStorage, probe: Probe) -> None:
        """A cron whose date lies ahead does not fire."""
        await a_cron(storage, schedule="0 0 1 1 *")
        assert await storage.crons.claim_due() == []
        assert await probe.count("runs") == 0

    @pytest.mark.invariant(35)
    async def test_firing_without_a_thread(self, storage: FullStorage, probe: Probe) -> None:
        """A due cron makes a thread and a run on it, and has a next date in the future."""
        assistant = await an_assistant(storage, graph_id="counter")
        cron = await a_cron(
            storage,
            assistant_id=assistant.assistant_id,
            payload={"input": {"n": 1}, "metadata": {"team": "red"}},
        )
        await probe.age("crons", YEAR)
        firing = await self._fire(storage)
        assert firing.scheduled_for == the_next(cron) - YEAR
        assert firing.cron == await storage.crons.get(cron.cron_id, owner=ALICE)
        run = firing.run
        assert run == await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        assert run.assistant_id == assistant.assistant_id
        assert (run.status, run.multitask_strategy) == ("pending", "enqueue")
        assert run.kwargs == {
            "input": {"n": 1},
            "metadata": {"team": "red"},
            "on_completion": "delete",
        }
        assert run.metadata == {"team": "red", "owner": ALICE, "cron_id": cron.cron_id}
        assert run.due_at == run.created_at
        thread = await storage.threads.get(run.thread_id, owner=ALICE)
        assert thread.status == "busy"
        assert thread.metadata == {
            "owner": ALICE,
            "cron_id": cron.cron_id,
            "graph_id": "counter",
            "assistant_id": assistant.assistant_id,
        }

    @pytest.mark.invariant(35)
    async def test_firing_on_a_thread(self, storage: FullStorage, probe: Probe) -> None:
        """A cron of a thread queues its run there, and makes no other thread."""
        thread = await a_thread(storage, metadata={"topic": "x"})
        cron = await a_cron(
            storage,
            thread_id=thread.thread_id,
            payload={"input": None},
            on_run_completed="keep",
        )
        await probe.age("crons", YEAR)
        firing = await self._fire(storage)
        assert firing.run.thread_id == thread.thread_id
        assert firing.run.kwargs == {"input": None}
        after = await storage.threads.get(thread.thread_id, owner=ALICE)
        assert after.status == "busy"
        assert after.metadata == {
            "topic": "x",
            "owner": ALICE,
            "graph_id": "agent",
            "assistant_id": cron.assistant_id,
        }
        assert await probe.count("threads") == 1

    async def test_a_threads_fate_is_told_to_the_run(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A run on a thread of its own knows whether the thread is to be kept."""
        await a_cron(storage, on_run_completed="keep")
        await probe.age("crons", YEAR)
        assert (await self._fire(storage)).run.kwargs == {"on_completion": "keep"}

    @pytest.mark.invariant(35)
    async def test_missed_dates_are_one_firing(self, storage: FullStorage, probe: Probe) -> None:
        """After a day without a scheduler a cron of every minute fires once."""
        cron = await a_cron(storage, schedule="* * * * *")
        await probe.age("crons", DAY)
        firing = await self._fire(storage)
        assert timedelta() < the_next(firing.cron) - firing.run.created_at <= MINUTE
        assert firing.cron.cron_id == cron.cron_id
        assert await probe.count("runs") == 1

    @pytest.mark.invariant(35)
    async def test_end_time_is_kept(self, storage: FullStorage, probe: Probe) -> None:
        """A cron with an end fires until then; the last firing leaves no next date."""
        open_ended = await a_cron(
            storage, schedule="* * * * *", end_time=datetime.now(UTC) + 30 * DAY
        )
        await probe.age("crons", DAY)
        assert (await self._fire(storage)).cron.next_run_date is not None
        await storage.crons.delete(open_ended.cron_id, owner=ALICE)
        closing = await a_cron(
            storage, schedule="* * * * *", end_time=datetime.now(UTC) + timedelta(hours=1)
        )
        await probe.age("crons", 2 * timedelta(hours=1), cron_id=closing.cron_id)
        firing = await self._fire(storage)
        assert firing.cron.next_run_date is None
        assert await storage.crons.claim_due() == []

    async def test_disabled_crons_do_not_fire(self, storage: FullStorage, probe: Probe) -> None:
        """A cron that is switched off makes no run, however long it has been due."""
        await a_cron(storage, enabled=False)
        await probe.age("crons", YEAR)
        assert await storage.crons.claim_due() == []
        assert await probe.count("runs") == 0

    async def test_oldest_first_up_to_the_limit(self, storage: FullStorage, probe: Probe) -> None:
        """A limited claim takes those that have been due longest."""
        crons = [await a_cron(storage) for _ in range(3)]
        for years, cron in zip((1, 3, 2), crons, strict=True):
            await probe.age("crons", years * YEAR, cron_id=cron.cron_id)
        fired = await storage.crons.claim_due(limit=2)
        assert [firing.cron.cron_id for firing in fired] == [crons[1].cron_id, crons[2].cron_id]
        assert (await self._fire(storage)).cron.cron_id == crons[0].cron_id

    async def test_claim_of_one_owner(self, storage: FullStorage, probe: Probe) -> None:
        """A claim for an owner fires that owner's crons, and the runs are that owner's."""
        await a_cron(storage, owner=ALICE)
        bobs = await a_cron(storage, owner=BOB)
        await probe.age("crons", YEAR)
        [firing] = await storage.crons.claim_due(owner=BOB)
        assert firing.cron.cron_id == bobs.cron_id
        assert firing.run.metadata["owner"] == BOB
        assert len(await storage.runs.search(owner=BOB)) == 1
        assert await storage.runs.search(owner=ALICE) == []

    @pytest.mark.invariant(14)
    async def test_a_system_assistant_on_schedule(self, storage: FullStorage, probe: Probe) -> None:
        """Everybody may schedule a system assistant; the runs are whose the cron is."""
        shared = await an_assistant(storage, owner="system")
        await a_cron(storage, assistant_id=shared.assistant_id, owner=ALICE)
        await probe.age("crons", YEAR)
        firing = await self._fire(storage)
        assert firing.run.metadata["owner"] == ALICE
        assert await storage.runs.search(owner=ALICE) == [firing.run]

    @pytest.mark.invariant(35)
    async def test_concurrent_claims_fire_once(self, storage: FullStorage, probe: Probe) -> None:
        """Five schedulers at once fire each of twenty due crons exactly once."""
        assistant = await an_assistant(storage)
        thread = await a_thread(storage)
        row = {"assistant_id": assistant.assistant_id, "schedule": "0 0 1 1 *"}
        await storage.crons.create_many(
            [row] * 10 + [{**row, "thread_id": thread.thread_id}] * 10, owner=ALICE
        )
        await probe.age("crons", YEAR)
        claims, _ = await settle(storage.crons.claim_due(limit=10) for _ in range(5))
        fired = [firing.cron.cron_id for claim in claims for firing in claim]
        fired += [firing.cron.cron_id for firing in await storage.crons.claim_due()]
        assert await storage.crons.claim_due() == []
        assert len(fired) == len(set(fired)) == 20
        assert await probe.count("runs") == 20

    async def test_a_fired_run_can_be_claimed(self, storage: FullStorage, probe: Probe) -> None:
        """What a cron made stands in the queue at once."""
        await a_cron(storage)
        await probe.age("crons", YEAR)
        firing = await self._fire(storage)
        claim = await asyncio.wait_for(storage.runs.claim(lease_s=60), timeout=60)
        assert claim is not None
        assert claim.run.run_id == firing.run.run_id

    async def test_deleting_the_cron_leaves_its_runs(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Runs outlive the cron that made them."""
        cron = await a_cron(storage)
        await probe.age("crons", YEAR)
        run = (await self._fire(storage)).run
        await storage.crons.delete(cron.cron_id, owner=ALICE)
        assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == run
