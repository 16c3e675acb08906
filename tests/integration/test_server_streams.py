"""Event streams over HTTP: what is sent, to whom, and what becomes of readers who leave."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError

from tests.integration.serving import Serving, said_by_node

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

SETTINGS = {"HARNESS_HEARTBEAT_S": "0.3", "HARNESS_MAX_STREAMS": "40"}
SAID = {"messages": [{"role": "user", "content": "hello"}]}
SLOW = {"steps": 1_000, "delay_s": 0.05}
EVENTS_OF = {
    "values": {"values"},
    "updates": {"updates"},
    "messages": {"messages/metadata", "messages/partial"},
    "messages-tuple": {"messages"},
    "events": {"events"},
    "debug": {"debug"},
    "tasks": {"tasks"},
    "checkpoints": {"checkpoints"},
}
"""Which events the conversation sends in each mode."""


async def streamed(
    client: LangGraphClient, graph: str, given: Any, *, thread_id: str | None = None, **more: Any
) -> list[Any]:
    """Run a graph on a new thread and return the parts of its stream."""
    stream = client.runs.stream(
        thread_id or str(uuid4()), graph, input=given, if_not_exists="create", **more
    )
    return [part async for part in stream]


async def joined(client: LangGraphClient, run: Any, **more: Any) -> list[tuple[str, Any]]:
    """Return names and payloads of what a reader gets who joins a run."""
    stream = client.runs.join_stream(run["thread_id"], run["run_id"], **more)
    return [(part.event, part.data) async for part in stream]


async def create(client: LangGraphClient, graph: str, given: Any, **more: Any) -> Any:
    """Create a run on a new thread."""
    return await client.runs.create(
        str(uuid4()), graph, input=given, if_not_exists="create", **more
    )


async def until(client: LangGraphClient, thread_id: str, run_id: str, *statuses: str) -> str:
    """Wait until a run has one of the statuses; return it."""
    while True:
        found = await client.runs.get(thread_id, run_id)
        if found["status"] in statuses:
            return found["status"]
        await asyncio.sleep(0.02)


@asynccontextmanager
async def reading(
    server: Serving, place: str, body: dict[str, Any] | None = None
) -> AsyncIterator[httpx.Response]:
    """Open a stream without the official client, which would open it again."""
    async with server.http() as http:
        method = "GET" if body is None else "POST"
        async with http.stream(method, place, json=body) as answer:
            yield answer


class TestModes:
    """Only what was asked for is sent (invariant 30)."""

    @pytest.mark.invariant(30)
    @pytest.mark.parametrize("mode", EVENTS_OF)
    async def test_each_mode(self, client: LangGraphClient, mode: str) -> None:
        """The mode's events, behind one of metadata, and no others."""
        parts = await streamed(client, "agent", SAID, stream_mode=mode)
        assert parts[0].event == "metadata"
        assert set(parts[0].data) == {"run_id", "attempt"}
        assert {part.event for part in parts[1:]} == EVENTS_OF[mode]

    @pytest.mark.invariant(30)
    async def test_several_modes(self, client: LangGraphClient) -> None:
        """All of them, interleaved as they happen."""
        modes = ["values", "updates", "messages-tuple", "events"]
        parts = await streamed(client, "agent", SAID, stream_mode=modes)
        assert {p.event for p in parts[1:]} == {"values", "updates", "messages", "events"}

    async def test_custom_events(self, client: LangGraphClient) -> None:
        """What a node writes, in order."""
        parts = await streamed(client, "talk", {"times": 5}, stream_mode="custom")
        assert [part.data["number"] for part in parts[1:]] == [*range(5)]

    @pytest.mark.invariant(30)
    async def test_tokens_of_every_node_add_up(self, client: LangGraphClient) -> None:
        """The deltas of each node's message are its text (invariant 30)."""
        parts = await streamed(client, "agent", SAID, stream_mode=["messages-tuple", "values"])
        said = said_by_node(parts)
        values = parts[-1].data
        assert said == {
            "answer": values["messages"][-1]["content"],
            "summarize": values["summary"],
        }

    async def test_partial_messages_grow(self, client: LangGraphClient) -> None:
        """The last of a message's partial events is all of it."""
        parts = await streamed(client, "agent", SAID, stream_mode=["messages", "values"])
        grown = {p.data[0]["id"]: p.data[0] for p in parts if p.event == "messages/partial"}
        last = parts[-1].data["messages"][-1]
        assert grown[last["id"]]["content"] == last["content"]

    async def test_subgraphs(self, client: LangGraphClient) -> None:
        """Their events have the namespace behind the mode, and come only if asked for."""
        for wanted in (True, False):
            parts = await streamed(
                client,
                "team",
                SAID,
                stream_mode=["updates", "messages-tuple"],
                stream_subgraphs=wanted,
            )
            inner = {p.event.partition("|")[0] for p in parts if "|member:" in p.event}
            assert inner == ({"updates", "messages"} if wanted else set())

    async def test_an_error_is_an_event(self, client: LangGraphClient) -> None:
        """It is the last one, with type and message."""
        parts = await streamed(client, "steps", {"steps": 2, "fail_at": 1})
        assert parts[-1].event == "error"
        assert parts[-1].data["error"] == "StepFailed"


class TestWire:
    """The bytes, as the official server writes them."""

    @pytest.mark.parametrize("resumable", [True, False])
    async def test_lines(self, server: Serving, resumable: bool) -> None:
        """Event, data, and an id behind it only if the stream can be resumed; CRLF everywhere."""
        body = {
            "assistant_id": "steps",
            "input": {},
            "if_not_exists": "create",
            "stream_resumable": resumable,
        }
        async with server.http() as http:
            answer = await http.post(f"/threads/{uuid4()}/runs/stream", json=body)
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.text.count("\n") == answer.text.count("\r\n")
        events = [
            event.split("\r\n") for event in answer.text.removesuffix("\r\n\r\n").split("\r\n\r\n")
        ]
        names = ["event", "data", "id"] if resumable else ["event", "data"]
        assert all([line.partition(": ")[0] for line in lines] == names for lines in events)
        assert events[0][0] == "event: metadata"
        assert "event: end" not in answer.text

    async def test_heartbeats(self, server: Serving) -> None:
        """Where nothing happens there are comments, and line feeds before JSON."""
        body = {
            "assistant_id": "steps",
            "input": {"steps": 1, "delay_s": 1},
            "if_not_exists": "create",
            "stream_mode": ["updates"],
        }
        async with server.http() as http:
            stream, wait = await asyncio.gather(
                http.post(f"/threads/{uuid4()}/runs/stream", json=body),
                http.post(f"/threads/{uuid4()}/runs/wait", json=body),
            )
        assert ": heartbeat\r\n\r\n" in stream.text
        assert wait.text.startswith("\n")
        assert json.loads(wait.text)["done"] == [1]


class TestReaders:
    """Several readers, and readers who come back (invariant 31)."""

    @pytest.mark.invariant(31)
    async def test_everybody_gets_everything(self, client: LangGraphClient) -> None:
        """Readers of one run who come at different times have the same events in the end."""
        run = await create(client, "steps", {"steps": 10, "delay_s": 0.05}, stream_mode="updates")
        first = asyncio.create_task(joined(client, run))
        await asyncio.sleep(0.2)
        second = await joined(client, run)
        assert second == await first
        assert [data["step"]["step"] for _, data in second if "step" in data] == [*range(1, 11)]

    @pytest.mark.invariant(31)
    async def test_a_reader_comes_back(self, client: LangGraphClient) -> None:
        """With the id of the last event that it has, it misses none and gets none twice."""
        thread_id = str(uuid4())
        run: Any = await client.runs.create(
            thread_id,
            "talk",
            input={"times": 20, "delay_s": 0.02},
            if_not_exists="create",
            stream_mode="custom",
            stream_resumable=True,
        )
        seen, last_id = [], None
        while 19 not in seen:
            stream = client.runs.join_stream(thread_id, run["run_id"], last_event_id=last_id)
            taken = 0
            async for part in stream:
                last_id = part.id
                seen += [part.data["number"]] if part.event == "custom" else []
                taken += 1
                if taken == 3:
                    break
            await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert seen == [*range(20)]

    async def test_a_run_that_has_ended_is_replayed(self, client: LangGraphClient) -> None:
        """If it is resumable: all of it, or what came after an id. Otherwise nothing is left."""
        for resumable in (True, False):
            thread_id = str(uuid4())
            parts = await streamed(
                client, "steps", {"steps": 3}, thread_id=thread_id, stream_resumable=resumable
            )
            everything = [(part.event, part.data) for part in parts]
            run = {"run_id": everything[0][1]["run_id"], "thread_id": thread_id}
            for last_id, skipped in ((None, 0), ("-1", 0), ("0", 0), (parts[2].id, 3)):
                replayed = await joined(client, run, last_event_id=last_id)
                assert replayed == (everything[skipped:] if resumable else [])
        with pytest.raises(UnprocessableEntityError):
            await joined(client, run, last_event_id="nonsense")

    async def test_a_thread_is_followed(self, client: LangGraphClient) -> None:
        """Its runs are heard one after the other, however its id is written; each one's end too."""
        thread_id = str(uuid4())
        await streamed(client, "steps", {}, thread_id=thread_id)
        heard: list[Any] = []

        async def hear() -> None:
            async for part in await client.threads.join_stream(thread_id):
                heard.append(part)
                if sum(p.data.get("status") == "run_done" for p in heard) == 2:
                    return

        hearing = asyncio.create_task(hear())
        while not heard:
            await streamed(client, "steps", {"steps": 0}, thread_id=thread_id)
        await streamed(client, "steps", {"steps": 1}, thread_id=thread_id.upper())
        await hearing
        assert [part.event for part in heard].count("metadata") >= 3
        assert all(part.id for part in heard)

    @pytest.mark.slow
    async def test_only_some_modes(self, client: LangGraphClient) -> None:
        """A reader who joins may ask for some of the run's modes."""
        run = await create(
            client, "agent", SAID, stream_mode=["values", "updates", "messages"], after_seconds=1
        )
        events = {name for name, _ in await joined(client, run, stream_mode=["updates"])}
        assert events == {"metadata", "updates"}

    async def test_a_reader_who_does_not_read(self, server: Serving) -> None:
        """It holds up neither its run nor another reader."""
        client = server.client()
        run = await create(
            client,
            "talk",
            {"times": 100, "size_bytes": 200_000},
            stream_mode="custom",
            after_seconds=0.5,
        )
        place = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
        async with reading(server, place):
            numbers = [
                data["number"] for name, data in await joined(client, run) if name == "custom"
            ]
            assert await until(client, run["thread_id"], run["run_id"], "success") == "success"
        assert numbers == [*range(100)]


class TestLeaving:
    """A reader who leaves takes the run along if that was asked for."""

    async def test_on_disconnect(self, server: Serving, client: LangGraphClient) -> None:
        """`cancel` interrupts the run; `continue`, the default, lets it go on.

        Whoever joins may bring that along. All leave at once: it takes seconds to notice.
        """

        async def left(how: str, mode: str | None) -> tuple[str, str]:
            thread_id = str(uuid4())
            body = {
                "assistant_id": "steps",
                "input": SLOW if mode == "cancel" else {"steps": 15, "delay_s": 0.05},
                "if_not_exists": "create",
                **({} if mode is None else {"on_disconnect": mode}),
            }
            async with reading(server, f"/threads/{thread_id}/runs/{how}", body) as answer:
                run_id = await _first_bytes_of(answer)
            return how, await until(client, thread_id, run_id, "interrupted", "success")

        hows = ("stream", "wait")
        modes = ("continue", None)
        cancelled, others, _ = await asyncio.gather(
            asyncio.gather(*(left(how, "cancel") for how in hows)),
            asyncio.gather(*(left(how, mode) for how in hows for mode in modes)),
            self._cancel_on_disconnect(server, client),
        )
        assert dict(cancelled) == dict.fromkeys(hows, "interrupted")
        assert dict(others) == dict.fromkeys(hows, "success")

    @staticmethod
    async def _cancel_on_disconnect(server: Serving, client: LangGraphClient) -> None:
        run = await create(client, "steps", SLOW)
        place = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream?cancel_on_disconnect=1"
        async with reading(server, place) as answer:
            await _first_bytes_of(answer)
        await until(client, run["thread_id"], run["run_id"], "interrupted")


async def _first_bytes_of(answer: httpx.Response) -> str:
    """Take the first piece of a stream; return the id of the run that it is of."""
    async for _ in answer.aiter_raw():
        break
    return answer.headers["content-location"].split("/")[4]


class TestRoom:
    """Streams are bounded, and hold nothing that others need."""

    async def test_one_too_many(self, server: Serving, client: LangGraphClient) -> None:
        """It is refused with 503 and creates nothing; requests that wait are not streams."""
        run = await create(client, "steps", SLOW)
        thread_id, run_id = run["thread_id"], run["run_id"]
        place = f"/threads/{thread_id}/runs"
        async with server.http() as http:
            readers: list[httpx.Response] = []
            request = http.build_request("GET", f"{place}/{run_id}/stream")
            async with asyncio.timeout(30):
                while len(readers) < int(SETTINGS["HARNESS_MAX_STREAMS"]):
                    answer = await http.send(request, stream=True)
                    if answer.status_code == 200:
                        readers.append(answer)
                    else:  # somebody's who left is not noticed yet
                        await answer.aclose()
            answer = await http.send(request, stream=True)
            assert answer.status_code == 503
            assert "streams are open" in (await answer.aread()).decode()
            body = {"assistant_id": "steps", "input": {}}
            refused = await http.post(f"{place}/stream", json=body)
            assert refused.status_code == 503
            assert len(await client.runs.list(thread_id)) == 1
            waited = await client.runs.wait(None, "steps", input={"steps": 1, "delay_s": 0.5})
            assert waited["done"] == [1]  # type: ignore[call-overload]  # values are a dict
            await client.runs.cancel(thread_id, run_id, wait=True)
            for reader in readers:
                assert (await reader.aread()).endswith(b"\r\n\r\n")
        parts = await streamed(client, "steps", {})
        assert parts[0].event == "metadata"
