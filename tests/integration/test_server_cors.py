"""Browsers: pages of other origins may call where `http.cors` says so; and HEAD is where GET is."""

import re
from typing import Final

import httpx
import pytest

from harness.server.http import PARAMETER
from harness.server.routes import ROUTES
from tests.integration.configured_servers import Configured, token
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.configured_fixtures", "tests.integration.serving_fixtures")

PAGE: Final = "https://chat.example"
STRANGER: Final = "https://evil.example"
PATHS: Final = sorted({PARAMETER.sub("x", route.path) for route in ROUTES})


def asking(origin: str, method: str = "POST") -> dict[str, str]:
    """Return the headers of a browser that asks before it calls."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type",
    }


def allowed(answer: httpx.Response) -> str | None:
    """Return which origin may read an answer."""
    found: str | None = answer.headers.get("access-control-allow-origin")
    return found


@pytest.mark.invariant(55)
async def test_a_browser_may_ask_on_every_path(configured_server: Configured) -> None:
    """Without a token, for each method that a path has; and for no other."""
    async with configured_server.http() as http:
        for route in ROUTES:
            path = PARAMETER.sub("x", route.path)
            answer = await http.options(path, headers=asking(PAGE, route.method))
            assert answer.status_code == 204, route
            assert allowed(answer) == PAGE
            assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
            assert route.method in answer.headers["access-control-allow-methods"].split(", ")
            assert answer.headers["access-control-max-age"] == "77"
            assert "Origin" in answer.headers["vary"]
            assert answer.content == b""
        answer = await http.options("/threads", headers=asking(PAGE, "DELETE"))
        assert answer.status_code == 403
        answer = await http.options("/nowhere", headers=asking(PAGE))
        assert (answer.status_code, allowed(answer)) == (404, PAGE)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("origin", "may"),
    [
        (PAGE, True),
        ("http://localhost:3000", True),
        ("http://localhost:3000.evil.example", False),
        (f"{PAGE}.evil.example", False),
        (STRANGER, False),
        ("null", False),
    ],
)
async def test_which_pages_may(configured_server: Configured, origin: str, may: bool) -> None:
    """Origins are compared whole, with those that are named and with the regular expression."""
    async with configured_server.http() as http:
        asked = await http.options("/threads", headers=asking(origin))
        assert (asked.status_code, allowed(asked)) == ((204, origin) if may else (403, None))
        told = await http.get("/info", headers={"Origin": origin})
        assert (told.status_code, allowed(told)) == (200, origin if may else None)
        assert told.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in told.headers


@pytest.mark.invariant(55)
async def test_errors_and_streams_can_be_read_by_the_page(configured_server: Configured) -> None:
    """A browser shows a page no answer, be it an error, that lacks the headers."""
    headers = {"Origin": PAGE}
    async with configured_server.http() as http:
        for answer in (
            await http.post("/threads", json={}, headers=headers),  # 401
            await http.get("/nowhere", headers=headers),  # 404
            await http.post("/info", headers=headers),  # 405
        ):
            assert answer.status_code >= 400
            assert allowed(answer) == PAGE
    async with configured_server.http(token("ada")) as http:
        body = {"assistant_id": "compiled", "input": {}}
        answer = await http.post("/runs/stream", json=body, headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert allowed(answer) == PAGE
        readable = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Content-Location", "Location", "X-Pagination-Total", "X-Request-Id"} <= {*readable}
        assert "X-Further" in readable


async def test_without_cors_no_page_may(server: Serving) -> None:
    """It is off by default: no answer has a header of it, and OPTIONS is not served."""
    async with server.http() as http:
        asked = await http.options("/threads", headers=asking(PAGE))
        told = await http.get("/info", headers={"Origin": PAGE})
    assert asked.status_code == 405
    for answer in (asked, told):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "vary" not in answer.headers


@pytest.mark.invariant(55)
async def test_head_is_where_get_is(configured_server: Configured) -> None:
    """It has the status and the headers of GET, and no body; of a stream nothing is begun."""
    client = configured_server.client_of("ada")
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "compiled", input={})
    [run] = await client.runs.list(thread["thread_id"])
    ids = {"thread_id": thread["thread_id"], "run_id": run["run_id"]}
    async with configured_server.http(token("ada")) as http:
        for route in ROUTES:
            if route.method != "GET":
                continue
            path = PARAMETER.sub(lambda found: ids.get(found[1], "compiled"), route.path)
            head = await http.head(path)
            assert head.content == b"", route
            if head.headers["content-type"].startswith("text/event-stream"):
                assert head.status_code == 200
                continue
            get = await http.get(path)
            assert head.status_code == get.status_code, route
            assert head.headers["content-type"] == get.headers["content-type"], route
            if route.path != "/metrics":  # which counts the two requests
                assert head.headers["content-length"] == get.headers["content-length"], route
        metrics = (await http.get("/metrics")).text
        refused = await http.head("/threads")
        assert refused.status_code == 405
        assert (await http.delete("/info")).headers["allow"] == "GET, HEAD"
    [streams] = re.findall(r"^harness_open_streams (\S+)$", metrics, re.MULTILINE)
    assert float(streams) == 0
