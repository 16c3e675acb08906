"""Calls everything that a storage in Postgres can do, so that all of its SQL is sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row

from harness.config import DatabaseConfig
from harness.contract.checkpointer.builders import Story, id_of
from harness.database import Database
from harness.errors import HarnessError
from harness.models import ThreadHead
from harness.persistence import PooledSaver, setup_langgraph
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from harness.storage.postgres.leases import PostgresLeases, current, listen, prolong
from tests.integration.sql.recorder import Recorder

OWNER = "crowd"
HEAD = ThreadHead(values={"a": 2}, checkpoint_id=None, interrupts={}, error=None)


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

    async def script(self, statements: str, crowd: int) -> None:
        """Send statements that plant so many rows, and bring the planner's knowledge up."""
        for statement in statements.format(crowd=crowd).split(";\n"):
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
        await call("prune", store.prune([key], strategy="keep_latest", owner=OWNER))
        for _ in range(2):
            await store.add_state(key, {"a": 3}, owner=OWNER)
        await store.prune_history([key], keep=1, owner=OWNER)
        await store.prune_history(keep=1_000, older_than_s=0, owner=OWNER)
        await store.prune_history(keep=1_000, owner=None)
        await call("prune", store.prune([key], strategy="delete", owner=OWNER))
        other = await store.create(owner=OWNER)
        await call("delete", store.delete(other.thread_id, owner=OWNER))
        await self._thread_times()

    async def _thread_times(self) -> None:
        """Sweep threads whose time is over, and use the ids of others."""
        store, call = self.storage.threads, self.call
        over: dict[str, Any] = {"ttl": 1e-9, "owner": OWNER}
        ids = [(await store.create(**over)).thread_id for _ in range(2)]
        await call("create over expired", store.create(thread_id=ids[0], **over))
        row = {"thread_id": ids[0], "ttl": 1e-9}
        await call("create many over expired", store.create_many([row, {}], owner=OWNER))
        keep: dict[str, Any] = {"ttl": {"ttl": 1e-9, "strategy": "keep_latest"}, "owner": OWNER}
        await store.create(**keep)
        await call("sweep", store.sweep(limit=100, owner=OWNER))
        await store.create(**keep)
        await call("sweep", store.sweep(limit=100))

    async def checkpoints(self) -> None:
        """Send every block of checkpoints.sql, each in proportion to the thread it is sent for."""
        async with Database(DatabaseConfig(url=self.database.config.url), name="plant") as near:
            await setup_langgraph(near)
            thread_id = await self._planted_checkpoints(PooledSaver(near))
        saver = PooledSaver(self.database)
        await saver.acopy_thread(thread_id, str(uuid4()))
        await saver.adelete_for_runs(["no such run"])
        await self.storage.threads.prune_history([thread_id], keep=1, owner=None)

    async def _planted_checkpoints(self, saver: PooledSaver) -> str:
        """Plant a subgraph's call whose root goes, and a delta channel that loses its way back."""
        story = Story(saver)
        root = id_of(await story.step({"a": _DeltaSnapshot([1]), "c": [1]}, run_id="r"))
        call = Story(saver, story.thread_id, "graph:call")
        await call.step({"c": [1]}, parents={"": root})
        await call.write(1)
        counters: Any = {"counters_since_delta_snapshot": {"a": [0, 0], "b": [0, 0]}}
        await story.step({"b": _DeltaSnapshot([1]), "c": [2]}, emptied=("a",), **counters)
        await story.step({"c": [3]}, emptied=("b",), **counters)
        head = await story.step({"a": _DeltaSnapshot([2]), "c": [4]}, **counters)
        old = "UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{v}', '3')"
        await self.raw(f"{old} WHERE checkpoint_id = %s", id_of(head))  # its parent holds its sends
        return str(story.thread_id)

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
        for key in (thread, (await self.storage.threads.create(owner=OWNER)).thread_id):
            await call("create run", store.begin(key, assistant, lease_s=60, owner=OWNER))
        create["thread_id"] = str(uuid4())
        await call("create run", store.begin(**create, lease_s=60, owner=OWNER))
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
        await call("refusal", store.discard(*address, owner=OWNER))
        for key in (thread, create["thread_id"]):
            [last, *_] = await store.list(key, owner=OWNER)
            await call("delete", store.discard(key, last.run_id, owner=OWNER))

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

    async def leases(self) -> None:
        """Send every block of leases.sql."""
        leases, call = PostgresLeases(self.database), self.call
        assistant = (await self.storage.assistants.create("g", owner=OWNER)).assistant_id
        thread = (await self.storage.threads.create(owner=OWNER)).thread_id
        begun, lease = await self.storage.runs.begin(thread, assistant, lease_s=60, owner=OWNER)
        assert lease is not None
        async with self.database.connection() as connection:
            if not self.recorder.explain:  # LISTEN has no plan
                await listen(connection)
            await call("prolong", prolong(connection, [lease], 60))
            await call("current", current(connection, [lease]))
        await self.storage.runs.update_status(thread, begun.run_id, "interrupted", owner=OWNER)
        await call("is_stopping", leases.is_stopping(begun.run_id))
        await call("acknowledge", leases.acknowledge(lease))

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
        await self.checkpoints()
        await self.items()
        await self.crons()
        await self.runs()
        await self.queue()
        await self.leases()


@asynccontextmanager
async def recording(url: str, *, explain: bool) -> AsyncIterator[Everything]:
    """Open a database of one connection whose statements are recorded, all of them prepared."""
    recorder = Recorder(explain=explain)
    config = DatabaseConfig(url=url, pool_min_size=1, pool_max_size=1, prepare_threshold=0)
    async with Database(config, name="recorded") as database:
        async with database.pool.connection() as connection:
            connection.cursor_factory = recorder.cursor_class()
        yield Everything(database, recorder)
