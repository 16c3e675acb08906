"""What calls about crons ask for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import refused

CONFIG: dict[str, Any] = {
    "tags": ["t"],
    "metadata": {"m": 1},
    "recursion_limit": 7,
    "max_concurrency": 3,
    "run_name": "named",
    "configurable": {"colour": "red"},
}
PAYLOAD: dict[str, Any] = {
    "input": {"text": "due"},
    "config": CONFIG,
    "context": {"tone": "low"},
    "interrupt_before": ["first"],
    "interrupt_after": ["second"],
    "webhook": "http://127.0.0.1:1/hook",
    "stream_mode": ["values"],
    "stream_subgraphs": True,
    "stream_resumable": True,
    "durability": "sync",
}
CREATED = {**PAYLOAD, "checkpoint_during": True, "multitask_strategy": "enqueue"}
END = datetime(2100, 1, 1, tzinfo=UTC)
OF_CONFIG = tuple(f"config.{name}" for name in CONFIG)
CREATES = "crons.create + POST /runs/crons"
ON_THREADS = "crons.create_for_thread + POST /threads/{thread_id}/runs/crons"
UPDATES = "crons.update + PATCH /runs/crons/{cron_id}"


@effect(f"{CREATES} + {ON_THREADS}", *CREATED)
@effect("POST /runs/crons + POST /threads/{thread_id}/runs/crons", *OF_CONFIG)
async def payload(client: Client) -> None:
    """What its runs are asked to do is in its payload, which is what a firing gives a run."""
    thread = await client.threads.create()
    asked: Any = {"schedule": "0 0 1 1 *", **CREATED}
    for cron in (
        await client.crons.create("told", **asked),
        await client.crons.create_for_thread(thread["thread_id"], "told", **asked),
    ):
        found: Any = cron
        assert {name: found["payload"].get(name) for name in CREATED} == CREATED
        await client.crons.delete(found["cron_id"])
    wrong: Any = {**asked, "webhook": "/relative"}
    assert await refused(client.crons.create("told", **wrong)) == 422


@effect(
    f"{CREATES} + {ON_THREADS}",
    *("assistant_id", "schedule", "metadata", "end_time", "enabled", "timezone"),
)
@effect(CREATES, "on_run_completed")
@effect("POST /runs/crons + POST /threads/{thread_id}/runs/crons", "cron_id")
@effect("crons.create_for_thread", "thread_id")
async def create(client: Client) -> None:
    """A new cron is what was given, on the thread that is named or on none."""
    thread = await client.threads.create()
    assistant = await client.assistants.create("told")
    asked: Any = {
        "schedule": "0 9 * * *",
        "metadata": {"mark": 1},
        "end_time": END,
        "enabled": False,
        "timezone": "Europe/Berlin",
    }
    on_none: Any = await client.crons.create(
        assistant["assistant_id"], on_run_completed="keep", **asked
    )
    on_thread: Any = await client.crons.create_for_thread(
        thread["thread_id"], assistant["assistant_id"], **asked
    )
    assert (on_none["thread_id"], on_thread["thread_id"]) == (None, thread["thread_id"])
    assert on_none["on_run_completed"] == "keep"
    for cron in (on_none, on_thread):
        assert cron["assistant_id"] == assistant["assistant_id"]
        assert cron["metadata"]["mark"] == 1
        assert {name: cron[name] for name in ("schedule", "enabled", "timezone")} == {
            name: asked[name] for name in ("schedule", "enabled", "timezone")
        }
        assert datetime.fromisoformat(cron["end_time"]) == END
    for path in ("/runs/crons", f"/threads/{thread['thread_id']}/runs/crons"):
        body = {"assistant_id": "told", "schedule": "0 9 * * *", "cron_id": str(uuid4())}
        assert (await client.http.post(path, json=body))["cron_id"] == body["cron_id"]


@effect(
    UPDATES,
    *PAYLOAD,
    *("schedule", "end_time", "metadata", "on_run_completed", "enabled", "timezone"),
)
@effect("PATCH /runs/crons/{cron_id}", *OF_CONFIG, "checkpoint_during", "multitask_strategy")
async def update(client: Client) -> None:
    """Each field of an update changes its own."""
    cron: Any = await client.crons.create("told", schedule="0 0 1 1 *")
    key = cron["cron_id"]
    changed: Any
    for name, value in PAYLOAD.items():
        change: Any = {name: value}
        changed = await client.crons.update(key, **change)
        assert changed["payload"][name] == value, name
    for name, value in (("checkpoint_during", True), ("multitask_strategy", "reject")):
        changed = await client.http.patch(f"/runs/crons/{key}", json={name: value})
        assert changed["payload"][name] == value
    asked: dict[str, Any] = {
        "schedule": "0 9 * * *",
        "timezone": "Europe/Berlin",
        "on_run_completed": "keep",
        "enabled": False,
    }
    for name, value in asked.items():
        change = {name: value}
        changed = await client.crons.update(key, **change)
        assert changed[name] == value, name
    changed = await client.crons.update(key, metadata={"mark": 1})
    assert changed["metadata"]["mark"] == 1
    changed = await client.crons.update(key, end_time=END)
    assert datetime.fromisoformat(changed["end_time"]) == END
    wrong: Any = {"webhook": "ftp://x"}
    assert await refused(client.crons.update(key, **wrong)) == 422


@effect(
    "crons.search + POST /runs/crons/search",
    *("assistant_id", "thread_id", "enabled", "metadata", "limit", "offset", "sort_by"),
    *("sort_order", "select"),
)
@effect("crons.count + POST /runs/crons/count", "assistant_id", "thread_id", "metadata")
@effect("POST /runs/crons/count", "enabled")
async def search(client: Client) -> None:
    """Conditions, order, page and fields each change what is found, and conditions the count."""
    mark = {"mark": str(uuid4())}
    assistant = (await client.assistants.create("told"))["assistant_id"]
    thread = (await client.threads.create())["thread_id"]
    soon = datetime.now(UTC) + timedelta(days=900)
    made: list[Any] = [
        await client.crons.create(
            assistant, schedule="0 0 1 1 *", metadata={**mark, "n": 1}, end_time=END
        ),
        await client.crons.create_for_thread(
            thread, "told", schedule="0 0 1 1 *", metadata=mark, enabled=False, end_time=soon
        ),
    ]
    a, b = (cron["cron_id"] for cron in made)
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [b, a]),
        ({"assistant_id": assistant}, [a]),
        ({"thread_id": thread}, [b]),
        ({"enabled": False}, [b]),
        ({"metadata": {**mark, "n": 1}}, [a]),
        ({"limit": 1}, [b]),
        ({"offset": 1}, [a]),
        ({"sort_by": "end_time"}, [a, b]),
        ({"sort_order": "asc"}, [a, b]),
    ]
    for given, expected in asked:
        which: Any = {"metadata": mark, **given}
        found = await client.crons.search(**which)
        assert [one["cron_id"] for one in found] == expected, given
        if given.keys() <= {"assistant_id", "thread_id", "enabled", "metadata"}:
            count = await client.http.post("/runs/crons/count", json=which)
            assert count == len(expected), given
            if "enabled" not in given:
                assert await client.crons.count(**which) == len(expected), given
    [one] = await client.crons.search(metadata=mark, limit=1, select=["schedule"])
    assert one == {"schedule": "0 0 1 1 *"}
    for key in (a, b):
        await client.crons.delete(key)
