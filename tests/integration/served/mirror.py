"""Graphs that say what they were called with, and graphs of a schema of their own."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class Seen(TypedDict, total=False):
    """What a node sees."""

    said: dict[str, Any]
    about: dict[str, Any]
    context: Any
    identity: Any


def look(state: Seen, config: RunnableConfig, runtime: Runtime[Any]) -> Seen:
    """Say what the caller, and who, is said to be."""
    del state
    user = runtime.server_info.user if runtime.server_info else None
    return {
        "said": {
            name: value
            for name, value in config["configurable"].items()
            if isinstance(value, str | int | list | None)
        },
        "about": {
            name: value
            for name, value in config["metadata"].items()
            if isinstance(value, str | int | None)
        },
        "context": runtime.context,
        "identity": user and user.identity,
    }


def quiet(state: Seen) -> Seen:
    """Say nothing."""
    del state
    return {}


class Known(TypedDict, total=False):
    """A context that names what the server says, and what callers do."""

    thread_id: str
    langgraph_auth_user_id: str
    mine: str


def _graph(node: Any, context: Any = None) -> StateGraph[Any, Any]:
    inner = StateGraph(Seen)
    inner.add_node("look", node)
    inner.add_edge(START, "look")
    graph = StateGraph(Seen, context_schema=context)
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "inner")
    return graph


mirror = _graph(look)
knowing = _graph(look, Known)
silent = _graph(quiet)


class Mood(Enum):
    """An enum of the schema."""

    MILD = "mild"


class Point(NamedTuple):
    """A named tuple of the schema."""

    x: int


@dataclass
class Place:
    """A dataclass of the schema."""

    mood: Mood
    points: list[Point]


class Typed(TypedDict, total=False):
    """A state of classes."""

    place: Place
    kinds: list[str]
    undeclared: Any


class Undeclared(NamedTuple):
    """A class that no schema names."""

    x: int


def keep(state: Typed) -> Typed:
    """Say of which classes the values are that an earlier run left, and leave some."""
    left = state.get("place")
    kinds = [] if left is None else [left, left.mood, *left.points]
    return {
        "place": Place(Mood.MILD, [Point(1)]),
        "kinds": [type(one).__name__ for one in kinds],
        "undeclared": state.get("undeclared") and Undeclared(1),
    }


_typed = StateGraph(Typed)
_typed.add_node("keep", keep)
_typed.add_edge(START, "keep")
typed = _typed.compile().with_config({"tags": ["copied"]})
