"""Runs in the midst of which their server ends: the next one finishes them from where they were."""

import asyncio
import signal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.integration.serving import Serving

ENDS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}
STEPS = 30
PLAN = {"steps": STEPS, "delay_s": 0.05}
DONE = [*range(1, STEPS + 1)]


async def until_ended(client: LangGraphClient, run: Any) -> str:
    """Wait until a run has ended, and return how."""
    while True:
        found = await client.runs.get(run["thread_id"], run["run_id"])
        if found["status"] not in ("pending", "running"):
            return found["status"]
        await asyncio.sleep(0.05)


async def left_by(client: LangGraphClient, run: Any) -> Any:
    """Return the steps that a thread's runs did."""
    values: Any = await client.runs.join(run["thread_id"], run["run_id"])
    return values["done"]


async def active(url: str) -> int:
    """Count the runs that have not ended, and the threads that are busy."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT (SELECT count(*) FROM langgraph_server.runs"
            " WHERE status IN ('pending', 'running'))"
            " + (SELECT count(*) FROM langgraph_server.threads WHERE status = 'busy')"
        )
        [(number,)] = await cursor.fetchall()
        return int(number)


class Reader:
    """Reads a run of `steps` from its creation to its end, through every restart."""

    def __init__(self, client: LangGraphClient, thread_id: str) -> None:
        self._client, self._thread_id = client, thread_id
        self.steps: list[int] = []
        self.attempts: list[int] = []
        self.midway = asyncio.Event()

    async def read(self) -> None:
        """Create the run and read its updates."""
        async for part in self._client.runs.stream(
            self._thread_id,
            "steps",
            input=PLAN,
            if_not_exists="create",
            stream_mode="updates",
            stream_resumable=True,
            durability="sync",
        ):
            if part.event == "metadata":
                self.attempts.append(part.data["attempt"])
            elif "step" in part.data:
                self.steps.append(part.data["step"]["step"])
            if len(self.steps) == STEPS // 3:
                self.midway.set()


@pytest.mark.postgres
class TestOnPostgres:
    """Nothing stays running or busy, and no step is done twice (invariants 8, 25 and 28)."""

    @pytest.mark.invariant(8, 25, 28)
    @pytest.mark.parametrize("how", ENDS)
    async def test_runs_go_on(self, database_url: str, how: str) -> None:
        """Those that are executed, those that wait behind them, and those that wait for a human."""
        async with Serving(database_url, HARNESS_LEASE_S="2", HARNESS_HEARTBEAT_S="1") as server:
            client = server.client()
            asking, thread_id = str(uuid4()), str(uuid4())
            await client.runs.wait(
                asking, "approval", input={"action": "leap"}, if_not_exists="create"
            )
            unsaved: Any = await client.runs.create(
                str(uuid4()), "steps", input=PLAN, if_not_exists="create", durability="exit"
            )
            reader = Reader(client, thread_id)
            reading = asyncio.create_task(reader.read())
            await reader.midway.wait()
            [run] = await client.runs.list(thread_id)
            behind = await client.runs.create(thread_id, "steps", input={"steps": 1})

            await server.end(ENDS[how])
            await server.start()

            assert await until_ended(client, run) == "success"
            assert await until_ended(client, behind) == "success"
            await reading
            assert await left_by(client, behind) == [*DONE, 1]
            assert reader.attempts == [1, 2]
            if how == "terminate":  # an event may be lost with the process that was to send it
                assert reader.steps == DONE
            assert await until_ended(client, unsaved) == "success"
            assert await left_by(client, unsaved) == DONE
            answered: Any = await client.runs.wait(asking, "approval", command={"resume": True})
            assert answered["log"] == ["proposed leap", "did leap"]
        assert await active(database_url) == 0


class TestInMemory:
    """It ends in order too."""

    async def test_readers_are_let_go(self) -> None:
        """Streams are closed and waiting requests answered before the process ends."""
        async with Serving() as server, server.http() as http:
            client = server.client()
            run: Any = await client.runs.create(
                str(uuid4()), "steps", input={"steps": 99, "delay_s": 0.2}, if_not_exists="create"
            )
            place = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
            stream = asyncio.create_task(http.get(f"{place}/stream"))
            waiting = asyncio.create_task(http.get(f"{place}/join"))
            async for part in client.runs.join_stream(run["thread_id"], run["run_id"]):
                if part.event == "values" and part.data.get("step") == 3:
                    break
            await server.end()
            assert (await stream).text.startswith("event: metadata")
            assert (await waiting).status_code == 503
