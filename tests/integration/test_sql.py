"""The SQL files: every block is sent and prepares, and touches little among 100,000 rows."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row, tuple_row

from harness.config import DatabaseConfig
from harness.contract.checkpointer.builders import Story, id_of
from harness.database import Database, ScratchDatabases
from harness.errors import HarnessError
from harness.models import ThreadHead
from harness.persistence import PooledSaver, setup_langgraph
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend, assistants, crons, runs, threads
from harness.storage.postgres.sql import Blocks, load

RESOURCES = ("assistants", "threads", "states", "runs", "queue", "items", "crons", "checkpoints")
CROWD = 100_000
BUFFERS_A_ROW = 50
OWNER = "crowd"
HEAD = ThreadHead(values={"a": 2}, checkpoint_id=None, interrupts={}, error=None)


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement that was sent while `label` was on, and what its execution touched."""

    label: str
    sql: str
    buffers: int
    rows: int


class Recorder:
    """Records the statements that a database's connections send, explained if asked to."""

    def __init__(self, *, explain: bool) -> None:
        self.explain = explain
        self.label = ""
        self.sent: list[Sent] = []
        self.waiting = asyncio.Event()
        """A statement is on its way that only waits for a lock."""

    def cursor_class(self) -> type[AsyncCursor[Any]]:
        """Return the class for the cursors of a connection to record."""
        recorder = self

        class RecordingCursor(AsyncCursor[Any]):
            async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
                buffers, rows = 0, 0
                if recorder.explain:
                    buffers, rows = await recorder.touched(self.connection, query, params)
                recorder.sent.append(Sent(recorder.label, str(query), buffers, rows))
                if str(query).endswith("FOR SHARE"):
                    recorder.waiting.set()
                return await super().execute(query, params, **options)

        return RecordingCursor

    async def touched(self, connection: Any, query: str, params: Any) -> tuple[int, int]:
        """Execute a statement for its plan, undo it, and return the buffers and rows it touched.

        Rows are those returned; of a write that returns none, those written.
        """
        async with connection.transaction(force_rollback=True):
            cursor = AsyncCursor(connection, row_factory=tuple_row)
            explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
            await cursor.execute(explained.encode(), params)
            [(plans,)] = await cursor.fetchall()
        nodes = list(_nodes(plans[0]["Plan"]))
        # The root counts what runs below it; a writing CTE that nothing reads runs after it.
        later = [
            node
            for node in plans[0]["Plan"].get("Plans", ())
            if node["Node Type"] == "ModifyTable" and not _is_read(node, nodes)
        ]
        buffers = sum(_buffers(node) for node in (plans[0]["Plan"], *later))
        rows = int(nodes[0]["Actual Rows"])
        if not rows and nodes[0]["Node Type"] == "ModifyTable":
            rows = int(nodes[0]["Plans"][0]["Actual Rows"])
        return buffers, rows

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Say what the statements sent meanwhile are for."""
        self.label = label
        yield
        self.label = ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _is_read(writer: dict[str, Any], nodes: list[dict[str, Any]]) -> bool:
    name = writer.get("Subplan Name", "").removeprefix("CTE ")
    return any(node.get("CTE Name") == name for node in nodes)


def _buffers(node: dict[str, Any]) -> int:
    return int(node["Shared Hit Blocks"]) + int(node["Shared Read Blocks"])


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


class Everything:
    """Calls whatever sends a block, each call under the label that a budget speaks of."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self.database = database
        self.recorder = recorder
        self.storage = LocalStorage(PostgresBackend(database))

    async def call(self, label: str, work: Awaitable[Any]) -> Any:
        """Await a call under a label; a refusal is an answer like another."""
        with self.recorder.step(label):
            try:
                return await work
            except HarnessError as refusal:
                return refusal

    async def raw(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Send a statement that is not the storage's."""
        async with self.database.pool.connection() as connection:
            cursor = AsyncCursor(connection, row_factory=dict_row)
            await cursor.execute(statement.encode(), parameters or None)
            return await cursor.fetchall() if cursor.description else []

    async def script(self, statements: str) -> None:
        """Send statements that are not the storage's, and bring the planner's knowledge up."""
        for statement in statements.format(crowd=CROWD).split(";\n"):
            if statement.strip():
                await self.raw(statement)
        await self.raw("VACUUM ANALYZE")

    async def assistants(self) -> None:
        """Send every block of assistants.sql."""
        store, call = self.storage.assistants, self.call
        made = await store.create("g", metadata={"mark": "one"}, owner=OWNER)
        key = made.assistant_id
        keep: dict[str, Any] = {"graph_id": "g", "assistant_id": key, "if_exists": "do_nothing"}
        await call("create", store.create("g", owner=OWNER))
        await call("create or get", store.create(**keep, owner=OWNER))
        await call("create many", store.create_many([{"graph_id": "g"}] * 2, owner=OWNER))
        await call("create or get many", store.create_many([keep, {"graph_id": "g"}], owner=OWNER))
        await call("get", store.get(key, owner=OWNER))
        await call("update", store.update(key, owner=OWNER))
        await call("refusal", store.update(str(uuid4()), owner=OWNER))
        await call("set_latest", store.set_latest(key, 1, owner=OWNER))
        await call("versions", store.get_versions(key, {"mark": "one"}, owner=OWNER))
        await call("list", store.search(owner=OWNER))
        await call("unique match", store.search(metadata={"mark": "one"}, owner=OWNER))
        await call("filter", store.search(graph_id="g", name="u", owner=OWNER))
        await call("count", store.count(metadata={"mark": "one"}, owner=OWNER))
        await call("delete", store.delete(key, owner=OWNER))
        other = await store.create("g", owner=OWNER)
        delete = store.delete(other.assistant_id, delete_threads=True, owner=OWNER)
        await call("delete", delete)

    async def threads(self) -> None:
        """Send every block of threads.sql and states.sql."""
        store, call = self.storage.threads, self.call
        made = await store.create(metadata={"mark": "one"}, owner=OWNER)
        key = made.thread_id
        keep = {"thread_id": key, "if_exists": "do_nothing"}
        await call("create", store.create(owner=OWNER))
        await call(
            "create or get", store.create(thread_id=key, if_exists="do_nothing", owner=OWNER)
        )
        await call("create many", store.create_many([{}, {}], owner=OWNER))
        await call("create or get many", store.create_many([keep, {}], owner=OWNER))
        await call("get", store.get(key, owner=OWNER))
        await call("update", store.update(key, metadata={}, owner=OWNER))
        await call("refusal", store.update(str(uuid4()), metadata={}, owner=OWNER))
        await call("list", store.search(owner=OWNER))
        await call("unique match", store.search(metadata={"mark": "one"}, owner=OWNER))
        filters: dict[str, Any] = {"values": {"a": 1}, "ids": [key], "status": "idle"}
        await call("filter", store.search(**filters, owner=OWNER))
        await call("count", store.count(metadata={"mark": "one"}, owner=OWNER))
        state = await store.add_state(key, {"a": 1}, owner=OWNER)
        assert state.checkpoint is not None
        at = state.checkpoint["checkpoint_id"]
        for crowded in (key, *await self._crowded_thread()):
            await call("add_state", store.add_state(crowded, {"a": 2}, owner=OWNER))
            await call("get_state", store.get_state(crowded, owner=OWNER))
            await call("get_state", store.get_state(crowded, at, owner=OWNER))
            await call("history", store.get_history(crowded, owner=OWNER))
            await call("history", store.get_history(crowded, before=at, owner=OWNER))
        await call("cache_head", store.cache_head(key, HEAD, owner=OWNER))
        await call("refusal", store.cache_head(key, HEAD, seen_at=made.created_at, owner=OWNER))
        found = {"no such": "metadata"}
        await call("filter", store.get_history(key, metadata=found, owner=OWNER))
        await call("copy", store.copy(key, owner=OWNER))
        prune = store.prune_history
        await call("prune", prune([key], keep=2, older_than_s=3_600, dry_run=True, owner=OWNER))
        await call("prune", prune([key], keep=1, older_than_s=0, owner=OWNER))
        await call("prune", store.prune([key], strategy="keep_latest", owner=OWNER))
        await call("prune all", prune(keep=10 * CROWD, owner=OWNER))
        await call("prune all", prune(keep=10 * CROWD))
        await call("prune", store.prune([key], strategy="delete", owner=OWNER))
        other = await store.create(owner=OWNER)
        await call("delete", store.delete(other.thread_id, owner=OWNER))

    async def _crowded_thread(self) -> list[str]:
        rows = await self.raw("SELECT thread_id FROM langgraph_server.thread_states LIMIT 1")
        return [str(row["thread_id"]) for row in rows]

    async def runs(self) -> None:
        """Send every block of runs.sql, but for those of leases."""
        store, call = self.storage.runs, self.call
        assistant = (await self.storage.assistants.create("g", owner=OWNER)).assistant_id
        thread = (await self.storage.threads.create(owner=OWNER)).thread_id
        mark = {"mark": "one"}
        made = await store.create(thread, assistant, metadata=mark, owner=OWNER)
        address = thread, made.run_id
        row: dict[str, Any] = {"thread_id": thread, "assistant_id": assistant}
        create: dict[str, Any] = {**row, "thread_id": str(uuid4()), "if_not_exists": "create"}
        await call("create run", store.create(thread, assistant, owner=OWNER))
        await call("create run", store.create(**create, owner=OWNER))
        await call("refusal", store.create(thread, str(uuid4()), owner=OWNER))
        await call("create many runs", store.create_many([row, row], owner=OWNER))
        create["thread_id"] = str(uuid4())
        await call("create many runs", store.create_many([create, row], owner=OWNER))
        reject = {**row, "multitask_strategy": "reject"}
        await call("create many runs", store.create_many([row, reject], owner=OWNER))
        await call("get", store.get(*address, owner=OWNER))
        await call("update", store.update(*address, metadata={}, owner=OWNER))
        await call("refusal", store.update(thread, str(uuid4()), metadata={}, owner=OWNER))
        await call("list", store.search(owner=OWNER))
        await call("list", store.list(thread, owner=OWNER))
        await call("list by status", store.list(thread, status="success", owner=OWNER))
        await call("unique match", store.search(metadata=mark, owner=OWNER))
        filters: dict[str, Any] = {"status": "success", **row}
        await call("filter", store.search(**filters, owner=OWNER))
        await call("count", store.count(metadata=mark, owner=OWNER))
        await call("get_active", store.get_active(thread, owner=OWNER))
        await call("update_status", store.update_status(*address, "running", owner=OWNER))
        await call("get_active", store.get_active(thread, owner=OWNER))
        await call("update_status", store.update_status(*address, "error", head=HEAD, owner=OWNER))
        await call("refusal", store.update_status(*address, "error", owner=OWNER))
        await call("delete", store.delete(*address, owner=OWNER))

    async def queue(self) -> None:
        """Send every block of queue.sql."""
        store, call = self.storage.runs, self.call
        assistant = (await self.storage.assistants.create("g", owner=OWNER)).assistant_id
        thread = (await self.storage.threads.create(owner=OWNER)).thread_id
        for _ in range(8):
            await store.create(thread, assistant, owner=OWNER)
        for owner in (None, OWNER) * 3:  # now and then a page of an index splits
            claimed = await call("claim", store.claim(lease_s=60, owner=owner))
            lease = await call("heartbeat", store.heartbeat(claimed.lease, lease_s=60, owner=OWNER))
            await call("hand back", store.hand_back(lease, owner=OWNER))
            await call("refusal", store.hand_back(lease, owner=OWNER))
        claimed = await store.claim(lease_s=60)
        assert claimed is not None
        await call("finish", store.finish(claimed.lease, "success", head=HEAD, owner=OWNER))
        claimed = await store.claim(lease_s=60)
        assert claimed is not None
        await call("finish", store.finish(claimed.lease, "success", owner=OWNER))
        await self._queue_by_hand(thread, assistant)

    async def _queue_by_hand(self, thread: str, assistant: str) -> None:
        """Bring about what workers seldom meet: changed times, a gone run, a locked thread."""
        store, call = self.storage.runs, self.call
        later = await store.create(thread, assistant, after_seconds=3_600, owner=OWNER)
        aged = (
            "UPDATE langgraph_server.runs SET due_at = now() - interval '1 day' WHERE run_id = %s"
        )
        await self.raw(aged, later.run_id)
        await call("claim after queueing", store.claim(lease_s=60))
        gone = (
            "DELETE FROM langgraph_server.runs WHERE run_id IN (SELECT next_run_id FROM"
            " langgraph_server.threads WHERE running_run_id IS NULL AND next_run_id IS NOT NULL"
            " ORDER BY next_run_at, next_run_id LIMIT 1)"
        )
        await self.raw(gone)
        await call("claim after recount", store.claim(lease_s=60))

    async def items(self) -> None:
        """Send every block of items.sql."""
        store, call = self.storage.items, self.call
        row: dict[str, Any] = {"namespace": ("home",), "value": {"a": {"b": 1}}}
        await call("put", store.put_item(("home",), "a", {"a": 1}, ttl=5, owner=OWNER))
        await call(
            "put many", store.put_many([{**row, "key": "b"}, {**row, "key": "c"}], owner=OWNER)
        )
        await call("get", store.get_item(("home",), "a", refresh_ttl=False, owner=OWNER))
        await call("get and refresh", store.get_item(("home",), "a", owner=OWNER))
        await call("list", store.search_items((), refresh_ttl=False, owner=OWNER))
        filters = {"a": {"b": {"$eq": 1, "$gt": 0}, "c": {"$lt": "z"}}}
        await call("filter", store.search_items(("home",), filter=filters, owner=OWNER))
        await call("count", store.count_items(("home",), owner=OWNER))
        await call("list_namespaces", store.list_namespaces(owner=OWNER))
        await call("list_namespaces", store.list_namespaces(["home"], ["*"], owner=OWNER))
        await call("delete", store.delete_item(("home",), "a", owner=OWNER))
        await call("sweep", store.sweep(limit=100))
        await call("sweep", store.sweep(limit=100, owner=OWNER))

    async def crons(self) -> None:
        """Send every block of crons.sql."""
        store, call = self.storage.crons, self.call
        assistant = (await self.storage.assistants.create("g", owner=OWNER)).assistant_id
        thread = (await self.storage.threads.create(owner=OWNER)).thread_id
        row: dict[str, Any] = {"assistant_id": assistant, "schedule": "* * * * *"}
        made = await store.create(**row, metadata={"mark": "one"}, owner=OWNER)
        await call("create", store.create(**row, thread_id=thread, owner=OWNER))
        await call("refusal", store.create(str(uuid4()), schedule="* * * * *", owner=OWNER))
        await call("create many", store.create_many([row, row], owner=OWNER))
        await call("get", store.get(made.cron_id, owner=OWNER))
        await call("update", store.update(made.cron_id, metadata={}, owner=OWNER))
        await call("update", store.update(made.cron_id, enabled=True, owner=OWNER))
        await call("refusal", store.update(str(uuid4()), owner=OWNER))
        await call("list", store.search(owner=OWNER))
        await call("unique match", store.search(metadata={"mark": "one"}, owner=OWNER))
        filters: dict[str, Any] = {"enabled": True, "thread_id": thread, "assistant_id": assistant}
        await call("filter", store.search(**filters, owner=OWNER))
        await call("count", store.count(metadata={"mark": "one"}, owner=OWNER))
        due = "UPDATE langgraph_server.crons SET next_run_date = %s WHERE cron_id = %s"
        await self.raw(due, datetime.now(UTC) - timedelta(days=9), made.cron_id)
        await call("claim due", store.claim_due(limit=1))
        await call("claim due", store.claim_due(limit=1, owner=OWNER))
        await call("delete", store.delete(made.cron_id, owner=OWNER))

    async def checkpoints(self) -> None:
        """Send every block of checkpoints.sql; LangGraph's tables have to be there."""
        saver, thread = PooledSaver(self.database), str(uuid4())
        story = Story(saver, thread)
        root = await story.step({"c": [1], "d": _DeltaSnapshot([])}, run_id="one")
        call = Story(saver, thread, "call:1")
        await call.step({"c": [1]}, parents={"": id_of(root)})
        counters: dict[str, Any] = {"counters_since_delta_snapshot": {"c": [1, 1]}}
        await story.step({"c": _DeltaSnapshot([])}, emptied=("d",), **counters)
        await story.step({"d": _DeltaSnapshot([])}, emptied=("c",), **counters)
        await saver.acopy_thread(thread, str(uuid4()))
        await saver.adelete_for_runs(["another"])
        await saver.adelete_for_runs(["one"])
        await self.storage.threads.prune_history([thread], keep=1)
        await self.raw("UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{v}', '3')")
        await self.storage.threads.prune_history(keep=1)

    async def locked(self, other: AsyncConnection[Any]) -> None:
        """Claim while another connection has what could be claimed."""
        thread = (await self.storage.threads.create(owner=OWNER)).thread_id
        assistant = (await self.storage.assistants.create("g", owner=OWNER)).assistant_id
        await self.storage.runs.create(thread, assistant, owner=OWNER)
        for lock in (
            "SELECT 1 FROM langgraph_server.threads FOR UPDATE",
            "SELECT 1 FROM langgraph_server.runs FOR UPDATE",
        ):
            async with other.transaction():
                await other.execute(lock)
                claim = asyncio.create_task(self.storage.runs.claim(lease_s=1e-6))
                await self.recorder.waiting.wait()
                self.recorder.waiting.clear()
            assert await claim is not None  # and its lease has run out at once

    async def all(self) -> None:
        """Send every block that one connection alone can bring about."""
        await self.assistants()
        await self.threads()
        await self.items()
        await self.crons()
        await self.runs()
        await self.queue()


@asynccontextmanager
async def recording(url: str, *, explain: bool) -> AsyncIterator[Everything]:
    """Open a database of one connection whose statements are recorded, all of them prepared."""
    recorder = Recorder(explain=explain)
    config = DatabaseConfig(url=url, pool_min_size=1, pool_max_size=1, prepare_threshold=0)
    async with Database(config, name="recorded") as database:
        async with database.pool.connection() as connection:
            connection.cursor_factory = recorder.cursor_class()
        yield Everything(database, recorder)


async def test_every_block_is_sent(database_url: str) -> None:
    """Each named block stands in a statement that the storage sends, and each one prepares."""
    async with recording(database_url, explain=False) as everything:
        async with await AsyncConnection.connect(database_url) as other:
            await everything.locked(other)
        await everything.all()
        await setup_langgraph(everything.database)
        await everything.checkpoints()
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
    "prune all": "looks for long histories among all",
    "filter": "a condition without an index is tested row by row until a page is full",
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
SELECT gen_random_uuid(), thread_id, 'crowd', gen_random_uuid(), metadata, created_at, created_at,
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(scratch_databases: ScratchDatabases) -> AsyncIterator[Everything]:
    """A database in which one owner has 100,000 rows of each resource."""
    async with (
        scratch_databases.clone() as url,
        recording(url, explain=True) as everything,
    ):
        await everything.script(_FILL + _ONE_RUN_A_THREAD)
        yield everything


@pytest.mark.timeout(180)
async def test_little_is_touched_among_many_rows(crowded: Everything) -> None:
    """Among 100,000 rows of an owner a call touches at most 50 buffers a row that it returns."""
    recorder = crowded.recorder
    await crowded.all()
    assert [one for one in beyond(recorder, 1) if one.label not in BEYOND_BUDGET] == []
    unbounded = {"filter", "prune all"}
    assert [one for one in beyond(recorder, 2) if one.label not in unbounded] == []


@pytest.mark.timeout(180)
async def test_a_long_queue_of_one_thread_costs_no_claim_more(database_url: str) -> None:
    """With 100,000 runs queued on one thread, a claim of it or past it stays within budget."""
    async with recording(database_url, explain=True) as crowded:
        call, runs = crowded.call, crowded.storage.runs
        await crowded.script(_ALL_RUNS_ON_ONE_THREAD)
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
