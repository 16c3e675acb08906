"""Deleting a thread through storage deletes its checkpoints, blobs and writes with it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from psycopg import AsyncConnection

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import NotFound, OutcomeUnknown
from harness.faults.proxy import Moment, Proxy
from harness.models import Pruned
from harness.persistence import PooledSaver, memory_saver, setup_langgraph
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.postgres import PostgresBackend

OWNER = "ann"
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
VERSION = "00000000000000000000000000000001.0"


@dataclass(frozen=True)
class Site:
    """A storage, the checkpointer beside it, and what is left of a thread there."""

    storage: FullStorage
    saver: BaseCheckpointSaver[str]
    remains: Callable[[str], Awaitable[int]]


def in_memory() -> Site:
    """Return the site of memory mode."""
    backend = MemoryBackend()
    saver = memory_saver(backend)

    async def remains(thread_id: str) -> int:
        kept = [*saver.storage, *(key[0] for key in saver.writes), *(key[0] for key in saver.blobs)]
        return kept.count(thread_id)

    return Site(LocalStorage(backend), saver, remains)


async def in_postgres(database: Database) -> Site:
    """Return a site on a database."""
    await setup_langgraph(database)
    counts = " + ".join(
        f"(SELECT count(*) FROM {table} WHERE thread_id = %(id)s)"  # noqa: S608 -- a constant
        for table in TABLES
    )

    async def remains(thread_id: str) -> int:
        [row] = await database.read(f"SELECT {counts} AS n".encode(), {"id": thread_id})
        return int(row["n"])

    return Site(LocalStorage(PostgresBackend(database)), PooledSaver(database), remains)


@pytest.fixture
async def postgres_site(database: Database) -> Site:
    """Return a site on a database of this test."""
    return await in_postgres(database)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest) -> Site:
    """Return a site of each kind."""
    if request.param == "memory":
        return in_memory()
    made: Site = request.getfixturevalue("postgres_site")
    return made


async def talk(site: Site, thread_id: str) -> None:
    """Store a checkpoint in the root namespace and one in a subgraph's, with blobs and writes."""
    for namespace in ("", "inner"):
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"words": ["hello"]}
        checkpoint["channel_versions"] = {"words": VERSION}
        stored = await site.saver.aput(
            {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace}},
            checkpoint,
            {"source": "loop", "step": 1, "parents": {}},
            {"words": VERSION},
        )
        await site.saver.aput_writes(stored, [("words", "more")], "task")


async def a_thread(site: Site, **metadata: str) -> str:
    """Make a thread that a graph ran on."""
    thread = await site.storage.threads.create(metadata=metadata, owner=OWNER)
    await talk(site, thread.thread_id)
    assert await site.remains(thread.thread_id) >= 3
    return thread.thread_id


async def delete(site: Site, thread_id: str) -> None:
    """Delete the thread."""
    await site.storage.threads.delete(thread_id, owner=OWNER)


async def prune(site: Site, thread_id: str) -> None:
    """Delete the thread among others."""
    assert await site.storage.threads.prune([thread_id], strategy="delete", owner=OWNER) == 1


async def delete_assistant(site: Site, thread_id: str) -> None:
    """Delete the assistant that the thread belongs to, and its threads."""
    assistant = await site.storage.assistants.create("graph", owner=OWNER)
    mark = {"assistant_id": assistant.assistant_id}
    await site.storage.threads.update(thread_id, metadata=mark, owner=OWNER)
    await site.storage.assistants.delete(assistant.assistant_id, delete_threads=True, owner=OWNER)


@pytest.mark.invariant(38)
@pytest.mark.parametrize("by", [delete, prune, delete_assistant])
async def test_nothing_remains_of_a_deleted_thread(
    site: Site, by: Callable[[Site, str], Awaitable[None]]
) -> None:
    """Whichever call deletes it, its namespaces, blobs and writes go, and no other thread's."""
    gone, other = await a_thread(site), await a_thread(site)
    before = await site.remains(other)
    await by(site, gone)
    assert await site.remains(gone) == 0
    assert await site.remains(other) == before
    await site.storage.threads.create(thread_id=gone, owner=OWNER)
    assert await site.saver.aget_tuple({"configurable": {"thread_id": gone}}) is None


async def test_who_may_not_delete_the_thread_deletes_nothing(site: Site) -> None:
    """Another owner's attempts leave the checkpoints alone."""
    thread_id = await a_thread(site)
    before = await site.remains(thread_id)
    with pytest.raises(NotFound):
        await site.storage.threads.delete(thread_id, owner="bob")
    assert await site.storage.threads.prune([thread_id], owner="bob") == 0
    assert await site.storage.threads.prune_history(keep=1, owner="bob") == Pruned()
    assert await site.remains(thread_id) == before


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_deletion_that_is_cut_off_is_whole_or_not_at_all(
    database: Database, database_url: str, moment: Moment
) -> None:
    """The thread and its checkpoints are both there, or both gone."""
    near = await in_postgres(database)
    thread_id = await a_thread(near)
    before = await near.remains(thread_id)
    async with Proxy(database_url) as proxy, Database(DatabaseConfig(url=proxy.url)) as far:
        proxy.cut(moment, "DELETE FROM langgraph_server.threads")
        with pytest.raises(OutcomeUnknown):
            await delete(await in_postgres(far), thread_id)
    there = await near.storage.threads.count(ids=[thread_id], owner=OWNER)
    assert (there, await near.remains(thread_id)) == ((1, before) if moment == "before" else (0, 0))


async def test_a_deletion_that_is_killed_half_way_is_undone(
    database: Database, database_url: str
) -> None:
    """Killed with the checkpoints deleted and the writes to go, it leaves the thread as it was."""
    site = await in_postgres(database)
    thread_id = await a_thread(site)
    before = await site.remains(thread_id)
    async with (
        await AsyncConnection.connect(database_url) as holder,
        await AsyncConnection.connect(database_url, autocommit=True) as killer,
    ):
        await holder.execute("SELECT FROM checkpoint_writes FOR UPDATE")
        deleting = asyncio.create_task(delete(site, thread_id))
        killed = None
        while killed is None:
            cursor = await killer.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            killed = await cursor.fetchone()
        with pytest.raises(OutcomeUnknown):
            await deleting
    assert await site.storage.threads.count(ids=[thread_id], owner=OWNER) == 1
    assert await site.remains(thread_id) == before
    await delete(site, thread_id)
    assert await site.remains(thread_id) == 0
