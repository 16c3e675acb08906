"""The OpenAPI document of a running server, and what the server does of it."""

from typing import Any

import pytest

from harness.server.http import METHODS
from harness.server.routes import ROUTES
from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory
SETTINGS = owners.SETTINGS

SOME_ID = "01890000-0000-7000-8000-000000000000"
MEANINGS = {400, 401, 403, 404, 405, 409, 413, 422, 429, 503}
"""Statuses of failure that the server's callers have to know."""


async def document_of(server: Serving) -> dict[str, Any]:
    """Return the document that a server hands out."""
    found: dict[str, Any] = (await server.http().get("/openapi.json")).json()
    return found


@pytest.mark.invariant(29)
async def test_the_document_is_the_table_of_routes(server: Serving) -> None:
    """Each route is described under its path and method, and nothing else is."""
    paths = (await document_of(server))["paths"]
    described = {(method.upper(), path) for path, found in paths.items() for method in found}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert len(described) == len(ROUTES)
    ids = [one["operationId"] for found in paths.values() for one in found.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.invariant(29)
async def test_what_is_described_is_served_and_nothing_else(server: Serving) -> None:
    """Every method of every path, asked without a token: 401, open, or 405 with what is allowed."""
    paths = (await document_of(server))["paths"]
    http = server.http()
    for path, described in paths.items():
        address = path
        for name in ("thread_id", "run_id", "assistant_id", "cron_id", "checkpoint_id"):
            address = address.replace(f"{{{name}}}", SOME_ID)
        for method in METHODS:
            answer = await http.request(method, address.replace("{namespace}", "x"))
            found = described.get(method.lower())
            if found is None:
                # The path may be that of another route too: /assistants/{assistant_id}.
                assert answer.status_code in (401, 405), (method, path)
            elif "security" in found:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
            else:
                assert answer.status_code == 200, (method, path)
            if answer.status_code == 405:
                allowed = set(answer.headers["allow"].split(", "))
                assert {each.upper() for each in described} <= allowed
                assert answer.json() == {"detail": "Method Not Allowed"}


async def test_failures_are_described(server: Serving) -> None:
    """Every failure has the one form, and a status that has a meaning here."""
    document = await document_of(server)
    for path, found in document["paths"].items():
        for method, one in found.items():
            failures = {
                int(status): reply
                for status, reply in one["responses"].items()
                if int(status) >= 400 and path != "/health"
            }
            assert failures.keys() <= MEANINGS, (method, path)
            for reply in failures.values():
                schema = reply["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Failure"}, (method, path)


async def test_an_answer_that_takes_long_is_json(server: Serving) -> None:
    """What is kept alive with line feeds says what it is, as an answer at once does."""
    async with server.http(token_of("alice")) as http:
        answer = await http.post(
            "/runs/wait",
            json={"assistant_id": "steps", "input": {"steps": 1}, "on_disconnect": "cancel"},
        )
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.startswith("\n")
    assert answer.json()["done"] == [1]
