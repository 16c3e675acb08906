"""The one graph that stands under every name that the contract uses; nothing runs it."""

from typing import Any

from langgraph.graph import END, START, StateGraph


async def nothing(state: dict[str, Any]) -> dict[str, Any]:
    """Change nothing."""
    return state


graph = StateGraph(dict)
graph.add_node("nothing", nothing)
graph.add_edge(START, "nothing")
graph.add_edge("nothing", END)
