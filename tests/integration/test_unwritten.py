"""A graph that is faster than its database: with `async`, it waits instead of piling up."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
import pytest_asyncio
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from psycopg import AsyncConnection
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
"""What a superstep adds between two looks: its write, its checkpoint, and those of its parent."""
COUNT = "SELECT count(*) FROM checkpoints"


@pytest_asyncio.fixture(loop_scope="session")
async def slow(database_url: str) -> AsyncIterator[PooledSaver]:
    """A saver whose every round trip takes 10 ms."""
    async with Database(DatabaseConfig(url=database_url), name="near") as near:
        await setup_langgraph(near)
    async with (
        Proxy(database_url) as proxy,
        Database(DatabaseConfig(url=proxy.url, pool_max_size=4), name="slow") as database,
    ):
        proxy.delay_down_ms = 10
        yield PooledSaver(database)


class Wide(TypedDict):
    """How often to go round, and what was done."""

    rounds: int
    done: Annotated[list[int], lambda old, new: old + new]


def build_wide(saver: PooledSaver) -> Graph:
    """Return a graph with a subgraph of several steps, reached by two branches a round."""
    steps = build_steps()

    async def branch(_: Wide) -> dict[str, Any]:
        await steps.ainvoke({"steps": 2})
        return {"done": [1]}

    graph: Any = StateGraph(Wide)
    graph.add_node("turn", lambda state: {"rounds": state["rounds"] - 1})
    graph.add_node("branch", branch)
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


async def most_behind(saver: PooledSaver, url: str, name: str, unwritten: Unwritten | None) -> int:
    """Run a graph, and return by how many supersteps its database was behind at most."""
    build, given = GRAPHS[name]
    thread = f"{name} {unwritten is None}"
    config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": 10 * STEPS}
    behind = 0
    async with await AsyncConnection.connect(url, autocommit=True) as connection:

        async def look(supersteps: int) -> None:
            nonlocal behind
            query = COUNT + " WHERE thread_id = %s AND checkpoint_ns = ''"
            cursor = await connection.execute(query.encode(), (thread,))
            [(stored,)] = await cursor.fetchall()
            behind = max(behind, supersteps - stored)

        if unwritten is not None:
            config["callbacks"] = [WaitsForRoom(unwritten)]
        supersteps = 0
        async for _values in build(saver).astream(
            given, config, stream_mode="values", durability="async"
        ):
            supersteps += 1
            await look(supersteps)
    return behind


@pytest.mark.parametrize("name", GRAPHS)
async def test_a_run_waits_for_its_database(
    slow: PooledSaver, database_url: str, name: str
) -> None:
    """However fast the graph is, no more than so many supersteps wait to be stored."""
    unwritten = Unwritten(MOST, 2**30)
    with unwritten.counting():
        assert await most_behind(slow, database_url, name, unwritten) <= MOST + AT_ONCE
    assert MOST < unwritten.peak <= MOST + 2 * AT_ONCE


async def test_without_room_it_is_far_behind(slow: PooledSaver, database_url: str) -> None:
    """The same graph that does not wait leaves its database far behind: the test can tell."""
    assert await most_behind(slow, database_url, "steps", None) > 2 * MOST


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
