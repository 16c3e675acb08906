"""What a server stores of a run's context, and which classes its checkpoints may hold."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from langgraph_sdk.errors import ConflictError
from psycopg import AsyncConnection

from tests.integration.savers.hostile import hostile

if TYPE_CHECKING:
    from pathlib import Path

    from langgraph_sdk.client import LangGraphClient

    from tests.integration.serving import Serving
    from tests.integration.serving_fixtures import Servers

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

GAVE: Final = ("context", "config")
GIVEN: Final = {"identity": "nobody"}
NOTHING: Final = {"undeclared": None}


async def said(client: LangGraphClient, key: str) -> str:
    """Return all that state and history say of a thread."""
    state = await client.threads.get_state(key, subgraphs=True)
    history = await client.threads.get_history(key)
    thread = await client.threads.get(key)
    assert len(history) > 1
    return repr((state, history, thread))


class TestContext:
    """What a caller puts into a context is for the graph, and for nobody who reads the thread."""

    @pytest.mark.invariant(56)
    @pytest.mark.parametrize("by", GAVE)
    @pytest.mark.parametrize("held_by", ["run", "assistant"])
    async def test_a_context_is_stored_with_no_checkpoint(
        self, client: LangGraphClient, server: Serving, by: str, held_by: str
    ) -> None:
        """The graph sees it, in `runtime.context` and in its config; state and history do not."""
        token = secrets.token_hex(16)
        context: dict[str, Any] = {"token": token, "model": token, "level": 4_711_147}
        gave: dict[str, Any] = (
            {"context": context} if by == "context" else {"config": {"configurable": context}}
        )
        seen, key = str(uuid4()), str(uuid4())
        for graph, thread in (("mirror", seen), ("silent", key)):
            if held_by == "run":
                await client.runs.wait(thread, graph, input=GIVEN, if_not_exists="create", **gave)
                continue
            made = await client.assistants.create(graph, **gave)
            await client.runs.wait(
                thread, made["assistant_id"], input=GIVEN, if_not_exists="create"
            )
        values: Any = (await client.threads.get_state(seen))["values"]
        assert values["context"] == context
        assert {name: values["said"][name] for name in context} == context
        shown = await said(client, key)
        assert token not in shown
        assert "4711147" not in shown
        if server.database_url is not None:
            async with await AsyncConnection.connect(server.database_url) as connection:
                found = await connection.execute(
                    "SELECT c.metadata::text || c.checkpoint::text FROM checkpoints AS c"
                    " WHERE thread_id = %s",
                    [key],
                )
                rows = await found.fetchall()
            assert rows
            assert not [row for (row,) in rows if token in row or "4711147" in row]

    @pytest.mark.invariant(56)
    async def test_metadata_are_stored_as_before(self, client: LangGraphClient) -> None:
        """What a caller says in metadata finds its checkpoints, and so does the run's id."""
        key = str(uuid4())
        run = await client.runs.create(
            key, "silent", input=GIVEN, if_not_exists="create", metadata={"topic": "tides"}
        )
        await client.runs.join(key, run["run_id"])
        for wanted in ({"topic": "tides"}, {"run_id": run["run_id"]}, {"graph_id": "silent"}):
            assert await client.threads.get_history(key, metadata=wanted)
        assert not await client.threads.get_history(key, metadata={"topic": "tea"})


class TestClasses:
    """A server is strict by default."""

    @pytest.mark.invariant(63)
    async def test_classes_of_a_schema_come_back_as_themselves(
        self, client: LangGraphClient
    ) -> None:
        """A dataclass, an enum and a named tuple that the run before has left."""
        key = str(uuid4())
        await client.runs.wait(key, "typed", input=NOTHING, if_not_exists="create")
        values: Any = await client.runs.wait(key, "typed", input=NOTHING)
        assert values["kinds"] == ["Place", "Mood", "Point"]

    @pytest.mark.invariant(63)
    async def test_another_class_is_refused_when_it_is_written(
        self, client: LangGraphClient
    ) -> None:
        """The run says which class it was, and the thread reads as before."""
        key = str(uuid4())
        await client.runs.wait(key, "typed", input=NOTHING, if_not_exists="create")
        values: Any = await client.runs.wait(
            key, "typed", input={"undeclared": 1}, raise_error=False
        )
        assert "Undeclared is no class of a schema" in values["__error__"]["message"]
        state: Any = await client.threads.get_state(key)
        assert state["values"]["undeclared"] == 1

    @pytest.mark.invariant(63)
    @pytest.mark.parametrize("table", ["checkpoint_blobs", "checkpoint_writes"])
    async def test_a_hostile_row_runs_nothing(
        self, client: LangGraphClient, server: Serving, table: str, tmp_path: Path
    ) -> None:
        """State, history and a next run are a clear error; nothing of the row is executed."""
        if server.database_url is None:
            pytest.skip("nobody else writes to memory")
        file = tmp_path / "made"
        rows = hostile(file)
        for name in ("a call with one argument", "a pickle", "an unknown type", "broken bytes"):
            key = (await client.threads.create(graph_id="approval"))["thread_id"]
            await client.runs.wait(key, "approval", input={"action": "leap"})
            async with await AsyncConnection.connect(server.database_url) as connection:
                await connection.execute(
                    f"UPDATE {table} SET type = %s, blob = %s WHERE thread_id = %s"  # noqa: S608
                    " AND type <> 'empty'",
                    [*rows[name], key],
                )
            with pytest.raises(ConflictError):
                await client.threads.get_state(key)
            with pytest.raises(ConflictError):
                await client.threads.get_history(key)
            values: Any = await client.runs.wait(
                key, "approval", input={"action": "sit"}, raise_error=False
            )
            assert values["__error__"]["error"] == "Unreadable", name
            assert (await client.threads.get(key))["status"] == "error"
            await client.threads.delete(key)
        assert not file.exists()


@pytest.mark.invariant(63)
async def test_a_server_is_widened_by_name(memory_servers: Servers) -> None:
    """HARNESS_MSGPACK_ALLOW names a class that no schema names, and it is kept."""
    server = await memory_servers.get({"HARNESS_MSGPACK_ALLOW": "harness_graph_typed:Undeclared"})
    values: Any = await server.client().runs.wait(None, "typed", input={"undeclared": 1})
    assert values["undeclared"] == {"x": 1}
