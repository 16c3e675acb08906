"""One script for both modes: talk, SIGTERM in mid-run, talk on, SIGKILL in mid-run, talk on."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

from harness.faults.rows import checkpoint_rows
from harness.faults.talker import Talker, TalkerEnded, TalkerFailed
from harness.models import Json

TURNS: Final = 20
FIRST_TURNS: Final = (1, 8, 14)
"""The first turn of each process; it asks for what only an earlier process was told."""
ASKS: Final = "What's my name?"
KNOWS: Final = "What do you know?"
STEPS: Final = 60
_THREADS: Final = (
    ("agent", "alice", "alice"),
    ("agent", "bob", "bob"),
    ("agent", "nobody", "alice"),
    ("approval", "approval", "alice"),
    ("nested", "nested", "alice"),
    ("memory", "memory-1", "alice"),
)
"""What is looked at before and after each end: graph, thread and owner; nobody spoke on one."""


def said(turn: int) -> str:
    """What Alice says in each turn."""
    if turn in FIRST_TURNS:
        return ASKS if turn > 1 else "My name is Alice"
    return f"line {turn}"


async def play(url: str | None) -> Json:
    """Play it; return what was seen, as JSON."""
    story: Json = {"alice": [], "bob": [], "facts": {}, "before": [], "after": [], "resumed": {}}
    async with Talker(url) as talker:
        await _talk(talker, story, 1)
        story["bob"].append(await talker.say("My name is Bob", thread_id="bob", owner="bob"))
        await talker.say(
            "Remember that tea is good", thread_id="memory-1", owner="alice", graph="memory"
        )
        await talker.run("approval", "approval", {"action": "go"}, owner="alice")
        await talker.run("nested", "nested", {"topic": "tea"}, owner="alice")
        story["before"].append(await _look(talker))
        story["terminated"], story["told"] = await _terminate_in_mid_run(talker)

        await talker.start()
        story["after"].append(await _look(talker))
        await _talk(talker, story, 8)
        story["resumed"]["steps"] = await _attempt(talker.run("steps", "steps", owner="alice"))
        story["resumed"]["approval"] = await _attempt(
            talker.run("approval", "approval", owner="alice", resume=True)
        )
        story["before"].append(await _look(talker))
        story["acknowledged"] = await _kill_in_mid_run(talker)

        await talker.start()
        story["after"].append(await _look(talker))
        story["stored"] = (await talker.state("steps", "killed", owner="alice"))["values"]
        await _talk(talker, story, 14)
        story["bob"].append(await talker.say(ASKS, thread_id="bob", owner="bob"))
        story["resumed"]["killed"] = await _attempt(talker.run("steps", "killed", owner="alice"))
        story["resumed"]["nested"] = await _attempt(
            talker.run("nested", "nested", owner="alice", resume="tea in books")
        )
        for owner in ("alice", "bob"):
            story["facts"][owner] = await talker.say(
                KNOWS, thread_id=f"memory-2-{owner}", owner=owner, graph="memory"
            )
        story["end"] = await talker.state("agent", "alice", owner="alice")
        story["history"] = await talker.history("agent", "alice", owner="alice")
        if url is not None:
            story["rows"] = await _rows(url, "alice")
    return story


async def _talk(talker: Talker, story: Json, first: int) -> None:
    """Say all of Alice's turns up to the next end."""
    last = min((turn for turn in FIRST_TURNS if turn > first), default=TURNS + 1)
    for turn in range(first, last):
        story["alice"].append(await talker.say(said(turn), thread_id="alice", owner="alice"))


async def _look(talker: Talker) -> Json:
    """What every thread holds and held."""
    seen: Json = {}
    for graph, thread, owner in _THREADS:
        seen[thread] = {
            "state": await talker.state(graph, thread, owner=owner),
            "history": await talker.history(graph, thread, owner=owner),
        }
    return seen


async def _terminate_in_mid_run(talker: Talker) -> tuple[int, str]:
    """SIGTERM while a run is under way; return the exit status and what the run's caller heard."""
    begun = asyncio.Event()
    run = asyncio.create_task(
        talker.run(
            "steps",
            "steps",
            {"steps": STEPS, "delay_s": 0.01},
            owner="alice",
            on_event=lambda *_: begun.set(),
        )
    )
    await begun.wait()
    status = await talker.terminate()
    try:
        await run
    except TalkerFailed as exc:
        return status, exc.kind
    return status, "the run ended"


async def _kill_in_mid_run(talker: Talker) -> int:
    """SIGKILL at a random moment of a run; return the last superstep that was acknowledged."""
    acknowledged = 0
    moment = random.randrange(2, STEPS - 10)  # noqa: S311 -- no secret
    reached = asyncio.Event()

    def count(mode: str, part: Any) -> None:
        nonlocal acknowledged
        if mode == "values":
            acknowledged = part.get("step", 0)
            if acknowledged >= moment:
                reached.set()

    given = {"steps": STEPS, "delay_s": 0.002}
    run = asyncio.create_task(
        talker.run("steps", "killed", given, owner="alice", durability="sync", on_event=count)
    )
    await reached.wait()
    await talker.kill()
    with suppress(TalkerEnded):
        await run
    return acknowledged


async def _attempt(call: Awaitable[Json]) -> Json:
    """What came of a run, also where there is nothing to go on from."""
    try:
        return await call
    except TalkerFailed as exc:
        return {"failed": exc.kind}


async def _rows(url: str, thread_id: str) -> list[Json]:
    """The thread's checkpoints, read by plain SQL, and the messages that their blobs decode to."""
    return [
        {
            "checkpoint_id": row.checkpoint_id,
            "parent_id": row.parent_id,
            "messages": [[m.type, m.text] for m in row.values.get("messages", [])],
        }
        for row in await checkpoint_rows(url, thread_id)
    ]
