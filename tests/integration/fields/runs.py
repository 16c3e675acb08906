"""What a run's body asks for: each field has its effect whichever way the run is begun."""

import asyncio
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.integration.fields.receiver import receiving
from tests.integration.fields.registry import Client, effect
from tests.integration.fields.ways import (
    HEARD,
    ON_THREADS,
    WAYS,
    Way,
    go,
    refused,
    run_field,
    sent,
)

STATELESS: Final = tuple(way for way in WAYS if not way.has_thread)
BACKGROUND: Final = tuple(way for way in WAYS if way not in HEARD)
LIVE: Final = tuple(way for way in ON_THREADS if way in HEARD)
NOBODY: Final = "0" * 32


async def asked_thread(client: Client) -> Any:
    """Return the values of a new thread that waits for an answer, with its id."""
    thread_id = str(uuid4())
    values: Any = await client.runs.wait(
        thread_id, "told", input={"asks": True}, if_not_exists="create"
    )
    return thread_id, values["__interrupt__"][0]["id"]


@run_field("assistant_id", "input")
async def assistant_and_input(client: Client, way: Way) -> None:
    """The assistant's graph gets the input; one that is not there is refused."""
    assistant = await client.assistants.create("told")
    ended = await go(client, way, assistant["assistant_id"], input={"text": "hello"})
    assert ended.values["text"] == "hello"
    assert ended.run["assistant_id"] == assistant["assistant_id"]
    assert await refused(go(client, way, str(uuid4()))) == 404


@run_field("command", "command.resume", ways=ON_THREADS)
async def resume(client: Client, way: Way) -> None:
    """A command's answer is what the interrupted node gets."""
    thread_id, _ = await asked_thread(client)
    ended = await go(client, way, thread_id=thread_id, command={"resume": "yes"})
    assert ended.values["answer"] == "yes"


@run_field(
    "command",
    *("command.resume", "command.update", "command.goto", "command.goto.node"),
    "command.goto.input",
)
async def command(client: Client, way: Way) -> None:
    """A command updates the state and goes to nodes, with an input of their own or without."""
    there = {"update": {"text": "new"}, "goto": "aside"}
    plain = await go(client, way, command=there)
    assert (plain.values["text"], "aside new" in plain.values["trace"]) == ("new", True)
    elsewhere = {"goto": {"node": "aside", "input": {"text": "given"}}}
    assert "aside given" in (await go(client, way, command=elsewhere)).values["trace"]
    if not way.has_thread:  # nothing waits on a thread of its own
        assert await refused(go(client, way, input={}, command={"resume": "yes"})) == 422


@run_field("metadata")
async def metadata(client: Client, way: Way) -> None:
    """It is the run's."""
    ended = await go(client, way, metadata={"mark": 1})
    assert ended.run["metadata"]["mark"] == 1


@run_field(
    "config",
    *(f"config.{name}" for name in ("configurable", "tags", "metadata")),
    *(f"config.{name}" for name in ("recursion_limit", "max_concurrency")),
)
async def config(client: Client, way: Way) -> None:
    """A node sees each of its settings."""
    asked = {
        "configurable": {"colour": "red"},
        "tags": ["tag"],
        "metadata": {"mark": 1},
        "recursion_limit": 7,
        "max_concurrency": 3,
    }
    heard = (await go(client, way, input={"text": ""}, config=asked)).values["heard"]
    expected = {**asked, "colour": "red"}
    del expected["configurable"]
    assert {name: heard[name] for name in expected} == expected


@run_field("config.recursion_limit")
async def recursion_limit(client: Client, way: Way) -> None:
    """A run that needs more steps than it may have fails; an assistant's own limit holds too."""
    small = {"recursion_limit": 1}
    assistant = await client.assistants.create("told", config=small)
    asked: list[tuple[dict[str, Any], str]] = [
        ({"config": small}, "told"),
        ({}, assistant["assistant_id"]),
    ]
    for fields, graph in asked:
        ended = await go(client, way, graph, input={"text": ""}, **fields)
        assert ended.run["status"] == "error"
        assert ended.run["error"].startswith("GraphRecursionError")


@run_field("config.run_name", "stream_mode", "stream_resumable")
async def run_name(client: Client, way: Way) -> None:
    """The root's events have the name; the modes decide what can be heard, again after the end."""
    fields: dict[str, Any] = {
        "config": {"run_name": "named"},
        "stream_mode": ["events"],
        "stream_resumable": True,
    }
    run = (await go(client, way, input={"text": ""}, **fields)).run
    heard = client.runs.join_stream(run["thread_id"], run["run_id"], last_event_id="-1")
    parts = [part async for part in heard]
    assert {part.event for part in parts} == {"metadata", "events"}
    assert "named" in {part.data["name"] for part in parts if part.event == "events"}


@run_field("stream_subgraphs")
async def stream_subgraphs(client: Client, way: Way) -> None:
    """Events of subgraphs are heard with it alone."""
    said = {"messages": [{"role": "user", "content": "hello"}]}
    for subgraphs in (True, False):
        fields: dict[str, Any] = {"stream_mode": ["updates"], "stream_resumable": True}
        run = (await go(client, way, "team", input=said, stream_subgraphs=subgraphs, **fields)).run
        heard = client.runs.join_stream(run["thread_id"], run["run_id"], last_event_id="-1")
        events = {part.event async for part in heard}
        assert any(event.startswith("updates|") for event in events) is subgraphs


@run_field("context")
async def context(client: Client, way: Way) -> None:
    """The graph's runtime has it."""
    ended = await go(client, way, input={"text": ""}, context={"tone": "low"})
    assert ended.values["heard"]["context"] == {"tone": "low"}


@run_field("interrupt_before", "interrupt_after")
async def interrupts(client: Client, way: Way) -> None:
    """The run stops before a node, or after it."""
    before = await go(client, way, input={"text": ""}, interrupt_before=["second"])
    after = await go(client, way, input={"text": ""}, interrupt_after=["first"])
    both = await go(client, way, input={"text": ""}, interrupt_before="*")
    for ended, trace in ((before, ["first"]), (after, ["first"]), (both, [])):
        assert (ended.values or {}).get("trace", []) == trace
        thread = await client.threads.get(ended.run["thread_id"])
        assert thread["status"] == "interrupted"
    assert (await go(client, way, input={"text": ""}, interrupt_after=["second"])).values[
        "trace"
    ] == ["first", "second"]


@run_field("durability", "checkpoint_during")
async def durability(client: Client, way: Way) -> None:
    """`exit`, or no checkpoints during the run, leaves the last checkpoint only."""
    for fields, most in (
        ({"durability": "exit"}, 1),
        ({"durability": "sync"}, 9),
        ({"checkpoint_during": False}, 1),
        ({"checkpoint_during": True}, 9),
    ):
        ended = await go(client, way, input={"text": ""}, **fields)
        history = await client.threads.get_history(ended.run["thread_id"])
        assert (len(history) == 1) is (most == 1), fields


@run_field("after_seconds")
async def after_seconds(client: Client, way: Way) -> None:
    """It is not started before so many seconds have passed."""
    run = (await go(client, way, input={"text": ""}, after_seconds=0.3)).run
    assert run["due_at"] > run["created_at"]
    assert await refused(go(client, way, after_seconds=-1)) == 422


@run_field("strict_resume")
async def strict_resume(client: Client, way: Way) -> None:
    """With it an answer to what does not wait fails and changes nothing; without, it is ignored."""
    thread_id = None
    if way.has_thread:
        thread_id, _ = await asked_thread(client)
    unknown = {"resume": {NOBODY: "yes"}}
    ended = await go(client, way, thread_id=thread_id, command=unknown, strict_resume=True)
    assert ended.run["error"].startswith("UnknownInterruptError")
    if way.has_thread:
        thread = await client.threads.get(ended.run["thread_id"])
        assert (thread["status"], thread["error"]) == ("interrupted", None)
        ended = await go(client, way, thread_id=thread_id, command=unknown)
        assert (ended.run["status"], ended.values["trace"]) == ("success", ["first"])


@run_field("feedback_keys", "langsmith_tracer")
async def of_langsmith(client: Client, way: Way) -> None:
    """What needs LangSmith is refused, unless it asks for nothing."""
    assert await refused(go(client, way, feedback_keys=["k"])) == 422
    assert await refused(go(client, way, langsmith_tracer={"project_name": "p"})) == 422
    await go(client, way, feedback_keys=[])


@run_field("multitask_strategy")
async def multitask_strategy(client: Client, way: Way) -> None:
    """On a busy thread `reject` is refused, and `interrupt` ends what runs."""
    if not way.has_thread:
        ended = await go(client, way, input={"text": ""}, multitask_strategy="reject")
        assert ended.run["multitask_strategy"] == "reject"
        return
    slow = {"steps": 1_000, "delay_s": 0.05}
    thread_id = str(uuid4())
    busy = await client.runs.create(thread_id, "steps", input=slow, if_not_exists="create")
    assert await refused(go(client, way, thread_id=thread_id, multitask_strategy="reject")) == 409
    quick = {"steps": 1}
    ended = await go(
        client, way, "steps", thread_id=thread_id, input=quick, multitask_strategy="interrupt"
    )
    assert ended.run["status"] == "success"
    before = await client.runs.get(thread_id, busy["run_id"])
    assert before["status"] == "interrupted"


@run_field("if_not_exists")
async def if_not_exists(client: Client, way: Way) -> None:
    """`create` makes the thread; `reject`, the default, wants it to be there."""
    if not way.has_thread:
        await go(client, way, if_not_exists="create", input={"text": ""})
        assert await refused(go(client, way, if_not_exists="reject")) == 422
        return
    thread_id = str(uuid4())
    assert await refused(go(client, way, thread_id=thread_id, if_not_exists="reject")) == 404
    assert await refused(sent(client, way, "told", str(uuid4()), {})) == 404
    ended = await go(client, way, thread_id=thread_id, if_not_exists="create", input={"text": ""})
    assert ended.run["thread_id"] == thread_id


@run_field("on_completion")
async def on_completion(client: Client, way: Way) -> None:
    """A thread of its own goes with the run, or is kept; another thread is not deleted."""
    if way.has_thread:
        assert await refused(go(client, way, on_completion="delete")) == 422
        await go(client, way, on_completion="keep", input={"text": ""})
        return
    kept = await go(client, way, on_completion="keep", input={"text": ""})
    await client.threads.get(kept.run["thread_id"])
    thread_id, run_id = await sent(
        client, way, "told", None, {"on_completion": "delete", "input": {"text": ""}}
    )
    await client.runs.join(thread_id, run_id)
    assert await refused(client.threads.get(thread_id)) == 404


@run_field(
    *("checkpoint", "checkpoint_id"),
    *(f"checkpoint.{name}" for name in ("checkpoint_id", "checkpoint_ns", "checkpoint_map")),
)
async def checkpoint(client: Client, way: Way) -> None:
    """A run begins where it is told to; on a thread of its own there is no such place."""
    if not way.has_thread:
        place = {"checkpoint_id": str(uuid4()), "checkpoint_ns": "", "checkpoint_map": {}}
        assert await refused(go(client, way, checkpoint=place)) == 422
        assert await refused(go(client, way, checkpoint_id=str(uuid4()))) == 422
        return
    thread_id = str(uuid4())
    await go(client, way, thread_id=thread_id, input={"text": "old"})
    head = (await client.threads.get_state(thread_id))["checkpoint"]
    for fields in (
        {"checkpoint_id": head["checkpoint_id"]},
        {"checkpoint": {**head, "checkpoint_map": {"": head["checkpoint_id"]}}},
    ):
        await go(client, way, thread_id=thread_id, input={"text": "new"})
        ended = await go(client, way, thread_id=thread_id, input={}, **fields)
        assert (ended.values["text"], len(ended.values["trace"])) == ("old", 4)


@run_field("on_disconnect", ways=BACKGROUND)
async def on_disconnect(client: Client, way: Way) -> None:
    """Nobody hears a run in the background: it cannot end when they leave."""
    assert await refused(go(client, way, on_disconnect="cancel")) == 422
    await go(client, way, on_disconnect="continue", input={"text": ""})


@run_field("on_disconnect", ways=HEARD)
async def on_disconnect_of_readers(client: Client, way: Way) -> None:
    """The run is asked to end with its reader, or to go on (test_server_streams shows it end)."""
    for given in ("cancel", "continue"):
        ended = await go(client, way, on_disconnect=given, input={"text": ""})
        assert ended.run["kwargs"]["on_disconnect"] == given
    assert await refused(go(client, way, on_disconnect="whatever")) == 422


@run_field("run_id")
async def run_id(client: Client, way: Way) -> None:
    """A run has the id that it is given; no second one has it, and no nonsense is an id."""
    wanted = str(uuid4())
    first = await go(client, way, input={"text": ""}, run_id=wanted)
    assert first.run["run_id"] == wanted
    assert await refused(go(client, way, input={"text": ""}, run_id=wanted)) == 409
    assert await refused(go(client, way, input={"text": ""}, run_id="nonsense")) == 422
    assert (await client.runs.get(first.run["thread_id"], wanted))["status"] == "success"


@run_field("run_id", ways=HEARD)
async def run_id_of_another(client: Client, way: Way) -> None:
    """The events of a resumable run outlive an attempt to begin another one of its id."""
    wanted = str(uuid4())
    first = await go(client, way, input={"text": ""}, run_id=wanted, stream_resumable=True)
    at = (first.run["thread_id"], wanted)
    heard = [part async for part in client.runs.join_stream(*at, last_event_id="-1")]
    assert await refused(go(client, way, input={"text": ""}, run_id=wanted)) == 409
    again = [part async for part in client.runs.join_stream(*at, last_event_id="-1")]
    assert again == heard != []


@effect("POST /runs/batch", "runs", "runs.thread_id")
@effect("runs.create_batch", "payloads")
async def batch(client: Client) -> None:
    """Each payload is a run of its own, on the thread that it names."""
    thread = await client.threads.create()
    body: Any = {"assistant_id": "told", "input": {"text": "one"}}
    named = {**body, "thread_id": thread["thread_id"], "multitask_strategy": "enqueue"}
    runs = await client.runs.create_batch([body, named])
    assert runs[1]["thread_id"] == thread["thread_id"] != runs[0]["thread_id"]
    await asyncio.gather(*(client.runs.join(r["thread_id"], r["run_id"]) for r in runs))
    assert (await client.threads.get(thread["thread_id"]))["values"]["text"] == "one"
    other = {**body, "thread_id": str(uuid4())}
    assert await refused(client.runs.create_batch([body, other])) == 404


@effect("runs.create + runs.wait + runs.stream", "on_run_created", "thread_id")
async def on_run_created(client: Client) -> None:
    """The answer's headers say which run was created, on the thread that was named."""
    for way in ON_THREADS:
        thread_id, created = str(uuid4()), list[Any]()
        method: Any = getattr(client.runs, way.how)
        more: Any = {"if_not_exists": "create", "on_run_created": created.append}
        begun = method(thread_id, "told", input={"text": ""}, **more)
        _ = [part async for part in begun] if way.how == "stream" else await begun
        [run] = await client.runs.list(thread_id)
        assert created == [{"run_id": run["run_id"], "thread_id": thread_id}]


@effect("runs.wait", "raise_error")
@effect("runs.stream", "version")
async def of_the_client_alone(client: Client) -> None:
    """What the client makes of the answer can be made of ours."""
    small: Any = {"recursion_limit": 1}
    told: Any = await client.runs.wait(
        None, "told", input={"text": ""}, config=small, raise_error=False
    )
    assert told["__error__"]["error"] == "GraphRecursionError"
    with pytest.raises(Exception, match="GraphRecursionError"):
        await client.runs.wait(None, "told", input={"text": ""}, config=small, raise_error=True)
    parts = [p async for p in client.runs.stream(None, "told", input={}, version="v2")]
    assert {"type", "ns", "data"} <= parts[-1].keys()


@run_field("webhook")
async def webhook(client: Client, way: Way) -> None:
    """The address is told how the run ended; what is no such address is refused."""
    async with receiving() as receiver:
        ended = await go(client, way, input={"text": "told"}, webhook=receiver.url)
        async with asyncio.timeout(20):
            told = await receiver.received.get()
    assert (told["run_id"], told["status"]) == (ended.run["run_id"], "success")
    assert told["values"]["text"] == "told"
    for wrong in ("/relative", "ftp://127.0.0.1/", "no address", "http://", ""):
        assert await refused(go(client, way, webhook=wrong)) == 422, wrong
