"""What calls about threads and their states ask for."""

import asyncio
from typing import Any
from uuid import uuid4

from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import refused

_SUPERSTEP = "supersteps.updates"


async def run_on(client: Client, graph: str = "told", **given: Any) -> str:
    """Run a graph on a new thread; return the thread's id."""
    thread_id = str(uuid4())
    await client.runs.wait(
        thread_id, graph, **{"input": {"text": "old"}, "if_not_exists": "create", **given}
    )
    return thread_id


@effect("threads.create + POST /threads", "metadata", "thread_id", "if_exists")
@effect("threads.create", "graph_id")
async def create(client: Client) -> None:
    """A new thread is what was given; an id that is taken is refused, or its row returned."""
    key = str(uuid4())
    made = await client.threads.create(thread_id=key, metadata={"mark": 1}, graph_id="told")
    assert made["thread_id"] == key
    assert {"mark": 1, "graph_id": "told"}.items() <= made["metadata"].items()
    assert await client.threads.create(thread_id=key, if_exists="do_nothing") == made
    assert await refused(client.threads.create(thread_id=key, if_exists="raise")) == 409


@effect("threads.create + POST /threads + threads.update + PATCH /threads/{thread_id}", "ttl")
@effect("POST /threads + PATCH /threads/{thread_id}", "ttl.ttl", "ttl.strategy")
@effect("threads.get + GET /threads/{thread_id}", "include")
async def ttl(client: Client) -> None:
    """A time to live is shown where it is asked for, and ends the thread."""
    kept: Any = {"ttl": 5, "strategy": "keep_latest"}
    for given, expected in ((7, (7, "delete")), (kept, (5, "keep_latest"))):
        made = await client.threads.create(ttl=given)
        other = await client.threads.create()
        await client.threads.update(other["thread_id"], metadata={}, ttl=given)
        for thread_id in (made["thread_id"], other["thread_id"]):
            found: Any = await client.threads.get(thread_id, include=["ttl"])
            assert (found["ttl"]["ttl_minutes"], found["ttl"]["strategy"]) == expected
    soon: Any = {"ttl": 1e-9}
    made = await client.threads.create(ttl=soon)
    await client.threads.update(other["thread_id"], metadata={}, ttl=soon)
    for thread_id in (made["thread_id"], other["thread_id"]):
        assert await refused(client.threads.get(thread_id)) == 404
    wrong: Any
    for wrong in (0, -1, "5", True, {"ttl": 0}, {"ttl": 1, "strategy": "archive"}, {}):
        assert await refused(client.http.post("/threads", json={"ttl": wrong})) == 422, wrong
    assert await refused(client.threads.get(made["thread_id"], include=["all"])) == 422


@effect("threads.create + POST /threads", "supersteps")
@effect(
    "POST /threads",
    *(_SUPERSTEP, f"{_SUPERSTEP}.as_node", f"{_SUPERSTEP}.values", f"{_SUPERSTEP}.command"),
    *(f"{_SUPERSTEP}.command.{name}" for name in ("update", "goto", "goto.node", "goto.input")),
    f"{_SUPERSTEP}.command.resume",
)
async def supersteps(client: Client) -> None:
    """Each update is written as its node's, with values or as a command; an answer is refused."""

    async def made(*updates: Any) -> Any:
        steps: Any = [{"updates": [update]} for update in updates]
        thread = await client.threads.create(graph_id="told", supersteps=steps)
        return await client.threads.get_state(thread["thread_id"])

    written = await made({"values": {"text": "new"}, "as_node": "first"})
    assert (written["values"]["text"], written["next"]) == ("new", ["second"])
    there = {"update": {"text": "by command"}, "goto": "aside"}
    written = await made({"values": None, "command": there, "as_node": "first"})
    assert written["values"]["text"] == "by command"
    assert "aside" in written["next"]
    sent = {"goto": {"node": "aside", "input": {"text": "given"}}}
    assert "aside" in (await made({"values": None, "command": sent, "as_node": "first"}))["next"]
    answer = {"values": None, "command": {"resume": 1}, "as_node": "first"}
    assert await refused(made(answer)) == 422


@effect("threads.update + PATCH /threads/{thread_id}", "metadata")
@effect("threads.update", "return_minimal")
async def update(client: Client) -> None:
    """Metadata merge; with the least answer there is none."""
    made = await client.threads.create(metadata={"a": 1})
    key = made["thread_id"]
    updated: Any = await client.threads.update(key, metadata={"b": 2})
    assert {"a": 1, "b": 2}.items() <= updated["metadata"].items()
    assert await client.threads.update(key, metadata={"c": 3}, return_minimal=True) is None


@effect(
    "threads.search + POST /threads/search",
    *("metadata", "values", "ids", "status", "limit", "offset", "sort_by", "sort_order"),
    *("select", "extract"),
)
@effect("threads.count + POST /threads/count", "metadata", "values", "status")
@effect("POST /threads/count", "ids")
async def search(client: Client) -> None:
    """Conditions, order, page and fields each change what is found, and conditions the count."""
    mark = {"mark": str(uuid4())}
    made = [await client.threads.create(metadata={**mark, "n": n}) for n in range(2)]
    a, b = (thread["thread_id"] for thread in made)
    await client.runs.wait(a, "told", input={"text": "found", "asks": True})
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [b, a]),
        ({"metadata": {**mark, "n": 1}}, [b]),
        ({"values": {"text": "found"}}, [a]),
        ({"ids": [a]}, [a]),
        ({"status": "interrupted"}, [a]),
        ({"limit": 1}, [b]),
        ({"offset": 1}, [a]),
        ({"sort_by": "updated_at"}, [a, b]),
        ({"sort_order": "asc"}, [a, b]),
    ]
    for given, expected in asked:
        which: Any = {"metadata": mark, **given}
        found = await client.threads.search(**which)
        assert [one["thread_id"] for one in found] == expected, given
        if given.keys() <= {"metadata", "values", "ids", "status"}:
            count = await client.http.post("/threads/count", json=which)
            assert count == len(expected), given
            if "ids" not in given:
                assert await client.threads.count(**which) == len(expected), given
    [one] = await client.threads.search(ids=[a], select=["status"])
    assert one == {"status": "interrupted"}
    [one] = await client.threads.search(ids=[a], extract={"said": "values.text"})
    assert one["extracted"] == {"said": "found"}


@effect("threads.prune + POST /threads/prune", "thread_ids", "strategy")
async def prune(client: Client) -> None:
    """The threads that are named go, or keep their latest state alone."""
    short, gone = await run_on(client), await run_on(client)
    assert (await client.threads.prune([short], strategy="keep_latest"))["pruned_count"] == 1
    assert len(await client.threads.get_history(short)) == 1
    assert (await client.threads.prune([gone], strategy="delete"))["pruned_count"] == 1
    assert await refused(client.threads.get(gone)) == 404
    await client.threads.get(short)


@effect("threads.get_state", "checkpoint", "checkpoint_id", "subgraphs", "select")
@effect(
    "POST /threads/{thread_id}/state/checkpoint",
    *("checkpoint", "subgraphs", "select"),
    *(f"checkpoint.{name}" for name in ("checkpoint_id", "checkpoint_ns", "checkpoint_map")),
)
@effect("GET /threads/{thread_id}/state", "select", "subgraphs")
@effect("GET /threads/{thread_id}/state/{checkpoint_id}", "select", "subgraphs")
async def state(client: Client) -> None:
    """The state is that of the place that is named, with subgraphs and fields as is asked."""
    key = await run_on(client, "deep", input={"asks": True})
    get: Any = client.threads.get_state
    head = await get(key, subgraphs=True)
    [task] = head["tasks"]
    within = task["state"]
    assert within["checkpoint"]["checkpoint_ns"].startswith("outer")
    assert (await get(key))["tasks"][0]["state"] is None
    place = head["checkpoint"]
    for named in ({"checkpoint": place}, {"checkpoint_id": place["checkpoint_id"]}):
        found = await get(key, **named, subgraphs=True)
        assert found["checkpoint_id"] == head["checkpoint_id"]
        assert found["tasks"][0]["state"] is not None
        assert (await get(key, **named, subgraphs=False))["tasks"][0]["state"] is None
        assert (await get(key, **named, select=["next"])) == {"next": ["outer"]}
    assert (await get(key, select=["next"])) == {"next": ["outer"]}
    inner = await get(key, checkpoint=within["checkpoint"])
    assert inner["next"] == ["inner"]
    assert inner["checkpoint"]["checkpoint_map"] == within["checkpoint"]["checkpoint_map"]
    first = (await client.threads.get_history(key))[-1]
    assert (await get(key, checkpoint=first["checkpoint"]))["next"] == ["__start__"]


@effect(
    "threads.update_state + POST /threads/{thread_id}/state",
    *("values", "as_node", "checkpoint", "checkpoint_id"),
)
@effect(
    "POST /threads/{thread_id}/state",
    *(f"checkpoint.{name}" for name in ("checkpoint_id", "checkpoint_ns", "checkpoint_map")),
)
async def update_state(client: Client) -> None:
    """Values are written as a node's, to the place that is named."""
    key = await run_on(client, input={"text": "old"})
    old = await client.threads.get_state(key)
    await client.threads.update_state(key, {"text": "new"}, as_node="first")
    new = await client.threads.get_state(key)
    assert (new["values"]["text"], new["next"]) == ("new", ["second"])
    at: Any = {"checkpoint": {**old["checkpoint"], "checkpoint_map": {}}}
    for named in (at, {"checkpoint_id": old["checkpoint"]["checkpoint_id"]}):
        await client.threads.update_state(key, {"answer": 1}, as_node="first", **named)
        forked = await client.threads.get_state(key)
        assert (forked["values"]["text"], forked["values"]["answer"]) == ("old", 1)
        parent = forked["parent_checkpoint"]
        assert parent["checkpoint_id"] == old["checkpoint"]["checkpoint_id"]


_PLACE = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")


@effect(
    "threads.get_history + POST /threads/{thread_id}/history",
    *("limit", "before", "metadata", "checkpoint", "select"),
)
@effect(
    "POST /threads/{thread_id}/history",
    *(f"checkpoint.{name}" for name in _PLACE),
    *(f"before.{name}" for name in (*_PLACE, "configurable")),
    *(f"before.configurable.{name}" for name in _PLACE),
)
@effect("GET /threads/{thread_id}/history", "limit", "before", "select")
async def history(client: Client) -> None:
    """The history is that of the place, cut, filtered and shown as is asked."""
    key = await run_on(client, "deep", input={"asks": True})
    get: Any = client.threads.get_history
    whole = await get(key)
    ids = [one["checkpoint_id"] for one in whole]
    assert [one["checkpoint_id"] for one in await get(key, limit=1)] == ids[:1]
    head = whole[0]["checkpoint"]
    for before in (head, ids[0], {"configurable": head}):
        found = await client.http.post(f"/threads/{key}/history", json={"before": before})
        assert [one["checkpoint_id"] for one in found] == ids[1:]
    assert [one["checkpoint_id"] for one in await get(key, before=head)] == ids[1:]
    assert [one["checkpoint_id"] for one in await get(key, metadata={"step": -1})] == ids[-1:]
    assert (await get(key, limit=1, select=["next"])) == [{"next": ["outer"]}]
    within = (await client.threads.get_state(key, subgraphs=True))["tasks"][0]["state"]
    [inner, *_] = await get(key, checkpoint=within["checkpoint"])
    assert inner["next"] == ["inner"]
    path = f"/threads/{key}/history"
    short = await client.http.get(path, params={"limit": 1, "before": ids[0], "select": "next"})
    assert short == [{"next": whole[1]["next"]}]


@effect("threads.join_stream", "last_event_id", "stream_mode", "thread_id")
@effect("GET /threads/{thread_id}/stream", "stream_mode")
async def join_stream(client: Client) -> None:
    """What is heard of a thread is of the modes asked for, from the place that is named."""
    thread_id = (await client.threads.create())["thread_id"]
    modes = ("run_modes", "lifecycle", "state_update")

    async def hear(mode: str, **more: Any) -> list[Any]:
        """Return the parts up to the end of the second run that is heard of."""
        parts: list[Any] = []
        stream = await client.threads.join_stream(thread_id, stream_mode=[mode], **more)
        async for part in stream:
            parts.append(part)
            if [one.data.get("status") for one in parts].count("run_done") == 2:
                break
        return parts

    async with asyncio.timeout(30):
        hearing = [asyncio.create_task(hear(mode)) for mode in modes]
        while not all(task.done() for task in hearing):
            run = await client.runs.create(
                thread_id, "told", input={"text": ""}, stream_mode=["values", "updates"]
            )
            await client.runs.join(thread_id, run["run_id"])
        of_runs, of_lives, of_states = [await task for task in hearing]
        later = await hear("run_modes", last_event_id=of_runs[0].id)
    streamed = {"values", "updates"}
    assert {part.event for part in of_runs} >= streamed
    assert not {part.event for part in of_lives} & streamed
    assert {part.event for part in of_states} & streamed == {"values"}
    assert [part.id for part in later[: len(of_runs) - 1]] == [part.id for part in of_runs[1:]]


@effect("threads.stream", "thread_id", "assistant_id", "run_start_timeout", "transport")
async def stream(client: Client) -> None:
    """Refused: the second protocol is not served, and its addresses are nowhere."""
    thread_id = (await client.threads.create())["thread_id"]
    for path in ("commands", "stream/events"):
        answer = await client.http.client.post(f"/threads/{thread_id}/{path}", json={})
        assert answer.status_code == 404
