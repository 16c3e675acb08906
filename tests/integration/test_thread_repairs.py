"""What a thread's row shows of its graph's checkpoints, and how a reader sets it right."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import StateUpdate

from harness.agents import GRAPHS
from harness.agents.graph import Saver
from harness.database import ScratchDatabases
from harness.errors import Forbidden
from harness.models import SYSTEM, Thread
from harness.persistence import AgentStore, PooledSaver, owner_scope
from harness.server.execution.turns import Turns
from harness.server.failures import HttpError
from harness.server.graphs import Graphs
from harness.server.threads.places import Place
from harness.server.threads.states import States
from harness.storage.extensions import FullStorage
from tests.integration.stored import stored

pytest_plugins = ("tests.integration.serving_fixtures",)

OWNER = "ada"


async def _nul(state: MessagesState) -> dict[str, Any]:
    return {"messages": [("ai", "\0")] if state["messages"] else []}


def _unstorable() -> StateGraph[Any]:
    graph = StateGraph(MessagesState)
    graph.add_node("nul", _nul)
    graph.add_edge(START, "nul")
    return graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Storage, a checkpointer, and the graphs on them."""

    storage: FullStorage
    saver: Saver
    graphs: Graphs

    turns: Turns

    def states(self, owner: str = OWNER, *, elsewhere: bool = False) -> States:
        """Return an owner's states; as another process has them, where there can be another."""
        is_other = elsewhere and isinstance(self.saver, PooledSaver)
        turns = Turns() if is_other else self.turns
        return States(self.storage, self.graphs, self.saver, turns, owner=owner)

    async def thread(self, graph_id: str = "agent", owner: str = OWNER) -> Thread:
        """Create a thread of a graph."""
        return await self.storage.threads.create(metadata={"graph_id": graph_id}, owner=owner)

    async def say(self, thread: Thread, text: str, as_node: str = "summarize") -> None:
        """Write a checkpoint of which the thread's row knows nothing."""
        config = Place().config(thread.thread_id)
        async with self.graphs.open("agent") as graph:
            with owner_scope(OWNER):
                await graph.aupdate_state(config, {"messages": [("user", text)]}, as_node)

    async def shown(self, thread: Thread) -> tuple[Thread, list[str]]:
        """Return a thread and the texts that its row shows."""
        found = await self.storage.threads.get(thread.thread_id, owner=OWNER)
        return found, [message["content"] for message in (found.values or {}).get("messages", ())]


@pytest.fixture
async def bench(scratch: ScratchDatabases | None) -> AsyncIterator[Bench]:
    """Fresh storage."""
    async with stored(scratch) as (storage, saver):
        graphs = Graphs({**GRAPHS, "nul": _unstorable()}, saver, AgentStore(storage))
        yield Bench(storage=storage, saver=saver, graphs=graphs, turns=Turns())


async def test_reading_the_head_repairs_what_is_shown(bench: Bench) -> None:
    """A checkpoint that somebody else wrote is shown once the state has been read (9)."""
    thread = await bench.thread()
    await bench.say(thread, "one", as_node="answer")
    assert await bench.shown(thread) == (thread, [])
    state = await bench.states().get(thread.thread_id, Place())
    repaired, texts = await bench.shown(thread)
    assert (texts, repaired.status) == (["one"], "interrupted")
    assert repaired.checkpoint_id == state["checkpoint_id"]
    await bench.states().get(thread.thread_id, Place())
    assert (await bench.shown(thread))[0] == repaired  # nothing was to repair


async def test_an_older_state_repairs_nothing(bench: Bench) -> None:
    """Only the head is what a thread shows."""
    thread = await bench.thread()
    await bench.say(thread, "one")
    first = await bench.states().get(thread.thread_id, Place())
    await bench.say(thread, "two")
    await bench.states().get(thread.thread_id, Place())
    before = await bench.shown(thread)
    assert before[1] == ["one", "two"]
    await bench.states().get(thread.thread_id, Place(checkpoint_id=first["checkpoint_id"]))
    assert await bench.shown(thread) == before


async def test_a_run_shows_its_head_itself(bench: Bench) -> None:
    """While a thread is busy readers change nothing."""
    thread = await bench.thread()
    assistant = await bench.storage.assistants.create("agent", owner=OWNER)
    await bench.storage.runs.create(thread.thread_id, assistant.assistant_id, owner=OWNER)
    await bench.say(thread, "one")
    before = await bench.shown(thread)
    await bench.states().get(thread.thread_id, Place())
    assert await bench.shown(thread) == before


async def test_many_readers_repair_once(bench: Bench) -> None:
    """Twenty at once all get the state, and the row changes once."""
    thread = await bench.thread()
    await bench.say(thread, "one")
    states = await asyncio.gather(
        *(bench.states().get(thread.thread_id, Place()) for _ in range(20))
    )
    repaired, texts = await bench.shown(thread)
    assert texts == ["one"]
    assert {state["checkpoint_id"] for state in states} == {repaired.checkpoint_id}
    assert repaired.state_updated_at == repaired.updated_at


async def test_snapshots_are_no_head_to_repair(bench: Bench) -> None:
    """Where no graph has run, state and row are the newest snapshot's, whatever graph is named."""
    thread = await bench.thread()
    await bench.storage.threads.add_state(thread.thread_id, {"given": 1}, owner=OWNER)
    before = await bench.shown(thread)
    assert (await bench.states().get(thread.thread_id, Place()))["values"] == {"given": 1}
    [entry] = await bench.states().history(
        thread.thread_id, Place(), limit=9, before=Place(), metadata={}
    )
    assert entry["values"] == {"given": 1}
    assert await bench.shown(thread) == before


async def test_snapshots_without_a_graph_are_the_state(bench: Bench) -> None:
    """State and history of a thread that names no graph are storage's."""
    thread = await bench.storage.threads.create(owner=OWNER)
    for number in range(3):
        state = await bench.storage.threads.add_state(
            thread.thread_id, {"n": number}, metadata={"odd": number % 2}, owner=OWNER
        )
    assert state.checkpoint is not None
    at = Place.of(state.checkpoint)
    key, states = thread.thread_id, bench.states()
    assert (await states.get(key, Place()))["values"] == {"n": 2}
    assert (await states.get(key, at))["checkpoint"] == state.checkpoint
    for before, metadata, wanted in (
        (Place(), {}, [2, 1, 0]),
        (at, {}, [1, 0]),
        (at, {"odd": 0}, [0]),
    ):
        history = await states.history(key, Place(), limit=9, before=before, metadata=metadata)
        assert [one["values"]["n"] for one in history] == wanted


async def test_a_systems_thread_is_read_only(bench: Bench) -> None:
    """Everybody reads its state; nobody writes it, not even by a repair."""
    thread = await bench.thread(owner=SYSTEM)
    await bench.say(thread, "one")
    state = await bench.states().get(thread.thread_id, Place())
    assert state["values"]["messages"][0].content == "one"
    assert await bench.shown(thread) == (thread, [])
    with pytest.raises(Forbidden):
        await bench.states().update(thread.thread_id, [[]], Place())


async def test_values_that_no_row_can_hold(bench: Bench) -> None:
    """The row then shows what it can of them, and the state shows all."""
    thread = await bench.thread("nul")
    async with bench.graphs.open("nul") as graph:
        with owner_scope(OWNER):
            await graph.ainvoke({"messages": [("user", "x")]}, Place().config(thread.thread_id))
    state = await bench.states().get(thread.thread_id, Place())
    assert state["values"]["messages"][-1].content == "\0"
    shown, texts = await bench.shown(thread)
    assert (shown.checkpoint_id, texts) == (state["checkpoint_id"], ["x", "\ufffd"])


async def test_updates_of_several_processes_lose_nothing(bench: Bench) -> None:
    """They go on from one another, and the thread shows the last."""
    thread = await bench.thread()
    words = [f"word {number}" for number in range(8)]
    steps = [[[StateUpdate({"messages": [("user", word)]}, "summarize")]] for word in words]
    await asyncio.gather(
        *(bench.states(elsewhere=True).update(thread.thread_id, step, Place()) for step in steps)
    )
    shown, texts = await bench.shown(thread)
    assert sorted(texts) == words
    history = await bench.states().history(
        thread.thread_id, Place(), limit=100, before=Place(), metadata={}
    )
    assert len(history) == len(words)
    assert shown.checkpoint_id == history[0]["checkpoint_id"]


@pytest.mark.postgres
async def test_an_update_that_fails_midway_leaves_nothing(
    bench: Bench, scratch: ScratchDatabases | None
) -> None:
    """Its first step is undone with its second."""
    if scratch is None:
        pytest.skip("memory has no transactions")
    thread = await bench.thread()
    steps = [
        [StateUpdate({"messages": [("user", "first")]}, "answer")],
        [StateUpdate({"messages": [("user", "second")]}, "nobody")],
    ]
    with pytest.raises(HttpError):
        await bench.states().update(thread.thread_id, steps, Place())
    assert (await bench.states().get(thread.thread_id, Place()))["values"] == {}
    assert await bench.shown(thread) == (thread, [])
