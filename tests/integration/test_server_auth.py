"""`auth` of a `langgraph.json`: LangGraph's handlers are asked about every call of every route."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError, NotFoundError

from harness.server.http import PARAMETER, Route
from harness.server.routes import ROUTES
from tests.integration.configured.src.raising_of_src import ENDING, NONSENSE
from tests.integration.configured_servers import Configured, token

pytest_plugins = ("tests.integration.configured_fixtures",)
pytestmark = pytest.mark.slow_in_memory

RUN: Final = {"assistant_id": "compiled", "input": {}}
CRON: Final = {"assistant_id": "compiled", "schedule": "0 0 1 1 *"}
ITEM: Final = {"namespace": ["a"], "key": "k"}

ASKED: Final[Mapping[tuple[str, str], tuple[Any, str]]] = {
    ("POST", "/assistants"): ({"graph_id": "compiled"}, "assistants.create"),
    ("POST", "/assistants/search"): ({}, "assistants.search"),
    ("POST", "/assistants/count"): ({}, "assistants.search"),
    ("GET", "/assistants/{assistant_id}"): (None, "assistants.read"),
    ("PATCH", "/assistants/{assistant_id}"): ({}, "assistants.update"),
    ("DELETE", "/assistants/{assistant_id}"): (None, "assistants.delete"),
    ("POST", "/assistants/{assistant_id}/versions"): ({}, "assistants.read"),
    ("POST", "/assistants/{assistant_id}/latest"): ({"version": 1}, "assistants.update"),
    ("GET", "/assistants/{assistant_id}/graph"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/schemas"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/subgraphs"): (None, "assistants.read"),
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace}"): (None, "assistants.read"),
    ("POST", "/threads"): ({}, "threads.create"),
    ("POST", "/threads/search"): ({}, "threads.search"),
    ("POST", "/threads/count"): ({}, "threads.search"),
    ("POST", "/threads/prune"): ({"thread_ids": []}, "threads.delete"),
    ("GET", "/threads/{thread_id}"): (None, "threads.read"),
    ("PATCH", "/threads/{thread_id}"): ({}, "threads.update"),
    ("DELETE", "/threads/{thread_id}"): (None, "threads.delete"),
    ("POST", "/threads/{thread_id}/copy"): (None, "threads.read threads.create"),
    ("GET", "/threads/{thread_id}/state"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/state"): ({"values": {}}, "threads.update"),
    ("POST", "/threads/{thread_id}/state/checkpoint"): ({"checkpoint": {}}, "threads.read"),
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}"): (None, "threads.read"),
    ("GET", "/threads/{thread_id}/history"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/history"): ({}, "threads.read"),
    ("POST", "/threads/{thread_id}/runs"): (RUN, "threads.create_run"),
    ("POST", "/threads/{thread_id}/runs/wait"): (RUN, "threads.create_run"),
    ("POST", "/threads/{thread_id}/runs/stream"): (RUN, "threads.create_run"),
    ("GET", "/threads/{thread_id}/runs"): (None, "threads.read threads.search"),
    ("GET", "/threads/{thread_id}/runs/{run_id}"): (None, "threads.read"),
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"): (None, "threads.delete"),
    ("GET", "/threads/{thread_id}/runs/{run_id}/join"): (None, "threads.read"),
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream"): (None, "threads.read"),
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"): (None, "threads.update"),
    ("GET", "/threads/{thread_id}/stream"): (None, "threads.read"),
    ("POST", "/runs/cancel"): ({"status": "all"}, "threads.update"),
    ("POST", "/runs"): (RUN, "threads.create_run"),
    ("POST", "/runs/wait"): (RUN, "threads.create_run"),
    ("POST", "/runs/stream"): (RUN, "threads.create_run"),
    ("POST", "/runs/batch"): ([RUN, RUN], "threads.create_run threads.create_run"),
    ("POST", "/runs/crons"): (CRON, "crons.create"),
    ("POST", "/threads/{thread_id}/runs/crons"): (CRON, "crons.create threads.read"),
    ("PATCH", "/runs/crons/{cron_id}"): ({}, "crons.update"),
    ("DELETE", "/runs/crons/{cron_id}"): (None, "crons.delete"),
    ("POST", "/runs/crons/search"): ({}, "crons.search"),
    ("POST", "/runs/crons/count"): ({}, "crons.search"),
    ("PUT", "/store/items"): ({**ITEM, "value": {}}, "store.put"),
    ("GET", "/store/items"): (None, "store.get"),
    ("DELETE", "/store/items"): (ITEM, "store.delete"),
    ("POST", "/store/items/search"): ({}, "store.search"),
    ("POST", "/store/namespaces"): ({}, "store.list_namespaces"),
}
"""A request of each route, and what its handlers are asked: as the official server was observed."""

GUARDED: Final = [route for route in ROUTES if not route.is_open]


def address_of(route: Route) -> str:
    """Return an address of a route, of rows that are not there."""
    path = PARAMETER.sub(lambda _: str(uuid4()), route.path)
    return f"{path}?namespace=a&key=k" if route.path == "/store/items" else path


async def ask(
    http: httpx.AsyncClient, route: Route, who: str | None, address: str | None = None
) -> httpx.Response:
    """Send the request of a route for a user; of a stream, read the headers only."""
    body, _ = ASKED[route.method, route.path]
    headers = {} if who is None else {"Authorization": f"Bearer {who}"}
    request = http.build_request(
        route.method, address or address_of(route), json=body, headers=headers
    )
    answer = await http.send(request, stream=True)
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        await answer.aread()
    await answer.aclose()
    return answer


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a user has made."""

    thread: str
    run: str
    assistant: str
    cron: str


async def made(client: LangGraphClient) -> Rows:
    """Make a row of each kind, all of colour red."""
    metadata = {"colour": "red", "readers": ["ada", "bob"]}
    assistant = await client.assistants.create("compiled", metadata=metadata)
    thread = await client.threads.create(metadata=metadata)
    await client.runs.wait(thread["thread_id"], "compiled", input={})
    [run] = await client.runs.list(thread["thread_id"])
    cron: Any = await client.crons.create(
        "compiled", schedule="0 0 1 1 *", metadata=metadata, enabled=False
    )
    return Rows(
        thread=thread["thread_id"],
        run=run["run_id"],
        assistant=assistant["assistant_id"],
        cron=cron["cron_id"],
    )


def addressed(route: Route, rows: Rows) -> str:
    """Return the address of a route for rows that are there."""
    names = {
        "thread_id": rows.thread,
        "run_id": rows.run,
        "assistant_id": rows.assistant,
        "cron_id": rows.cron,
        "checkpoint_id": str(uuid4()),
        "namespace": "none",
    }
    return PARAMETER.sub(lambda found: names[found[1]], route.path)


@pytest.mark.invariant(55)
async def test_a_filter_hides_rows_from_every_route(either_server: Configured) -> None:
    """Rows that do not match are not found, whatever is asked about them; others are."""
    identity = f"user-{uuid4()}"
    rows = await made(either_server.client_of(identity))
    hidden = {"colour": "blue"}
    async with either_server.http() as http:
        for route in GUARDED:
            if not PARAMETER.search(route.path) or route.path.endswith("/runs/crons/{cron_id}"):
                continue
            [last] = ASKED[route.method, route.path][1].split()[-1:]
            who = token(identity, answers={last: hidden})
            answer = await ask(http, route, who, addressed(route, rows))
            assert answer.status_code == 404, route
        who = token(identity, answers={"crons.update": hidden})
        answer = await http.patch(
            f"/runs/crons/{rows.cron}", json={}, headers={"Authorization": f"Bearer {who}"}
        )
        assert answer.status_code == 404
        batch = [{"assistant_id": "compiled", "thread_id": rows.thread}]
        for wanted, status in ((hidden, 404), ({"colour": "red"}, 200)):
            who = token(identity, answers={"threads.create_run": wanted})
            headers = {"Authorization": f"Bearer {who}"}
            answer = await http.post("/runs/batch", json=batch, headers=headers)
            assert answer.status_code == status
    await client_reads(either_server.client_of(identity, answers={"*": {"colour": "red"}}), rows)


async def client_reads(client: LangGraphClient, rows: Rows) -> None:
    """Read each row."""
    assert (await client.threads.get(rows.thread))["thread_id"] == rows.thread
    assert (await client.runs.get(rows.thread, rows.run))["run_id"] == rows.run
    assert (await client.assistants.get(rows.assistant))["assistant_id"] == rows.assistant
    await client.threads.get_state(rows.thread)


@pytest.mark.invariant(55)
@pytest.mark.parametrize(
    ("wanted", "finds"),
    [
        ({"colour": "red"}, True),
        ({"colour": {"$eq": "red"}}, True),
        ({"colour": "blue"}, False),
        ({"colour": "red", "size": "big"}, False),
        ({"readers": {"$contains": "bob"}}, True),
        ({"readers": {"$contains": ["bob", "ada"]}}, True),
        ({"readers": {"$contains": ["bob", "eve"]}}, False),
        ({"readers": "ada"}, False),
        ({"colour": {"$contains": "red"}}, False),
        ({}, True),
    ],
)
async def test_a_filter_restricts_searches_and_reads_alike(
    either_server: Configured, wanted: dict[str, Any], finds: bool
) -> None:
    """Search, count and get agree on which rows match, beside what the caller looks for."""
    identity = f"user-{uuid4()}"
    rows = await made(either_server.client_of(identity))
    client = either_server.client_of(identity, answers={"*": wanted})
    mine = {"colour": "red"}
    threads = await client.threads.search(metadata=mine)
    assert [t["thread_id"] for t in threads] == [rows.thread] * finds
    assert await client.threads.count(metadata=mine) == int(finds)
    assistants = await client.assistants.search(metadata=mine)
    assert [a["assistant_id"] for a in assistants] == [rows.assistant] * finds
    assert await client.assistants.count(metadata=mine) == int(finds)
    crons = await client.crons.search(metadata=mine)
    assert [c["cron_id"] for c in crons] == [rows.cron] * finds
    for read in (
        lambda: client.threads.get(rows.thread),
        lambda: client.assistants.get(rows.assistant),
    ):
        assert await is_found(read) is finds
    assert await client.threads.search(metadata={"colour": "green"}) == []


async def is_found(read: Callable[[], Awaitable[Any]]) -> bool:
    """Whether a row can be read."""
    try:
        await read()
    except NotFoundError:
        return False
    return True


async def test_pruning_and_cancelling_pass_over_what_is_hidden(either_server: Configured) -> None:
    """Threads that do not match stay, and their runs go on."""
    identity = f"user-{uuid4()}"
    rows = await made(either_server.client_of(identity))
    blind = either_server.client_of(identity, answers={"*": {"colour": "blue"}})
    http = either_server.http(token(identity, answers={"*": {"colour": "blue"}}))
    pruned = await http.post("/threads/prune", json={"thread_ids": [rows.thread]})
    assert pruned.json() == {"pruned_count": 0}
    assert (await http.post("/runs/cancel", json={"status": "all"})).status_code == 204
    with pytest.raises(NotFoundError):
        await blind.threads.delete(rows.thread)
    refused = await http.delete(f"/assistants/{rows.assistant}?delete_threads=true")
    assert refused.status_code == 404
    await client_reads(either_server.client_of(identity), rows)


async def test_an_assistant_s_hidden_threads_keep_it(either_server: Configured) -> None:
    """Deleting it with its threads is refused where some are hidden, however its id is written."""
    identity = f"user-{uuid4()}"
    client = either_server.client_of(identity)
    assistant = await client.assistants.create("compiled")
    thread = await client.threads.create(metadata={"colour": "red"})
    await client.runs.wait(thread["thread_id"], assistant["assistant_id"], input={})
    address = f"/assistants/{assistant['assistant_id']}?delete_threads=true"
    shouted = f"/assistants/{assistant['assistant_id'].upper()}?delete_threads=true"
    blind = either_server.http(token(identity, answers={"threads.delete": {"colour": "blue"}}))
    for named in (address, shouted):
        assert (await blind.delete(named)).status_code == 403
    seeing = either_server.http(token(identity, answers={"threads.delete": {"colour": "red"}}))
    assert (await seeing.delete(address)).status_code == 204


async def test_what_handlers_write_is_stored(either_server: Configured) -> None:
    """Metadata that a handler adds are the row's; namespaces that it changes are the item's."""
    identity = f"user-{uuid4()}"
    stamp = {"$set": {"metadata": {"team": "tides", "owner": identity}}}
    client = either_server.client_of(
        identity,
        answers={
            "threads.create": stamp,
            "assistants.create": stamp,
            "crons.create": stamp,
            "threads.update": {"$set": {"metadata": {"changed": True}}},
            "threads.create_run": {"$set": {"kwargs": {"context": {"tone": "high"}}}},
            "store.put": {"$set": {"namespace": [identity, "notes"]}},
            "store.get": {"$set": {"namespace": [identity, "notes"]}},
            "store.search": {"$set": {"namespace": [identity]}},
            "store.list_namespaces": {"$set": {"namespace": [identity]}},
        },
    )
    thread: Any = await client.threads.create(metadata={"mine": 1})
    assert thread["metadata"] == {"mine": 1, "team": "tides", "owner": identity}
    thread = await client.threads.update(thread["thread_id"], metadata={})
    assert thread["metadata"]["changed"]
    assistant: Any = await client.assistants.create("compiled")
    assert assistant["metadata"]["team"] == "tides"
    cron: Any = await client.crons.create("compiled", schedule="0 0 1 1 *", enabled=False)
    assert (cron["metadata"]["team"], cron["user_id"]) == ("tides", identity)
    values: Any = await client.runs.wait(None, "of_config", input={})
    assert values["made_for"] == "high"
    await client.store.put_item(["elsewhere"], "k", {"v": 1})
    item: Any = await client.store.get_item(["elsewhere"], "k")
    assert item["namespace"] == [identity, "notes"]
    found = await client.store.search_items(["elsewhere"])
    assert [item["namespace"] for item in found["items"]] == [[identity, "notes"]]
    spaces = await client.store.list_namespaces()
    assert spaces["namespaces"] == [[identity, "notes"]]


async def test_items_are_kept_apart_by_namespaces_not_by_filters(
    configured_server: Configured,
) -> None:
    """A filter on the owner holds of every item; another one is refused, since none could match."""
    client = configured_server.http(token("ada", answers={"*": {"owner": "ada"}}))
    assert (await client.put("/store/items", json={**ITEM, "value": {}})).status_code == 204
    client = configured_server.http(token("ada", answers={"*": {"team": "tides"}}))
    refused = await client.put("/store/items", json={**ITEM, "value": {}})
    assert refused.status_code == 403
    assert "value['namespace']" in refused.json()["detail"]


@pytest.mark.invariant(55)
async def test_owners_are_kept_apart_whatever_handlers_say(either_server: Configured) -> None:
    """Handlers can only narrow what an identity may do: another's rows are not there."""
    ada, bob = f"ada-{uuid4()}", f"bob-{uuid4()}"
    rows = await made(either_server.client_of(ada))
    async with either_server.http() as http:
        for route in GUARDED:
            if not PARAMETER.search(route.path) or route.path.endswith("/crons/{cron_id}"):
                continue
            expected = {404, 409} if route.path.endswith("/copy") else {404}
            if route.path.endswith("/join"):
                expected = {200}  # as the official server answers a run that is not there
            answer = await ask(http, route, token(bob), addressed(route, rows))
            assert answer.status_code in expected, route
    await client_reads(either_server.client_of(ada), rows)


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
