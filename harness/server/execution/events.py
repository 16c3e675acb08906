"""What a graph streams, as the official server names it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langgraph.runtime import RunControl

from harness.agents.graph import Graph
from harness.server.execution.requests import GraphRequest

_MESSAGES: Final = ("messages", "messages-tuple")


async def events_of(
    graph: Graph, request: GraphRequest, control: RunControl
) -> AsyncIterator[tuple[str, Any]]:
    """Execute a graph, and yield names and payloads of what was asked for, and of nothing else.

    Mode `messages-tuple` is called `messages` (a token and its metadata each); mode `messages` is
    `messages/metadata`, and `messages/partial` or `messages/complete` with the message so far.
    Events of subgraphs have the namespace behind their name: `updates|research:…`.

    Args:
        graph: What to execute.
        request: What to call it with.
        control: Asks it to stop after the superstep it is in.

    Raises:
        GraphDrained: It was asked to, and did.
        Exception: Whatever a node raises.
    """
    partial = _Messages()
    async for namespace, mode, payload in _parts(graph, request, control):
        suffix = "".join(f"|{part}" for part in namespace)
        if mode == "messages":
            if "messages-tuple" in request.modes:
                yield f"messages{suffix}", payload
            if "messages" in request.modes:
                for name, value in partial.grown(*payload):
                    yield f"{name}{suffix}", value
        elif mode in request.modes:
            yield f"{mode}{suffix}", payload


async def _parts(
    graph: Graph, request: GraphRequest, control: RunControl
) -> AsyncIterator[tuple[tuple[str, ...], str, Any]]:
    """Yield namespace, mode and payload; events of mode `events` too."""
    modes = ["messages" if mode in _MESSAGES else mode for mode in request.modes]
    wanted = list(dict.fromkeys(mode for mode in modes if mode != "events")) or ["values"]
    call: dict[str, Any] = {
        **request.options,
        "context": request.context,
        "stream_mode": wanted,
        "subgraphs": request.subgraphs,
        "control": control,
    }
    if "events" not in modes:
        async for chunk in graph.astream(request.input, request.config, **call):
            yield chunk if request.subgraphs else ((), *chunk)
        return
    root = str(request.config["run_id"])
    async for event in graph.astream_events(request.input, request.config, version="v2", **call):
        if "langsmith:hidden" in event.get("tags", ()):
            continue
        if event["event"] == "on_chain_stream" and event["run_id"] == root:
            chunk = event["data"]["chunk"]
            yield chunk if request.subgraphs else ((), *chunk)
        else:
            yield (), "events", event


class _Messages:
    """Messages by id, as far as their tokens have come."""

    def __init__(self) -> None:
        self._known: dict[str | None, BaseMessage] = {}

    def grown(self, message: BaseMessage, metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Take a token or a whole message, and return what to tell of it."""
        told: list[tuple[str, Any]] = []
        before = self._known.get(message.id)
        if before is None:
            told.append(("messages/metadata", {message.id: {"metadata": metadata}}))
        is_token = isinstance(message, BaseMessageChunk)
        if is_token and isinstance(before, BaseMessageChunk):
            with suppress(Exception):  # of a model that contradicts itself, only the newest
                message = before + message
        self._known[message.id] = message
        if is_token:
            told.append(("messages/partial", [message_chunk_to_message(message)]))
        else:
            told.append(("messages/complete", [message]))
        return told
