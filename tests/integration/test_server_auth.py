"""`auth` of a `langgraph.json`: LangGraph's handlers are asked about every call of every route."""

import json
from typing import Any, Final
from uuid import uuid4

import pytest
from langgraph_sdk.errors import APIStatusError

from harness.server.routes import ROUTES
from tests.integration.configured.src.raising_of_src import ENDING, NONSENSE
from tests.integration.configured_servers import Configured, token
from tests.integration.guarded_routes import ASKED, GUARDED, address_of, ask

pytest_plugins = ("tests.integration.configured_fixtures",)
pytestmark = pytest.mark.slow_in_memory


def test_every_route_is_asked_about() -> None:
    """A route that is added is missed here."""
    assert {*ASKED} == {(route.method, route.path) for route in GUARDED}


@pytest.mark.invariant(55)
async def test_each_call_is_authenticated_once_and_authorized(
    configured_server: Configured,
) -> None:
    """Each route asks `authenticate` once, and the handlers of what it is, as the official does."""
    async with configured_server.http() as http:
        for route in GUARDED:
            configured_server.notes()
            await ask(http, route, token("ada"))
            said = [note.partition(" ")[::2] for note in configured_server.notes()]
            assert [who for who, _ in said].count("authenticate") == 1
            asked = [what.replace(" ", ".") for who, what in said if who in {"on", "never"}]
            assert asked == ASKED[route.method, route.path][1].split(), route


@pytest.mark.invariant(55)
async def test_nobody_is_let_in_without_a_token(configured_server: Configured) -> None:
    """With the method and the path; without a token nothing else is called."""
    async with configured_server.http() as http:
        for route in GUARDED:
            configured_server.notes()
            address = address_of(route)
            answer = await ask(http, route, None, address)
            assert (answer.status_code, answer.json()) == (401, {"detail": "who are you?"})
            path = address.partition("?")[0]
            assert configured_server.notes() == [f"authenticate {route.method} {path}"]


async def test_open_routes_ask_nobody(configured_server: Configured) -> None:
    """What tells about the server itself needs no token."""
    configured_server.notes()
    async with configured_server.http() as http:
        for route in ROUTES:
            if route.is_open:
                assert (await http.get(route.path)).status_code == 200
    assert configured_server.notes() == []


@pytest.mark.invariant(55)
async def test_no_is_403_on_every_route(configured_server: Configured) -> None:
    """A handler that answers False is obeyed before anything is looked at."""
    who = token("ada", answers={"*": False})
    async with configured_server.http() as http:
        for route in GUARDED:
            answer = await ask(http, route, who)
            assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"}), route


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        ("assert", 403, "not yours"),
        ("teapot", 418, "tea"),
        ("fail", 503, "the server's own authorization failed; its log says why"),
        ("nonsense", 503, "the server's own authorization failed; its log says why"),
        ({"$or": 1}, 503, "the server's own authorization failed; its log says why"),
        ({"$set": {"metadata": 3}}, 503, "the server's own authorization failed; its log says why"),
    ],
)
async def test_what_else_a_handler_does(
    configured_server: Configured, answer: Any, status: int, detail: str
) -> None:
    """What it raises on purpose is the answer; of its mistakes callers hear nothing."""
    who = token("ada", answers={"threads.create": answer})
    async with configured_server.http(who) as http:
        told = await http.post("/threads", json={})
    assert (told.status_code, told.json()) == (status, {"detail": detail})


BROKEN: Final = {"detail": "the server's own authorization failed; its log says why"}


@pytest.mark.invariant(55)
@pytest.mark.parametrize("name", [*ENDING, *NONSENSE])
async def test_whatever_a_handler_raises_is_answered(
    configured_server: Configured, name: str
) -> None:
    """What would end a process, and refusals that cannot be sent, are a 503 and in the log."""
    for who in (
        token("ada", raises=name),
        token("ada", answers={"*": {"$raise": name}}),
    ):
        before = len(configured_server.log())
        async with configured_server.http(who) as http:
            for method, path, body in (("POST", "/threads", {}), ("GET", "/store/items", None)):
                query = {} if body is not None else {"namespace": "a", "key": "k"}
                told = await http.request(method, path, json=body, params=query)
                assert (told.status_code, told.json()) == (503, BROKEN)
                assert told.headers["x-request-id"]
        lines = [json.loads(line) for line in configured_server.log()[before:].splitlines()]
        assert sum("traceback" in line for line in lines) == 2
        assert [line["status"] for line in lines if "status" in line] == [503, 503]


@pytest.mark.invariant(55)
async def test_a_filter_that_cannot_be_read_is_answered(configured_server: Configured) -> None:
    """A mapping whose own code ends the process is a 503 too."""
    async with configured_server.http(token("ada", answers={"*": "unreadable filter"})) as http:
        told = await http.post("/threads/search", json={})
    assert (told.status_code, told.json()) == (503, BROKEN)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ('{"raises": "KeyError"}', 503),
        ('{"raises": "AssertionError"}', 401),
        ("null", 401),
        ("{}", 401),
        ('{"identity": ""}', 401),
        ('{"identity": 7}', 401),
        ('{"identity": "system"}', 401),
        ('{"identity": "anybody"}', 401),
        ('"ada"', 200),
        ("no JSON", 503),
    ],
)
async def test_what_authenticate_may_do(
    configured_server: Configured, said: str, status: int
) -> None:
    """Without an identity nobody is let in; a text is one."""
    async with configured_server.http(said) as http:
        told = await http.post("/threads/search", json={})
    assert told.status_code == status
    assert "secret" not in told.text or status == 401


async def test_the_most_specific_handler_decides(configured_server: Configured) -> None:
    """The one for `crons.delete` is asked, and the one for everything is not."""
    configured_server.notes()
    async with configured_server.http(token("ada")) as http:
        told = await http.delete(f"/runs/crons/{uuid4()}")
    assert told.status_code == 403
    assert "never crons delete" in configured_server.notes()


@pytest.mark.invariant(57)
async def test_a_graph_sees_who_was_authenticated(either_server: Configured) -> None:
    """Identity, permissions and further fields, in a run that was created in the background too."""
    identity = f"user-{uuid4()}"
    client = either_server.client_of(identity, permissions=["wade", "swim"])
    thread = await client.threads.create()
    run = await client.runs.create(thread["thread_id"], "compiled", input={})
    values: Any = await client.runs.join(thread["thread_id"], run["run_id"])
    assert values["user"]["langgraph_auth_user_id"] == identity
    assert values["user"]["langgraph_auth_permissions"] == ["wade", "swim"]
    assert values["user"]["user"] == {
        "identity": identity,
        "permissions": ["wade", "swim"],
        "team": "tides",
        "is_authenticated": True,
        "display_name": identity,
    }
    assert "auth_user" not in json.dumps(await client.runs.get(thread["thread_id"], run["run_id"]))
    asked: Any = {"assistant_id": "compiled", "input": {}, "on_completion": "keep"}
    [batched] = await client.runs.create_batch([asked])
    values = await client.runs.join(batched["thread_id"], batched["run_id"])
    assert values["user"]["user"]["team"] == "tides"


async def test_streams_and_waits_are_guarded(configured_server: Configured) -> None:
    """A stream of one's own is heard; one that is denied or hidden never begins."""
    identity = f"user-{uuid4()}"
    client = configured_server.client_of(identity)
    thread = await client.threads.create(metadata={"colour": "red"})
    parts = [p async for p in client.runs.stream(thread["thread_id"], "compiled", input={})]
    assert parts[-1].data["made_for"] == "hello from the file"
    for answers in ({"threads.create_run": False}, {"threads.create_run": {"colour": "blue"}}):
        blind = configured_server.client_of(identity, answers=answers)
        with pytest.raises(APIStatusError) as refused:
            [p async for p in blind.runs.stream(thread["thread_id"], "compiled", input={})]
        assert refused.value.status_code in {403, 404}
    assert len(await client.runs.list(thread["thread_id"])) == 1


async def test_the_document_says_how_to_show_who_one_is(configured_server: Configured) -> None:
    """`auth.openapi` is in the OpenAPI document: schemes, where, and where not."""
    async with configured_server.http() as http:
        found = (await http.get("/openapi.json")).json()
    assert found["components"]["securitySchemes"] == {
        "key": {"type": "apiKey", "in": "header", "name": "Authorization"}
    }
    assert found["paths"]["/threads/search"]["post"]["security"] == [{"key": []}]
    assert found["paths"]["/threads"]["post"]["security"] == []
    assert "security" not in found["paths"]["/ok"]["get"]
    assert {"401", "403"} <= {*found["paths"]["/threads/search"]["post"]["responses"]}
