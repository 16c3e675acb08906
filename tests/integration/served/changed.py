"""Graphs that were changed after their threads were made: what ran is no longer what reads.

Each is made anew for each call. With `configurable.version` it is what it was; readers, who give
none, get what it has become.
"""

import operator
from collections.abc import Callable
from typing import Annotated, Any, Final, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

Builder = Callable[[RunnableConfig], StateGraph[Any]]


class Before(TypedDict, total=False):
    """What the state was."""

    count: Any
    words: list[str]


class Renamed(TypedDict, total=False):
    """A channel is gone, and there is another."""

    sum: int


class Summed(TypedDict, total=False):
    """A channel adds up what was replaced, and what never was a number."""

    count: Annotated[int, operator.add]
    words: Annotated[int, operator.add]


class Checked(BaseModel):
    """The schema asks for what was never kept."""

    count: int
    author: str


def _exit(_: Any, __: Any) -> Any:
    raise SystemExit


class Exiting(TypedDict, total=False):
    """A reducer ends the process."""

    count: Annotated[Any, _exit]
    words: list[str]


def _built(schema: Any, *nodes: str) -> StateGraph[Any]:
    graph = StateGraph(schema)
    for name, after in zip(nodes, (*nodes[1:], END), strict=True):
        graph.add_node(name, _nothing)
        graph.add_edge(name, after)
    graph.add_edge(START, nodes[0])
    return graph


async def _nothing(state: Any) -> None:
    """Change nothing."""


def _changed(schema: Any, *nodes: str) -> Builder:
    def build(config: RunnableConfig) -> StateGraph[Any]:
        was = "version" in config.get("configurable", {})
        return _built(Before, "first", "second") if was else _built(schema, *nodes)

    return build


renamed: Final = _changed(Renamed, "first", "second")
summed: Final = _changed(Summed, "first", "second")
checked: Final = _changed(Checked, "first", "second")
exiting: Final = _changed(Exiting, "first", "second")
moved: Final = _changed(Before, "third")
