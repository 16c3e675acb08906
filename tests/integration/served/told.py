"""A graph that says what it was told, and asks when it is to: the fields of a run made visible."""

import operator
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Told(TypedDict, total=False):
    """What it has heard, node by node."""

    text: str
    asks: bool
    answer: Any
    trace: Annotated[list[str], operator.add]
    heard: dict[str, Any]


class Tone(TypedDict, total=False):
    """How it is to speak."""

    tone: str


async def first(
    state: Told,  # noqa: ARG001 -- a node's first argument is its state, under this name
    config: RunnableConfig,
    runtime: Runtime[Tone],
) -> Told:
    """Say what a run was told beside its input."""
    configurable = config.get("configurable", {})
    heard = {
        "colour": configurable.get("colour"),
        "context": dict(runtime.context or {}),
        "tags": config.get("tags"),
        "metadata": {
            name: value for name, value in config.get("metadata", {}).items() if name == "mark"
        },
        "recursion_limit": config.get("recursion_limit"),
        "max_concurrency": config.get("max_concurrency"),
    }
    return {"heard": heard, "trace": ["first"]}


async def second(state: Told) -> Told:
    """Ask, if it is to."""
    return {"trace": ["second"], "answer": interrupt("well?") if state.get("asks") else None}


async def aside(state: Told) -> Told:
    """Be where only a command leads."""
    return {"trace": [f"aside {state.get('text', '')}".strip()]}


graph = StateGraph(Told, context_schema=Tone)
graph.add_node("first", first)  # type: ignore[call-overload]  # it may take both
graph.add_node("second", second)
graph.add_node("aside", aside)
graph.add_edge(START, "first")
graph.add_edge("first", "second")
graph.add_edge("second", END)

inner = StateGraph(Told)
inner.add_node("second", second)
inner.add_edge(START, "second")
outer = StateGraph(Told)
outer.add_node("inner", inner.compile())
outer.add_edge(START, "inner")
deep = StateGraph(Told)
deep.add_node("outer", outer.compile())
deep.add_edge(START, "outer")
