"""What belongs to a run that is over is never written, whichever server still executes it."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient

from harness.database import ScratchDatabases
from harness.schema import CHECKPOINT_TABLES
from tests.integration.owners import SETTINGS, client_of
from tests.integration.serving import Serving

pytestmark = pytest.mark.postgres

SLOW = {"steps": 1_000, "delay_s": 0.02}
WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers of one database: runs begin on `a`, and end by what is asked of `b`."""

    a: Serving
    b: Serving

    async def begun(self, thread_id: str) -> str:
        """Begin a slow run of Alice's on `a`, and return its id once it has written something."""
        alice = client_of(self.a, "alice")
        run = await alice.runs.create(thread_id, "steps", input=SLOW, if_not_exists="create")
        async with asyncio.timeout(WITHIN_S):
            while (await self.rows(thread_id, run["run_id"]))["checkpoints"] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return str(run["run_id"])

    async def a_rests(self) -> None:
        """Wait until `a` executes nothing any more."""
        async with asyncio.timeout(WITHIN_S):
            metrics = self.a.http()
            while "harness_running_runs 0.0" not in (await metrics.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def rows(self, thread_id: str, run_id: str | None = None) -> Counter[str]:
        """Count a thread's rows by table; or only the checkpoints of a run."""
        assert self.a.database_url is not None
        found: Counter[str] = Counter()
        async with await psycopg.AsyncConnection.connect(self.a.database_url) as connection:
            for table in CHECKPOINT_TABLES if run_id is None else ("checkpoints",):
                query = f"SELECT count(*) FROM {table} WHERE thread_id = %s"  # noqa: S608
                of_run = "" if run_id is None else " AND metadata ->> 'run_id' = %s"
                named = [thread_id] if run_id is None else [thread_id, run_id]
                cursor = await connection.execute((query + of_run).encode(), named)
                [(found[table],)] = await cursor.fetchall()
        return +found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(scratch_databases: ScratchDatabases) -> AsyncIterator[Pair]:
    """Two servers of one database, whose leases end soon where nobody prolongs them."""
    settings = {**SETTINGS, "HARNESS_LEASE_S": "2"}
    async with (
        scratch_databases.clone() as url,
        Serving(url, **settings) as a,
        Serving(url, **settings) as b,
    ):
        yield Pair(a=a, b=b)


@pytest.mark.invariant(52, 53, 61)
@pytest.mark.parametrize("taken", ["left alone", "run on"])
async def test_a_thread_that_is_made_anew_is_its_new_owners(pair: Pair, taken: str) -> None:
    """What a server still executes of the old one is in no answer and in no table."""
    alice, bob, thread = client_of(pair.b, "alice"), client_of(pair.b, "bob"), str(uuid4())
    old = await pair.begun(thread)
    await alice.threads.delete(thread)
    assert await pair.rows(thread) == Counter()
    await bob.threads.create(thread_id=thread)
    done = None
    if taken == "run on":
        values: Any = await bob.runs.wait(thread, "steps", input={"steps": 1})
        done = values["done"]
    await pair.a_rests()
    assert await pair.rows(thread, old) == Counter()
    state: Any = await bob.threads.get_state(thread)
    assert dict(state["values"]).get("done") == done
    history: Any = await bob.threads.get_history(thread, limit=100)
    assert {(one["metadata"] or {}).get("run_id") for one in history}.isdisjoint({old})
    if done is None:
        assert (history, await pair.rows(thread)) == ([], Counter())
    shown: Any = await bob.threads.get(thread)
    assert (shown["status"], (shown["values"] or {}).get("done")) == ("idle", done)


async def _cancelled(alice: LangGraphClient, thread: str, run: str) -> None:
    await alice.runs.cancel(thread, run)


async def _rolled_back(alice: LangGraphClient, thread: str, run: str) -> None:
    await alice.runs.cancel(thread, run, action="rollback")


async def _deleted(alice: LangGraphClient, thread: str, run: str) -> None:
    await alice.runs.delete(thread, run)


async def _superseded(alice: LangGraphClient, thread: str, _run: str) -> None:
    await alice.runs.create(thread, "steps", input={}, multitask_strategy="interrupt")


async def _replaced(alice: LangGraphClient, thread: str, _run: str) -> None:
    await alice.runs.create(thread, "steps", input={}, multitask_strategy="rollback")


By = Callable[[LangGraphClient, str, str], Coroutine[Any, Any, None]]


@pytest.mark.invariant(52)
@pytest.mark.parametrize(
    "by",
    [
        _cancelled,
        *(pytest.param(by, marks=pytest.mark.slow) for by in (_rolled_back, _deleted, _superseded)),
        _replaced,
    ],
)
async def test_a_run_that_was_ended_writes_no_more(pair: Pair, by: By) -> None:
    """From the answer on it adds nothing; what came after it stays the head, and is built on."""
    alice, thread = client_of(pair.b, "alice"), str(uuid4())
    old = await pair.begun(thread)
    await by(alice, thread, old)
    had = (await pair.rows(thread, old))["checkpoints"]
    values: Any = await alice.runs.wait(thread, "steps", input={"steps": 1})
    assert (await pair.rows(thread, old))["checkpoints"] == had
    await pair.a_rests()
    assert (await pair.rows(thread, old))["checkpoints"] == had
    rolled_back = by in (_rolled_back, _deleted, _replaced)
    assert bool(had) is not rolled_back
    state: Any = await alice.threads.get_state(thread)
    assert state["values"] == values
    shown: Any = await alice.threads.get(thread)
    assert shown["values"] == values
    if rolled_back:
        assert values["done"] == ([1, 1] if by is _replaced else [1])


@pytest.mark.slow
@pytest.mark.invariant(52)
async def test_who_stood_still_beyond_its_lease_forks_nothing(pair: Pair) -> None:
    """A server that goes on when another has taken its run up adds no checkpoint."""
    alice, thread = client_of(pair.b, "alice"), str(uuid4())
    run = await pair.begun(thread)
    assert pair.a.pid is not None
    os.kill(pair.a.pid, signal.SIGSTOP)
    try:
        before = (await pair.rows(thread, run))["checkpoints"]
        async with asyncio.timeout(WITHIN_S):
            while (await pair.rows(thread, run))["checkpoints"] < before + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        os.kill(pair.a.pid, signal.SIGCONT)
    await pair.a_rests()
    await alice.runs.cancel(thread, run, wait=True)
    taken_up: Any = await alice.runs.get(thread, run)
    assert taken_up["attempt"] == 2
    history: Any = await alice.threads.get_history(thread, limit=1_000)
    parents = Counter(str(one["parent_checkpoint"]) for one in history)
    assert set(parents.values()) == {1}
    done = history[0]["values"]["done"]
    assert done == [*range(1, len(done) + 1)]


@pytest.mark.invariant(53, 61)
async def test_creating_and_deleting_at_once_leaves_nothing(pair: Pair) -> None:
    """A run that begins while its thread is deleted leaves no row, whichever comes first."""
    alice, elsewhere = client_of(pair.a, "alice"), client_of(pair.b, "alice")

    async def race(number: int) -> str:
        thread = str(uuid4())
        await alice.threads.create(thread_id=thread)
        deleter = (alice, elsewhere)[number % 2]

        async def delete() -> None:
            await asyncio.sleep(0.001 * number)
            await deleter.threads.delete(thread)

        await asyncio.gather(
            alice.runs.create(thread, "steps", input=SLOW), delete(), return_exceptions=True
        )
        return thread

    threads = await asyncio.gather(*(race(number) for number in range(20)))
    await pair.a_rests()
    for thread in threads:
        assert await pair.rows(thread) == Counter()


async def _thread_deleted(alice: LangGraphClient, thread: str, _assistant: str) -> None:
    await alice.threads.delete(thread)


async def _thread_pruned(alice: LangGraphClient, thread: str, _assistant: str) -> None:
    await alice.threads.prune([thread], strategy="delete")


async def _assistant_deleted(alice: LangGraphClient, _thread: str, assistant: str) -> None:
    await alice.assistants.delete(assistant, delete_threads=True)


@pytest.mark.invariant(52, 61)
@pytest.mark.parametrize("there", [pytest.param("here", marks=pytest.mark.slow), "elsewhere"])
@pytest.mark.parametrize(
    "gone",
    [_thread_deleted, pytest.param(_thread_pruned, marks=pytest.mark.slow), _assistant_deleted],
)
async def test_followers_are_let_go(pair: Pair, gone: By, there: str) -> None:
    """Whatever removes the thread, and on whichever server; they hear nothing of its new owner."""
    alice, bob = client_of(pair.a, "alice"), client_of(pair.a, "bob")
    removing = client_of({"here": pair.a, "elsewhere": pair.b}[there], "alice")
    assistant = str((await alice.assistants.create("steps"))["assistant_id"])
    thread = str(uuid4())
    await alice.runs.wait(thread, assistant, input={"steps": 1}, if_not_exists="create")
    heard: list[Any] = []
    reached = asyncio.Event()

    async def follow() -> None:
        async for part in await alice.threads.join_stream(thread):
            heard.append(part)
            reached.set()

    following = asyncio.create_task(follow())
    async with asyncio.timeout(WITHIN_S):
        while not reached.is_set():  # whoever follows hears only of what comes later
            await alice.runs.wait(thread, assistant, input={"steps": 1})
        await gone(removing, thread, assistant)
        had = len(heard)
        await bob.threads.create(thread_id=thread)
        mine: Any = await bob.runs.create(thread, "steps", input={"steps": 1})
        await bob.runs.join(thread, mine["run_id"])
        await following
    assert mine["run_id"] not in str(heard[had:])
