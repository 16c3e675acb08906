"""Threads whose time is over, over HTTP and under the server's own sweeps."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient

from harness.config import DatabaseConfig, ItemTtlConfig, ServerConfig, ThreadTtlConfig
from harness.database import Database
from harness.persistence import AgentStore, memory_saver, owner_scope
from harness.server.sweeping import Sweeper, sweep_all
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.memory.probe import MemoryProbe
from harness.storage.postgres import PostgresBackend
from tests.integration.fields.ways import refused
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.slow_in_memory

AT_ONCE: Any = {"ttl": 1e-9}
OWNER = "ada"


@pytest.mark.invariant(65)
async def test_no_route_shows_an_expired_thread(client: LangGraphClient) -> None:
    """Lists, counts and every route of a thread, its runs and its crons deny it alike, at once."""
    thread_id, mark = str(uuid4()), {"mark": str(uuid4())}
    await client.threads.create(thread_id=thread_id, metadata=mark)
    await client.runs.wait(thread_id, "told", input={"text": "old"})
    [run] = await client.runs.list(thread_id)
    cron: Any = await client.crons.create_for_thread(
        thread_id, "told", schedule="0 0 1 1 *", metadata=mark
    )
    await client.threads.update(thread_id, metadata={}, ttl=AT_ONCE)
    threads, runs, at = client.threads, client.runs, (thread_id, run["run_id"])
    gone: list[Any] = [
        threads.get(thread_id),
        threads.get_state(thread_id),
        threads.get_history(thread_id),
        threads.update(thread_id, metadata={}),
        threads.update_state(thread_id, {}),
        threads.delete(thread_id),
        runs.list(thread_id),
        runs.get(*at),
        runs.delete(*at),
        runs.cancel(*at),
        runs.create(thread_id, "told"),
        runs.wait(thread_id, "told"),
        client.crons.update(cron["cron_id"], enabled=False),
        client.crons.create_for_thread(thread_id, "told", schedule="0 0 1 1 *"),
    ]
    assert await asyncio.gather(*(refused(call) for call in gone)) == [404] * len(gone)
    assert await refused(threads.copy(thread_id)) == 409
    assert await threads.search(metadata=mark) == []
    assert await threads.search(ids=[thread_id]) == []
    assert await threads.count(metadata=mark) == 0
    assert await client.crons.search(metadata=mark) == []
    assert await client.crons.count(metadata=mark) == 0
    assert (await threads.prune([thread_id]))["pruned_count"] == 0


@pytest.mark.invariant(65)
async def test_a_run_on_an_expired_thread_begins_empty(client: LangGraphClient) -> None:
    """With `if_not_exists` the id is a new thread's: no value, no checkpoint, no run of the old."""
    thread_id = str(uuid4())
    await client.threads.create(thread_id=thread_id, metadata={"old": 1})
    for _ in range(2):
        await client.runs.wait(thread_id, "told", input={"text": "old"})
    await client.threads.update(thread_id, metadata={}, ttl=AT_ONCE)
    values: Any = await client.runs.wait(
        thread_id, "told", input={"asks": False}, if_not_exists="create"
    )
    assert values["trace"] == ["first", "second"]
    assert "text" not in values
    assert len(await client.runs.list(thread_id)) == 1
    thread: Any = await client.threads.get(thread_id, include=["ttl"])
    assert ("old" in thread["metadata"], thread["ttl"]) == (False, None)
    history = await client.threads.get_history(thread_id, limit=100)
    assert history[-1]["parent_checkpoint"] is None
    assert len(history) == 4


@pytest.mark.invariant(65)
async def test_no_run_is_cut_off(client: LangGraphClient) -> None:
    """A run that takes longer than its thread lives is there to its end, and then goes with it."""
    thread_id, given = str(uuid4()), {"steps": 10, "delay_s": 0.05}
    await client.threads.create(thread_id=thread_id)
    parts: list[Any] = []
    async for part in client.runs.stream(thread_id, "steps", input=given):
        if not parts:
            await client.threads.update(thread_id, metadata={}, ttl=AT_ONCE)
        parts.append(part)
    assert parts[-1].data["step"] == 10
    assert await refused(client.threads.get(thread_id)) == 404


@pytest.mark.invariant(65)
@pytest.mark.postgres
async def test_a_sweep_takes_checkpoints_too(client: LangGraphClient, server: Serving) -> None:
    """What a sweep leaves of an expired thread in any table, LangGraph's included, is nothing."""
    if server.database_url is None:
        pytest.skip("it is asked of the tables of a database")
    thread_id = str(uuid4())
    await client.threads.create(thread_id=thread_id)
    await client.runs.wait(thread_id, "told", input={"text": "old"})
    await client.threads.update(thread_id, metadata={}, ttl=AT_ONCE)
    tables = ("threads", "thread_states", "runs", "crons")
    ours = [f"langgraph_server.{name}" for name in tables]
    async with await psycopg.AsyncConnection.connect(server.database_url) as connection:

        async def rows(table: str) -> int:
            cursor = await connection.execute(
                f"SELECT count(*) FROM {table} WHERE thread_id::text = %s".encode(),  # noqa: S608
                [thread_id],
            )
            [number] = await cursor.fetchone() or (None,)
            return int(number)

        assert await rows("checkpoints") > 0
        assert await rows("langgraph_server.runs") == 1
        await _sweep(server.database_url)
        for table in (*ours, "checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            assert await rows(table) == 0, table


async def _sweep(url: str) -> None:
    async with Database(DatabaseConfig(url=url), name="sweep") as database:
        storage = LocalStorage(PostgresBackend(database))
        assert await sweep_all(storage.threads.sweep, 1_000) >= 1


async def test_the_server_sweeps_now_and_then() -> None:
    """Threads and items are swept at their intervals; what is not due stays."""
    backend = MemoryBackend()
    storage, probe = LocalStorage(backend), MemoryProbe(backend.tables)
    memory_saver(backend)
    config = ServerConfig(
        thread_ttl=ThreadTtlConfig(sweep_interval_minutes=0.001, sweep_limit=150),
        item_ttl=ItemTtlConfig(sweep_interval_minutes=0.001),
    )
    await storage.threads.create_many([{"ttl": 1}] * 250, owner=OWNER)
    await storage.items.put_item(["a"], "k", {}, ttl=1, owner=OWNER)
    await probe.age("threads", timedelta(minutes=2))
    await probe.age("store_items", timedelta(minutes=2))
    stays = await storage.threads.create(ttl=1, owner=OWNER)
    sweeper = Sweeper(storage, config)
    sweeper.start()
    async with asyncio.timeout(20):
        while True:
            if await probe.count("threads") == 1 and not await probe.count("store_items"):
                break
            await asyncio.sleep(0.02)
    await sweeper.stop()
    assert await storage.threads.search(owner=OWNER) == [stays]


@pytest.mark.postgres
async def test_what_cannot_be_swept_is_passed_over(database: Database) -> None:
    """One thread that cannot be deleted holds up itself alone, wherever in a batch it is."""
    storage = LocalStorage(PostgresBackend(database))
    await database.write("CREATE TABLE notes (thread_id uuid REFERENCES langgraph_server.threads)")
    made = await storage.threads.create_many([{"ttl": 0.0001}] * 9, owner=OWNER)
    kept = sorted(made[n].thread_id for n in (0, 4, 8))
    for thread_id in kept:
        await database.write("INSERT INTO notes VALUES (%s)", (thread_id,))
    swept = 0
    async with asyncio.timeout(20):
        while swept < 6:
            swept += await sweep_all(storage.threads.sweep, 1_000)
    left = "SELECT thread_id::text AS id FROM langgraph_server.threads ORDER BY id"
    assert [row["id"] for row in await database.read(left)] == kept


TOO_MANY = """
    CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM gone) > 2 THEN
            RAISE 'it takes too long' USING ERRCODE = 'query_canceled';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER give_up AFTER DELETE ON langgraph_server.threads
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION give_up()"""
"""Has the database give up what deletes more than two threads."""


@pytest.mark.postgres
async def test_a_batch_that_takes_too_long_is_swept_in_parts(database: Database) -> None:
    """The first sweep removes all that is due."""
    storage = LocalStorage(PostgresBackend(database))
    await database.write(TOO_MANY)
    await storage.threads.create_many([{"ttl": 0.0001}] * 9, owner=OWNER)
    await asyncio.sleep(0.02)  # the database's clock alone tells
    assert await sweep_all(storage.threads.sweep, 1_000) == 9


@pytest.mark.postgres
async def test_a_sweep_that_fails_is_not_the_last(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A table of somebody else's that refers to a thread holds sweeping up, but does not end it."""
    storage = LocalStorage(PostgresBackend(database))
    thread = await storage.threads.create(ttl=0.0001, owner=OWNER)
    await database.write("CREATE TABLE notes (thread_id uuid REFERENCES langgraph_server.threads)")
    await database.write("INSERT INTO notes VALUES (%s)", (thread.thread_id,))
    config = ServerConfig(thread_ttl=ThreadTtlConfig(sweep_interval_minutes=0.001))
    sweeper = Sweeper(storage, config)
    sweeper.start()
    async with asyncio.timeout(20):
        while "threads are not swept" not in caplog.text:  # noqa: ASYNC110 -- nothing tells of it
            await asyncio.sleep(0.02)
        await database.write("DELETE FROM notes")
        left = "SELECT thread_id FROM langgraph_server.threads"
        while await database.read(left):  # noqa: ASYNC110 -- nor does the database
            await asyncio.sleep(0.02)
    await sweeper.stop()


async def test_what_is_configured_holds_where_nothing_is_said() -> None:
    """Threads that callers, runs and crons make live as long as is configured; so do items."""
    backend = MemoryBackend()
    ttl = ThreadTtlConfig(default_ttl=5, strategy="keep_latest")
    storage = LocalStorage(backend, thread_ttl=ttl)
    assistant = (await storage.assistants.create("g", owner=OWNER)).assistant_id
    run: dict[str, Any] = {
        "assistant_id": assistant,
        "if_not_exists": "create",
        "owner": OWNER,
    }
    made = [str(uuid4()) for _ in range(3)]
    await storage.threads.create(thread_id=made[0], owner=OWNER)
    await storage.runs.create(made[1], **run)
    await storage.runs.begin(made[2], lease_s=60, **run)
    await storage.crons.create(assistant, schedule="* * * * *", owner=OWNER)
    await MemoryProbe(backend.tables).age("crons", timedelta(minutes=2))
    [firing] = await storage.crons.claim_due()
    for thread_id in (*made, firing.run.thread_id):
        found = (await storage.threads.get(thread_id, owner=OWNER)).ttl
        assert found is not None
        assert (found.ttl_minutes, found.strategy) == (5, "keep_latest")
    told = await storage.threads.create(ttl=1, owner=OWNER)
    assert told.ttl is not None
    assert (told.ttl.ttl_minutes, told.ttl.strategy) == (1, "delete")
    store = AgentStore(storage, ItemTtlConfig(default_ttl=1, refresh_on_read=False))
    with owner_scope(OWNER):
        await store.aput(("a",), "short", {"n": 1})
        await store.aput(("a",), "ever", {"n": 1}, ttl=None)
        for seconds in (40, 40):
            assert await store.aget(("a",), "short") is not None
            await MemoryProbe(backend.tables).age("store_items", timedelta(seconds=seconds))
        assert await store.aget(("a",), "short") is None
        assert await store.aget(("a",), "ever") is not None


async def test_a_langgraph_json_sets_the_defaults(tmp_path: Path) -> None:
    """Its `checkpointer.ttl` and `store.ttl` hold for what is made without a time to live."""
    document = {
        "graphs": {"agent": "harness.agents:build_agent"},
        "checkpointer": {"ttl": {"default_ttl": 5, "strategy": "keep_latest"}},
        "store": {"ttl": {"default_ttl": 1e-9}},
    }
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps(document))
    async with Serving(None, "--config", str(file)) as server:
        client, given = server.client(), str(uuid4())
        await client.runs.wait(given, "agent", input={"messages": []}, if_not_exists="create")
        for thread_id in (given, (await client.threads.create())["thread_id"]):
            thread: Any = await client.threads.get(thread_id, include=["ttl"])
            assert (thread["ttl"]["ttl_minutes"], thread["ttl"]["strategy"]) == (5, "keep_latest")
        item: Any = {"namespace": ["a"], "value": {"n": 1}}
        await client.store.put_item(item["namespace"], "short", item["value"])
        await client.http.put("/store/items", json={**item, "key": "ever", "ttl": None})
        assert await client.store.get_item(["a"], "short") is None
        assert await client.store.get_item(["a"], "ever") is not None
