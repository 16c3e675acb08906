"""What calls about assistants ask for."""

from typing import Any
from uuid import uuid4

from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import refused


@effect(
    "assistants.create + POST /assistants",
    *("graph_id", "config", "context", "metadata", "assistant_id", "if_exists"),
    *("name", "description"),
)
async def create(client: Client) -> None:
    """A new assistant is what was given; an id that is taken is refused, or its row returned."""
    given: Any = {
        "graph_id": "told",
        "config": {"tags": ["t"]},
        "context": {"tone": "low"},
        "metadata": {"mark": 1},
        "assistant_id": str(uuid4()),
        "name": "named",
        "description": "described",
    }
    made: Any = await client.assistants.create(**given)
    assert made["config"]["tags"] == ["t"]
    same = ("graph_id", "context", "assistant_id", "name", "description")
    assert {name: made[name] for name in same} == {name: given[name] for name in same}
    assert made["metadata"]["mark"] == 1
    again: Any = {"graph_id": "told", "assistant_id": given["assistant_id"]}
    assert await client.assistants.create(**again, if_exists="do_nothing") == made
    assert await refused(client.assistants.create(**again, if_exists="raise")) == 409
    assert await refused(client.assistants.create("no such graph")) == 404


@effect(
    "assistants.update + PATCH /assistants/{assistant_id}",
    *("graph_id", "config", "context", "metadata", "name", "description"),
)
async def update(client: Client) -> None:
    """Each field of an update changes its own."""
    made = await client.assistants.create("told", metadata={"a": 1})
    changes: dict[str, Any] = {
        "graph_id": "agent",
        "config": {"tags": ["t"]},
        "context": {"tone": "low"},
        "metadata": {"b": 2},
        "name": "new",
        "description": "newly",
    }
    for name, value in changes.items():
        change: Any = {name: value}
        updated: Any = await client.assistants.update(made["assistant_id"], **change)
        found = updated[name]
        if name in ("config", "metadata"):
            assert value.items() <= found.items(), name
        else:
            assert found == value, name
    assert updated["metadata"]["a"] == 1


@effect("assistants.delete + DELETE /assistants/{assistant_id}", "delete_threads")
async def delete(client: Client) -> None:
    """The assistant's threads stay, or go with it."""
    for goes in (False, True):
        made = await client.assistants.create("told")
        thread_id = str(uuid4())
        await client.runs.wait(
            thread_id, made["assistant_id"], input={"text": ""}, if_not_exists="create"
        )
        await client.assistants.delete(made["assistant_id"], delete_threads=goes)
        found = await client.threads.search(ids=[thread_id])
        assert bool(found) is not goes


@effect(
    "assistants.search + POST /assistants/search",
    *("metadata", "graph_id", "name", "limit", "offset", "sort_by", "sort_order", "select"),
)
@effect("assistants.search", "response_format")
@effect("assistants.count + POST /assistants/count", "metadata", "graph_id", "name")
async def search(client: Client) -> None:
    """Conditions, order, page and fields each change what is found, and conditions the count."""
    mark = {"mark": str(uuid4())}
    a = await client.assistants.create("told", metadata={**mark, "n": 1}, name=f"b {mark}")
    b = await client.assistants.create("agent", metadata=mark, name=f"a {mark}")
    ids = {"a": a["assistant_id"], "b": b["assistant_id"]}
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["b", "a"]),
        ({"metadata": {**mark, "n": 1}}, ["a"]),
        ({"graph_id": "agent"}, ["b"]),
        ({"name": f"B {mark}"}, ["a"]),
        ({"limit": 1}, ["b"]),
        ({"offset": 1}, ["a"]),
        ({"sort_by": "name", "sort_order": "asc"}, ["b", "a"]),
        ({"sort_order": "asc"}, ["a", "b"]),
    ]
    for given, expected in asked:
        which: Any = {"metadata": mark, **given}
        found: Any = await client.assistants.search(**which)
        assert [one["assistant_id"] for one in found] == [ids[name] for name in expected], given
        if given.keys() <= {"metadata", "graph_id", "name"}:
            conditions: Any = {"metadata": mark, **given}
            assert await client.assistants.count(**conditions) == len(expected), given
    [one] = await client.assistants.search(metadata=mark, limit=1, select=["name"])
    assert one == {"name": b["name"]}
    page: Any = await client.assistants.search(metadata=mark, limit=1, response_format="object")
    assert (page["next"], len(page["assistants"])) == ("1", 1)


@effect(
    "assistants.get_versions + POST /assistants/{assistant_id}/versions",
    *("metadata", "limit", "offset"),
)
@effect("assistants.set_latest + POST /assistants/{assistant_id}/latest", "version")
async def versions(client: Client) -> None:
    """Conditions and page change which versions are listed; the latest is the one that is named."""
    made = await client.assistants.create("told", metadata={"n": 1})
    key = made["assistant_id"]
    await client.assistants.update(key, metadata={"n": 2})
    asked: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [2, 1]),
        ({"metadata": {"n": 1}}, [1]),
        ({"limit": 1}, [2]),
        ({"offset": 1}, [1]),
    ]
    for given, expected in asked:
        listed: Any = await client.assistants.get_versions(key, **given)
        assert [one["version"] for one in listed] == expected, given
    assert (await client.assistants.set_latest(key, 1))["metadata"]["n"] == 1


@effect("assistants.get_graph + GET /assistants/{assistant_id}/graph", "xray")
@effect("assistants.get_subgraphs", "namespace", "recurse")
@effect("GET /assistants/{assistant_id}/subgraphs", "recurse")
@effect("GET /assistants/{assistant_id}/subgraphs/{namespace}", "recurse")
async def drawings(client: Client) -> None:
    """Subgraphs are drawn, listed or left out as is asked."""
    made = await client.assistants.create("deep")
    key = made["assistant_id"]
    plain = await client.assistants.get_graph(key)
    deep = await client.assistants.get_graph(key, xray=True)
    assert "outer" in {node["id"] for node in plain["nodes"]}
    assert "outer:inner:second" in {node["id"] for node in deep["nodes"]}
    shallow, whole = [
        await client.assistants.get_subgraphs(key, recurse=recurse) for recurse in (False, True)
    ]
    assert shallow.keys() == {"outer"}
    assert whole.keys() == {"outer", "outer|inner"}
    for recurse, expected in ((False, {"outer"}), (True, {"outer", "outer|inner"})):
        named = await client.assistants.get_subgraphs(key, namespace="outer", recurse=recurse)
        assert named.keys() <= expected
        assert "outer" in named
    assert await client.assistants.get_subgraphs(key, namespace="elsewhere") == {}
