"""What must hold where servers of this kind have failed, asked of one caller's server.

Each number is one of `harness.contract.promises`; what belongs to a subject is in its own file.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError
from psycopg import sql

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

TURNS = 4
EVENTS = 12
FAR = 3_600
"""Seconds after which nothing in a test comes due."""


def said(text: str) -> dict[str, Any]:
    """Return an input of one message."""
    return {"messages": [{"role": "user", "content": text}]}


class TestHistory:
    """What was streamed is what is kept."""

    @pytest.mark.invariant(1, 2, 3, 4, 7)
    async def test_each_turn_is_kept_as_it_was_streamed(self, client: LangGraphClient) -> None:
        """2n messages after n turns; each values event is an entry, and begins with the last."""
        thread_id = str(uuid4())
        streamed: list[Any] = []
        for turn in range(TURNS):
            stream = client.runs.stream(
                thread_id, "agent", input=said(f"turn {turn}"), if_not_exists="create"
            )
            events = [part.data async for part in stream if part.event == "values"]
            before = streamed[-1]["messages"] if streamed else []
            assert events[0]["messages"][:-1] == before
            assert len(events[-1]["messages"]) == 2 * (turn + 1)
            streamed += events
        state: Any = await client.threads.get_state(thread_id)
        history: Any = await client.threads.get_history(thread_id, limit=100)
        assert state == history[0]
        assert state["values"] == streamed[-1]
        kept = [one["values"] for one in history[::-1] if one["metadata"]["source"] == "loop"]
        assert kept == streamed
        for n, one in enumerate(history):
            assert (
                await client.threads.get_history(thread_id, limit=100, before=one["checkpoint"])
                == (history[n + 1 :])
            )


class TestIdentity:
    """The caller's ids."""

    @pytest.mark.invariant(10)
    async def test_create_makes_that_very_thread(self, client: LangGraphClient) -> None:
        """Many runs at once that would create it find one thread, under the caller's id."""
        thread_id = str(uuid4())
        runs: list[Any] = await asyncio.gather(
            *(
                client.runs.create(thread_id, "steps", input={}, if_not_exists="create")
                for _ in range(10)
            )
        )
        assert {run["thread_id"] for run in runs} == {thread_id}
        await asyncio.gather(*(client.runs.join(thread_id, run["run_id"]) for run in runs))
        assert len(await client.runs.list(thread_id)) == 10
        assert (await client.threads.get(thread_id))["thread_id"] == thread_id

    @pytest.mark.invariant(39)
    async def test_twenty_updates_are_twenty_versions(self, client: LangGraphClient) -> None:
        """Concurrent updates of an assistant: each is a version, and each key is there."""
        made = await client.assistants.create("agent")
        identity = made["assistant_id"]
        updated = await asyncio.gather(
            *(client.assistants.update(identity, metadata={f"k{n}": n}) for n in range(20))
        )
        assert sorted(one["version"] for one in updated) == [*range(2, 22)]
        found = await client.assistants.get(identity)
        assert found["version"] == 21
        assert found["metadata"] == {"owner": "anybody", **{f"k{n}": n for n in range(20)}}
        versions = await client.assistants.get_versions(identity, limit=100)
        assert [one["version"] for one in versions] == [*range(21, 0, -1)]
        assert [len(dict(one["metadata"] or {})) for one in versions] == [*range(21, 0, -1)]


@pytest.mark.invariant(38)
async def test_deletion_leaves_no_row(client: LangGraphClient, server: Serving) -> None:
    """Whatever a thread has had, no table names it afterwards, and its id starts empty."""
    thread_id = str(uuid4())
    await client.runs.wait(thread_id, "nested", input={"topic": "tea"}, if_not_exists="create")
    await client.runs.wait(thread_id, "agent", input=said("hello"))
    await client.threads.update_state(thread_id, said("more"))
    await client.runs.create(thread_id, "agent", input=said("later"), after_seconds=FAR)
    await client.crons.create_for_thread(thread_id, "agent", schedule="0 4 1 1 *")
    kept = await rows_of(server, thread_id)
    tables = {"threads", "runs", "crons", "checkpoints", "checkpoint_blobs", "checkpoint_writes"}
    assert kept.keys() >= tables or server.database_url is None
    await client.threads.delete(thread_id)
    assert await rows_of(server, thread_id) == {}
    with pytest.raises(NotFoundError):
        await client.threads.get_state(thread_id)
    assert await client.crons.search(thread_id=thread_id) == []

    await client.threads.create(thread_id=thread_id, graph_id="agent")
    assert (await client.threads.get_state(thread_id))["values"] == {}
    assert await client.threads.get_history(thread_id) == []
    assert await client.runs.list(thread_id) == []
    values: Any = await client.runs.wait(thread_id, "agent", input=said("again"))
    assert len(values["messages"]) == 2


async def rows_of(server: Serving, thread_id: str) -> dict[str, int]:
    """Count the rows that name a thread, by table; none where there is no database."""
    if server.database_url is None:
        return {}
    async with await psycopg.AsyncConnection.connect(server.database_url) as connection:
        cursor = await connection.execute(
            "SELECT table_schema, table_name FROM information_schema.columns"
            " WHERE column_name = 'thread_id'"
        )
        counts = {}
        for schema, table in await cursor.fetchall():
            counted = await connection.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE thread_id::text = %s").format(
                    sql.Identifier(schema, table)
                ),
                [thread_id],
            )
            [counts[table]] = await counted.fetchone() or (0,)
        return {table: count for table, count in counts.items() if count}


@pytest.mark.invariant(31)
class TestCuts:
    """A reader whose connection breaks goes on with the id of the last event that it has whole."""

    async def test_at_every_boundary(self, server: Serving, client: LangGraphClient) -> None:
        """Of a run that is being executed: one reader for each event, cut off behind it."""
        run = await a_run(client, delay_s=0.03)
        async with server.http() as http:

            async def read(cut: int) -> list[tuple[str, str]]:
                seen = await events_of(http, run, most=cut)
                assert len(seen) == cut
                return seen + await events_of(http, run, after=seen[-1][0])

            everything, *others = await asyncio.gather(
                events_of(http, run), *(read(cut) for cut in range(1, EVENTS + 2))
            )
        assert [data for _, data in everything[1:]] == [str(n) for n in range(EVENTS)]
        assert others == [everything] * (EVENTS + 1)

    @given(cuts=st.lists(st.integers(1, 1_200), max_size=8))
    @settings(max_examples=15)
    async def test_anywhere(self, server: Serving, cuts: list[int]) -> None:
        """After any number of bytes, as often as one likes."""
        async with server.http() as http:
            run = await finished(server)
            everything = await events_of(http, run)
            seen: list[tuple[str, str]] = []
            for cut in [*cuts, None]:
                after = seen[-1][0] if seen else "0"
                seen += await events_of(http, run, after=after, most_bytes=cut)
        assert seen == everything
        assert len(seen) == EVENTS + 1


_finished: dict[str, Any] = {}


async def finished(server: Serving) -> Any:
    """Return a resumable run that has ended on this server, the same each time."""
    if server.url not in _finished:
        client = server.client()
        run = await a_run(client, delay_s=0)
        await client.runs.join(run["thread_id"], run["run_id"])
        _finished[server.url] = run
    return _finished[server.url]


async def a_run(client: LangGraphClient, *, delay_s: float) -> Any:
    """Create a resumable run of so many custom events, and one of metadata."""
    return await client.runs.create(
        str(uuid4()),
        "talk",
        input={"times": EVENTS, "delay_s": delay_s},
        if_not_exists="create",
        stream_mode="custom",
        stream_resumable=True,
    )


async def events_of(
    http: httpx.AsyncClient,
    run: Any,
    *,
    after: str = "0",
    most: int | None = None,
    most_bytes: int | None = None,
) -> list[tuple[str, str]]:
    """Return ids and numbers of the events that come whole before the connection is cut."""
    place = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    text = b""
    async with http.stream("GET", place, headers={"Last-Event-ID": after}) as answer:
        assert answer.status_code == 200
        async with aclosing(answer.aiter_raw()) as pieces:  # type: ignore[type-var]
            async for piece in _joined(pieces):
                text = piece[:most_bytes]
                if len(text) == most_bytes or (most and len(_whole(text)) >= most):
                    break
    return _whole(text)[:most]


async def _joined(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield everything that has come so far, each time that something comes."""
    text = b""
    async for piece in pieces:
        text += piece
        yield text


def _whole(text: bytes) -> list[tuple[str, str]]:
    """Return the events that have come to their end; heartbeats are none."""
    blocks = text.split(b"\r\n\r\n")[:-1]
    return [_event(block.decode()) for block in blocks if not block.startswith(b":")]


def _event(text: str) -> tuple[str, str]:
    fields = dict(line.split(": ", 1) for line in text.split("\r\n"))
    return fields["id"], fields["data"].partition('"number":')[2].partition(",")[0]
