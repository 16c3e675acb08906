"""A graph that is made anew for each purpose, and says for whom."""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    """What the graph was made for."""

    made_for: str


def graph(runtime: ServerRuntime[Any]) -> StateGraph[State]:
    """Return a graph that says who wanted it, and what for."""
    said = f"{runtime.access_context} by {runtime.user}"

    def say(state: State) -> State:  # noqa: ARG001 -- by name
        return {"made_for": said}

    builder: StateGraph[State] = StateGraph(State)
    builder.add_node("say", say)
    builder.add_edge(START, "say")
    builder.add_edge("say", END)
    return builder
