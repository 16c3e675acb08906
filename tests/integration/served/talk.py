"""Graphs that say what the bundled ones don't: custom events, and tokens of a subgraph."""

import asyncio
from typing import TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph

from harness.agents import build_agent


class Talk(TypedDict):
    """What to say."""

    times: int
    size_bytes: int
    delay_s: float


async def say(state: Talk) -> None:
    """Write custom events, numbered from 0."""
    write = get_stream_writer()
    for number in range(state["times"]):
        write({"number": number, "text": "x" * state.get("size_bytes", 0)})
        await asyncio.sleep(state.get("delay_s", 0.0))


graph = StateGraph(Talk)
graph.add_node("say", say)
graph.add_edge(START, "say")
graph.add_edge("say", END)

team = StateGraph(MessagesState)
team.add_node("member", build_agent())
team.add_edge(START, "member")
team.add_edge("member", END)
