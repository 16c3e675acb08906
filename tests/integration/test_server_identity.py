"""Who a graph is told that its caller is: what the server knows, whatever a caller says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from harness.config import DatabaseConfig
from harness.database import Database
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from tests.integration import owners
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = [pytest.mark.invariant(57), pytest.mark.slow_in_memory]
SETTINGS = owners.SETTINGS

FORGED: Final = "forged"
RESERVED: Final = (
    "langgraph_auth_user",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
    "langgraph_request_id",
    "langgraph_anything_else",
    "thread_id",
    "run_id",
    "assistant_id",
    "graph_id",
    "run_attempt",
    "checkpoint_id",
    "checkpoint_ns",
    "checkpoint_map",
    "checkpoint_anything_else",
    "__pregel_checkpointer",
    "__anything_else",
)
"""Names that only the server gives a value."""
GIVEN: Final = {"identity": "nobody"}
"""An input."""
LIE: Final[Any] = {
    **dict.fromkeys(RESERVED, FORGED),
    "user_id": "an application's own",
    "mine": "kept",
}
METADATA: Final[Any] = {**LIE, "owner": FORGED}


def lying(name: str) -> Any:
    """Return a config or a context that lies."""
    return LIE if name == "context" else {"configurable": LIE, "metadata": METADATA}


Door = Callable[[LangGraphClient, str], Awaitable[Any]]
"""Runs a graph on a new thread, and says all that is a lie in one place; returns its values."""


async def run(client: LangGraphClient, assistant: str, **said: Any) -> Any:
    """Return what a run leaves."""
    return await client.runs.wait(
        str(uuid4()), assistant, input=GIVEN, if_not_exists="create", **said
    )


async def by_config(client: LangGraphClient, graph: str) -> Any:
    """Say it in the run's config."""
    return await run(client, graph, config={"configurable": LIE})


async def by_context(client: LangGraphClient, graph: str) -> Any:
    """Say it in the run's context."""
    return await run(client, graph, context=LIE)


async def by_metadata(client: LangGraphClient, graph: str) -> Any:
    """Say it in the metadata of the run's config, and in the run's own."""
    own = {name: value for name, value in METADATA.items() if name != "owner"}
    return await run(client, graph, config={"metadata": METADATA}, metadata=own)


async def by_assistant_config(client: LangGraphClient, graph: str) -> Any:
    """Say it in an assistant's config."""
    made = await client.assistants.create(graph, config=lying("config"))
    return await run(client, made["assistant_id"])


async def by_assistant_context(client: LangGraphClient, graph: str) -> Any:
    """Say it in an assistant's context."""
    made = await client.assistants.create(graph, context=LIE)
    return await run(client, made["assistant_id"])


async def by_assistant_metadata(client: LangGraphClient, graph: str) -> Any:
    """Say it in an assistant's metadata."""
    own = {name: value for name, value in METADATA.items() if name != "owner"}
    made = await client.assistants.create(graph, metadata=own)
    return await run(client, made["assistant_id"])


async def by_batch(client: LangGraphClient, graph: str) -> Any:
    """Say it in a run of a batch."""
    lie: Any = {
        "assistant_id": graph,
        "input": GIVEN,
        "config": {"configurable": LIE, "metadata": METADATA},
        "on_completion": "keep",
    }
    made: Any = await client.runs.create_batch([lie])
    return await client.runs.join(made[0]["thread_id"], made[0]["run_id"])


async def by_stream(client: LangGraphClient, graph: str) -> Any:
    """Say it in a stateless run that is streamed."""
    stream = client.runs.stream(None, graph, input=GIVEN, config=lying("config"))
    *_, last = [part async for part in stream]
    return last.data


DOORS: Final = {
    door.__name__: door
    for door in (
        by_config,
        by_context,
        by_metadata,
        by_assistant_config,
        by_assistant_context,
        by_assistant_metadata,
        by_batch,
        by_stream,
    )
}


def check(values: Any, owner: str) -> None:
    """Check what a graph has seen."""
    said, metadata = values["said"], values["about"]
    for name in RESERVED:
        assert said.get(name) != FORGED, name
        assert metadata.get(name) != FORGED, name
    assert metadata.get("owner") != FORGED
    assert FORGED not in str(values["context"])
    assert said["langgraph_auth_user_id"] == values["identity"] == owner
    assert said["langgraph_auth_permissions"] == []
    assert said["graph_id"] == metadata["graph_id"] == "mirror"
    for name in ("thread_id", "run_id", "assistant_id"):
        assert len(said[name]) == 36, name


@pytest.mark.parametrize("name", DOORS)
async def test_the_server_says_who_calls_and_what_runs(alice: LangGraphClient, name: str) -> None:
    """Each reserved name is the server's in config, metadata and context; others are kept."""
    values = await DOORS[name](alice, "mirror")
    check(values, "alice")
    if "metadata" in name:
        assert values["about"]["mine"] == "kept"
        assert values["said"]["user_id"] == "alice"
    else:
        assert values["said"]["mine"] == values["context"]["mine"] == "kept"
        assert values["said"]["user_id"] == "an application's own"


async def test_a_context_that_wants_to_know_is_told_the_truth(alice: LangGraphClient) -> None:
    """Fields of a context schema that bear reserved names hold what the server says."""
    key = (await alice.threads.create())["thread_id"]
    values: Any = await alice.runs.wait(key, "knowing", input=GIVEN, context=lying("context"))
    assert values["context"] == {
        "thread_id": key,
        "langgraph_auth_user_id": "alice",
        "mine": "kept",
    }


async def test_one_checkpoint_is_begun_at_as_before(alice: LangGraphClient) -> None:
    """`checkpoint_id` of the run itself says where it begins, on its own thread alone."""
    key = (await alice.threads.create())["thread_id"]
    await alice.runs.wait(key, "mirror", input=GIVEN)
    [*_, first] = await alice.threads.get_history(key)
    elsewhere: Any = dict(first["checkpoint"], thread_id=str(uuid4()))
    values: Any = await alice.runs.wait(key, "mirror", input=GIVEN, checkpoint=elsewhere)
    assert values["said"]["thread_id"] == key
    assert len(await alice.threads.get_history(key)) > 2


async def test_a_state_of_another_thread_is_not_written(alice: LangGraphClient) -> None:
    """The path alone says which thread's state is written, whatever a checkpoint names."""
    mine = (await alice.threads.create(graph_id="mirror"))["thread_id"]
    other = (await alice.threads.create(graph_id="mirror"))["thread_id"]
    checkpoint: Any = {"thread_id": other, "checkpoint_ns": ""}
    await alice.threads.update_state(mine, {"identity": "x"}, checkpoint=checkpoint)
    assert (await alice.threads.get_state(other))["values"] == {}
    assert (await alice.threads.get_state(mine))["values"] == {"identity": "x"}


@pytest.fixture
async def storage(server: Serving) -> AsyncIterator[LocalStorage]:
    """The storage of a server on Postgres."""
    if server.database_url is None:
        pytest.skip("memory is of one process, and no cron fires by itself")
    async with Database(DatabaseConfig(url=server.database_url), name="crons") as database:
        yield LocalStorage(PostgresBackend(database))


async def test_a_cron_says_no_more_than_its_owner(
    alice: LangGraphClient, storage: LocalStorage
) -> None:
    """A firing's graph sees the owner of the cron, whatever the payload says."""
    cron: Any = await alice.crons.create(
        "mirror", input=GIVEN, schedule="* * * * *", config=lying("config"), on_run_completed="keep"
    )
    await storage.crons.update(cron["cron_id"], schedule="* * * * * *", owner="alice")
    firings: list[Any] = []
    while not firings:
        firings = await storage.crons.claim_due(owner="alice")
    await alice.crons.delete(cron["cron_id"])
    run = firings[0].run
    values = await alice.runs.join(run.thread_id, run.run_id)
    check(values, "alice")
