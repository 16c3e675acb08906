"""The executor over storage, in this process: leases, heads and threads, which no caller sees."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import StateUpdate

from harness.agents import GRAPHS
from harness.agents.graph import Saver
from harness.config import DatabaseConfig, ServerConfig
from harness.database import Database, ScratchDatabases
from harness.errors import Conflict, DatabaseUnavailable, LeaseLost, NotFound
from harness.models import SYSTEM, Run, Thread
from harness.persistence import AgentStore, PooledSaver, memory_saver, setup_langgraph
from harness.persistence.fence import current_fence
from harness.server.execution.channel import Channel
from harness.server.execution.execution import Execution
from harness.server.execution.executor import Executor
from harness.server.graphs import Graphs, system_assistant_id
from harness.server.metrics import Metrics
from harness.server.threads.places import Place
from harness.server.threads.states import States
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

OWNER = "ada"


async def _odd(state: MessagesState) -> None:
    del state
    raise ValueError("\0 and \ud800 cannot be stored")


async def _cut_short(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    del state
    if config["metadata"]["run_attempt"] == 1:
        raise DatabaseUnavailable("it went away while the node used the store")
    return {"messages": [AIMessage("done")]}


async def _unstorable(state: MessagesState) -> dict[str, Any]:
    del state
    return {"messages": [AIMessage("\ud800")]}


async def _nul(state: MessagesState) -> dict[str, Any]:
    del state
    return {"messages": [AIMessage("a\0b")]}


async def _stubborn(state: MessagesState) -> None:
    del state
    for _ in range(50):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.02)


def one_node(node: Any) -> StateGraph[Any]:
    """Return a graph of one node."""
    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph


SERVED = {
    **GRAPHS,
    "cut short": one_node(_cut_short),
    "odd": one_node(_odd),
    "unstorable": one_node(_unstorable),
    "nul": one_node(_nul),
    "stubborn": one_node(_stubborn),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Storage and a checkpointer, for executors."""

    storage: FullStorage
    saver: Saver

    @asynccontextmanager
    async def executor(
        self,
        *,
        lease_s: float = 30.0,
        concurrency: int = 20,
        grace_s: float = 5.0,
        **settings: Any,
    ) -> AsyncIterator[Executor]:
        """Return a running executor; it is stopped afterwards."""
        graphs = Graphs(SERVED, self.saver, AgentStore(self.storage))
        config = ServerConfig(lease_s=lease_s, concurrency=concurrency, **settings)
        executor = Executor(self.storage, graphs, self.saver, config, Metrics())
        await executor.start()
        try:
            yield executor
        finally:
            await executor.stop(grace_s)

    async def create(self, graph: str, given: Any, *, on: Run | None = None, **more: Any) -> Run:
        """Queue a run, on a new thread or on that of another run."""
        return await self.storage.runs.create(
            str(uuid4()) if on is None else on.thread_id,
            system_assistant_id(graph),
            kwargs={"input": given, **more},
            if_not_exists="create",
            owner=OWNER,
        )

    async def launch(
        self, executor: Executor, graph: str, given: Any, *, on: Run | None = None, **asked: Any
    ) -> Run:
        """Have a run created and executed, on a new thread or on that of another run."""
        new = {
            "thread_id": str(uuid4()) if on is None else on.thread_id,
            "assistant_id": system_assistant_id(graph),
            "kwargs": {"input": given},
            "if_not_exists": "create",
        }
        return await executor.launch({**new, **asked}, run_id=None, after_s=0, owner=OWNER)

    async def ended(self, executor: Executor, run: Run) -> Run:
        """Wait until a run has ended."""
        executor.wake()
        await self.channel(executor, run).wait()
        return await self.storage.runs.get(run.thread_id, run.run_id, owner=OWNER)

    def channel(self, executor: Executor, run: Run) -> Any:
        """Return the channel of a run."""
        return executor.follow(run.thread_id, run.run_id, resumable=False, owner=OWNER)

    async def begun(self, executor: Executor, run: Run, step: int = 1) -> None:
        """Wait until a run of `steps` has done so many."""
        executor.wake()
        async for events in self.channel(executor, run).read():
            if any(f'"step":{step},' in event.data for event in events):
                return

    async def thread_status(self, run: Run) -> str:
        """Return the status of a run's thread."""
        return (await self.storage.threads.get(run.thread_id, owner=OWNER)).status

    async def assert_head(self, run: Run) -> Thread:
        """Assert that a thread shows its newest checkpoint; return it."""
        thread = await self.storage.threads.get(run.thread_id, owner=OWNER)
        found = await self.saver.aget_tuple({"configurable": {"thread_id": run.thread_id}})
        assert found is not None
        assert thread.checkpoint_id == found.checkpoint["id"]
        return thread

    async def checkpoints(self, run: Run) -> int:
        """Count a thread's checkpoints, those of subgraphs among them."""
        place = {"configurable": {"thread_id": run.thread_id}}
        return len([one async for one in self.saver.alist(cast("Any", place))])

    async def done(self, run: Run) -> list[int]:
        """Return the steps that a thread's checkpoints hold."""
        found = await self.saver.aget_tuple({"configurable": {"thread_id": run.thread_id}})
        return [] if found is None else list(found.checkpoint["channel_values"].get("done", []))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def scratch(request: pytest.FixtureRequest) -> Iterator[ScratchDatabases | None]:
    """Where databases are made; None: memory."""
    if request.param == "memory":
        yield None
    else:
        yield cast("ScratchDatabases", request.getfixturevalue("scratch_databases"))


@asynccontextmanager
async def bench_of(
    scratch: ScratchDatabases | None, kind: type[PooledSaver] = PooledSaver
) -> AsyncIterator[Bench]:
    """Make fresh storage, with the graphs' own assistants."""
    async with AsyncExitStack() as stack:
        storage: FullStorage
        saver: Saver
        if scratch is None:
            backend = MemoryBackend()
            storage, saver = LocalStorage(backend), memory_saver(backend)
        else:
            url = await stack.enter_async_context(scratch.clone())
            database = Database(DatabaseConfig.for_scratch(url))
            await stack.enter_async_context(database)
            await setup_langgraph(database)
            storage, saver = LocalStorage(PostgresBackend(database)), kind(database)
        for name in SERVED:
            await storage.assistants.create(
                name, assistant_id=system_assistant_id(name), owner=SYSTEM
            )
        yield Bench(storage=storage, saver=saver)


@pytest.fixture
async def bench(scratch: ScratchDatabases | None) -> AsyncIterator[Bench]:
    """Fresh storage, with the graphs' own assistants."""
    async with bench_of(scratch) as made:
        yield made


LOCK = "SELECT FROM langgraph_server.runs WHERE run_id = %s FOR UPDATE"
SLOW = {"steps": 1_000, "delay_s": 0.05}


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


def _inside(state: MessagesState) -> dict[str, Any]:
    """Go on in a thread, in a subgraph of many steps that keeps its own checkpoints."""
    found: dict[str, Any] = INNER.invoke(
        {"messages": state["messages"]}, {"recursion_limit": 2_000}
    )
    return found


def _one_more(state: MessagesState) -> dict[str, Any]:
    time.sleep(0.02)
    return {"messages": [AIMessage(str(len(state["messages"])))]}


def _inner() -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("more", _one_more)
    graph.add_edge(START, "more")
    graph.add_conditional_edges(
        "more", lambda state: "more" if len(state["messages"]) < 1_500 else END
    )
    return graph.compile()


INNER = _inner()
SERVED["inside"] = one_node(_inside)


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
        run = await bench.create("steps", {"steps": 20, "delay_s": 0.05})
        await bench.begun(executor, run)
        time.sleep(1.5)  # noqa: ASYNC251 -- as a node may
        ended = await bench.ended(executor, run)
        assert (ended.status, ended.attempt) == ("success", 1)
        assert await bench.done(run) == [*range(1, 21)]


async def test_two_executors_share_a_queue(bench: Bench) -> None:
    """Each run is executed once, and whoever follows it hears of its end in either."""
    async with bench.executor() as one, bench.executor() as other:
        runs = [await bench.create("steps", {"steps": 1}) for _ in range(30)]
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
        self.after_read: list[Callable[[], Awaitable[object]]] = []

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
