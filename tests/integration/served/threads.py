"""Graphs that keep threads: of a node's own, which write when they are let, and of the server."""

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import START, StateGraph

from harness.runtime import get_checkpointer

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN_S = 30.0


class State(TypedDict, total=False):
    """What to do, and what came of it."""

    by: str
    """What starts the thread: `thread`, `executor` or `pool`."""
    how: str
    """What the thread calls: `put` or `put_writes`; `server's put`: of the server's own saver."""
    to: str
    """The thread that is written to; by default the run's own."""
    folder: str
    """Where `go` lets it write; `said` then says how that ended."""
    kept: str


def _write(state: State, config: RunnableConfig) -> None:
    folder, until = Path(state["folder"]), time.monotonic() + _WITHIN_S
    while not (folder / "go").exists() and time.monotonic() < until:
        time.sleep(0.005)
    configurable = config["configurable"]
    saver: Any = configurable["__pregel_checkpointer"]
    if state["how"] == "server's put":
        saver = get_checkpointer()
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6())
    checkpoint["channel_values"], checkpoint["channel_versions"] = {"kept": "late"}, {"kept": "9"}
    thread = state.get("to", configurable["thread_id"])
    place: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    try:
        if state["how"] == "put_writes":
            place["configurable"]["checkpoint_id"] = checkpoint["id"]
            saver.put_writes(place, [("kept", "late")], "task")
        else:
            saver.put(place, checkpoint, {"source": "loop", "step": 99}, {"kept": "9"})
        said = "written"
    except BaseException as exc:  # noqa: BLE001 -- which one it is is what the test asks
        said = type(exc).__name__
    (folder / "saying").write_text(said)
    (folder / "saying").rename(folder / "said")


async def _start(state: State, config: RunnableConfig) -> State:
    if "by" in state:
        starts: dict[str, Callable[[], object]] = {
            "thread": lambda: threading.Thread(
                target=_write, args=(state, config), daemon=True
            ).start(),
            "executor": lambda: asyncio.get_running_loop().run_in_executor(
                None, _write, state, config
            ),
            "pool": lambda: ThreadPoolExecutor(1).submit(_write, state, config),
        }
        starts[state["by"]]()
    return {"kept": "mine"}


def _hold(state: State) -> State:
    """Keep the thread that the node is executed in until `go` is there, if a folder is named."""
    if "folder" in state:
        folder, until = Path(state["folder"]), time.monotonic() + _WITHIN_S
        (folder / f"held {uuid.uuid4()}").touch()
        while not (folder / "go").exists() and time.monotonic() < until:
            time.sleep(0.005)
    return {"kept": "mine"}


holding = StateGraph(State).add_node("hold", _hold).add_edge(START, "hold")
graph = StateGraph(State).add_node("start", _start).add_edge(START, "start")
