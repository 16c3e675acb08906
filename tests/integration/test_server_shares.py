"""One owner cannot take the server from the others: shares, turns, and bounds on what is asked."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from harness.server.http import PARAMETER, Route
from harness.server.routes import ROUTES
from tests.integration import owners
from tests.integration.owners import client_of, token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

PLACES = 8
STREAMS = 8
TERMS = 40
ANSWER_BYTES = 100_000
SETTINGS = {
    **owners.SETTINGS,
    "HARNESS_CONCURRENCY": str(PLACES),
    "HARNESS_MAX_STREAMS": str(STREAMS),
    "HARNESS_MAX_FILTER_TERMS": str(TERMS),
    "HARNESS_MAX_ANSWER_BYTES": str(ANSWER_BYTES),
}
ENDLESS = {"steps": 10**9, "delay_s": 0.01}
LOOPS = 20
FAR = 10**12
"""A recursion limit that nobody needs."""


def http_of(server: Serving, owner: str) -> httpx.AsyncClient:
    """Return an HTTP client of an owner."""
    headers = {"Authorization": f"Bearer {token_of(owner)}"}
    return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30)


async def running(server: Serving) -> int:
    """Return how many runs the server executes."""
    async with server.http() as http:
        text = (await http.get("/metrics")).text
    [line] = [one for one in text.splitlines() if one.startswith("harness_running_runs ")]
    return int(float(line.split()[1]))


async def loops(client: LangGraphClient, count: int = LOOPS) -> None:
    """Start runs that do not end by themselves before the recursion limit."""
    await client.runs.create_batch(
        [{"assistant_id": "steps", "input": ENDLESS} for _ in range(count)]  # type: ignore[typeddict-item]  # the rest is optional
    )


@pytest.fixture
async def hostile(server: Serving) -> AsyncIterator[list[LangGraphClient]]:
    """Owners whose runs are cancelled afterwards."""
    clients = [client_of(server, owner) for owner in ("mallory", "eve")]
    yield clients
    for client in clients:
        await client.runs.cancel_many(status="all")
    async with asyncio.timeout(20):
        while await running(server):
            pass


async def is_served(client: LangGraphClient) -> None:
    """Show that an owner's run is executed, and that what they put is there."""
    async with asyncio.timeout(30):
        values: Any = await client.runs.wait(None, "steps", input={"steps": 2})
        assert values["done"] == [1, 2]
        await client.store.put_item(("home",), "note", {"a": 1})
        item: Any = await client.store.get_item(("home",), "note")
        assert item["value"] == {"a": 1}


@pytest.mark.invariant(58)
async def test_nodes_that_are_no_coroutines_leave_threads(
    alice: LangGraphClient, hostile: list[LangGraphClient], tmp_path: Path
) -> None:
    """Whoever has runs that keep a thread each, another's run gets a thread with its place."""
    held = 0
    try:
        for client, part in zip(hostile, (PLACES // 2, PLACES // 4), strict=True):
            for _ in range(part):
                await client.runs.create(None, "holding", input={"folder": str(tmp_path)})
            held += part
            async with asyncio.timeout(20):
                while len(os.listdir(tmp_path)) < held:  # noqa: ASYNC110, PTH208 -- by another process
                    await asyncio.sleep(0.01)
                values: Any = await alice.runs.wait(None, "holding", input={})
            assert values == {"kept": "mine"}
    finally:
        (tmp_path / "go").touch()


@pytest.mark.invariant(58)
async def test_endless_runs_leave_places(
    server: Serving, alice: LangGraphClient, hostile: list[LangGraphClient]
) -> None:
    """Beside twenty endless runs of one owner, then of two, another's run is executed at once."""
    holds = 0
    for client, part in zip(hostile, (PLACES // 2, PLACES // 4), strict=True):
        await loops(client)
        holds += part
        async with asyncio.timeout(20):
            while await running(server) < holds:
                pass
        await is_served(alice)
        assert await running(server) == holds
    await is_served(client_of(server, "nobody met before"))


@pytest.mark.invariant(58)
async def test_streams_are_shared(server: Serving) -> None:
    """One owner's readers have half of the streams and are told 429; another's find room."""
    async with AsyncExitStack() as stack:
        clients = {
            owner: await stack.enter_async_context(http_of(server, owner))
            for owner in ("mallory", "alice")
        }

        async def opened(owner: str) -> httpx.Response:
            thread_id = (await clients[owner].post("/threads", json={})).json()["thread_id"]
            return await stack.enter_async_context(
                clients[owner].stream("GET", f"/threads/{thread_id}/stream")
            )

        statuses = [(await opened("mallory")).status_code for _ in range(STREAMS)]
        assert statuses == [200] * (STREAMS // 2) + [429] * (STREAMS // 2)
        refused = await opened("mallory")
        await refused.aread()
        assert refused.headers["retry-after"] == "1"
        assert "streams open" in refused.json()["detail"]
        assert (await opened("alice")).status_code == 200


CONFIGURED = [route for route in ROUTES if "config" in route.body.model_fields]
SEARCHING = [route for route in ROUTES if route.body.is_search]


def place(route: Route) -> str:
    """Return the path of a route, with ids that nothing has."""
    return PARAMETER.sub(lambda _: str(uuid4()), route.path)


def label(route: Route) -> str:
    """Return what a test of a route is called."""
    return f"{route.method} {route.path}"


def test_doors_are_known() -> None:
    """Whatever takes a config, or is asked what to look for, is in the tables below."""
    assert {label(route) for route in CONFIGURED} >= {
        *(f"POST {at}{way}" for at in ("/runs", "/threads/{thread_id}/runs") for way in WAYS),
        "POST /runs/crons",
        "POST /threads/{thread_id}/runs/crons",
        "PATCH /runs/crons/{cron_id}",
        "POST /assistants",
        "PATCH /assistants/{assistant_id}",
    }
    wanted = ("search", "count", "history", "versions", "namespaces")
    assert {label(route) for route in SEARCHING} == {
        label(route)
        for route in ROUTES
        if route.method == "POST" and route.path.rpartition("/")[2] in wanted
    }


WAYS = ("", "/wait", "/stream")


@pytest.mark.invariant(58)
@pytest.mark.parametrize("route", CONFIGURED, ids=label)
async def test_recursion_is_bounded(server: Serving, route: Route) -> None:
    """A recursion limit beyond the server's is refused at each door, and nothing is made."""
    async with http_of(server, "alice") as http:
        body = {
            "assistant_id": "steps",
            "graph_id": "steps",
            "schedule": "* * * * *",
            "config": {"recursion_limit": FAR},
        }
        answer = await http.request(route.method, place(route), json=body)
    assert answer.status_code == 422
    assert "config.recursion_limit must be at most 10007" in answer.json()["detail"]


async def test_recursion_is_bounded_in_a_batch(server: Serving) -> None:
    """One of many that asks for too much is refused with all of them; the bound itself is fine."""
    async with http_of(server, "alice") as http:
        rows = [{"assistant_id": "steps", "input": {"steps": 0}} for _ in range(2)]
        rows[1]["config"] = {"recursion_limit": FAR}
        answer = await http.post("/runs/batch", json=rows)
        assert answer.status_code == 422
        assert "recursion_limit" in answer.json()["detail"]
        fine = {**rows[0], "config": {"recursion_limit": 10_007}}
        assert (await http.post("/runs/wait", json=fine)).status_code == 200


DEEP: dict[str, Any] = {}
for _ in range(TERMS):
    DEEP = {"a": DEEP}
WIDE: dict[str, Any] = {
    "a wide filter": {"filter": {f"k{n}": n for n in range(TERMS)}},
    "wide metadata": {"metadata": {f"k{n}": n for n in range(TERMS)}},
    "deep metadata": {"metadata": DEEP},
    "a long list": {"values": {"a": list(range(TERMS))}},
    "many ids": {"ids": [str(uuid4()) for _ in range(TERMS + 1)]},
    "operators": {"filter": {f"k{n}": {"$gt": n} for n in range(TERMS // 2)}},
}


@pytest.mark.invariant(58)
@pytest.mark.parametrize("route", SEARCHING, ids=label)
async def test_what_is_looked_for_is_bounded(server: Serving, route: Route) -> None:
    """However it is made large, a search that names too much is refused at each door."""
    async with http_of(server, "alice") as http:
        for what, body in WIDE.items():
            answer = await http.request(route.method, place(route), json=body)
            assert answer.status_code == 422, what
            assert f"names more than {TERMS} keys and values" in answer.json()["detail"]


@pytest.mark.invariant(58)
async def test_answers_are_bounded(server: Serving, alice: LangGraphClient) -> None:
    """A page, a state or a history too large to send is refused with what to do, and that helps."""
    part = ANSWER_BYTES // 4
    threads = [
        await alice.threads.create(metadata={"graph_id": "steps", "mark": "large", "x": "x" * part})
        for _ in range(5)
    ]
    at = threads[0]["thread_id"]
    for _ in range(5):
        plan = {"delay_s": 0, "steps": 0, "fail_at": None, "x": "x" * part}
        await alice.threads.update_state(at, {"plan": plan, "step": 0}, as_node="begin")
    asked = {"metadata": {"mark": "large"}, "limit": 5}
    async with http_of(server, "alice") as http:
        for path, body, less in (
            ("/threads/search", asked, {**asked, "limit": 1}),
            ("/threads/search", asked, {**asked, "select": ["thread_id"]}),
            (f"/threads/{at}/history", {"limit": 5}, {"limit": 1}),
        ):
            refused = await http.post(path, json=body)
            assert refused.status_code == 422, path
            assert "ask for fewer (limit) or less (select)" in refused.json()["detail"]
            assert (await http.post(path, json=less)).status_code == 200
        assert (await http.post("/threads/count", json={"metadata": {"mark": "large"}})).text == "5"
        for thread in threads:
            await http.delete(f"/threads/{thread['thread_id']}")
