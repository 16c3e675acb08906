"""The one graph that stands under every name that the contract uses; nothing runs it."""

from langgraph.graph import END, START, MessagesState, StateGraph


async def nothing(state: MessagesState) -> MessagesState:
    """Change nothing."""
    return state


graph = StateGraph(MessagesState)
graph.add_node("nothing", nothing)
graph.add_edge(START, "nothing")
graph.add_edge("nothing", END)
