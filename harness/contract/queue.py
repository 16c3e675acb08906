"""The run queue: claims, leases, and what happens when a worker is gone."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
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
    new_id,
    settle,
)
from harness.errors import Conflict, InvalidInput, LeaseLost, NotFound
from harness.models import ClaimedRun, Lease, Run
from harness.storage.extensions import BulkCreate, FullStorage, RunQueue, RunRecords

HOUR = timedelta(hours=1)


async def claimed(
    storage: FullStorage,
    *,
    lease_s: float = 60,
    owner: str | None = None,
    full: Collection[str] = (),
) -> ClaimedRun:
    """Claim a run, which must be there."""
    claim = await storage.runs.claim(lease_s=lease_s, owner=owner, full=full)
    assert claim is not None
    return claim


class RunQueueContract(StorageContract):
    """What `claim` promises: each run to one worker, in order, one at a time for each thread."""

    needs: ClassVar[frozenset[type]] = frozenset({BulkCreate, RunQueue, RunRecords})

    async def test_claim(self, storage: FullStorage) -> None:
        """A claimed run is running, its attempt counted, under a lease of the time asked for."""
        run = await a_run(storage, kwargs={"input": {"n": 1}})
        claim = await claimed(storage, lease_s=30)
        assert claim.run == await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        assert claim.run.run_id == run.run_id
        assert (claim.run.status, claim.run.attempt) == ("running", 1)
        assert claim.run.kwargs == {"input": {"n": 1}}
        assert (claim.lease.run_id, claim.lease.thread_id) == (run.run_id, run.thread_id)
        assert claim.lease.attempt == 1
        until = (claim.lease.expires_at - claim.run.updated_at).total_seconds()
        assert until == pytest.approx(30, abs=1)

    async def test_nothing_to_claim(self, storage: FullStorage) -> None:
        """Without a run that may run there is no claim."""
        assert await storage.runs.claim(lease_s=60) is None
        await a_run(storage)
        await claimed(storage)
        assert await storage.runs.claim(lease_s=60) is None

    async def test_oldest_first(self, storage: FullStorage) -> None:
        """An owner's runs are claimed in the order they were created, across threads."""
        runs = [await a_run(storage) for _ in range(3)]
        order = [(await claimed(storage)).run.run_id for _ in runs]
        assert order == [run.run_id for run in runs]

    @pytest.mark.invariant(58)
    async def test_owners_take_turns(self, storage: FullStorage, probe: Probe) -> None:
        """Each owner who waits is served once a round, with the oldest run; a lost one counts."""
        queued = {
            owner: [(await a_run(storage, owner=owner)).run_id for _ in range(count)]
            for owner, count in (("mallory", 5), (BOB, 2), (ALICE, 3), ("\U0001f600", 1))
        }
        order = [(await claimed(storage)).run for _ in range(11)]
        for owner, mine in queued.items():
            assert [run.run_id for run in order if run.metadata["owner"] == owner] == mine
        for start, end in ((0, 4), (4, 7), (7, 9)):
            names = [run.metadata["owner"] for run in order[start:end]]
            assert names == sorted(set(names))
        await a_run(storage, owner=BOB)
        for owner in ("mallory", ALICE):
            await probe.age("runs", HOUR, run_id=queued[owner][0])
        again = [(await claimed(storage)).run.metadata["owner"] for _ in range(3)]
        assert again == [ALICE, BOB, "mallory"]  # after mallory, who was the last

    @pytest.mark.invariant(58)
    async def test_a_new_owner_waits_for_one_run_of_each(self, storage: FullStorage) -> None:
        """However long the queues are, whoever comes last is served within one round."""
        for owner in ("m1", "m2", "m3"):
            await self._many(storage, 8, owner=owner)
        for _ in range(4):
            await claimed(storage)
        await a_run(storage, owner=ALICE)
        round_of_all = [(await claimed(storage)).run.metadata["owner"] for _ in range(4)]
        assert sorted(round_of_all) == [ALICE, "m1", "m2", "m3"]

    @pytest.mark.invariant(58)
    async def test_who_has_enough_is_passed_over(self, storage: FullStorage, probe: Probe) -> None:
        """Owners named in `full` get nothing, also of lost runs; the others take their turns."""
        owners = ["a", "b", "c", "d"]
        for owner in owners:
            await self._many(storage, 3, owner=owner)
        lost = await claimed(storage)
        await probe.age("runs", HOUR, run_id=lost.run.run_id)
        for full, expected in (
            (["a", "c"], ["b", "d", "b"]),
            (["d", "b", "b"], ["c", "a", "c"]),
            (["nobody"], ["d", "a"]),
        ):
            order = [await claimed(storage, full=full) for _ in expected]
            assert [claim.run.metadata["owner"] for claim in order] == expected
        assert await storage.runs.claim(lease_s=60, full=owners) is None
        assert await storage.runs.claim(lease_s=60, owner="d", full=["d"]) is None
        with pytest.raises(InvalidInput):
            await storage.runs.claim(lease_s=60, full=[""])

    async def _many(self, storage: FullStorage, count: int, *, owner: str) -> None:
        assistant = await an_assistant(storage, owner=owner)
        row = {"assistant_id": assistant.assistant_id, "if_not_exists": "create"}
        await storage.runs.create_many(
            [{**row, "thread_id": new_id()} for _ in range(count)], owner=owner
        )

    @pytest.mark.invariant(22)
    async def test_equal_times_are_claimed_by_id(self, storage: FullStorage) -> None:
        """Runs of one moment are claimed in the order of their ids."""
        assistant = await an_assistant(storage)
        rows = [
            {
                "thread_id": new_id(),
                "assistant_id": assistant.assistant_id,
                "if_not_exists": "create",
                "run_id": new_id(),
            }
            for _ in range(5)
        ]
        await storage.runs.create_many(rows, owner=ALICE)
        order = [(await claimed(storage)).run.run_id for _ in rows]
        assert order == sorted(row["run_id"] for row in rows)

    async def test_one_run_a_thread_at_a_time(self, storage: FullStorage) -> None:
        """The second run of a thread is not claimed before the first has ended."""
        first = await a_run(storage)
        second = await a_run(storage, thread_id=first.thread_id, assistant_id=first.assistant_id)
        other = await a_run(storage)
        claim = await claimed(storage)
        assert claim.run.run_id == first.run_id
        assert (await claimed(storage)).run.run_id == other.run_id
        assert await storage.runs.claim(lease_s=60) is None
        await storage.runs.finish(claim.lease, "success", owner=ALICE)
        assert (await claimed(storage)).run.run_id == second.run_id

    async def test_a_run_is_not_claimed_before_it_is_due(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A run waits for its `after_seconds`, and does not hold up what is due behind it."""
        later = await a_run(storage, after_seconds=1800)
        due = await a_run(storage, thread_id=later.thread_id, assistant_id=later.assistant_id)
        claim = await claimed(storage)
        assert claim.run.run_id == due.run_id
        await storage.runs.finish(claim.lease, "success", owner=ALICE)
        assert await storage.runs.claim(lease_s=60) is None
        await probe.age("runs", HOUR, run_id=later.run_id)
        assert (await claimed(storage)).run.run_id == later.run_id

    async def test_claim_of_one_owner(self, storage: FullStorage) -> None:
        """A claim for an owner takes that owner's runs only."""
        await a_run(storage, owner=ALICE)
        bobs = await a_run(storage, owner=BOB)
        assert (await claimed(storage, owner=BOB)).run.run_id == bobs.run_id
        assert await storage.runs.claim(lease_s=60, owner=BOB) is None

    async def test_a_running_run_without_a_lease_is_nobodys(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """What was set running by hand is not claimed, however old it is."""
        run = await a_run(storage)
        await storage.runs.update_status(run.thread_id, run.run_id, "running", owner=ALICE)
        await probe.age("runs", HOUR, run_id=run.run_id)
        assert await storage.runs.claim(lease_s=60) is None

    async def test_ended_runs_are_not_claimed(self, storage: FullStorage, probe: Probe) -> None:
        """A run that has ended, cancelled while pending or after its claim, stays ended."""
        waiting = await a_run(storage)
        await storage.runs.update_status(
            waiting.thread_id, waiting.run_id, "interrupted", owner=ALICE
        )
        run = await a_run(storage)
        await storage.runs.finish((await claimed(storage)).lease, "success", owner=ALICE)
        for one in (waiting, run):
            await probe.age("runs", HOUR, run_id=one.run_id)
        assert await storage.runs.claim(lease_s=60) is None

    async def test_concurrent_claims_take_each_run_once(self, storage: FullStorage) -> None:
        """Thirty claims of twenty runs: each run goes to one worker."""
        assistant = await an_assistant(storage)
        runs = await storage.runs.create_many(
            [
                {
                    "thread_id": new_id(),
                    "assistant_id": assistant.assistant_id,
                    "if_not_exists": "create",
                }
                for _ in range(20)
            ],
            owner=ALICE,
        )
        claims, _ = await settle(storage.runs.claim(lease_s=60) for _ in range(30))
        taken = [claim.run.run_id for claim in claims if claim is not None]
        assert len(set(taken)) == len(taken)
        taken += [(await claimed(storage)).run.run_id for _ in runs[len(taken) :]]
        assert await storage.runs.claim(lease_s=60) is None
        assert sorted(taken) == sorted(run.run_id for run in runs)

    async def test_concurrent_claims_of_one_thread(self, storage: FullStorage) -> None:
        """However many workers ask, one run of a thread is running: the oldest."""
        first = await a_run(storage)
        await storage.runs.create_many(
            [{"thread_id": first.thread_id, "assistant_id": first.assistant_id}] * 9, owner=ALICE
        )
        claims, _ = await settle(storage.runs.claim(lease_s=60) for _ in range(10))
        [claim] = [claim for claim in claims if claim is not None]
        assert claim.run.run_id == first.run_id
        assert await storage.runs.count(status="running", owner=ALICE) == 1

    @pytest.mark.parametrize("lease_s", [0, -1, float("nan"), float("inf"), "60", None, True])
    async def test_bad_lease_time(self, storage: FullStorage, lease_s: object) -> None:
        """A lease lasts a number of seconds above 0; nothing is claimed for less."""
        run = await a_run(storage)
        with pytest.raises(InvalidInput):
            await storage.runs.claim(lease_s=lease_s)  # type: ignore[arg-type]  # wrong on purpose
        assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == run


class LeaseContract(StorageContract):
    """What a lease promises: only its holder writes, and only while it is the current one."""

    needs: ClassVar[frozenset[type]] = frozenset({RunQueue, RunRecords})

    async def _leased(self, storage: FullStorage) -> tuple[Run, Lease]:
        run = await a_run(storage)
        return run, (await claimed(storage)).lease

    async def _lost(self, storage: FullStorage, lease: Lease, owner: str = ALICE) -> None:
        """Show that a lease is good for nothing."""
        await all_raise(
            LeaseLost,
            storage.runs.heartbeat(lease, lease_s=60, owner=owner),
            storage.runs.hand_back(lease, owner=owner),
            storage.runs.finish(lease, "success", owner=owner),
        )

    async def test_heartbeat_prolongs(self, storage: FullStorage) -> None:
        """A heartbeat moves the lease's end and keeps its token and attempt."""
        run, lease = await self._leased(storage)
        longer = await storage.runs.heartbeat(lease, lease_s=600, owner=ALICE)
        assert longer.expires_at - lease.expires_at > timedelta(minutes=8)
        assert replace(longer, expires_at=lease.expires_at) == lease
        ended = await storage.runs.finish(lease, "success", owner=ALICE)
        assert ended == await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)

    async def test_heartbeat_keeps_others_away(self, storage: FullStorage, probe: Probe) -> None:
        """A lease that was prolonged in time is not taken over."""
        run, lease = await self._leased(storage)
        await probe.age("runs", timedelta(seconds=59), run_id=run.run_id)
        await storage.runs.heartbeat(lease, lease_s=60, owner=ALICE)
        await probe.age("runs", timedelta(seconds=30), run_id=run.run_id)
        assert await storage.runs.claim(lease_s=60) is None

    async def test_finish(self, storage: FullStorage) -> None:
        """The holder ends the run, with its error and the thread's status."""
        run, lease = await self._leased(storage)
        ended = await storage.runs.finish(
            lease, "error", error="boom", thread_status="interrupted", owner=ALICE
        )
        assert (ended.status, ended.error, ended.attempt) == ("error", "boom", 1)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "interrupted"
        await self._lost(storage, lease)

    async def test_finish_is_an_end(self, storage: FullStorage) -> None:
        """A run is not finished as pending or running."""
        _, lease = await self._leased(storage)
        for status in ("pending", "running", "done"):
            with pytest.raises(InvalidInput):
                await storage.runs.finish(lease, status, owner=ALICE)  # type: ignore[arg-type]  # wrong on purpose
        assert (await storage.runs.finish(lease, "success", owner=ALICE)).status == "success"

    async def test_discard(self, storage: FullStorage) -> None:
        """The holder removes the run's thread with all that is of it, and nobody else's."""
        run, lease = await self._leased(storage)
        other, address = await a_run(storage), (run.thread_id, run.run_id)
        with pytest.raises(NotFound):
            await storage.runs.discard(*address, lease=lease, owner=BOB)
        await storage.runs.discard(*address, lease=lease, owner=ALICE)
        await all_raise(
            NotFound,
            storage.threads.get(run.thread_id, owner=ALICE),
            storage.runs.get(*address, owner=ALICE),
            storage.runs.discard(*address, lease=lease, owner=ALICE),
            storage.runs.discard(*address, owner=ALICE),
        )
        assert (await storage.runs.get(other.thread_id, other.run_id, owner=ALICE)) == other

    @pytest.mark.invariant(38)
    async def test_discard_knows_the_thread_by_its_run(self, storage: FullStorage) -> None:
        """A thread that took the id of one that was deleted is another one, and stays."""
        run, lease = await self._leased(storage)
        await storage.threads.delete(run.thread_id, owner=ALICE)
        anew = await storage.threads.create(thread_id=run.thread_id, owner=ALICE)
        for held in (lease, None):
            with pytest.raises(NotFound):
                await storage.runs.discard(run.thread_id, run.run_id, lease=held, owner=ALICE)
        assert await storage.threads.get(run.thread_id, owner=ALICE) == anew

    async def test_discard_under_a_lost_lease(self, storage: FullStorage) -> None:
        """Who has lost the run removes nothing; without a lease it is removed in any status."""
        for ends in ("success", "interrupted"):
            run, lease = await self._leased(storage)
            await storage.runs.update_status(run.thread_id, run.run_id, ends, owner=ALICE)
            with pytest.raises(LeaseLost):
                await storage.runs.discard(run.thread_id, run.run_id, lease=lease, owner=ALICE)
            assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "idle"
            await storage.runs.discard(run.thread_id, run.run_id, owner=ALICE)
        for claims in (0, 1):
            run = await a_run(storage)
            for _ in range(claims):
                await claimed(storage)
            await storage.runs.discard(run.thread_id, run.run_id, owner=ALICE)
        assert await storage.threads.count(owner=ALICE) == 0

    async def test_hand_back(self, storage: FullStorage) -> None:
        """A run handed back waits again, with its attempt; the next claim counts one more."""
        run, lease = await self._leased(storage)
        back = await storage.runs.hand_back(lease, owner=ALICE)
        assert (back.status, back.attempt) == ("pending", 1)
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "busy"
        await self._lost(storage, lease)
        again = await claimed(storage)
        assert (again.run.run_id, again.run.attempt, again.lease.attempt) == (run.run_id, 2, 2)
        assert again.lease.token != lease.token

    @pytest.mark.invariant(26)
    async def test_takeover_after_expiry(self, storage: FullStorage, probe: Probe) -> None:
        """A run whose lease ran out goes to the next worker, and the first one's word is void."""
        run, stale = await self._leased(storage)
        assert await storage.runs.claim(lease_s=60) is None
        await probe.age("runs", HOUR, run_id=run.run_id)
        takeover = await claimed(storage)
        assert (takeover.run.run_id, takeover.run.attempt) == (run.run_id, 2)
        await self._lost(storage, stale)
        ended = await storage.runs.finish(takeover.lease, "success", owner=ALICE)
        assert (ended.status, ended.attempt) == ("success", 2)

    async def test_a_lease_of_a_moment(self, storage: FullStorage) -> None:
        """A lease may be as short as one likes: it is over, and the next worker has the run."""
        run = await a_run(storage)
        short = await claimed(storage, lease_s=1e-6)
        takeover = await claimed(storage)
        assert takeover.run.run_id == short.run.run_id == run.run_id
        assert takeover.lease.attempt == 2
        await self._lost(storage, short.lease)

    async def test_of_concurrent_takeovers_one_wins(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """Ten workers after one expired lease: one has the run."""
        run, _ = await self._leased(storage)
        await probe.age("runs", HOUR, run_id=run.run_id)
        claims, _ = await settle(storage.runs.claim(lease_s=60) for _ in range(10))
        [claim] = [claim for claim in claims if claim is not None]
        assert claim.run.attempt == 2

    async def test_an_expired_lease_that_nobody_took_is_good(
        self, storage: FullStorage, probe: Probe
    ) -> None:
        """A worker that comes late, but before anybody else, may go on."""
        run, lease = await self._leased(storage)
        await probe.age("runs", HOUR, run_id=run.run_id)
        await storage.runs.heartbeat(lease, lease_s=60, owner=ALICE)
        assert await storage.runs.claim(lease_s=60) is None
        await probe.age("runs", HOUR, run_id=run.run_id)
        assert (await storage.runs.finish(lease, "success", owner=ALICE)).status == "success"

    @pytest.mark.invariant(26)
    async def test_cancel_while_leased(self, storage: FullStorage) -> None:
        """A run cancelled from outside is ended, and its worker has lost it."""
        run, lease = await self._leased(storage)
        cancelled = await storage.runs.update_status(
            run.thread_id, run.run_id, "interrupted", owner=ALICE
        )
        await self._lost(storage, lease)
        assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == cancelled
        assert (await storage.threads.get(run.thread_id, owner=ALICE)).status == "idle"

    @pytest.mark.invariant(26)
    async def test_cancel_against_finish(self, storage: FullStorage) -> None:
        """Of a cancel and a finish at the same time one is the end, and the other is told."""
        for _ in range(5):
            run, lease = await self._leased(storage)
            ended, refused = await settle(
                (
                    storage.runs.finish(lease, "success", owner=ALICE),
                    storage.runs.update_status(
                        run.thread_id, run.run_id, "interrupted", owner=ALICE
                    ),
                ),
                expect=(Conflict, LeaseLost),
            )
            assert (len(ended), len(refused)) == (1, 1)
            assert await storage.runs.get(run.thread_id, run.run_id, owner=ALICE) == ended[0]

    async def test_lease_of_a_run_that_is_gone(self, storage: FullStorage) -> None:
        """A lease on a run that was deleted, or whose thread was, is lost."""
        run, lease = await self._leased(storage)
        await storage.runs.delete(run.thread_id, run.run_id, owner=ALICE)
        await self._lost(storage, lease)
        run, lease = await self._leased(storage)
        await storage.threads.delete(run.thread_id, owner=ALICE)
        await self._lost(storage, lease)

    @pytest.mark.invariant(6)
    async def test_a_lease_is_its_owners(self, storage: FullStorage) -> None:
        """Another owner, a wrong token, and another run's lease are good for nothing."""
        run, lease = await self._leased(storage)
        _, other = await self._leased(storage)
        await self._lost(storage, lease, owner=BOB)
        await self._lost(storage, lease, owner="system")
        await self._lost(storage, replace(lease, token=new_id()))
        await self._lost(storage, replace(lease, token="no token at all"))  # noqa: S106 -- not a password
        await self._lost(storage, replace(lease, token=other.token))
        running = await storage.runs.get(run.thread_id, run.run_id, owner=ALICE)
        assert running.status == "running"
        assert (await storage.runs.finish(lease, "success", owner=ALICE)).status == "success"

    async def test_a_lease_is_a_lease(self, storage: FullStorage) -> None:
        """What is no lease is refused."""
        with pytest.raises(InvalidInput):
            await storage.runs.hand_back({"run_id": new_id()}, owner=ALICE)  # type: ignore[arg-type]  # wrong on purpose

    async def test_hand_back_keeps_the_queue_in_order(self, storage: FullStorage) -> None:
        """A run that was handed back is still before those created after it."""
        first = await a_run(storage)
        thread = await a_thread(storage)
        await a_run(storage, thread_id=thread.thread_id, assistant_id=first.assistant_id)
        await storage.runs.hand_back((await claimed(storage)).lease, owner=ALICE)
        assert (await claimed(storage)).run.run_id == first.run_id
