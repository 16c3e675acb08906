"""Runs are stopped wherever they are executed, and executed once whatever their code does.

On Postgres two servers share a database: one executes, the other is asked to stop it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil
import psycopg
import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from harness.database import ScratchDatabases
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

LEASE_S: Final = 2.0
SOON_S: Final = 3.0
"""What is notified takes milliseconds, what is looked for most of a second; the rest is slack."""
LONG: Final = {"steps": 1_000, "delay_s": 60.0}
"""A run whose first step takes longer than a test."""
QUICK: Final = {"steps": 1_000, "delay_s": 0.03}
"""A run that stores a checkpoint every few moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A server that executes what it is asked to begin, and another one; in memory the same."""

    one: Serving
    other: Serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(scratch: ScratchDatabases | None, servers: Any) -> AsyncIterator[Pair]:
    """Return two servers of one database, or one in memory."""
    if scratch is None:
        server = await servers.get({})
        yield Pair(one=server, other=server)
        return
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(scratch.clone())
        one, other = (Serving(url, HARNESS_LEASE_S=str(LEASE_S)) for _ in range(2))
        await asyncio.gather(*map(stack.enter_async_context, (one, other)))
        yield Pair(one=one, other=other)


@dataclass(slots=True, kw_only=True)
class Job:
    """A run of the graph `busy`, and the record of what was executed of it."""

    record: Path
    thread_id: str = field(default_factory=lambda: str(uuid4()))
    run_id: str = ""

    async def begin(self, client: LangGraphClient, plan: dict[str, Any], **more: Any) -> None:
        """Have it executed by the server that is asked; returns when its code is."""
        asked: dict[str, Any] = {"if_not_exists": "create", "assistant_id": "busy", **more}
        run = await client.runs.create(
            self.thread_id,
            input={**plan, "record": str(self.record)},
            config={"recursion_limit": 10_000},
            **asked,
        )
        self.run_id = run["run_id"]
        await self.until(lambda: "began" in self.said())

    def said(self) -> str:
        """Return what was recorded."""
        return self.record.read_text() if self.record.exists() else ""

    def running(self) -> int:
        """Return how many executions of the node have begun and not ended."""
        return self.said().count("began") - self.said().count("ended")

    async def until(self, is_so: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until the record says something."""
        try:
            async with asyncio.timeout(within_s):
                while not is_so():  # noqa: ASYNC110 -- other processes write the record
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"after {within_s} s the record says: {self.said()[-500:]!r}")

    async def stops(self, within_s: float = SOON_S) -> None:
        """Assert that nothing is executed any more, soon and for a while."""
        await self.until(lambda: self.running() == 0, within_s)
        said = self.said()
        await asyncio.sleep(0.2)
        assert self.said() == said


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job with a record of its own."""
    return Job(record=tmp_path / "record")


Way = Callable[[LangGraphClient, Job], Awaitable[Any]]


async def _prune(client: LangGraphClient, job: Job) -> None:
    await client.threads.prune([job.thread_id], strategy="delete")


async def _delete_assistant(client: LangGraphClient, job: Job) -> None:
    run = await client.runs.get(job.thread_id, job.run_id)
    await client.assistants.delete(run["assistant_id"], delete_threads=True)


def _superseded(strategy: Any) -> Way:
    async def by_newer_run(client: LangGraphClient, job: Job) -> None:
        await client.runs.create(job.thread_id, "steps", input={}, multitask_strategy=strategy)

    return by_newer_run


WAYS: Final[dict[str, Way]] = {
    "cancel": lambda c, j: c.runs.cancel(j.thread_id, j.run_id),
    "cancel and wait": lambda c, j: c.runs.cancel(j.thread_id, j.run_id, wait=True),
    "roll back": lambda c, j: c.runs.cancel(j.thread_id, j.run_id, action="rollback"),
    "roll back and wait": lambda c, j: c.runs.cancel(
        j.thread_id, j.run_id, wait=True, action="rollback"
    ),
    "cancel many": lambda c, j: c.runs.cancel_many(thread_id=j.thread_id, run_ids=[j.run_id]),
    "interrupt by a newer run": _superseded("interrupt"),
    "rollback by a newer run": _superseded("rollback"),
    "delete the run": lambda c, j: c.runs.delete(j.thread_id, j.run_id),
    "delete the thread": lambda c, j: c.threads.delete(j.thread_id),
    "prune": _prune,
    "delete the assistant with its threads": _delete_assistant,
}
"""All that ends a run which is executed."""
OFTEN: Final = frozenset(
    {
        "cancel",
        "cancel many",
        "interrupt by a newer run",
        "delete the run",
        "delete the thread",
        "delete the assistant with its threads",
    }
)
"""Those that are always tried; other tests here cancel and wait, and roll back."""


@pytest.mark.slow_in_memory
@pytest.mark.invariant(26, 52)
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(way, id=name, marks=() if name in OFTEN else pytest.mark.slow)
        for name, way in WAYS.items()
    ],
)
async def test_a_run_is_stopped_wherever_it_is_executed(pair: Pair, job: Job, way: Way) -> None:
    """Each way to end a run stops its code within moments, also when another server is asked."""
    assistant = await pair.one.client().assistants.create("busy")
    await job.begin(pair.one.client(), LONG, assistant_id=assistant["assistant_id"])
    await way(pair.other.client(), job)
    await job.stops()
    assert job.said().count("began") == 1


@pytest.mark.invariant(26)
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_wait_means_stopped(pair: Pair, job: Job, action: Any) -> None:
    """A cancel that waits answers when nothing is executed, and the thread can be used."""
    client = pair.other.client()
    await job.begin(pair.one.client(), LONG)
    await client.runs.cancel(job.thread_id, job.run_id, wait=True, action=action)
    assert job.running() == 0
    if action == "interrupt":
        assert (await client.runs.get(job.thread_id, job.run_id))["status"] == "interrupted"
    else:
        assert await client.runs.list(job.thread_id) == []
    values: Any = await client.runs.wait(job.thread_id, "steps", input={"steps": 2})
    assert values["done"] == [1, 2]


@pytest.mark.invariant(52)
async def test_what_was_answered_stays(pair: Pair, job: Job) -> None:
    """The state and history that are shown after a cancel are shown for good."""
    client = pair.other.client()
    await job.begin(pair.one.client(), QUICK)
    await job.until(lambda: job.said().count("ended") >= 3)
    await client.runs.cancel(job.thread_id, job.run_id, wait=True)
    state = await client.threads.get_state(job.thread_id)
    history = await client.threads.get_history(job.thread_id, limit=1_000)
    assert state["values"]["step"] >= 2  # type: ignore[call-overload]  # a dict here
    await job.stops()
    await asyncio.sleep(0.3)
    assert await client.threads.get_state(job.thread_id) == state
    assert await client.threads.get_history(job.thread_id, limit=1_000) == history
    thread = await client.threads.get(job.thread_id)
    # A step that was done, but whose checkpoint was not stored yet, leaves nothing next.
    status = "interrupted" if state["next"] else "idle"
    assert (thread["status"], thread["values"]) == (status, state["values"])


@pytest.mark.invariant(52)
async def test_a_rolled_back_run_leaves_nothing(pair: Pair, job: Job) -> None:
    """A newer run that rolls the older one back goes on from what was there before it."""
    client = pair.other.client()
    await client.runs.wait(job.thread_id, "steps", input={"steps": 1}, if_not_exists="create")
    await job.begin(pair.one.client(), QUICK)
    await job.until(lambda: job.said().count("ended") >= 3)
    values: Any = await client.runs.wait(
        job.thread_id, "steps", input={"steps": 2}, multitask_strategy="rollback"
    )
    assert values["done"] == [1, 1, 2]
    await job.stops()
    history = await client.threads.get_history(job.thread_id, limit=1_000)
    assert job.run_id not in {(one["metadata"] or {}).get("run_id") for one in history}
    assert job.run_id not in {run["run_id"] for run in await client.runs.list(job.thread_id)}


@pytest.mark.slow
@pytest.mark.invariant(26, 52)
async def test_code_that_will_not_stop(pair: Pair, job: Job) -> None:
    """Its run is ended without it, in bounded time; it keeps its place, and the log says so."""
    client = pair.other.client()
    await job.begin(pair.one.client(), {"steps": 3, "delay_s": 60.0, "deaf_s": 6.0})
    await client.runs.cancel(job.thread_id, job.run_id, wait=True)
    assert (await client.runs.get(job.thread_id, job.run_id))["status"] == "interrupted"
    assert job.running() == 1
    assert await running(pair.one) >= 1
    history = await client.threads.get_history(job.thread_id)
    values: Any = await client.runs.wait(str(uuid4()), "steps", input={}, if_not_exists="create")
    assert values["done"] == [1]
    await job.stops(within_s=20.0)
    assert await client.threads.get_history(job.thread_id) == history
    assert job.said().count("began") == 1


async def running(server: Serving) -> float:
    """Return how many runs a server executes."""
    text = (await server.http().get("/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("harness_running_runs ")]
    return float(line.split()[1])


@pytest.mark.invariant(26, 53)
async def test_what_is_deleted_while_it_is_created(pair: Pair, tmp_path: Path) -> None:
    """Creates and deletes that race leave nothing that is executed."""
    one, other = pair.one.client(), pair.other.client()

    async def race(n: int) -> None:
        job = Job(record=tmp_path / "records")
        creating = asyncio.create_task(
            one.runs.create(
                job.thread_id,
                "busy",
                input={**LONG, "record": str(job.record)},
                if_not_exists="create",
            )
        )
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            await asyncio.sleep(0.001 * (n % 5))
            try:
                await (one if n % 2 else other).threads.delete(job.thread_id)
            except NotFoundError:
                continue
            break
        await creating

    for batch in range(0, 30, 10):
        await asyncio.gather(*(race(batch + n) for n in range(10)))
    everything = Job(record=tmp_path / "records")
    await everything.stops()
    assert await running(pair.one) == await running(pair.other) == 0


@pytest.mark.postgres
class TestTwoServers:
    """What only two servers of one database can do to each other."""

    @pytest.fixture(autouse=True)
    def _on_postgres(self, scratch: ScratchDatabases | None) -> None:
        if scratch is None:
            pytest.skip("memory is of one process")

    @pytest.mark.invariant(52)
    @pytest.mark.parametrize("way", ["cancel and wait", "delete the thread"])
    async def test_a_notification_that_is_lost(self, pair: Pair, job: Job, way: str) -> None:
        """A server whose connection is cut at that moment looks for what it has missed."""
        await job.begin(pair.one.client(), LONG)
        assert await cut(pair.one)
        await WAYS[way](pair.other.client(), job)
        await job.stops()

    @pytest.mark.slow
    @pytest.mark.invariant(51)
    async def test_code_that_blocks_is_executed_once(self, pair: Pair, job: Job) -> None:
        """A node that blocks for longer than its lease is executed once; others are served."""
        other = pair.other.client()
        await job.begin(pair.one.client(), {"block_s": 2 * LEASE_S})
        while job.running():
            values: Any = await other.runs.wait(None, "steps", input={"steps": 1})
            assert values["done"] == [1]
            assert job.said().count("began") == 1
            await asyncio.sleep(0.2)
        await other.runs.join(job.thread_id, job.run_id)
        run: Any = await other.runs.get(job.thread_id, job.run_id)
        assert (run["status"], run["attempt"]) == ("success", 1)
        assert job.said().count("began") == 1

    @pytest.mark.invariant(51, 52)
    async def test_a_process_that_stood_still(self, pair: Pair, job: Job) -> None:
        """Stopped beyond its lease, it has lost its run, and stops it when it goes on."""
        other, process = pair.other.client(), psutil.Process(pair.one.pid)
        await job.begin(pair.one.client(), QUICK)
        process.suspend()
        try:
            elsewhere = f"began {pair.other.pid} "
            await job.until(lambda: elsewhere in job.said(), 5 * LEASE_S)
        finally:
            process.resume()
        await asyncio.sleep(0.5)
        said = job.said()
        await job.until(lambda: job.said().count(elsewhere) >= said.count(elsewhere) + 5)
        here = f"began {pair.one.pid} "
        assert job.said().count(here) == said.count(here)
        run: Any = await other.runs.get(job.thread_id, job.run_id)
        assert (run["status"], run["attempt"]) == ("running", 2)
        await other.runs.cancel(job.thread_id, job.run_id, wait=True)
        history: Any = await other.threads.get_history(job.thread_id, limit=1_000)
        parents = [(one["parent_checkpoint"] or {}).get("checkpoint_id") for one in history]
        assert len(set(parents)) == len(parents)  # no forks


async def cut(server: Serving) -> int:
    """End the connection on which a server keeps its leases; return how many there were."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'harness leases' AND datname = current_database()"
    )
    assert server.database_url is not None
    async with await psycopg.AsyncConnection.connect(
        server.database_url, autocommit=True
    ) as connection:
        return len(await (await connection.execute(query)).fetchall())
