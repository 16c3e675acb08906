"""The graph `agent`: a conversation that is remembered, streamed by two nodes."""

from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import _messages_delta_reducer
from langgraph.store.base import BaseStore

from harness.agents.graph import Graph, Saver
from harness.agents.model import chosen_model
from harness.agents.prompts import SUMMARIZE


class ChatState(MessagesState):
    """A conversation: two messages a turn, in order."""

    summary: str
    """What the last turn was about, in the model's words."""


class DeltaChatState(TypedDict):
    """The same, in a channel that stores what is added and, now and then, all of it.

    The reducer is the library's own; it is exported under this name and said to be experimental.
    """

    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer)]
    summary: str


def build_agent(
    checkpointer: Saver | None = None,
    store: BaseStore | None = None,
    model: BaseChatModel | None = None,
    *,
    delta: bool = False,
) -> Graph:
    """Compile the conversation: `answer` replies, then `summarize` says what the turn was about.

    Input: `{"messages": [...]}`. Both nodes stream their model's tokens (stream mode `messages`).

    Args:
        checkpointer: Where the conversation of each thread is kept; None: it is forgotten.
        store: Not used by this graph's nodes.
        model: Who answers; by default `chosen_model()`.
        delta: Whether the messages are in a delta channel, as in `DeltaChatState`.
    """
    chat = chosen_model() if model is None else model
    schema = DeltaChatState if delta else ChatState

    async def answer(state: ChatState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    async def summarize(state: ChatState) -> dict[str, Any]:
        said = [m for m in state["messages"] if isinstance(m, HumanMessage)]
        text = str(said[-1].text) if said else ""
        return {"summary": str((await chat.ainvoke([HumanMessage(SUMMARIZE + text)])).text)}

    graph = StateGraph(schema)
    graph.add_node("answer", answer, input_schema=schema)
    graph.add_node("summarize", summarize, input_schema=schema)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "summarize")
    graph.add_edge("summarize", END)
    return graph.compile(checkpointer, store=store, name="agent")
