"""The SQL files: every block is sent and prepares, and touches little among 100,000 rows."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from harness.database import Database, ScratchDatabases
from harness.storage.postgres import assistants, crons, runs, threads
from harness.storage.postgres.sql import Blocks, load
from tests.integration.sql.everything import OWNER, Everything, recording
from tests.integration.sql.recorder import Recorder, Sent

RESOURCES = (
    "assistants",
    "threads",
    "states",
    "checkpoints",
    "runs",
    "queue",
    "leases",
    "items",
    "crons",
)
BUFFERS_A_ROW = 50


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Return what a block looks like once its places are filled."""
    parts = re.split(r"\\\{\w+\\\}", re.escape(" ".join(text.split())))
    return re.compile(".*".join(parts))


def _expanded(blocks: Blocks, name: str) -> str:
    """Return a block with the fragments that it names."""
    return re.sub(
        r"\{(\w+)\}",
        lambda place: (
            _expanded(blocks, place[1]) if blocks.kinds.get(place[1]) == "fragment" else place[0]
        ),
        blocks[name],
    )


async def test_every_block_is_sent(database_url: str) -> None:
    """Each named block stands in a statement that the storage sends, and each one prepares."""
    async with recording(database_url, explain=False) as everything:
        async with await AsyncConnection.connect(database_url) as other:
            await everything.locked(other)
        await everything.all()
        sent = {one.sql for one in everything.recorder.sent}
    unsent = [
        f"{resource}.{name}"
        for resource in RESOURCES
        for blocks in [load(resource)]
        for name, kind in blocks.kinds.items()
        for block in [_pattern(_expanded(blocks, name))]
        for found in [block.search if kind == "fragment" else block.fullmatch]
        if not any(found(sql) for sql in sent)
    ]
    assert unsent == []


async def test_the_storage_sends_blocks_only(database_url: str) -> None:
    """Whatever the storage sends is a statement or a filled template of the SQL files."""
    async with recording(database_url, explain=False) as everything:
        await everything.all()
        sent = {one.sql for one in everything.recorder.sent}
    known = [
        _pattern(_expanded(blocks, name))
        for resource in RESOURCES
        for blocks in [load(resource)]
        for name, kind in blocks.kinds.items()
        if kind != "fragment"
    ]
    assert [sql for sql in sent if not any(block.fullmatch(sql) for block in known)] == []


@pytest.mark.parametrize("module", [assistants, threads, runs, crons], ids=lambda one: one.__name__)
async def test_every_order_and_condition_prepares(module: Any, database: Database) -> None:
    """A search in any order, and with all conditions or none, is a statement Postgres knows."""
    searching = module.SEARCHING
    anything = defaultdict[str, None](lambda: None)
    for conditions in ((), searching.conditions):
        for order in searching.orders:
            await database.read(f"EXPLAIN {searching.search(conditions, order)}", anything)
        await database.read(f"EXPLAIN {searching.count(conditions)}", anything)


_INDEXES = "keeps the entries of up to seventeen indexes in three tables"
BEYOND_BUDGET = {
    "filter": "a condition without an index is tested row by row until a page is full",
    "claim": "looks behind the owner who was served last, then from the first; " + _INDEXES,
    "claim after queueing": "also queues what has come due, once in the life of a delayed run",
    "claim due": "fires: makes a thread and a run and moves the cron on; " + _INDEXES,
    "finish": _INDEXES,
    "hand back": _INDEXES,
    "update_status": _INDEXES,
}
"""Calls that may touch more, with the reason; those that write, twice as much."""

_FILL = """
INSERT INTO langgraph_server.assistants
    (assistant_id, owner, graph_id, name, name_folded, metadata, created_at)
SELECT gen_random_uuid(), 'crowd', 'g', 'N', 'n',
       jsonb_build_object('owner', 'crowd', 'n', i), now() - i * interval '1 second'
FROM generate_series(1, {crowd}) AS i;
INSERT INTO langgraph_server.threads (thread_id, owner, metadata, created_at)
SELECT gen_random_uuid(), 'crowd', jsonb_build_object('owner', 'crowd', 'n', i),
       now() - i * interval '1 second'
FROM generate_series(1, {crowd}) AS i;
INSERT INTO langgraph_server.thread_states (thread_id, checkpoint_id, seq)
SELECT thread_id, gen_random_uuid(), i
FROM (SELECT thread_id FROM langgraph_server.threads LIMIT 1) AS one,
     generate_series(1, {crowd}) AS i;
INSERT INTO langgraph_server.store_items
    (owner, namespace, key, value, created_at, ttl_minutes, expires_at)
SELECT 'crowd', ARRAY['of', 'n' || i % 1000], 'k' || i, '{{}}', now() - i * interval '1 second',
       CASE WHEN i % 2 = 0 THEN 1 END, CASE WHEN i % 2 = 0 THEN now() - i * interval '1 second' END
FROM generate_series(1, {crowd}) AS i;
INSERT INTO langgraph_server.crons
    (cron_id, owner, assistant_id, schedule, metadata, created_at, next_run_date)
SELECT gen_random_uuid(), 'crowd', assistant_id, '* * * * *', metadata, created_at, created_at
FROM langgraph_server.assistants;
"""

_ONE_RUN_A_THREAD = """
INSERT INTO langgraph_server.runs
    (run_id, thread_id, owner, assistant_id, metadata, created_at, due_at, queued_at)
SELECT gen_random_uuid(), thread_id, owner, gen_random_uuid(), metadata, created_at, created_at,
       created_at
FROM langgraph_server.threads;
UPDATE langgraph_server.threads AS t
SET active_runs = 1, status = 'busy', next_run_at = r.created_at, next_run_id = r.run_id
FROM langgraph_server.runs AS r WHERE r.thread_id = t.thread_id;
"""

_ALL_RUNS_ON_ONE_THREAD = """
INSERT INTO langgraph_server.threads (thread_id, owner, status, active_runs)
VALUES (gen_random_uuid(), 'crowd', 'busy', {crowd});
INSERT INTO langgraph_server.runs
    (run_id, thread_id, owner, assistant_id, created_at, due_at, queued_at)
SELECT gen_random_uuid(), thread_id, 'crowd', gen_random_uuid(), at, at, at
FROM langgraph_server.threads,
     LATERAL (SELECT now() - i * interval '1 second' AS at
              FROM generate_series(1, {crowd}) AS i) AS times;
UPDATE langgraph_server.threads AS t SET (next_run_at, next_run_id) = (
    SELECT created_at, run_id FROM langgraph_server.runs ORDER BY created_at LIMIT 1);
"""


_A_THREAD_AN_OWNER = """
INSERT INTO langgraph_server.threads (thread_id, owner)
SELECT gen_random_uuid(), 'owner ' || to_char(i, 'FM00000') FROM generate_series(1, {crowd}) AS i
UNION ALL
SELECT gen_random_uuid(), 'crowd' FROM generate_series(1, {crowd});
"""
_OWNER_OF = "SELECT owner FROM langgraph_server.runs WHERE run_id = %s"
_CROWDS = [10_000, pytest.param(100_000, marks=pytest.mark.slow)]
"""Rows of each resource; what is read row by row is beyond the budget in either."""


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=_CROWDS)
async def crowded(
    scratch_databases: ScratchDatabases, request: pytest.FixtureRequest
) -> AsyncIterator[Everything]:
    """A database in which one owner has very many rows of each resource."""
    async with (
        scratch_databases.clone() as url,
        recording(url, explain=True) as everything,
    ):
        await everything.script(_FILL + _ONE_RUN_A_THREAD, request.param)
        yield everything


async def test_little_is_touched_among_many_rows(crowded: Everything) -> None:
    """Among many rows of an owner a call touches at most 50 buffers a row that it returns."""
    recorder = crowded.recorder
    await crowded.all()
    assert [one for one in beyond(recorder, 1) if one.label not in BEYOND_BUDGET] == []
    assert [one for one in beyond(recorder, 2) if one.label != "filter"] == []


@pytest.mark.slow
@pytest.mark.parametrize("queued", _CROWDS)
async def test_a_long_queue_of_one_thread_costs_no_claim_more(
    database_url: str, queued: int
) -> None:
    """However many runs are queued on one thread, a claim of it or past it stays within budget."""
    async with recording(database_url, explain=True) as crowded:
        call, runs = crowded.call, crowded.storage.runs
        await crowded.script(_ALL_RUNS_ON_ONE_THREAD, queued)
        assistant = (await crowded.storage.assistants.create("g", owner=OWNER)).assistant_id
        for _ in range(3):
            first = await call("claim", runs.claim(lease_s=60))
            assert await call("claim", runs.claim(lease_s=60)) is None
            thread = (await crowded.storage.threads.create(owner=OWNER)).thread_id
            other = await runs.create(thread, assistant, owner=OWNER)
            past = await call("claim", runs.claim(lease_s=60))
            assert past.run.run_id == other.run_id
            await call("finish", runs.finish(first.lease, "success", owner=OWNER))
    assert [one for one in beyond(crowded.recorder, 1) if one.label == "claim"] == []
    assert beyond(crowded.recorder, 2) == []


@pytest.mark.slow
async def test_turns_of_many_owners_cost_no_claim_more(database_url: str) -> None:
    """With 10,000 owners waiting, and one passed over with 10,000 threads, a claim is in budget."""
    async with recording(database_url, explain=True) as crowded:
        call, runs = crowded.call, crowded.storage.runs
        await crowded.script(_A_THREAD_AN_OWNER + _ONE_RUN_A_THREAD, 10_000)
        owners = []
        for full in ((), ("crowd",), ("crowd", "owner 00002")):
            for _ in range(3):
                claimed = await call("claim", runs.claim(lease_s=60, full=full))
                [row] = await crowded.raw(_OWNER_OF, claimed.run.run_id)
                owners.append(row["owner"])
        assert owners == ["crowd", *(f"owner {n:05}" for n in (1, 2, 3, 4, 5, 6, 7, 8))]
    assert beyond(crowded.recorder, 1) == []


def beyond(recorder: Recorder, budgets: int) -> list[Sent]:
    """Return the labelled statements that touched more, each time that they were sent."""
    least: dict[tuple[str, str], Sent] = {}
    for one in recorder.sent:
        known = least.setdefault((one.label, one.sql), one)
        if one.buffers * max(known.rows, 1) < known.buffers * max(one.rows, 1):
            least[one.label, one.sql] = one
    return [
        one
        for one in least.values()
        if one.label and one.buffers > budgets * BUFFERS_A_ROW * max(one.rows, 1)
    ]
