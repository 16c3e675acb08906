"""Every parameter of every route, given what nobody means: a clear answer, and never a 500."""

import asyncio
from collections.abc import AsyncIterator
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from harness.server.http import PARAMETER, Nothing, Route
from harness.server.routes import ROUTES
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

Asked = tuple[Route, str, dict[str, str]]
"""A route, a path of it, and headers."""

ABSURD: Final = (
    "9" * 5_000,
    "-" + "9" * 5_000,
    "9" * 30,
    "-1",
    "1e400",
    "NaN",
    "٣٣٣",
    "x" * 5_000,
    "\0",
    "a\nb",
    " ",
    "../../..",
    "%",
    "null",
    "[1]",
    '{"a":',
)
NO_NAMES: Final = ("9" * 5_000, "-1", "x" * 5_000, "\0", "a\nb", " ", "../../..", "%")
HEADERS: Final = {
    "Last-Event-ID": ("9" * 5_000, "9" * 4_000 + "-" + "9" * 4_000, "1-2-3", "-", "0-0", "1-x"),
    "Prefer": ("return=" + "x" * 5_000, "="),
    "Content-Type": ("x" * 5_000, "application/json; charset=" + "9" * 5_000),
    "Authorization": ("Bearer " + "9" * 5_000, "Basic ="),
}
STEPS: Final = {"steps": 1}


@pytest.fixture
async def known(server: Serving) -> AsyncIterator[dict[str, str]]:
    """What each parameter of a path may name: things that are there, so that more is looked at."""
    client = server.client()
    thread_id = str(uuid4())
    await client.runs.wait(thread_id, "steps", input=STEPS, if_not_exists="create")
    [run] = await client.runs.list(thread_id)
    state = await client.threads.get_state(thread_id)
    yield {
        "thread_id": thread_id,
        "run_id": run["run_id"],
        "assistant_id": run["assistant_id"],
        "checkpoint_id": str(state["checkpoint"]["checkpoint_id"]),
    }
    await client.threads.delete(thread_id)


def address(route: Route, known: dict[str, str]) -> str:
    """Return a path of a route; what it deletes, and what is not known, is not there."""
    there = {} if route.method == "DELETE" else known
    return PARAMETER.sub(lambda found: there.get(found[1], str(uuid4())), route.path)


async def asked(
    http: httpx.AsyncClient, route: Route, path: str, headers: dict[str, str] | None = None
) -> None:
    """Ask a route; a stream is left once its status is there."""
    body: Any = None if route.body is Nothing else {}
    async with http.stream(route.method, path, headers=headers, json=body) as answer:
        assert answer.status_code < 500, (route.method, path[:120], await answer.aread())
        if answer.status_code >= 400:
            await answer.aread()
            assert [*answer.json()] in (["detail"], ["error"])


async def together(http: httpx.AsyncClient, calls: list[Asked]) -> None:
    """Ask many, some at a time."""
    room = asyncio.Semaphore(8)

    async def one(route: Route, path: str, headers: dict[str, str]) -> None:
        async with room:
            await asked(http, route, path, headers)

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(*call))


async def test_every_parameter_of_a_path(server: Serving, known: dict[str, str]) -> None:
    """Ids and names that are none."""
    calls: list[Asked] = [
        (route, address(route, {**known, name: quote(value, safe="")}), {})
        for route in ROUTES
        if route.method != "DELETE"
        for name in PARAMETER.findall(route.path)
        for value in NO_NAMES
    ]
    calls += [
        (route, PARAMETER.sub(quote(value, safe=""), route.path), {})
        for route in ROUTES
        if route.method == "DELETE" and "{" in route.path
        for value in NO_NAMES
    ]
    assert len(calls) > 250
    async with server.http() as http:
        await together(http, calls)


async def test_every_parameter_of_a_query(server: Serving, known: dict[str, str]) -> None:
    """Each by itself, and twice."""
    calls: list[Asked] = [
        (route, f"{address(route, known)}?{name}={quote(value, safe='')}{again}", {})
        for route in ROUTES
        for name in route.query.model_fields
        for value in ABSURD
        for again in (("",) if value != ABSURD[0] else ("", f"&{name}=1"))
    ]
    assert len(calls) > 400
    async with server.http() as http:
        await together(http, calls)


async def test_every_header(server: Serving, known: dict[str, str]) -> None:
    """Those that some route looks at, given to every one."""
    rounds = zip_longest(*HEADERS.values(), fillvalue="")
    calls = [
        (route, address(route, known), dict(zip(HEADERS, values, strict=True)))
        for values in rounds
        for route in ROUTES
    ]
    async with server.http() as http:
        await together(http, calls)


@pytest.mark.parametrize("value", ["9" * 5_000, "9" * 20 + "-0", "0-" + "9" * 20, "1-2-3"])
async def test_no_id_of_an_event(server: Serving, known: dict[str, str], value: str) -> None:
    """`Last-Event-ID` is refused where it is none, on a run's stream and on a thread's."""
    thread, run = known["thread_id"], known["run_id"]
    async with server.http() as http:
        for path in (f"/threads/{thread}/runs/{run}/stream", f"/threads/{thread}/stream"):
            answer = await http.get(path, headers={"Last-Event-ID": value})
            assert answer.status_code == 422, path
            assert answer.json()["detail"].startswith("Last-Event-ID must be the id of an event")
