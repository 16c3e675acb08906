"""The graphs that a server is told to serve: found by a `langgraph.json`, or refused in a line."""

import asyncio
import json
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from harness.config import Deployment
from harness.errors import GraphUnusable, NotFound
from harness.server.graphs import Graphs, load_graphs, system_assistant_id

MODULE = """
from contextlib import asynccontextmanager
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph

builder = StateGraph(MessagesState)
builder.add_node("say", lambda state: {"messages": ["said"]})
builder.add_edge(START, "say")
builder.add_edge("say", END)
compiled = builder.compile()
made = []

def plain():
    made.append("plain")
    return builder

async def configured(config):
    made.append(config["configurable"]["mood"])
    return builder

@entrypoint()
def entry(given):
    return given

def greedy(config, other):
    return builder

def dangling():
    return StateGraph(MessagesState)

@asynccontextmanager
async def unopened():
    raise RuntimeError("shut")
    yield

@asynccontextmanager
async def unclosed():
    yield builder
    raise RuntimeError("stuck")

@asynccontextmanager
async def hiding():
    try:
        yield builder
    except BaseException:
        pass

def later():
    made.append("later")
    if made.count("later") == 1:
        raise RuntimeError("not yet")
    return builder

def failing():
    raise RuntimeError("no key")

number = 1
"""


def written(folder: Path, **graphs: object) -> Path:
    """Write a module and a `langgraph.json` of graphs in it."""
    (folder / "mine.py").write_text(MODULE)
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    return path


def loaded(folder: Path, **graphs: object) -> Graphs:
    """Load graphs, on a checkpointer and a store in memory."""
    sources = load_graphs(Deployment.read(written(folder, **graphs)))
    return Graphs(sources, InMemorySaver(), InMemoryStore())


@pytest.mark.parametrize("variable", ["builder", "compiled", "plain", "entry"])
async def test_what_a_graph_may_be(tmp_path: Path, variable: str) -> None:
    """A builder, a compiled graph, a function: each runs on the server's own persistence."""
    graphs = loaded(tmp_path, chat=f"./mine.py:{variable}")
    assert graphs.names == ["chat"]
    async with graphs.open("chat") as graph, graphs.open("chat") as again:
        assert graph is again
    assert graph.name == "chat"
    assert isinstance(graph.checkpointer, InMemorySaver)
    assert isinstance(graph.store, InMemoryStore)


async def test_a_function_of_a_config_is_called_each_time(tmp_path: Path) -> None:
    """It may be a coroutine, named by an object with a path, and makes another graph each time."""
    graphs = loaded(tmp_path, chat={"path": "./mine.py:configured"})
    mild, wild = ({"configurable": {"mood": mood}} for mood in ("mild", "wild"))
    async with graphs.open("chat", mild) as first, graphs.open("chat", wild) as second:  # type: ignore[arg-type]  # a config
        assert first is not second


async def test_a_name_that_is_none(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(NotFound, match="graph other not found"):
        async with loaded(tmp_path, chat="./mine.py:builder").open("other"):
            pass


UNUSABLE = [
    ("./mine.py:number", "graph 'chat' is no LangGraph graph, but a int"),
    ("./mine.py:failing", "graph 'chat' cannot be made: RuntimeError: no key"),
    ("./mine.py:greedy", "graph 'chat' cannot be made: its function wants 'other'"),
    ("./mine.py:dangling", "graph 'chat' cannot be compiled: ValueError"),
    ("./mine.py:unopened", "graph 'chat' cannot be entered: RuntimeError: shut"),
    ("./mine.py:unclosed", "graph 'chat' cannot be left: RuntimeError: stuck"),
    ("./mine.py:missing", "graph 'chat' cannot be loaded: AttributeError"),
    ("./other.py:graph", "graph 'chat' cannot be loaded: FileNotFoundError"),
    ("no.such.module:graph", "graph 'chat' cannot be loaded: ModuleNotFoundError"),
    ("./ending.py:graph", "graph 'chat' cannot be loaded: SystemExit"),
    ("mine.py", r"graph 'chat' must be file.py:variable, not 'mine.py'"),
]


@pytest.mark.parametrize(("target", "says"), UNUSABLE)
async def test_what_cannot_be_used(tmp_path: Path, target: str, says: str) -> None:
    """One line says which graph it is and what is wrong with it; others are served."""
    (tmp_path / "ending.py").write_text("raise SystemExit(3)")
    graphs = loaded(tmp_path, chat=target, other="./mine.py:builder")
    with pytest.raises(GraphUnusable, match=says):
        async with graphs.open("chat"):
            pass
    assert {*await graphs.try_all()} == {"chat"} == {*graphs.problems}
    with pytest.raises(GraphUnusable, match=says):
        graphs.check(system_assistant_id("chat"))
    graphs.check("other")
    async with graphs.open("other"):
        pass


async def test_a_function_that_fails_without_its_arguments_is_no_problem_yet(
    tmp_path: Path,
) -> None:
    """It is said at the start, and tried again with those of each run."""
    graphs = loaded(tmp_path, chat="./mine.py:configured")
    assert "KeyError: 'mood'" in str((await graphs.try_all())["chat"])
    assert graphs.problems == {}


async def test_a_function_that_fails_for_a_while(tmp_path: Path) -> None:
    """It is called again, and forgiven."""
    graphs = loaded(tmp_path, chat="./mine.py:later")
    await graphs.try_all()
    assert {*graphs.problems} == {"chat"}
    async with graphs.open("chat"):
        assert graphs.problems == {}


@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError])
async def test_no_context_manager_hides_what_is_raised_within(
    tmp_path: Path, raised: type[BaseException]
) -> None:
    """It is left all the same."""
    graphs = loaded(tmp_path, chat="./mine.py:hiding")
    with pytest.raises(raised):
        async with graphs.open("chat"):
            raise raised
