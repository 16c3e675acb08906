"""The graphs that a server is told to serve: found by a `langgraph.json`, or refused in a line."""

import json
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from harness.errors import ConfigError, NotFound
from harness.server.graphs import Graphs, load_graphs

MODULE = """
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
    return Graphs(load_graphs(written(folder, **graphs)), InMemorySaver(), InMemoryStore())


@pytest.mark.parametrize("variable", ["builder", "compiled", "plain"])
async def test_what_a_graph_may_be(tmp_path: Path, variable: str) -> None:
    """A builder, a compiled graph, and a function: each runs on the server's own persistence."""
    graphs = loaded(tmp_path, chat=f"./mine.py:{variable}")
    assert graphs.names == ["chat"]
    graph = await graphs.get("chat")
    assert graph is await graphs.get("chat")
    assert graph.name == "chat"
    assert isinstance(graph.checkpointer, InMemorySaver)
    assert isinstance(graph.store, InMemoryStore)


async def test_a_function_of_a_config_is_called_each_time(tmp_path: Path) -> None:
    """It may be a coroutine, named by an object with a path, and makes another graph each time."""
    graphs = loaded(tmp_path, chat={"path": "./mine.py:configured"})
    first = await graphs.get("chat", {"configurable": {"mood": "mild"}})
    assert first is not await graphs.get("chat", {"configurable": {"mood": "wild"}})


async def test_a_name_that_is_none(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(NotFound, match="graph other not found"):
        await loaded(tmp_path, chat="./mine.py:builder").get("other")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("./mine.py:number", "graph 'chat' is no LangGraph graph, but a int"),
        ("./mine.py:failing", "graph 'chat' cannot be made: RuntimeError: no key"),
        ("./mine.py:missing", "graph 'chat' cannot be loaded: AttributeError"),
        ("./other.py:graph", "graph 'chat' cannot be loaded: FileNotFoundError"),
        ("no.such.module:graph", "graph 'chat' cannot be loaded: ModuleNotFoundError"),
        ("mine.py", r"graph 'chat' must be file.py:variable, not 'mine.py'"),
    ],
)
async def test_what_cannot_be_served(tmp_path: Path, target: str, says: str) -> None:
    """One line says which graph it is and what is wrong with it."""
    with pytest.raises(ConfigError, match=says):
        await loaded(tmp_path, chat=target).get("chat")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("{}", "names no graphs"),
        ('{"graphs": {}}', "names no graphs"),
        ("[]", "names no graphs"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_a_file_that_names_no_graphs(tmp_path: Path, text: str | None, says: str) -> None:
    """One line names the file and what to write."""
    path = tmp_path / "langgraph.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_graphs(path)
