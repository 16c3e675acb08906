"""A graph that is faster than its database: with `async`, it waits instead of piling up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
import pytest_asyncio
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from harness.agents import build_steps
from harness.agents.graph import Graph
from harness.config import DatabaseConfig
from harness.database import Database
from harness.faults.proxy import Proxy
from harness.persistence import PooledSaver, Unwritten, WaitsForRoom, setup_langgraph

pytestmark = pytest.mark.postgres

STEPS = 60
MOST = 6
AT_ONCE = 3
"""What a superstep adds before the next one looks: a write, a checkpoint, and its storing."""


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """What stands before the database; it has LangGraph's tables."""
    async with Database(DatabaseConfig(url=database_url), name="near") as near:
        await setup_langgraph(near)
    async with Proxy(database_url) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def slow(proxy: Proxy) -> AsyncIterator[PooledSaver]:
    """A saver whose database answers when the proxy lets it."""
    config = DatabaseConfig(url=proxy.url, pool_max_size=4)
    async with Database(config, name="slow") as database:
        yield PooledSaver(database)


class Wide(TypedDict):
    """How often to go round, and what was done."""

    rounds: int
    done: Annotated[list[int], lambda old, new: old + new]


def build_wide(saver: PooledSaver) -> Graph:
    """Return a graph of two branches a round."""
    graph: Any = StateGraph(Wide)
    graph.add_node("turn", lambda state: {"rounds": state["rounds"] - 1})
    graph.add_node("branch", lambda _: {"done": [1]})
    graph.add_edge(START, "turn")
    graph.add_conditional_edges(
        "turn", lambda state: [Send("branch", {})] * 2 if state["rounds"] else END
    )
    graph.add_edge("branch", "turn")
    compiled: Graph = graph.compile(saver)
    return compiled


GRAPHS: dict[str, tuple[Any, dict[str, Any]]] = {
    "steps": (build_steps, {"steps": STEPS}),
    "wide": (build_wide, {"rounds": STEPS // 6, "done": []}),
}


async def begun(saver: PooledSaver, proxy: Proxy, name: str, **config: Any) -> "Begun":
    """Begin a run, and let its database answer nothing more after the first superstep."""
    build, given = GRAPHS[name]
    run = Begun(build(saver), given, {"configurable": {"thread_id": name}, **config}, proxy)
    await run.first.wait()
    return run


class Begun:
    """A run in a task of its own, whose supersteps are counted."""

    def __init__(self, graph: Graph, given: Any, config: Any, proxy: Proxy) -> None:
        self.supersteps = 0
        self.first = asyncio.Event()
        self._proxy = proxy
        self.done = asyncio.create_task(self._run(graph, given, config))

    async def _run(self, graph: Graph, given: Any, config: Any) -> None:
        config["recursion_limit"] = 10 * STEPS
        async for _ in graph.astream(given, config, stream_mode="updates", durability="async"):
            if not self.supersteps:
                self._proxy.stall()
            self.supersteps += 1
            self.first.set()


async def until(holds: Callable[[], bool]) -> None:
    """Let the run go on until that holds."""
    for _ in range(1_000_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize("name", GRAPHS)
async def test_a_run_waits_for_its_database(slow: PooledSaver, proxy: Proxy, name: str) -> None:
    """While the database does not answer, no more than so much waits to be stored; then it ends."""
    unwritten = Unwritten(MOST, 2**30)
    with unwritten.counting():
        run = await begun(slow, proxy, name, callbacks=[WaitsForRoom(unwritten)])
        await until(lambda: unwritten.waiting > MOST)
        for _ in range(1_000):  # it would go on, if it did not wait
            await asyncio.sleep(0)
        assert not run.done.done()
        assert run.supersteps <= 2 * MOST
        proxy.flow()
        await run.done
    assert run.supersteps > 2 * MOST
    assert unwritten.peak <= MOST + 2 * AT_ONCE
    assert unwritten.waiting <= AT_ONCE


async def test_without_room_all_of_it_waits(slow: PooledSaver, proxy: Proxy) -> None:
    """The same graph that does not wait goes on to its end meanwhile: the test can tell."""
    run = await begun(slow, proxy, "steps")
    await until(lambda: run.supersteps == STEPS)
    assert not run.done.done()
    proxy.flow()
    await run.done


async def test_large_states_wait_sooner(slow: PooledSaver) -> None:
    """What waits is bounded in bytes, too, and one that is larger than all room is stored."""

    class Large(TypedDict):
        number: int
        text: str
        listed: list[str]

    async def grow(state: Large) -> dict[str, Any]:
        number = state["number"] + 1
        return {"number": number, "text": "x" * 5_000, "listed": [f"{number}" * 1_000]}

    graph = StateGraph(Large)
    graph.add_node("grow", grow)
    graph.add_edge(START, "grow")
    graph.add_conditional_edges("grow", lambda s: "grow" if s["number"] < STEPS // 3 else END)
    for most_bytes in (20_000, 10):
        unwritten = Unwritten(1_000, most_bytes)
        config: Any = {
            "configurable": {"thread_id": f"large {most_bytes}"},
            "callbacks": [WaitsForRoom(unwritten)],
        }
        with unwritten.counting():
            given: Any = {"number": 0, "text": "", "listed": []}
            left = await graph.compile(slow).ainvoke(given, config, durability="async")
        assert left["number"] == STEPS // 3
        assert unwritten.peak <= 8 + AT_ONCE
        assert unwritten.waiting <= 1


async def test_a_failed_write_holds_up_nobody(slow: PooledSaver) -> None:
    """A run whose checkpoint cannot be stored ends with that error, though much still waits."""
    unwritten = Unwritten(1, 1)
    calls = 0

    class Failing(PooledSaver):
        async def aput(self, *arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > 3:
                raise OSError("the disk is on fire")
            return await super().aput(*arguments)

    config: Any = {
        "configurable": {"thread_id": "failing"},
        "callbacks": [WaitsForRoom(unwritten)],
    }
    with unwritten.counting(), pytest.raises(OSError, match="on fire"):
        await build_steps(Failing(slow.database)).ainvoke({"steps": 10}, config, durability="async")
