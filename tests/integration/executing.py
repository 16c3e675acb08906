"""Executors in this process, over storage and a checkpointer, and the graphs that they execute."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph

from harness.agents import GRAPHS
from harness.agents.graph import Saver
from harness.config import ServerConfig
from harness.database import ScratchDatabases
from harness.errors import DatabaseUnavailable
from harness.models import SYSTEM, Run, Thread
from harness.persistence import AgentStore, PooledSaver
from harness.server.execution.executor import Executor
from harness.server.graphs import Graphs, system_assistant_id
from harness.server.metrics import Metrics
from harness.storage.extensions import FullStorage
from tests.integration.stored import stored

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
        poll_s: float = 0.1,
        **settings: Any,
    ) -> AsyncIterator[Executor]:
        """Return a running executor, which looks often; it is stopped afterwards."""
        graphs = Graphs(SERVED, self.saver, AgentStore(self.storage))
        config = ServerConfig(lease_s=lease_s, concurrency=concurrency, **settings)
        executor = Executor(self.storage, graphs, self.saver, config, Metrics(), poll_s=poll_s)
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


@asynccontextmanager
async def bench_of(
    scratch: ScratchDatabases | None, kind: type[PooledSaver] = PooledSaver
) -> AsyncIterator[Bench]:
    """Make fresh storage, with the graphs' own assistants."""
    async with stored(scratch, kind) as (storage, saver):
        for name in SERVED:
            await storage.assistants.create(
                name, assistant_id=system_assistant_id(name), owner=SYSTEM
            )
        yield Bench(storage=storage, saver=saver)


SLOW = {"steps": 1_000, "delay_s": 0.05}


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
