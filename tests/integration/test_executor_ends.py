"""What an executor leaves when a run ends, however it ends: heads and threads, in this process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint

from harness.database import Database, ScratchDatabases
from harness.errors import NotFound
from harness.models import Run
from harness.persistence import PooledSaver
from harness.persistence.fence import current_fence
from tests.integration.executing import OWNER, SLOW, Bench, bench_of

pytest_plugins = ("tests.integration.executing_fixtures", "tests.integration.serving_fixtures")
pytestmark = pytest.mark.slow_in_memory

Step = Callable[[], Awaitable[object]]

LOCK = "SELECT FROM langgraph_server.runs WHERE run_id = %s FOR UPDATE"


async def test_what_becomes_of_threads(bench: Bench) -> None:
    """Idle after success, interrupted while a human is asked, error after a failure."""
    async with bench.executor() as executor:
        for graph, given, status, thread in (
            ("steps", {}, "success", "idle"),
            ("approval", {"action": "x"}, "success", "interrupted"),
            ("steps", {"fail_at": 1}, "error", "error"),
        ):
            run = await bench.create(graph, given)
            assert await bench.thread_status(run) == "busy"
            ended = await bench.ended(executor, run)
            assert ended.status == status
            assert await bench.thread_status(run) == thread
            await bench.assert_head(run)
        assert ended.error == "StepFailed: step 1 of 1 failed, as it was told to"


@pytest.mark.parametrize(
    ("graph", "status", "thread"), [("odd", "error", "error"), ("unstorable", "success", "idle")]
)
async def test_what_no_row_can_hold(
    bench: Bench, graph: str, status: str, thread: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A run ends whatever its nodes raise or leave in the state (promise 25)."""
    caplog.set_level(logging.CRITICAL, "harness.server")  # a report could not hold the text either
    async with bench.executor() as executor:
        run = await bench.create(graph, {"messages": []})
        assert (await bench.ended(executor, run)).status == status
        assert await bench.thread_status(run) == thread


@pytest.mark.invariant(59)
async def test_what_the_database_cuts_short_is_taken_up(bench: Bench) -> None:
    """A run that meets a fault of the database goes on when it has passed, and does not fail."""
    async with bench.executor() as executor:
        ended = await bench.ended(executor, await bench.create("cut short", {"messages": []}))
        assert (ended.status, ended.attempt, ended.error) == ("success", 2, None)


async def test_what_threads_show(bench: Bench) -> None:
    """Values, what a human is asked, and why the last run failed; each run shows its own."""
    async with bench.executor() as executor:
        run = await bench.create("approval", {"action": "leap"})
        await bench.ended(executor, run)
        thread = await bench.assert_head(run)
        assert thread.values == {"action": "leap", "approved": None, "log": ["proposed leap"]}
        [[asked]] = thread.interrupts.values()
        assert asked["value"]["action"] == "leap"
        answer = await bench.create("approval", None, on=run, command={"resume": True})
        await bench.ended(executor, answer)
        thread = await bench.assert_head(run)
        assert (thread.status, thread.interrupts) == ("idle", {})
        assert thread.values is not None
        assert thread.values["approved"] is True
        failing = await bench.create("steps", {"fail_at": 1})
        await bench.ended(executor, failing)
        thread = await bench.assert_head(failing)
        assert thread.error is not None
        assert thread.error["error"] == "StepFailed"
        await executor.stopper.forget(answer, owner=OWNER)
        thread = await bench.assert_head(run)
        assert thread.status == "interrupted"
        assert [[a["id"] for a in found] for found in thread.interrupts.values()] == [[asked["id"]]]


async def test_values_that_no_row_can_show(bench: Bench) -> None:
    """Their run succeeds, and its thread shows them as far as a row can."""
    async with bench.executor() as executor:
        run = await bench.create("nul", {"messages": []})
        assert (await bench.ended(executor, run)).status == "success"
        values = (await bench.assert_head(run)).values
        assert values is not None
        assert values["messages"][0]["content"] == "a\N{REPLACEMENT CHARACTER}b"


async def test_a_cancelled_thread_can_go_on(bench: Bench) -> None:
    """It is `interrupted`, since a node is still to be executed."""
    async with bench.executor() as executor:
        run = await bench.create("steps", SLOW)
        await bench.begun(executor, run)
        await executor.stopper.cancel(run, owner=OWNER)
        assert await bench.thread_status(run) == "interrupted"


async def test_a_deleted_thread_stays_deleted(bench: Bench) -> None:
    """What is executed of it stops, and leaves no checkpoint behind (invariant 38)."""
    async with bench.executor() as executor:
        run = await bench.create("steps", SLOW, durability="exit")  # stores when it is stopped
        await bench.begun(executor, run)
        await executor.stopper.delete_thread(run.thread_id, owner=OWNER)
        assert await bench.done(run) == []
        with pytest.raises(NotFound):
            await bench.storage.threads.get(run.thread_id, owner=OWNER)


@pytest.mark.parametrize("temporary", [False, True])
async def test_a_head_that_is_another_owners_is_not_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, temporary: bool
) -> None:
    """A thread that is made anew between a run's last write and the reading of its head."""
    said, made_anew = {"done": [666]}, asyncio.Event()
    original = bench.saver.aget_tuple

    async def look(config: RunnableConfig) -> Any:
        if current_fence() is None and not made_anew.is_set():  # the head, of who waits for it
            made_anew.set()
            thread_id = config["configurable"]["thread_id"]
            await bench.storage.threads.delete(thread_id, owner=OWNER)
            await bench.storage.threads.create(thread_id=thread_id, owner="bob")
            newest = empty_checkpoint()
            newest["channel_values"], newest["channel_versions"] = said, {"done": "1"}
            await bench.saver.aput(config, newest, {}, {"done": "1"})
        return await original(config)

    monkeypatch.setattr(bench.saver, "aget_tuple", look)
    async with bench.executor() as executor:
        run = await bench.create("steps", {"steps": 1}, temporary=temporary)
        channel = bench.channel(executor, run)
        executor.wake()
        outcome = await channel.wait()
    assert made_anew.is_set()
    assert outcome is not None
    assert (outcome.status, outcome.values) == ("interrupted", None)


async def test_a_run_that_never_ends_fails(bench: Bench) -> None:
    """A run that was begun ten times and ended its process each time is not begun again."""
    run = await bench.create("steps", {})
    for _ in range(10):
        claimed = await bench.storage.runs.claim(lease_s=30)
        assert claimed is not None
        await bench.storage.runs.hand_back(claimed.lease, owner=OWNER)
    async with bench.executor() as executor:
        ended = await bench.ended(executor, run)
    assert ended.status == "error"
    assert "never ended" in str(ended.error)


class LateSaver(PooledSaver):
    """A saver that makes each call of `after_read` once, when any run's copy of it has read."""

    def __init__(self, database: Database, **settings: Any) -> None:
        super().__init__(database, **settings)
        self.after_read: list[Step] = []

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read."""
        found = await super().aget_tuple(config)
        while self.after_read:
            await self.after_read.pop()()
        return found


@pytest.mark.postgres
@pytest.mark.invariant(50, 54)
async def test_an_update_that_is_refused_is_forgotten(scratch_databases: ScratchDatabases) -> None:
    """However late LangGraph stores an update that the graph refuses, the thread runs on."""
    async with (
        bench_of(scratch_databases, LateSaver) as bench,
        bench.executor() as executor,
    ):
        saver = cast("LateSaver", bench.saver)
        said = {"messages": [{"role": "user", "content": "hello"}]}
        first = await bench.ended(executor, await bench.create("agent", said))
        refused = {"update": {"messages": [{"role": "user"}]}}
        run = await bench.create("agent", None, on=first, command=refused)
        url = str(saver.database.config.url)
        async with await psycopg.AsyncConnection.connect(url) as other:
            saver.after_read.append(lambda: other.execute(LOCK, (run.run_id,)))
            ending = asyncio.create_task(bench.ended(executor, run))
            ended, _ = await asyncio.wait({ending}, timeout=0.5)
            assert not ended
            await other.rollback()
        assert (await ending).status == "error"
        again = await bench.ended(executor, await bench.create("agent", said, on=first))
        assert again.status == "success"


@pytest.mark.postgres
@pytest.mark.invariant(50)
async def test_a_run_without_a_thread_leaves_none(scratch_databases: ScratchDatabases) -> None:
    """Also where it cannot be ended as it should be, its thread goes with it."""
    async with (
        bench_of(scratch_databases, LateSaver) as bench,
        bench.executor() as executor,
    ):
        saver = cast("LateSaver", bench.saver)

        async def fail() -> None:
            saver.after_read.append(fail)
            raise psycopg.DataError("a row is damaged")

        run = await bench.create("steps", SLOW, temporary=True)
        await bench.begun(executor, run)
        saver.after_read.append(fail)
        await executor.stopper.cancel(run, owner=OWNER)
        with pytest.raises(NotFound):
            await bench.storage.threads.get(run.thread_id, owner=OWNER)


async def _assert_rolled_back(bench: Bench, run: Run) -> None:
    with pytest.raises(NotFound):
        await bench.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)
    assert await bench.checkpoints(run) == 0


@pytest.mark.parametrize("first", ["interrupt", "rollback"])
async def test_a_rollback_meets_an_interrupt(bench: Bench, first: str) -> None:
    """Whichever comes first, both are acknowledged and the run is rolled back."""
    async with bench.executor() as executor:
        run = await bench.create("steps", SLOW)
        await bench.begun(executor, run)
        cancel = executor.stopper.cancel
        await asyncio.gather(
            cancel(run, rollback=first == "rollback", owner=OWNER),
            cancel(run, rollback=first != "rollback", owner=OWNER),
        )
        await _assert_rolled_back(bench, run)


@pytest.mark.postgres
@pytest.mark.parametrize("ending", ["an interrupt", "success"])
async def test_a_rollback_that_comes_while_the_end_is_written(
    scratch_databases: ScratchDatabases, ending: str
) -> None:
    """The run is rolled back after its end."""
    async with bench_of(scratch_databases) as bench, bench.executor() as executor:
        database = cast("PooledSaver", bench.saver).database
        run = await bench.create("steps", {"steps": 3, "delay_s": 0.1})
        await bench.begun(executor, run, 2)
        hold = "SELECT FROM langgraph_server.threads WHERE thread_id = %s FOR UPDATE"
        waiting = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock'"""
        async with await psycopg.AsyncConnection.connect(str(database.config.url)) as other:
            await other.execute(hold, (run.thread_id,))
            if ending == "an interrupt":
                await executor.stopper.cancel(run, wait=False, owner=OWNER)
            async with asyncio.timeout(10):
                while not await database.read(waiting):  # noqa: ASYNC110 -- nothing tells
                    await asyncio.sleep(0.01)
            rolling = asyncio.create_task(executor.stopper.cancel(run, rollback=True, owner=OWNER))
            await asyncio.sleep(0)
            await other.rollback()
        await rolling
        await _assert_rolled_back(bench, run)
