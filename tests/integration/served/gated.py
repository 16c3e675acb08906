"""A graph that is made for the reads of some users only when a test lets it be made."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    """What somebody has said."""

    said: str


async def graph(runtime: ServerRuntime[Any]) -> StateGraph[State]:
    """Return a graph that keeps what it is given; for reads of a user who has a gate, behind it.

    The gate is a folder of the user's name among the temporary ones. `reached` is made in it when a
    read has come to the gate, which opens when there is a file `open`.
    """
    gate = Path(tempfile.gettempdir()) / str(getattr(runtime.user, "identity", "nobody"))
    if runtime.access_context == "threads.read" and gate.is_dir():
        await asyncio.to_thread((gate / "reached").touch)
        while not (gate / "open").exists():  # noqa: ASYNC110 -- another process opens it
            await asyncio.sleep(0.005)
    builder: StateGraph[State] = StateGraph(State)
    builder.add_node("keep", lambda _: {})
    builder.add_edge(START, "keep")
    builder.add_edge("keep", END)
    return builder
