"""The log: a line of JSON each, by which a person finds a request, its run and what went wrong."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.configured_servers import Configured, token
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.configured_fixtures",)

SECRET = "hunter2"  # noqa: S105 -- to be looked for


def lines(server: Serving) -> list[dict[str, Any]]:
    """Return every line that a server has logged."""
    return [json.loads(line) for line in server.log().splitlines()]


async def logged(server: Serving, **wanted: Any) -> list[dict[str, Any]]:
    """Return the lines with these fields, once there are any."""
    async with asyncio.timeout(10):
        while True:
            found = [line for line in lines(server) if wanted.items() <= line.items()]
            if found:
                return found
            await asyncio.sleep(0.02)


async def test_each_line_says_when_how_bad_and_what(configured_server: Configured) -> None:
    """Those of the start too, such as which graphs cannot be used."""
    for line in lines(configured_server):
        assert {"time", "level", "logger", "message"} <= {*line}
        assert abs(datetime.now(UTC) - datetime.fromisoformat(line["time"])).total_seconds() < 3_600
        assert line["time"].endswith("+00:00")
        assert line["level"] in {"info", "warning", "error"}
    told = [line["message"] for line in lines(configured_server) if line["level"] == "warning"]
    assert any("graph 'no_key' cannot be made: RuntimeError: there is no key" in m for m in told)
    assert any("graph 'no_module' cannot be loaded" in m for m in told)
    told = [line["message"] for line in lines(configured_server) if line["level"] == "info"]
    assert sum("python_version" in message for message in told) == 1


@pytest.mark.parametrize("given", ["a-request.7", None, "two words", "x" * 129])
async def test_a_request_is_found_by_its_id(
    configured_server: Configured, given: str | None
) -> None:
    """The caller's, or a new one where it has none that can be written; the answer says it."""
    thread_id = str(uuid4())
    headers = {} if given is None else {"X-Request-Id": given}
    async with configured_server.http(token("ada")) as http:
        answer = await http.get(f"/threads/{thread_id}/state", headers=headers)
    request_id = answer.headers["x-request-id"]
    assert (request_id == given) is (given == "a-request.7")
    [line] = await logged(configured_server, request_id=request_id, thread_id=thread_id)
    wanted = {
        "method": "GET",
        "route": "/threads/{thread_id}/state",
        "status": 404,
        "owner": "ada",
        "level": "info",
        "message": "GET /threads/{thread_id}/state 404",
    }
    assert wanted.items() <= line.items()


async def test_a_run_s_traceback_stands_there_once(configured_server: Configured) -> None:
    """With its run, thread, node and the request that asked for it."""
    client = configured_server.http(token("ada"))
    body = {"assistant_id": "failing_node", "input": {}, "if_not_exists": "create"}
    thread_id = str(uuid4())
    answer = await client.post(f"/threads/{thread_id}/runs/wait", json=body)
    assert answer.json()["__error__"]["message"] == "the tide is out"
    [line] = await logged(configured_server, thread_id=thread_id, message="the run failed")
    assert line["node"] == "wade"
    assert line["graph_id"] == "failing_node"
    assert line["level"] == "error"
    assert line["run_id"] == answer.headers["content-location"].rpartition("/")[2]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["traceback"].count('raise ValueError("the tide is out")') == 1
    about_it = [each for each in lines(configured_server) if "the tide is out" in json.dumps(each)]
    assert [each["run_id"] for each in about_it].count(line["run_id"]) == 1


async def test_who_is_not_let_in_has_no_owner(configured_server: Configured) -> None:
    """A 401's line names nobody; a token, a body and a query stand in no line."""
    async with configured_server.http(f'"{SECRET}"') as http:
        await http.post(f"/threads/search?q={SECRET}", json={"metadata": {"k": f"not-{SECRET}"}})
    async with configured_server.http() as http:
        refused = await http.post("/threads/search", json={"metadata": {"k": f"not-{SECRET}"}})
    [line] = await logged(configured_server, request_id=refused.headers["x-request-id"])
    assert line["status"] == 401
    assert "owner" not in line
    assert f"not-{SECRET}" not in configured_server.log()
    assert f"q={SECRET}" not in configured_server.log()
