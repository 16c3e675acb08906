"""What handlers of `auth` hide, and what they add: filters meet the rows of every route."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from harness.server.http import PARAMETER, Route
from tests.integration.configured_servers import Configured, token
from tests.integration.guarded_routes import ASKED, GUARDED, ITEM, ask

pytest_plugins = ("tests.integration.configured_fixtures",)
pytestmark = pytest.mark.slow_in_memory


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
