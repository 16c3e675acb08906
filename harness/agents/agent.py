"""The graph `agent`: a conversation that is remembered, streamed by two nodes."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import BaseStore

from harness.agents.graph import Graph, Saver
from harness.agents.model import chosen_model
from harness.agents.prompts import SUMMARIZE


class ChatState(MessagesState):
    """A conversation: two messages a turn, in order."""

    summary: str
    """What the last turn was about, in the model's words."""


def build_agent(
    checkpointer: Saver | None = None,
    store: BaseStore | None = None,
    model: BaseChatModel | None = None,
) -> Graph:
    """Compile the conversation: `answer` replies, then `summarize` says what the turn was about.

    Input: `{"messages": [...]}`. Both nodes stream their model's tokens (stream mode `messages`).

    Args:
        checkpointer: Where the conversation of each thread is kept; None: it is forgotten.
        store: Not used by this graph's nodes.
        model: Who answers; by default `chosen_model()`.
    """
    chat = chosen_model() if model is None else model

    async def answer(state: ChatState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    async def summarize(state: ChatState) -> dict[str, Any]:
        said = [m for m in state["messages"] if isinstance(m, HumanMessage)]
        text = str(said[-1].text) if said else ""
        return {"summary": str((await chat.ainvoke([HumanMessage(SUMMARIZE + text)])).text)}

    graph = StateGraph(ChatState)
    graph.add_node("answer", answer)
    graph.add_node("summarize", summarize)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "summarize")
    graph.add_edge("summarize", END)
    return graph.compile(checkpointer, store=store, name="agent")
