"""A process that runs our graphs for whoever writes to it: `python -m harness.faults.talk`.

It stores where `DATABASE_URL` says, as a server would: `initialize_database()` at the start, then
every graph of `harness.agents.GRAPHS` on `get_checkpointer()` and `get_store()`.

Requests and answers are JSON, a line each, any number at once. A request has an `id` of the
caller's choice, a `call` (a method of `Calls`), an `owner`, and the call's arguments. A run tells
of its progress, `{"id": …, "event": …}`; each call ends with `{"id": …, "result": …}` or
`{"id": …, "error": {"type": …, "message": …}}`. The first line of all is `{"ready": …}`.

SIGTERM, or the end of its input (the death of its parent), cancels what runs, closes the database
and ends the process with status 0. `harness.faults.talker` is the other side.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any, Final

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from harness.agents import GRAPHS, Graph
from harness.faults.plain import snapshot, to_json
from harness.models import Json
from harness.persistence import owner_scope
from harness.runtime import (
    get_checkpointer,
    get_store,
    initialize_database,
    is_postgres_enabled,
    shutdown_database,
)

_LINE_LIMIT_BYTES: Final = 2**24


class Calls:
    """What may be called. `thread_id` says on which thread, `graph` through which graph."""

    def __init__(self) -> None:
        checkpointer, store = get_checkpointer(), get_store()
        self._graphs = {name: build(checkpointer, store) for name, build in GRAPHS.items()}

    async def run(self, number: int, request: Json) -> Json:
        """Run a graph and return the thread's values, with `__interrupt__` where it stopped to ask.

        `input` starts a run, `resume` answers an interrupt, neither goes on where the thread
        stopped. `durability` is LangGraph's. Each event is `[mode, part]` of LangGraph's stream
        modes `updates` and `values`.
        """
        graph, config = self._of(request)
        given = Command(resume=request["resume"]) if "resume" in request else request.get("input")
        values: Any = {}
        async for mode, part in graph.astream(
            given,
            config,
            stream_mode=["updates", "values"],
            durability=request.get("durability"),
        ):
            tell(number, event=[mode, part])
            if mode == "values":
                values = part
        result: Json = values
        return result

    async def state(self, number: int, request: Json) -> Json:
        """Return what the thread holds now, its subgraphs' states included."""
        del number
        graph, config = self._of(request)
        return snapshot(await graph.aget_state(config, subgraphs=True))

    async def history(self, number: int, request: Json) -> list[Json]:
        """Return what the thread held at each of its checkpoints, newest first."""
        del number
        graph, config = self._of(request)
        return [snapshot(state) async for state in graph.aget_state_history(config)]

    def _of(self, request: Json) -> tuple[Graph, RunnableConfig]:
        configurable = {"thread_id": request["thread_id"], "user_id": request["user_id"]}
        return self._graphs[request["graph"]], {"configurable": configurable}


async def answer(calls: Calls, request: Json) -> None:
    """Carry out one request under its owner, and tell what came of it."""
    number = request["id"]
    methods: dict[str, Any] = {"run": calls.run, "state": calls.state, "history": calls.history}
    try:
        with owner_scope(request["owner"]):
            tell(number, result=await methods[request["call"]](number, request))
    except asyncio.CancelledError:
        tell(number, error={"type": "CancelledError", "message": "the process was told to end"})
    except Exception as exc:  # noqa: BLE001 -- whatever a graph raises is its caller's to judge
        tell(number, error={"type": type(exc).__name__, "message": str(exc)})


def tell(number: int, **said: object) -> None:
    """Write a line about a request."""
    _write({"id": number, **said})


async def serve() -> None:
    """Answer requests until the process is told to end."""
    this = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if this is not None:
        loop.add_signal_handler(signal.SIGTERM, this.cancel)
    underway: set[asyncio.Task[None]] = set()
    try:
        await initialize_database()
        calls = Calls()
        lines = await _lines()
        _write({"ready": {"postgres": is_postgres_enabled()}})
        with suppress(asyncio.CancelledError):  # SIGTERM
            async for line in lines:
                task = asyncio.create_task(answer(calls, orjson.loads(line)))
                underway.add(task)
                task.add_done_callback(underway.discard)
        for task in underway:
            task.cancel()
        await asyncio.gather(*underway)
    finally:
        await shutdown_database()


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def _write(line: Json) -> None:
    sys.stdout.buffer.write(to_json(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(serve())
