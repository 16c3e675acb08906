"""Graphs as users have them, over HTTP: made in each way, and one that cannot be harms no other."""

from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError

from harness.config import DatabaseConfig
from harness.database import Database
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from tests.integration.configured.src.raising_of_src import ENDING
from tests.integration.configured_servers import Configured, token

pytest_plugins = ("tests.integration.configured_fixtures", "tests.integration.serving_fixtures")
pytestmark = pytest.mark.slow_in_memory

USABLE: Final = {
    "compiled": "hello from the file",
    "built": "hello from the file",
    "plain": "nothing",
    "of_config": "low",
    "of_runtime": "threads.create_run low ada",
    "of_both": "threads.create_run low 3",
    "entered": "an open connection",
    "entry": "entry -",
}
"""Graphs, and what their runs leave."""
UNUSABLE: Final = {
    "no_module": "graph 'no_module' cannot be loaded: FileNotFoundError",
    "no_key": "graph 'no_key' cannot be made: RuntimeError: there is no key",
    "no_graph": "graph 'no_graph' is no LangGraph graph, but a int",
}


@pytest.mark.invariant(55)
@pytest.mark.parametrize(("name", "leaves"), USABLE.items())
async def test_a_graph_is_given_what_it_declares(
    configured_server: Configured, name: str, leaves: str
) -> None:
    """A config, a runtime, both or nothing; awaited, entered, or as it is."""
    client = configured_server.client_of("ada")
    values: Any = await client.runs.wait(
        None, name, input={"made_for": "-"}, context={"tone": "low"}
    )
    assert values["made_for"] == leaves


@pytest.mark.invariant(55)
@pytest.mark.parametrize("name", ["of_config", "of_runtime", "of_both", "entered"])
async def test_a_graph_is_made_for_reads_and_writes_too(
    configured_server: Configured, name: str
) -> None:
    """State, history, updates and schemas of its threads are had, each by a graph of its own."""
    client = configured_server.client_of("ada")
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], name, input={}, context={"tone": "low"})
    configured_server.notes()
    state: Any = await client.threads.get_state(thread["thread_id"])
    assert state["values"]["made_for"] == USABLE[name]
    await client.threads.update_state(thread["thread_id"], {"made_for": "by hand"}, as_node="say")
    newest: Any = (await client.threads.get_history(thread["thread_id"]))[0]
    assert newest["values"]["made_for"] == "by hand"
    [assistant] = await client.assistants.search(graph_id=name)
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    assert schemas["graph_id"] == name
    await client.assistants.get_graph(assistant["assistant_id"])
    noted = [note for note in configured_server.notes() if note.startswith(("enter", "leave"))]
    assert noted == ["enter None", "leave None"] * 5 * (name == "entered")


@pytest.mark.invariant(55)
async def test_a_graph_is_left_when_its_run_has_ended(configured_server: Configured) -> None:
    """It is entered once for each run, and left after it; what it would hide is told."""
    client = configured_server.client_of("ada")
    thread = await client.threads.create()
    configured_server.notes()
    await client.runs.wait(thread["thread_id"], "entered", input={})
    noted = [note for note in configured_server.notes() if note.startswith(("enter", "leave"))]
    assert noted == [f"enter {thread['thread_id']}", f"leave {thread['thread_id']}"]
    values: Any = await client.runs.wait(None, "entered_plainly", input={}, raise_error=False)
    assert values["__error__"]["message"] == "the tide is out"
    noted = [note for note in configured_server.notes() if note in {"swallow", "leave plainly"}]
    assert noted == ["swallow", "leave plainly"]


@pytest.mark.invariant(55)
@pytest.mark.parametrize(("name", "says"), UNUSABLE.items())
async def test_a_graph_that_cannot_be_used_says_why(
    configured_server: Configured, name: str, says: str
) -> None:
    """Its calls are answered 422 with the reason, by its name and by its assistant's id."""
    client = configured_server.client_of("ada")
    found = await client.assistants.search(metadata={"created_by": "system"}, limit=100)
    [assistant_id] = [one["assistant_id"] for one in found if one["name"] == name]
    for named in (name, assistant_id):
        with pytest.raises(httpx.HTTPStatusError) as refused:
            await client.runs.wait(None, named, input={})
        assert refused.value.response.status_code == 422
        assert says in refused.value.response.json()["detail"]
        with pytest.raises(UnprocessableEntityError, match=says.partition(":")[0]):
            await client.runs.create(None, named, input={})
    for read in (client.assistants.get_graph, client.assistants.get_schemas):
        with pytest.raises(UnprocessableEntityError):
            await read(assistant_id)
    with pytest.raises(UnprocessableEntityError):
        await client.assistants.create(name)


@pytest.mark.invariant(55)
async def test_info_names_what_cannot_be_used(configured_server: Configured) -> None:
    """Beside the graphs that can be; why it says to those only who show who they are."""
    async with configured_server.http() as http:
        found = (await http.get("/info")).json()
    assert {*USABLE, "sometimes"} <= {*found["graphs"]}
    assert found["unusable_graphs"] == dict.fromkeys(UNUSABLE, "cannot be used")


async def test_a_graph_that_is_made_sometimes(configured_server: Configured) -> None:
    """A function that wants something to be configured says so where it is not."""
    client = configured_server.http(token("ada"))
    body: dict[str, Any] = {"assistant_id": "sometimes", "input": {}}
    failed = (await client.post("/runs/wait", json=body)).json()
    assert failed["__error__"]["message"] == "graph 'sometimes' cannot be made: KeyError: 'wanted'"
    made = (await client.post("/runs/wait", json={**body, "context": {"wanted": "this"}})).json()
    assert made["made_for"] == "this"


@pytest.mark.invariant(55)
@pytest.mark.parametrize("graph", ["raising", "entering", "leaving"])
@pytest.mark.parametrize(
    "either_server",
    ["memory", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])],
    indirect=True,
)
async def test_whatever_a_function_raises_is_answered(
    either_server: Configured, graph: str
) -> None:
    """Each way to read, write or describe by a graph says 422; a copy and a run go on."""
    client = either_server.client_of("ada")
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, graph, input={})
    [assistant] = await client.assistants.search(graph_id=graph)
    of_assistant = f"/assistants/{assistant['assistant_id']}"
    for name in ENDING:
        async with either_server.http(token("ada", factory_raises=name)) as http:
            for method, path, body in (
                ("GET", f"/threads/{thread}/state", None),
                ("GET", f"/threads/{thread}/history", None),
                ("POST", f"/threads/{thread}/state", {"values": {"made_for": "x"}}),
                ("GET", f"{of_assistant}/graph", None),
                ("GET", f"{of_assistant}/schemas", None),
                ("GET", f"{of_assistant}/subgraphs", None),
            ):
                told = await http.request(method, path, json=body)
                assert told.status_code == 422, (name, method, path)
                assert told.json()["detail"].startswith(f"graph {graph!r} cannot be ")
            assert (await http.post(f"/threads/{thread}/copy")).status_code == 200
            run = {"assistant_id": graph, "input": {}}
            failed = (await http.post(f"/threads/{thread}/runs/wait", json=run)).json()
            assert failed["__error__"]["error"] == "GraphUnusable"


@pytest.mark.invariant(55)
async def test_a_description_is_the_assistant_s(configured_server: Configured) -> None:
    """What `graphs` says of a graph is shown with its assistant."""
    client = configured_server.client_of("ada")
    [built] = await client.assistants.search(graph_id="built")
    assert built["description"] == "Says what it was made for."


async def test_without_authentication_a_graph_is_made_for_nobody(client: LangGraphClient) -> None:
    """The runtime's user is None then, as LangGraph documents it, in runs as in reads."""
    values: Any = await client.runs.wait(None, "made", input={})
    assert values == {"made_for": "threads.create_run by None"}


@pytest.mark.postgres
@pytest.mark.invariant(55)
@pytest.mark.parametrize("name", ["no_module", "no_key", "no_graph"])
async def test_an_assistant_outlives_its_graph(stored_server: Configured, name: str) -> None:
    """One that a user made when its graph could be used is answered as the graph itself is."""
    assert stored_server.database_url is not None
    async with Database(DatabaseConfig.for_scratch(stored_server.database_url)) as database:
        assistants = LocalStorage(PostgresBackend(database)).assistants
        made = (await assistants.create(name, owner="ada")).assistant_id
    client, thread = stored_server.client_of("ada"), str(uuid4())
    says = UNUSABLE[name].partition(":")[0]
    batch: Any = [{"assistant_id": made, "input": {}}]
    for call in (
        lambda: client.runs.create(thread, made, input={}, if_not_exists="create"),
        lambda: client.runs.create(None, made, input={}),
        lambda: client.runs.create_batch(batch),
        lambda: client.crons.create(made, schedule="0 0 * * *", input={}),
    ):
        with pytest.raises(UnprocessableEntityError, match=says):
            await call()
    assert await client.threads.search(ids=[thread]) == []
