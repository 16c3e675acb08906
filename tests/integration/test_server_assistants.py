"""Assistants over HTTP: what the official client sends, and what it is answered."""

from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)

from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)

AGENT = "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
"""The id that the official server gives to the assistant of a graph named `agent`."""


class TestLife:
    """An assistant is created, found, changed, gone back with, and deleted."""

    async def test_what_a_new_one_is(self, client: LangGraphClient) -> None:
        """The official server's fields and defaults, and the owner in its metadata."""
        made = await client.assistants.create("agent")
        assert await client.assistants.get(made["assistant_id"]) == made
        assert made["created_at"] == made["updated_at"]
        assert str(made["created_at"]).endswith("+00:00")
        assert {
            name: value for name, value in made.items() if not name.endswith(("_id", "_at"))
        } == {
            "version": 1,
            "name": "Untitled",
            "description": None,
            "config": {},
            "context": {},
            "metadata": {"owner": "anybody"},
        }

    @pytest.mark.invariant(10)
    async def test_a_callers_id_is_taken(self, client: LangGraphClient) -> None:
        """Twice is a conflict, or with `do_nothing` the one that is there."""
        identity = str(uuid4())
        made = await client.assistants.create("agent", assistant_id=identity, name="first")
        assert made["assistant_id"] == identity
        with pytest.raises(ConflictError):
            await client.assistants.create("agent", assistant_id=identity)
        again = await client.assistants.create(
            "memory", assistant_id=identity, if_exists="do_nothing"
        )
        assert again == made

    async def test_context_and_configurable_are_one(self, client: LangGraphClient) -> None:
        """Each shows in the other; both at once are refused."""
        by_context = await client.assistants.create("agent", context={"mood": "mild"})
        assert by_context["config"] == {"configurable": {"mood": "mild"}}
        config = {"configurable": {"mood": "wild"}, "tags": ["x"]}
        by_config = await client.assistants.create("agent", config)  # type: ignore[arg-type]
        assert by_config["context"] == {"mood": "wild"}
        for call in (
            client.assistants.create("agent", config, context={"mood": "mild"}),  # type: ignore[arg-type]
            client.assistants.update(AGENT, config=config, context={"mood": "mild"}),  # type: ignore[arg-type]
        ):
            with pytest.raises(BadRequestError):
                await call

    async def test_each_update_is_a_version(self, client: LangGraphClient) -> None:
        """Metadata merge, all else is replaced; an older version comes back with all it held."""
        made = await client.assistants.create("agent", context={"a": 1}, metadata={"a": {"b": 1}})
        identity = made["assistant_id"]
        updated = await client.assistants.update(
            identity, graph_id="memory", context={"b": 2}, metadata={"c": 1}, name="second"
        )
        assert (updated["version"], updated["graph_id"]) == (2, "memory")
        assert updated["context"] == {"b": 2}
        assert updated["metadata"] == {"a": {"b": 1}, "c": 1, "owner": "anybody"}
        assert (await client.assistants.update(identity))["version"] == 3
        versions = await client.assistants.get_versions(identity)
        assert [one["version"] for one in versions] == [3, 2, 1]
        assert "updated_at" not in versions[0]
        first = await client.assistants.set_latest(identity, 1)
        assert {**first, "updated_at": made["updated_at"]} == made
        assert (await client.assistants.update(identity))["version"] == 4
        found = await client.assistants.get_versions(identity, {"c": 1}, limit=1, offset=1)
        assert [one["version"] for one in found] == [2]

    async def test_delete(self, client: LangGraphClient) -> None:
        """It is gone for every call, and deleting it again is no success."""
        identity = (await client.assistants.create("agent"))["assistant_id"]
        await client.assistants.delete(identity, delete_threads=True)
        for call in (
            client.assistants.get(identity),
            client.assistants.delete(identity),
            client.assistants.update(identity),
            client.assistants.get_versions(identity),
            client.assistants.set_latest(identity, 1),
        ):
            with pytest.raises(NotFoundError):
                await call

    @pytest.mark.invariant(14)
    async def test_the_systems_can_be_read_only(self, client: LangGraphClient) -> None:
        """Each graph has one, with the id it has everywhere; nobody changes or deletes it."""
        system = await client.assistants.get(AGENT)
        assert (system["name"], system["graph_id"]) == ("agent", "agent")
        assert system["metadata"] == {"created_by": "system", "owner": "system"}
        for call in (
            client.assistants.update(AGENT, name="mine"),
            client.assistants.delete(AGENT),
            client.assistants.set_latest(AGENT, 1),
        ):
            with pytest.raises(PermissionDeniedError):
                await call
        assert await client.assistants.get(AGENT) == system

    async def test_a_graph_that_is_not_served(self, client: LangGraphClient) -> None:
        """It is not found, whatever is asked about it."""
        for call in (
            client.assistants.create("nothing"),
            client.assistants.update(AGENT, graph_id="nothing"),
            client.assistants.search(graph_id="nothing"),
            client.assistants.count(graph_id="nothing"),
        ):
            with pytest.raises(NotFoundError, match="nothing"):
                await call


class TestSearch:
    """Searching, counting and paging."""

    async def test_finds_and_counts(self, client: LangGraphClient) -> None:
        """By metadata with their types, a part of the name in any case, and graph; newest first."""
        mark = str(uuid4())
        for number in range(3):
            await client.assistants.create(
                "steps", name=f"Number {number}", metadata={"mark": mark, "nested": {"n": number}}
            )
        which = {"mark": mark}

        async def names(**asked: object) -> list[str]:
            asked = {"metadata": which, **asked}
            found = await client.assistants.search(**asked)  # type: ignore[call-overload]
            assert await client.assistants.count(**asked) == len(found)  # type: ignore[arg-type]
            return [one["name"] for one in found]

        assert await names() == ["Number 2", "Number 1", "Number 0"]
        assert await names(name="nUMBER 1") == ["Number 1"]
        assert await names(metadata={**which, "nested": {"n": 2}}) == ["Number 2"]
        assert await names(metadata={**which, "nested": {"n": "2"}}) == []
        assert await names(graph_id="agent") == []
        found = await client.assistants.search(
            metadata=which, sort_by="name", sort_order="asc", select=["name", "version"]
        )
        assert found == [{"name": f"Number {number}", "version": 1} for number in range(3)]

    @pytest.mark.invariant(22)
    async def test_pages_tell_the_true_total(
        self, client: LangGraphClient, server: Serving
    ) -> None:
        """The total is the count on every page; there is a next one only where there is more."""
        mark = str(uuid4())
        for _ in range(5):
            await client.assistants.create("agent", metadata={"mark": mark})
        seen, told = [], []
        for offset in (0, 2, 4, 5, 500):
            response = await server.http().post(
                "/assistants/search",
                json={"metadata": {"mark": mark}, "limit": 2, "offset": offset},
            )
            seen += [one["assistant_id"] for one in response.json()]
            headers = response.headers
            told.append((headers["X-Pagination-Total"], headers.get("X-Pagination-Next")))
        assert told == [("5", "2"), ("5", "4"), ("5", None), ("5", None), ("5", None)]
        assert len(set(seen)) == len(seen) == 5
        page = await client.assistants.search(
            metadata={"mark": mark}, limit=2, response_format="object"
        )
        assert page["next"] == "2"


class TestDrawings:
    """What the client's own inspector draws and describes."""

    async def test_a_graph_by_name_or_id(self, client: LangGraphClient) -> None:
        """Its nodes and edges; with `xray` those of its subgraphs too."""
        drawing = await client.assistants.get_graph("nested")
        nodes = [node["id"] for node in drawing["nodes"]]
        assert nodes == ["__start__", "research", "write_up", "__end__"]
        assert {"source": "research", "target": "write_up"} in drawing["edges"]
        made = await client.assistants.create("nested")
        for xray in (True, 1):
            inner = await client.assistants.get_graph(made["assistant_id"], xray=xray)
            assert "research:look_up" in [node["id"] for node in inner["nodes"]]

    async def test_schemas(self, client: LangGraphClient) -> None:
        """Of input, output and state; null where a type has none."""
        made = await client.assistants.create("nested")
        found = await client.assistants.get_schemas(made["assistant_id"])
        assert found["graph_id"] == "nested"
        for name, fields in (
            ("input_schema", ["topic"]),
            ("output_schema", ["topic", "findings", "report"]),
            ("state_schema", ["topic", "findings", "report"]),
        ):
            schema = found[name]  # type: ignore[literal-required]
            assert list(schema["properties"]) == fields
        assert found["context_schema"] is found["config_schema"] is None

    async def test_subgraphs(self, client: LangGraphClient) -> None:
        """By their names in the graph, each alone too; one that there is not finds nothing."""
        identity = (await client.assistants.create("nested"))["assistant_id"]
        found = await client.assistants.get_subgraphs(identity, recurse=True)
        assert list(found) == ["research"]
        assert await client.assistants.get_subgraphs(identity, "research") == found
        assert await client.assistants.get_subgraphs(identity, "other") == {}

    async def test_names_do_for_drawings_only(self, client: LangGraphClient) -> None:
        """Everything else asks for an id, and for a number of levels where it is one."""
        for call in (
            client.assistants.get("agent"),
            client.assistants.get_schemas("agent"),
            client.assistants.get_subgraphs("agent"),
            client.assistants.get_graph("agent", xray=0),
            client.assistants.get_graph("agent", xray=-1),
        ):
            with pytest.raises(UnprocessableEntityError):
                await call
