"""A graph that records what it does in a file, however it is stopped, and can misbehave."""

import asyncio
import os
import time
from pathlib import Path
from typing import TypedDict

from langgraph.graph import END, START, StateGraph


class Busy(TypedDict, total=False):
    """What to do, and where to keep the record."""

    record: str
    """A file; a line for each thing done: what, the process, the step."""
    steps: int
    """Supersteps."""
    delay_s: float
    """What each takes, awaited in small parts."""
    block_s: float
    """For how long each blocks the event loop before that."""
    deaf_s: float
    """For how long each goes on after it has been cancelled."""
    step: int
    """The last step done."""


def _note(state: Busy, what: str) -> None:
    with Path(state["record"]).open("a", encoding="utf-8") as record:
        record.write(f"{what} {os.getpid()} {state.get('step', 0) + 1}\n")


async def _work(state: Busy) -> Busy:
    _note(state, "began")
    time.sleep(state.get("block_s", 0.0))  # noqa: ASYNC251 -- as user code does
    until_s = time.monotonic() + state.get("delay_s", 0.0)
    deaf_until_s = 0.0
    try:
        while time.monotonic() < max(until_s, deaf_until_s):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if not state.get("deaf_s"):
                    raise
                deaf_until_s = time.monotonic() + state["deaf_s"]
                until_s = 0.0
    finally:
        _note(state, "ended")
    return {"step": state.get("step", 0) + 1}


def _next(state: Busy) -> str:
    return "work" if state["step"] < state.get("steps", 1) else END


graph = StateGraph(Busy)
graph.add_node("work", _work)
graph.add_edge(START, "work")
graph.add_conditional_edges("work", _next, ["work", END])
