"""The executor over storage, in this process: leases and launches, which no caller sees."""

import asyncio
import time
from typing import Any

import pytest
from langgraph.types import StateUpdate

from harness.config import ServerConfig
from harness.errors import Conflict, LeaseLost, NotFound
from harness.models import Run
from harness.persistence import AgentStore, PooledSaver
from harness.server.execution.channel import Channel
from harness.server.execution.execution import Execution
from harness.server.graphs import Graphs
from harness.server.threads.places import Place
from harness.server.threads.states import States
from tests.integration.executing import OWNER, SERVED, SLOW, Bench

pytest_plugins = ("tests.integration.executing_fixtures", "tests.integration.serving_fixtures")
pytestmark = pytest.mark.slow_in_memory


async def test_a_run_and_an_update_do_not_overlap(bench: Bench) -> None:
    """Whichever comes first, the other goes on from it, or is refused; nothing is lost."""
    async with bench.executor() as executor:
        graphs = Graphs(SERVED, bench.saver, AgentStore(bench.storage))
        states = States(bench.storage, graphs, bench.saver, executor.turns, owner=OWNER)

        async def update(thread_id: str) -> bool:
            step = [StateUpdate({"messages": [("user", "an update")]}, "summarize")]
            try:
                await states.update(thread_id, [step], Place())
            except Conflict:
                return False
            return True

        async def run(on: Run, turns: int) -> Run:
            for _ in range(turns):
                await asyncio.sleep(0)
            asked = {"messages": [{"role": "user", "content": "a run"}]}
            return await bench.ended(executor, await bench.create("agent", asked, on=on))

        updated = 0
        for turns in range(0, 60, 6):
            first = await bench.ended(executor, await bench.create("agent", {"messages": []}))
            was_written, _ = await asyncio.gather(update(first.thread_id), run(first, turns))
            updated += was_written
            values: Any = (await bench.assert_head(first)).values
            said = [m["content"] for m in values["messages"] if m["type"] == "human"]
            assert sorted(said) == ["a run", *(["an update"] if was_written else [])]
        assert updated


async def test_who_stood_still_writes_nothing(bench: Bench) -> None:
    """A process that stopped beyond its lease leaves alone a run that another has taken up (28)."""
    if not isinstance(bench.saver, PooledSaver):
        pytest.skip("memory is of one process")
    run = await bench.create("steps", {"steps": 3})
    stale = await bench.storage.runs.claim(lease_s=0.01)
    assert stale is not None
    taken_up = None
    while taken_up is None:
        taken_up = await bench.storage.runs.claim(lease_s=60)
    execution = Execution(
        stale,
        bench.storage,
        Graphs(SERVED, bench.saver, AgentStore(bench.storage)),
        bench.saver,
        Channel(run.thread_id, run.run_id, resumable=False),
        limits=ServerConfig(),
        lease_s=60,
        claimed_at_s=time.monotonic() - 60,
    )
    with pytest.raises(LeaseLost):
        await execution.carry_out()
    assert await bench.saver.aget_tuple({"configurable": {"thread_id": run.thread_id}}) is None


async def test_a_limit_that_was_stored_is_bounded(bench: Bench) -> None:
    """A run takes no more supersteps than the server allows, whatever was stored with it (58)."""
    for config in ({"recursion_limit": 10**12}, {}):
        async with bench.executor(max_recursion_limit=5) as executor:
            run = await bench.ended(
                executor, await bench.create("steps", {"steps": 50}, config=config)
            )
        assert run.status == "error"
        assert run.error is not None
        assert run.error.startswith("GraphRecursionError: Recursion limit of 5 ")


async def test_what_will_not_stop_is_handed_back(bench: Bench) -> None:
    """A node that takes no cancelling holds up neither the end nor the next process (25)."""
    async with bench.executor() as executor:
        run = await bench.create("stubborn", {"messages": []})
        executor.wake()
        async for _ in bench.channel(executor, run).read():
            break
        await executor.stop(0.1)
        left = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
        assert (left.status, left.attempt) == ("pending", 1)
    taken_up = await bench.storage.runs.claim(lease_s=60)
    assert taken_up is not None
    assert taken_up.run.run_id == run.run_id


async def test_a_step_is_finished_before_the_end(bench: Bench) -> None:
    """A stopped executor hands its runs back between two steps, and the next one goes on."""
    run = await bench.create("steps", {"steps": 8, "delay_s": 0.1})
    async with bench.executor() as executor:
        await bench.begun(executor, run, step=2)
        await executor.stop(10)
        done = await bench.done(run)
        assert done == [1, 2, 3]
        found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
        assert found.status == "pending"
    async with bench.executor() as executor:
        ended = await bench.ended(executor, run)
    assert (ended.status, ended.attempt) == ("success", 2)
    assert await bench.done(run) == [*range(1, 9)]


async def test_a_step_that_takes_too_long_is_cut_off(bench: Bench) -> None:
    """It is handed back within the grace period all the same."""
    run = await bench.create("steps", {"steps": 2, "delay_s": 60})
    async with bench.executor() as executor:
        await bench.begun(executor, run, step=0)
        await executor.stop(0.4)
        found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
        assert found.status == "pending"


async def test_an_end_does_not_wait_for_a_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor that is stopped while it claims ends with the claim."""
    claim, claiming, may_claim = bench.storage.runs.claim, asyncio.Event(), asyncio.Event()

    async def slow(**asked: Any) -> Any:
        claiming.set()
        await may_claim.wait()
        return await claim(**asked)

    monkeypatch.setattr(bench.storage.runs, "claim", slow)
    an_hour = 3_600.0
    async with bench.executor(lease_s=4 * an_hour, grace_s=an_hour, poll_s=an_hour) as executor:
        await claiming.wait()
        stopping = asyncio.create_task(executor.stop(an_hour))
        await asyncio.sleep(0)  # it has asked for the end
        may_claim.set()
        async with asyncio.timeout(20):
            await stopping


async def test_a_run_that_is_ended_elsewhere_stops_here(bench: Bench) -> None:
    """Its lease is lost: nothing is executed or written any more, and readers are let go."""
    async with bench.executor(lease_s=0.3) as executor:
        run = await bench.create("steps", SLOW)
        await bench.begun(executor, run)
        channel = bench.channel(executor, run)
        await bench.storage.runs.update_status(run.thread_id, run.run_id, "timeout", owner=OWNER)
        assert (await channel.wait()).status == "timeout"
        done = await bench.done(run)
        await bench.ended(executor, await bench.create("steps", {"steps": 4, "delay_s": 0.05}))
        assert await bench.done(run) == done
        found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
        assert found.status == "timeout"


LOST: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sync": ("steps", {"steps": 1_000, "delay_s": 0.05}, {"durability": "sync"}),
    "async": ("steps", {"steps": 1_000, "delay_s": 0.05}, {"durability": "async"}),
    "exit": ("steps", {"steps": 8, "delay_s": 0.05}, {"durability": "exit"}),
    "in a thread": ("inside", {"messages": []}, {}),
}


@pytest.mark.parametrize("how", LOST)
async def test_a_write_that_is_refused_stops_the_run(bench: Bench, how: str) -> None:
    """Long before a heartbeat: it is not executed any more, and does not end as an error."""
    graph, given, more = LOST[how]
    async with bench.executor(lease_s=600) as executor:
        run = await bench.create(graph, given, **more)
        channel = bench.channel(executor, run)
        if how == "exit":
            await bench.begun(executor, run)
        executor.wake()
        while how != "exit" and await bench.checkpoints(run) < 3:  # noqa: ASYNC110 -- no event
            await asyncio.sleep(0.01)
        await bench.storage.runs.update_status(run.thread_id, run.run_id, "timeout", owner=OWNER)
        had = await bench.checkpoints(run)
        async with asyncio.timeout(20):  # executed to its end it takes longer
            assert (await channel.wait()).status == "timeout"
        assert await bench.checkpoints(run) == had
    found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
    assert (found.status, found.error) == ("timeout", None)


@pytest.mark.slow
async def test_a_lease_is_kept(bench: Bench) -> None:
    """A run that takes longer than its lease is executed once, beside other executors."""
    async with bench.executor(lease_s=2) as executor, bench.executor(lease_s=2) as other:
        run = await bench.create("steps", {"steps": 25, "delay_s": 0.1})
        executor.wake()
        await bench.channel(other, run).wait()
        found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
        assert (found.status, found.attempt) == ("success", 1)


async def test_code_that_blocks_is_executed_once(bench: Bench) -> None:
    """A loop that stands still for longer than a lease claims none of its runs again."""
    async with bench.executor(lease_s=1.0) as executor:
        run = await bench.create("steps", {"steps": 10, "delay_s": 0.05})
        await bench.begun(executor, run)
        time.sleep(1.5)  # noqa: ASYNC251 -- as a node may
        ended = await bench.ended(executor, run)
        assert (ended.status, ended.attempt) == ("success", 1)
        assert await bench.done(run) == [*range(1, 11)]


async def test_two_executors_share_a_queue(bench: Bench) -> None:
    """Each run is executed once, and whoever follows it hears of its end in either."""
    async with bench.executor() as one, bench.executor() as other:
        runs = [await bench.create("steps", {"steps": 1}) for _ in range(12)]
        one.wake()
        other.wake()
        outcomes = await asyncio.gather(*(bench.channel(one, run).wait() for run in runs))
        assert {outcome.status for outcome in outcomes} == {"success"}
        for run in runs:
            found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
            assert (found.status, found.attempt) == ("success", 1)


async def test_one_that_may_execute_nothing_leaves_it_to_others(bench: Bench) -> None:
    """It hears of the end of runs that others execute, and has nothing to wait for at its own."""
    an_hour = 3_600.0
    async with bench.executor(concurrency=0, grace_s=an_hour) as idle:
        run = await bench.create("steps", {"steps": 1})
        idle.wake()
        async with bench.executor() as busy:
            busy.wake()
            outcome = await bench.channel(idle, run).wait()
        assert outcome.status == "success"


class TestLaunch:
    """A run that is created where it is executed."""

    async def test_at_once(self, bench: Bench) -> None:
        """On an idle thread it runs from the beginning, and no claim comes in between."""
        async with bench.executor() as executor:
            run = await bench.launch(executor, "steps", {"steps": 2})
            assert (run.status, run.attempt) == ("running", 1)
            ended = await bench.ended(executor, run)
            again = await bench.launch(executor, "steps", {"steps": 1}, on=run)
            assert again.status == "running"
            assert (await bench.ended(executor, again)).status == "success"
        assert (ended.status, ended.attempt) == ("success", 1)
        assert await bench.done(run) == [1, 2, 1]

    async def test_behind_another(self, bench: Bench) -> None:
        """On a busy thread it waits its turn; a refused one leaves nothing."""
        async with bench.executor() as executor:
            first = await bench.launch(executor, "steps", {"steps": 2, "delay_s": 0.05})
            second = await bench.launch(executor, "steps", {"steps": 1}, on=first)
            assert second.status == "pending"
            with pytest.raises(Conflict):
                await bench.launch(executor, "steps", {}, on=first, multitask_strategy="reject")
            ended = await asyncio.gather(*(bench.ended(executor, run) for run in (first, second)))
        assert {run.status for run in ended} == {"success"}
        assert await bench.done(first) == [1, 2, 1]

    async def test_without_room(self, bench: Bench) -> None:
        """Where all room is taken it waits; room that was taken in vain is given back."""
        async with bench.executor(concurrency=1) as executor:
            with pytest.raises(NotFound):
                await bench.launch(executor, "steps", {}, if_not_exists="reject")
            runs = [await bench.launch(executor, "steps", {"steps": 1}) for _ in range(4)]
            assert [run.status for run in runs].count("running") <= 1
            ended = await asyncio.gather(*(bench.ended(executor, run) for run in runs))
            assert {run.status for run in ended} == {"success"}
        async with bench.executor(concurrency=0) as idle:
            assert (await bench.launch(idle, "steps", {})).status == "pending"

    async def test_cancelled_at_once(self, bench: Bench) -> None:
        """A run that is cancelled before it did anything stays cancelled."""
        async with bench.executor() as executor:
            for _ in range(5):
                run = await bench.launch(executor, "steps", SLOW)
                await executor.stopper.cancel(run, owner=OWNER)
                found = await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
                assert found.status == "interrupted"
                assert await bench.thread_status(run) == "idle"

    async def test_while_it_ends(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is launched as the executor stops is waited for, and handed back."""
        begin = bench.storage.runs.begin

        async def slow(*asked: Any, **more: Any) -> Any:
            begun = await begin(*asked, **more)
            await asyncio.sleep(0.2)
            return begun

        monkeypatch.setattr(bench.storage.runs, "begin", slow)
        async with bench.executor() as executor:
            launches = [
                asyncio.create_task(bench.launch(executor, "steps", SLOW)) for _ in range(10)
            ]
            await asyncio.sleep(0)  # they have asked
            await executor.stop(60)
            assert all(launch.done() for launch in launches)
        found = await bench.storage.runs.search(owner=OWNER, limit=20)
        assert [run.status for run in found] == ["pending"] * len(launches)
