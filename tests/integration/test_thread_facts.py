"""What a thread's row says of its runs and states is so, whatever happened to them at once."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import Conflict, LeaseLost, NotFound
from harness.models import ClaimedRun, Lease, Run
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend

OWNER = "ada"
WORKERS = 20
STEPS = 25
THREADS = 4

# A thread whose count, running run, status or head differ from its rows, or which would be claimed
# too late.
_WRONG = """
SELECT t.thread_id, t.status, t.active_runs, t.running_run_id, t.next_run_id, t.checkpoint_id
FROM langgraph_server.threads AS t
LEFT JOIN LATERAL (
    SELECT count(*) AS active, count(*) FILTER (WHERE r.status = 'running') AS running,
           max(r.run_id::text) FILTER (WHERE r.status = 'running') AS running_run_id,
           min((r.created_at, r.run_id)::text)
               FILTER (WHERE r.status = 'pending' AND r.queued_at = r.due_at) AS queued
    FROM langgraph_server.runs AS r
    WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')
) AS actual ON true
LEFT JOIN LATERAL (
    SELECT s.checkpoint_id, s.seq FROM langgraph_server.thread_states AS s
    WHERE s.thread_id = t.thread_id ORDER BY s.seq DESC LIMIT 1
) AS head ON true
WHERE t.active_runs <> actual.active OR actual.running > 1
   OR t.running_run_id::text IS DISTINCT FROM actual.running_run_id
   OR (t.status = 'busy') <> (actual.active > 0)
   OR t.checkpoint_id IS DISTINCT FROM head.checkpoint_id OR t.state_seq <> coalesce(head.seq, 0)
   OR EXISTS (
       SELECT FROM langgraph_server.runs AS r
       WHERE r.thread_id = t.thread_id AND r.status = 'pending' AND r.queued_at = r.due_at
         AND (t.next_run_id IS NULL
              OR (r.created_at, r.run_id) < (t.next_run_at, t.next_run_id)))
"""
_BROKEN_CHAINS = """
SELECT thread_id, checkpoint_id FROM (
    SELECT thread_id, checkpoint_id, parent_checkpoint_id,
           lag(checkpoint_id) OVER (PARTITION BY thread_id ORDER BY seq) AS before
    FROM langgraph_server.thread_states
) AS states WHERE parent_checkpoint_id IS DISTINCT FROM before
"""


class Storm:
    """Many callers who do anything to a few threads, at once."""

    def __init__(
        self, storage: LocalStorage, assistant: str, threads: list[str], seed: int
    ) -> None:
        self._storage = storage
        self._assistant = assistant
        self._threads = threads
        self._random = random.Random(seed)  # noqa: S311 -- a plan, not a secret
        self._runs: list[Run] = []
        self.attempts: list[tuple[str, int]] = []

    async def rage(self) -> None:
        """Take some steps, any of which may be refused because of somebody else's."""
        steps: list[Callable[[str], Coroutine[Any, Any, Any]]] = [
            *[self._create] * 4,
            *[self._work] * 5,
            *[self._begin] * 2,
            self._create_many,
            self._cancel,
            self._delete_run,
            self._add_state,
            self._prune,
            self._replace,
        ]
        for _ in range(STEPS):
            step = self._random.choice(steps)
            with suppress(Conflict, NotFound, LeaseLost):
                await step(self._random.choice(self._threads))

    async def _create(self, thread: str) -> None:
        strategy: Any = self._random.choice(["enqueue", "reject"])
        if_not_exists: Any = self._random.choice(["create", "reject"])
        self._runs.append(
            await self._storage.runs.create(
                thread,
                self._assistant,
                multitask_strategy=strategy,
                if_not_exists=if_not_exists,
                after_seconds=self._random.choice([0, 0, 0.001]),
                owner=OWNER,
            )
        )

    async def _create_many(self, thread: str) -> None:
        row = {"thread_id": thread, "assistant_id": self._assistant}
        other = {**row, "thread_id": self._random.choice(self._threads)}
        self._runs += await self._storage.runs.create_many([row, other], owner=OWNER)

    async def _work(self, _: str) -> None:
        claimed = await self._storage.runs.claim(lease_s=self._random.choice([60, 60, 1e-6]))
        if claimed is not None:
            await self._use(claimed.lease)

    async def _begin(self, thread: str) -> None:
        strategy: Any = self._random.choice(["enqueue", "reject"])
        if_not_exists: Any = self._random.choice(["create", "reject"])
        run, lease = await self._storage.runs.begin(
            thread,
            self._assistant,
            lease_s=self._random.choice([60, 60, 1e-6]),
            multitask_strategy=strategy,
            if_not_exists=if_not_exists,
            owner=OWNER,
        )
        self._runs.append(run)
        if lease is not None:
            await self._use(lease)

    async def _use(self, lease: Lease) -> None:
        self.attempts.append((lease.run_id, lease.attempt))
        if self._random.random() < 0.3:
            await self._storage.runs.hand_back(lease, owner=OWNER)
        else:
            await self._storage.runs.finish(lease, "success", owner=OWNER)

    async def _cancel(self, _: str) -> None:
        run = self._random.choice(self._runs[-8:])
        status: Any = self._random.choice(["running", "interrupted"])
        await self._storage.runs.update_status(run.thread_id, run.run_id, status, owner=OWNER)

    async def _delete_run(self, _: str) -> None:
        run = self._random.choice(self._runs[-8:])
        await self._storage.runs.delete(run.thread_id, run.run_id, owner=OWNER)

    async def _add_state(self, thread: str) -> None:
        await self._storage.threads.add_state(thread, {}, owner=OWNER)

    async def _prune(self, thread: str) -> None:
        await self._storage.threads.prune([thread], strategy="keep_latest", owner=OWNER)

    async def _replace(self, thread: str) -> None:
        await self._storage.threads.delete(thread, owner=OWNER)
        await self._storage.threads.create(thread_id=thread, owner=OWNER)


@pytest.mark.parametrize(
    "seed",
    [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)],
)
async def test_a_storm_leaves_the_facts_right(database_url: str, seed: int) -> None:
    """After twenty callers at once did anything to four threads, each thread's row tells the truth.

    And no attempt was handed out twice, and what was left in the queue can be worked off.
    """
    config = DatabaseConfig(url=database_url, pool_max_size=WORKERS)
    async with Database(config, name="storm") as database:
        storage = LocalStorage(PostgresBackend(database))
        assistant = (await storage.assistants.create("g", owner=OWNER)).assistant_id
        made = await storage.threads.create_many([{}] * THREADS, owner=OWNER)
        storm = Storm(storage, assistant, [thread.thread_id for thread in made], seed)
        run = await storage.runs.create(made[0].thread_id, assistant, owner=OWNER)
        storm._runs.append(run)
        await asyncio.gather(*(storm.rage() for _ in range(WORKERS)))
        assert await database.read(_WRONG) == []
        assert await database.read(_BROKEN_CHAINS) == []
        assert len(storm.attempts) == len(set(storm.attempts))
        for left in await storage.runs.search(status="running", limit=1_000, owner=OWNER):
            await storage.runs.update_status(left.thread_id, left.run_id, "error", owner=OWNER)
        while claimed := await storage.runs.claim(lease_s=60):
            await storage.runs.finish(claimed.lease, "success", owner=OWNER)
        assert await database.read(_WRONG) == []
        assert await storage.threads.count(status="busy", owner=OWNER) == 0


# What `runs.create` does, in a transaction that somebody keeps open.
_CREATE_SLOWLY = """
WITH made AS (
    INSERT INTO langgraph_server.runs
        (run_id, thread_id, owner, assistant_id, due_at, queued_at, created_at)
    SELECT gen_random_uuid(), thread_id, owner, gen_random_uuid(), at, at, at
    FROM langgraph_server.threads, clock_timestamp() AS at
    RETURNING run_id, created_at
)
UPDATE langgraph_server.threads SET
    active_runs = active_runs + 1,
    next_run_id = coalesce(next_run_id, made.run_id),
    next_run_at = CASE WHEN next_run_id IS NULL THEN made.created_at ELSE next_run_at END
FROM made
"""
_WAITS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_ENDINGS: dict[str, Callable[[LocalStorage, ClaimedRun], Coroutine[Any, Any, Any]]] = {
    "finish": lambda storage, one: storage.runs.finish(one.lease, "success", owner=OWNER),
    "update_status": lambda storage, one: storage.runs.update_status(
        one.run.thread_id, one.run.run_id, "error", owner=OWNER
    ),
    "delete": lambda storage, one: storage.runs.delete(
        one.run.thread_id, one.run.run_id, owner=OWNER
    ),
}


@pytest.mark.parametrize("end", _ENDINGS.values(), ids=_ENDINGS)
async def test_a_run_that_came_while_another_ended_is_not_forgotten(
    database: Database, end: Callable[[LocalStorage, ClaimedRun], Coroutine[Any, Any, Any]]
) -> None:
    """An end that waited for the thread counts the run which its snapshot does not show."""
    storage = LocalStorage(PostgresBackend(database))
    assistant = (await storage.assistants.create("g", owner=OWNER)).assistant_id
    thread = (await storage.threads.create(owner=OWNER)).thread_id
    await storage.runs.create(thread, assistant, owner=OWNER)
    claimed = await storage.runs.claim(lease_s=60)
    assert claimed is not None
    async with database.transaction() as slow:
        await slow.execute(_CREATE_SLOWLY)
        ending = asyncio.create_task(end(storage, claimed))
        while not await database.read(_WAITS):
            pass
    await ending
    assert (await storage.threads.get(thread, owner=OWNER)).status == "busy"
    assert await database.read(_WRONG) == []
    assert await storage.runs.claim(lease_s=60) is not None


async def test_a_claim_waits_for_a_run_that_is_being_changed(database: Database) -> None:
    """A run whose metadata somebody changes is claimed once they are done, with their change."""
    storage = LocalStorage(PostgresBackend(database))
    assistant = (await storage.assistants.create("g", owner=OWNER)).assistant_id
    for _ in range(2):
        thread = (await storage.threads.create(owner=OWNER)).thread_id
        await storage.runs.create(thread, assistant, owner=OWNER)
    for _ in range(2):
        async with database.transaction() as slow:
            await slow.execute("UPDATE langgraph_server.runs SET metadata = '{\"new\": true}'")
            claiming = asyncio.create_task(storage.runs.claim(lease_s=60))
            while not await database.read(_WAITS):
                pass
        claimed = await claiming
        assert claimed is not None
        assert claimed.run.metadata == {"new": True}
    assert await database.read(_WRONG) == []
    assert await storage.runs.claim(lease_s=60) is None
