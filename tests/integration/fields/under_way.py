"""What calls about runs that there are ask for: lists, cancelling, listening; and every id."""

import asyncio
from typing import Any
from uuid import uuid4

from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import refused

SLOW: dict[str, Any] = {"steps": 1_000, "delay_s": 0.05}


async def slow_run(client: Client, thread_id: str | None = None) -> Any:
    """Begin a run that takes a minute."""
    return await client.runs.create(
        thread_id or str(uuid4()), "steps", input=SLOW, if_not_exists="create"
    )


@effect("runs.list", "thread_id", "limit", "offset", "status", "select")
@effect("GET /threads/{thread_id}/runs", "limit", "offset", "status", "select")
async def listed(client: Client) -> None:
    """Page, status and fields each change what is listed."""
    thread_id = str(uuid4())
    for limit in (25, 1):
        await client.runs.wait(
            thread_id,
            "told",
            input={"text": ""},
            if_not_exists="create",
            config={"recursion_limit": limit},
            raise_error=False,
        )
    whole = await client.runs.list(thread_id)
    assert [run["status"] for run in whole] == ["error", "success"]
    assert await client.runs.list(thread_id, limit=1) == whole[:1]
    assert await client.runs.list(thread_id, offset=1) == whole[1:]
    assert await client.runs.list(thread_id, status="success") == whole[1:]
    shown: Any = await client.runs.list(thread_id, select=["status"])
    assert shown == [{"status": "error"}, {"status": "success"}]


@effect("runs.cancel", "wait", "action")
@effect("POST /threads/{thread_id}/runs/{run_id}/cancel", "wait", "action")
async def cancel(client: Client) -> None:
    """The run ends, before the answer if that is to wait, and is forgotten if it is to be."""
    run = await slow_run(client)
    await client.runs.cancel(run["thread_id"], run["run_id"], wait=True)
    assert (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "interrupted"
    path = "/threads/{thread_id}/runs/{run_id}/cancel"
    for wait, status in (("false", 202), ("true", 200)):
        run = await slow_run(client)
        answer = await client.http.client.post(path.format(**run), params={"wait": wait})
        assert answer.status_code == status
    run = await slow_run(client)
    await client.runs.cancel(run["thread_id"], run["run_id"], wait=True, action="rollback")
    assert await refused(client.runs.get(run["thread_id"], run["run_id"])) == 404


@effect("runs.cancel_many", "thread_id", "run_ids", "status", "action")
@effect("POST /runs/cancel", "thread_id", "run_ids", "status", "action")
async def cancel_many(client: Client) -> None:
    """The runs that are named end, by their ids or by their status."""
    thread_id, other = str(uuid4()), str(uuid4())
    first, second = [await slow_run(client, thread_id) for _ in range(2)]
    elsewhere = await slow_run(client, other)
    await client.runs.cancel_many(thread_id=thread_id, run_ids=[second["run_id"]])
    assert (await client.runs.get(thread_id, second["run_id"]))["status"] == "interrupted"
    assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "running"
    await client.runs.cancel_many(thread_id=thread_id, status="all", action="rollback")
    await client.runs.join(thread_id, first["run_id"])
    left = await client.runs.list(thread_id)
    assert [run["run_id"] for run in left] == [second["run_id"]]
    assert (await client.runs.get(other, elsewhere["run_id"]))["status"] == "running"
    await client.runs.cancel(other, elsewhere["run_id"], wait=True)


@effect("runs.join_stream", "stream_mode", "last_event_id", "cancel_on_disconnect")
@effect("GET /threads/{thread_id}/runs/{run_id}/stream", "stream_mode", "cancel_on_disconnect")
async def join_stream(client: Client) -> None:
    """What is heard is of the modes that are asked for, from the place that is named on.

    That a run ends with its reader takes Robyn some seconds: test_server_streams shows it.
    """
    run = await client.runs.create(
        str(uuid4()),
        "told",
        input={"text": ""},
        if_not_exists="create",
        stream_mode=["values", "updates"],
        stream_resumable=True,
    )
    at: Any = (run["thread_id"], run["run_id"])
    await client.runs.join(*at)
    whole = [part async for part in client.runs.join_stream(*at, last_event_id="-1")]
    assert {part.event for part in whole} == {"metadata", "values", "updates"}
    some = client.runs.join_stream(*at, last_event_id="-1", stream_mode="updates")
    assert {part.event async for part in some} == {"metadata", "updates"}
    later = client.runs.join_stream(*at, last_event_id=whole[1].id)
    assert [part.id async for part in later] == [part.id for part in whole[2:]]
    wrong = await client.http.client.get(
        f"/threads/{at[0]}/runs/{at[1]}/stream", params={"cancel_on_disconnect": "perhaps"}
    )
    assert wrong.status_code == 422


@effect("assistants.delete + assistants.get + assistants.get_graph", "assistant_id")
@effect("assistants.get_schemas + assistants.get_subgraphs", "assistant_id")
@effect("assistants.get_versions + assistants.set_latest + assistants.update", "assistant_id")
@effect("threads.copy + threads.delete + threads.get + threads.get_history", "thread_id")
@effect("threads.get_state + threads.update + threads.update_state", "thread_id")
@effect("runs.cancel + runs.delete + runs.get + runs.join_stream", "thread_id", "run_id")
@effect("runs.join", "thread_id", "run_id")
@effect("runs.create + runs.wait + runs.stream", "assistant_id")
@effect("crons.delete + crons.update", "cron_id")
async def ids(client: Client) -> None:
    """An id says which row: with one that nobody has there is nothing to answer with."""
    key, run = str(uuid4()), (str(uuid4()), str(uuid4()))
    assistants, threads, runs, crons = (
        client.assistants,
        client.threads,
        client.runs,
        client.crons,
    )
    gone: list[Any] = [
        assistants.delete(key),
        assistants.get(key),
        assistants.get_graph(key),
        assistants.get_schemas(key),
        assistants.get_subgraphs(key),
        assistants.get_versions(key),
        assistants.set_latest(key, 1),
        assistants.update(key),
        threads.delete(key),
        threads.get(key),
        threads.get_history(key),
        threads.get_state(key),
        threads.update(key, metadata={}),
        threads.update_state(key, {}),
        runs.cancel(*run),
        runs.delete(*run),
        runs.get(*run),
        runs.create(None, key),
        runs.wait(None, key),
        crons.delete(key),
        crons.update(key),
    ]
    assert await asyncio.gather(*(refused(call) for call in gone)) == [404] * len(gone)
    assert await refused(threads.copy(key)) == 409
    assert "__error__" in await runs.join(*run)
    assert await refused(_first(runs.stream(None, key))) == 404
    assert await refused(_first(runs.join_stream(*run))) == 404


async def _first(stream: Any) -> Any:
    async for part in stream:
        return part
    return None
