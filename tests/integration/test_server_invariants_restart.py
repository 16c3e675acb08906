"""What must be the same after a server was killed, and what it says without its database."""

import signal
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.integration.serving import Serving

NOWHERE = "postgresql://nobody:hunter2@127.0.0.1:1/none"


async def seen(client: LangGraphClient, thread_id: str) -> Any:
    """Return all that a thread shows of its state, with each state before each of its states."""
    history: Any = await client.threads.get_history(thread_id, limit=100)
    return {
        "thread": await client.threads.get(thread_id),
        "state": await client.threads.get_state(thread_id, subgraphs=True),
        "history": history,
        "by id": [
            await client.threads.get_state(thread_id, checkpoint_id=one["checkpoint_id"])
            for one in history
        ],
        "before": [
            await client.threads.get_history(thread_id, limit=100, before=one["checkpoint"])
            for one in history
        ],
    }


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.invariant(4, 8)
async def test_state_and_history_are_the_same_afterwards(database_url: str) -> None:
    """Channels, next, tasks, interrupts, parents, ids, and what lies before; then it goes on."""
    asked: list[tuple[str, Any, Any]] = [
        ("approval", {"action": "leap"}, True),
        ("nested", {"topic": "tea"}, "tea in books"),
        ("agent", {"messages": [{"role": "user", "content": "hello"}]}, None),
    ]
    threads = [str(uuid4()) for _ in asked]
    async with Serving(database_url) as server:
        client = server.client()
        for thread_id, (graph, given, _) in zip(threads, asked, strict=True):
            await client.runs.wait(thread_id, graph, input=given, if_not_exists="create")
        before = [await seen(client, thread_id) for thread_id in threads]
        for one in before:
            assert one["before"] == [one["history"][n + 1 :] for n in range(len(one["history"]))]
            assert one["thread"]["checkpoint_id"] == one["history"][0]["checkpoint_id"]
        assert [bool(one["state"]["next"]) for one in before] == [True, True, False]

        await server.end(signal.SIGKILL)
        await server.start()

        assert [await seen(client, thread_id) for thread_id in threads] == before
        approved, wrote = [
            await client.runs.wait(thread_id, graph, command={"resume": answer})
            for thread_id, (graph, _, answer) in zip(threads[:2], asked[:2], strict=True)
        ]
        assert approved["log"] == ["proposed leap", "did leap"]  # type: ignore[call-overload]
        assert wrote["report"] == "tea: found: tea in books"  # type: ignore[call-overload]


@pytest.mark.invariant(41)
async def test_a_database_that_is_down_at_boot_is_said_so() -> None:
    """Where it is not required the server starts in memory, and /health says 503 all the time."""
    async with Serving(NOWHERE, DATABASE_REQUIRED="false") as server, server.http() as http:
        assert "memory, which forgets" in server.announced
        assert "STORING IN MEMORY ONLY" in server.log()
        values: Any = await server.client().runs.wait(None, "steps", input={"steps": 1})
        assert values["done"] == [1]
        for _ in range(2):
            answer = await http.get("/health")
            told = answer.json()
            assert answer.status_code == 503
            assert (told["status"], told["persistence"]) == ("degraded", "memory")
            assert "could not be reached when the server started" in told["detail"]
        assert (await http.get("/info")).json()["persistence"] == "memory"
        assert "hunter2" not in server.log() + answer.text
