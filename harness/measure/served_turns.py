"""Turns over HTTP, waited for and streamed, beside the same graph in this process and an echo."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import orjson
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_sdk.client import LangGraphClient

from harness.agents import DeterministicChatModel, build_agent
from harness.agents.graph import Graph
from harness.errors import ResultsError
from harness.faults.served import Served
from harness.measure.paired import collection_paused
from harness.measure.raw_http import RawConnection
from harness.measure.served_places import Place, Places
from harness.measure.server_records import CLIENTS, Checkpoints, Client, Host, Way
from harness.measure.streamers import (
    ANSWER,
    CHECKPOINTS,
    QUESTION,
    Stored,
    Turn,
    stream_turn,
)
from harness.persistence import PooledSaver

_INPUT: Final[dict[str, Any]] = {"messages": [{"role": "user", "content": QUESTION}]}
_ASKED: Final = {"assistant_id": "agent", "input": _INPUT}
_MODE: Final = "messages-tuple"
_BODIES: Final[dict[Way, bytes]] = {
    "wait": orjson.dumps(_ASKED),
    "stream": orjson.dumps({**_ASKED, "stream_mode": [_MODE]}),
}

Ask = Callable[[int, str], Awaitable[Turn]]
"""Asks the question once, on behalf of a conversation given by number, in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A subject: somebody who can be asked."""

    host: Host
    checkpoints: Checkpoints
    client: Client | None
    served: Served | None
    place: Place | None
    way: Way
    sdk: LangGraphClient | None = None
    """The official client, where that asks; its connections stay open between samples."""

    @property
    def name(self) -> str:
        """What it is called while it is measured."""
        return f"{self.host} {self.checkpoints} {self.client}"

    async def sample(self, conversations: int) -> tuple[float, list[Turn]]:
        """Ask so many threads at once; return the seconds of all and of each.

        After the clock has stopped, checkpoints are counted where they are in Postgres.

        Raises:
            ResultsError: A turn was not answered or not stored.
        """
        async with AsyncExitStack() as stack:
            ask = await self._opened(stack, conversations)
            threads = [str(uuid4()) for _ in range(conversations)]
            if self.host == "server" and self.served is not None:
                await self._make(threads)
            with collection_paused():
                started_s = time.perf_counter()
                turns = await asyncio.gather(*(ask(n, t) for n, t in enumerate(threads)))
                elapsed_s = time.perf_counter() - started_s
        if self.place is not None and self.place.site is not None:
            await Stored(self.place.site.database).check(threads, CHECKPOINTS)
        return elapsed_s, list(turns)

    async def _make(self, threads: Sequence[str]) -> None:
        assert self.served is not None  # noqa: S101 -- a server has an address
        async with RawConnection(self.served.url) as line:
            for thread_id in threads:
                await line.post("/threads", orjson.dumps({"thread_id": thread_id}))

    async def _opened(self, stack: AsyncExitStack, conversations: int) -> Ask:
        if self.served is None:
            return _in_process(_graph(self.place), self.way)
        if self.sdk is not None:
            return _through_sdk(self.sdk, self.way)
        lines = [
            await stack.enter_async_context(RawConnection(self.served.url))
            for _ in range(conversations)
        ]
        return _raw(lines, self.way, echo=self.host == "echo")


def askable(everything: Places, way: Way) -> list[Asked]:
    """Return everybody who answers: servers, the graph in process on the same savers, the echo."""
    found = [_asked(way, "process", None)]
    for place in everything.stores:
        found.append(_asked(way, "process", place))
        found += [_asked(way, "server", place, client) for client in CLIENTS]
    echo = everything.echo
    return [
        *found,
        Asked(host="echo", checkpoints="none", client="raw", served=echo, place=None, way=way),
    ]


def _asked(way: Way, host: Host, place: Place | None, client: Client | None = None) -> Asked:
    served = place.served if place is not None and host == "server" else None
    return Asked(
        host=host,
        checkpoints="none" if place is None else place.checkpoints,
        client=client,
        served=served,
        place=place,
        way=way,
        sdk=served.client() if served is not None and client == "sdk" else None,
    )


def _graph(place: Place | None) -> Graph:
    saver = None
    if place is not None:
        saver = InMemorySaver() if place.site is None else PooledSaver(place.site.database)
    return build_agent(saver, model=DeterministicChatModel())


def _in_process(graph: Graph, way: Way) -> Ask:
    if way == "stream":
        return lambda _, thread_id: stream_turn(graph, thread_id, "async")

    async def wait(_: int, thread_id: str) -> Turn:
        started_s = time.perf_counter()
        left = await graph.ainvoke(
            {"messages": [HumanMessage(QUESTION)]}, {"configurable": {"thread_id": thread_id}}
        )
        return _answered(started_s, left["messages"][-1].text)

    return wait


def _through_sdk(client: LangGraphClient, way: Way) -> Ask:
    runs = client.runs

    async def wait(_: int, thread_id: str) -> Turn:
        started_s = time.perf_counter()
        left: Any = await runs.wait(thread_id, "agent", input=_INPUT)
        return _answered(started_s, left["messages"][-1]["content"])

    async def stream(_: int, thread_id: str) -> Turn:
        first_s = 0.0
        parts = []
        started_s = time.perf_counter()
        async for part in runs.stream(thread_id, "agent", input=_INPUT, stream_mode=_MODE):
            if part.event == "messages":
                first_s = first_s or time.perf_counter() - started_s
                parts.append(part.data)
        return _answered(started_s, _said(parts), first_s)

    return stream if way == "stream" else wait


def _raw(lines: Sequence[RawConnection], way: Way, *, echo: bool) -> Ask:
    body = _BODIES[way]

    async def wait(number: int, thread_id: str) -> Turn:
        started_s = time.perf_counter()
        answer = await lines[number].post(f"/threads/{thread_id}/runs/{way}", body)
        if echo:
            return _turn(started_s)
        return _answered(started_s, orjson.loads(answer)["messages"][-1]["content"])

    async def stream(number: int, thread_id: str) -> Turn:
        first_s = 0.0
        text = b""
        started_s = time.perf_counter()
        async for piece in lines[number].stream(f"/threads/{thread_id}/runs/{way}", body):
            text += piece
            if not first_s and b"event: messages\r\n" in text:
                first_s = time.perf_counter() - started_s
        ended = _turn(started_s, first_s)
        _check(_said(_parts(text)))
        return ended

    return stream if way == "stream" and not echo else wait


def _parts(text: bytes) -> list[Any]:
    """Return what the `messages` events of a stream carry."""
    events = (event.split(b"\r\n") for event in text.split(b"\r\n\r\n"))
    return [
        orjson.loads(event[1].removeprefix(b"data: "))
        for event in events
        if event[0] == b"event: messages"
    ]


def _said(parts: Sequence[Any]) -> str:
    """Return the tokens that the node `answer` has said, as one text."""
    return "".join(
        message["content"] for message, meta in parts if meta["langgraph_node"] == "answer"
    )


def _turn(started_s: float, first_s: float | None = None) -> Turn:
    total_s = time.perf_counter() - started_s
    return Turn(total_s if first_s is None else first_s, total_s)


def _answered(started_s: float, said: str, first_s: float | None = None) -> Turn:
    turn = _turn(started_s, first_s)
    _check(said)
    return turn


def _check(said: str) -> None:
    if said != ANSWER:
        raise ResultsError(f"the agent said {said!r:.200}")
