"""The graph `nested`: a subgraph with state of its own, which stops in its midst to ask."""

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.types import interrupt
from typing_extensions import TypedDict

from harness.agents.graph import Graph, Saver


class Topic(TypedDict):
    """What goes into either graph."""

    topic: str


class Findings(TypedDict):
    """What comes out of the subgraph."""

    findings: list[str]


class ResearchState(Topic, Findings):
    """The subgraph's state; its sources are its own affair."""

    sources: list[str]


class NestedState(Topic):
    """The outer state: the findings of all runs, and a report on the last."""

    findings: Annotated[list[str], operator.add]
    report: str


async def _look_up(state: ResearchState) -> dict[str, Any]:
    return {"sources": [f"{state['topic']} in {kind}" for kind in ("books", "papers")]}


async def _choose(state: ResearchState) -> dict[str, Any]:
    chosen = interrupt({"question": "Which source?", "sources": state["sources"]})
    return {"findings": [f"found: {chosen}"]}


async def _write_up(state: NestedState) -> dict[str, Any]:
    return {"report": f"{state['topic']}: {state['findings'][-1]}"}


def build_nested(checkpointer: Saver | None = None, store: BaseStore | None = None) -> Graph:
    """Compile the graph: `research` (a subgraph: `look_up`, `choose`), then `write_up`.

    Input: `{"topic": "tea"}`. `choose` interrupts and goes on with `Command(resume=<the source>)`.
    The subgraph's checkpoints lie in a namespace of their own in the same thread.

    Args:
        checkpointer: Where both graphs are kept; interrupts need one.
        store: Not used by this graph's nodes.
    """
    research = StateGraph(ResearchState, input_schema=Topic, output_schema=Findings)
    research.add_node("look_up", _look_up)
    research.add_node("choose", _choose)
    research.add_edge(START, "look_up")
    research.add_edge("look_up", "choose")
    research.add_edge("choose", END)

    graph = StateGraph(NestedState, input_schema=Topic)
    graph.add_node("research", research.compile(name="research"))
    graph.add_node("write_up", _write_up)
    graph.add_edge(START, "research")
    graph.add_edge("research", "write_up")
    graph.add_edge("write_up", END)
    return graph.compile(checkpointer, store=store, name="nested")
