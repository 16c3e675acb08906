"""`harness db check`: each kind of fault is found by its name, and repaired without harm."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from harness.config import DatabaseConfig
from harness.contract.builders import a_household, a_run, a_thread
from harness.contract.checkpointer.builders import Story, at, id_of
from harness.database import Database, ScratchDatabases
from harness.errors import SchemaMismatch
from harness.persistence import PooledSaver, setup_langgraph
from harness.persistence.check import FAULTS, Finding, check_database, repair_database
from harness.schema import CHECKPOINT_TABLES
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from harness.storage.probe import TABLES
from tests.integration.forked.process import run

pytestmark = pytest.mark.postgres

STAMP = {"run_id": str(uuid4()), "assistant_id": str(uuid4()), "graph_id": "agent"}
"""What the server's runs leave in the metadata of their checkpoints."""

UNUSED_BLOB = """
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    VALUES (%(thread)s, '', 'values', '99.9', 'msgpack', '\\xc0')"""
UNUSED_WRITE = """
    INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel,
                                   type, blob)
    VALUES (%(thread)s, '', %(other)s, 'task', 0, 'values', 'msgpack', '\\xc0')"""
THREAD = "UPDATE langgraph_server.threads SET {} WHERE thread_id::text = %({})s"
MISNAMED = "UPDATE langgraph_server.{} SET metadata = metadata - 'owner' WHERE owner = %(owner)s"
BY_HAND = "DELETE FROM langgraph_server.crons WHERE owner = 'eve'"
LEFT_OVER = """
    UPDATE langgraph_server.runs SET status = 'interrupted', kwargs = '{"temporary": true}'
    WHERE thread_id::text = %(thread)s;
    UPDATE langgraph_server.threads SET active_runs = 0, status = 'idle', next_run_at = NULL,
           next_run_id = NULL WHERE thread_id::text = %(thread)s"""

PLANTS: list[tuple[str, str]] = [
    (
        "lost_checkpoints",
        """SET LOCAL session_replication_role = replica;
        DELETE FROM langgraph_server.threads WHERE thread_id::text = %(idle)s""",
    ),
    ("lost_checkpoints", UNUSED_WRITE.replace("%(thread)s", "%(nowhere)s")),
    ("lost_checkpoints", UNUSED_BLOB.replace("%(thread)s", "%(nowhere)s")),
    ("unused_blobs", UNUSED_BLOB.replace("%(thread)s", "%(idle)s")),
    ("unused_writes", UNUSED_WRITE.replace("%(thread)s", "%(idle)s")),
    (
        "false_heads",
        """UPDATE langgraph_server.threads SET checkpoint_id = %(other)s::uuid
        WHERE thread_id::text = %(idle)s""",
    ),
    (
        "leaseless_runs",
        """UPDATE langgraph_server.runs SET status = 'running' WHERE thread_id::text = %(thread)s;
        UPDATE langgraph_server.threads SET running_run_id = (
            SELECT run_id FROM langgraph_server.runs WHERE thread_id::text = %(thread)s)
        WHERE thread_id::text = %(thread)s""",
    ),
    ("miscounted_threads", THREAD.format("status = 'busy'", "idle")),
    ("miscounted_threads", THREAD.format("status = 'idle'", "thread")),
    ("miscounted_threads", THREAD.format("active_runs = 7", "thread")),
    ("miscounted_threads", THREAD.format("running_run_id = %(other)s::uuid", "thread")),
    ("miscounted_threads", THREAD.format("next_run_at = NULL, next_run_id = NULL", "thread")),
    ("temporary_threads", LEFT_OVER),
    (
        "expired_threads",
        """UPDATE langgraph_server.threads SET ttl_minutes = 1, ttl_strategy = 'delete',
            updated_at = now() - interval '2 days'
        WHERE thread_id::text = %(idle)s""",
    ),
    (
        "expired_items",
        """UPDATE langgraph_server.store_items SET expires_at = now() - interval '2 hours'
        WHERE owner = %(owner)s""",
    ),
    (
        "foreign_rows",
        """UPDATE langgraph_server.crons SET owner = 'eve', metadata = '{"owner": "eve"}'
        WHERE thread_id::text = %(thread)s""",
    ),
    *(
        ("misnamed_owners", MISNAMED.format(table))
        for table in ("assistants", "threads", "runs", "crons")
    ),
]
"""Names of faults, and what makes them of sound rows."""


class Site:
    """A database with rows of two owners, and with checkpoints of another program."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.storage = LocalStorage(PostgresBackend(database))
        self.saver = PooledSaver(database)
        self.names: dict[str, str] = {}
        """What the planted faults are about."""

    async def fill(self) -> None:
        """Store one of everything for two new owners, and checkpoints of idle threads."""
        mine, other = f"mine-{uuid4()}", f"other-{uuid4()}"
        household = await a_household(self.storage, mine)
        await a_household(self.storage, other)
        idle = await a_thread(self.storage, owner=mine)
        await self.checkpoints(idle.thread_id)
        await self.checkpoints((await a_thread(self.storage, owner=other)).thread_id)
        await Story(self.saver).step({"values": [1]})
        await self.raw(UNUSED_BLOB, thread=f"{uuid4().hex[:17]}-{uuid4().hex[:18]}")
        self.names = {
            "owner": mine,
            "thread": household.thread.thread_id,
            "idle": idle.thread_id,
            "nowhere": str(uuid4()),
            "other": str(uuid4()),
        }

    async def checkpoints(self, thread_id: str) -> None:
        """Store what a run of the server stores on a thread."""
        story = Story(self.saver, thread_id)
        await story.step({"values": [1], "text": "one"}, **STAMP)
        await story.write(1, 2)
        await story.step({"values": [1, 2]}, **STAMP)
        await self.raw(
            THREAD.format("checkpoint_id = %(head)s::uuid", "id"),
            head=id_of(story.head),
            id=thread_id,
        )

    async def raw(self, statements: str, **parameters: Any) -> None:
        """Send statements in one transaction."""
        async with self.database.transaction() as connection:
            for statement in statements.split(";\n"):
                await connection.execute(statement.encode(), parameters)

    async def plant(self, statements: str) -> None:
        """Break rows by hand."""
        await self.raw(statements, **self.names)

    async def rows(self, *, others: bool = False) -> list[str]:
        """Return all rows of all tables, or only those that the faults are not about."""
        found: list[str] = []
        for table in (*(f"langgraph_server.{table}" for table in TABLES), *CHECKPOINT_TABLES):
            rows = await self.database.read(f"SELECT * FROM {table}".encode())  # noqa: S608 -- a constant
            found += [f"{table} {row}" for row in rows]
        mine = self.names.values() if others else ()
        return sorted(row for row in found if not any(name in row for name in mine))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def checked_site(scratch_databases: ScratchDatabases) -> AsyncIterator[Site]:
    """A database that the tests of this module share; each leaves it sound."""
    async with (
        scratch_databases.clone() as url,
        Database(DatabaseConfig.for_scratch(url), name="check") as database,
    ):
        await setup_langgraph(database)
        yield Site(database)


@pytest_asyncio.fixture(loop_scope="session")
async def site(checked_site: Site) -> Site:
    """The database with new rows, in which nothing is wrong."""
    await checked_site.fill()
    return checked_site


def names(findings: list[Finding]) -> list[str]:
    """Return the names of the faults that were found."""
    return [finding.fault.name for finding in findings]


async def test_a_sound_database_has_no_fault(site: Site) -> None:
    """Rows in every state that storage makes are sound, and so are another program's."""
    claimed = await site.storage.runs.claim(lease_s=60, owner=site.names["owner"])
    assert claimed is not None
    early = Story(site.saver, claimed.run.thread_id)
    early.head = at(claimed.run.thread_id, "", str(uuid4()))
    await early.write(1)  # a running graph may store it before its checkpoint
    owner = site.names["owner"]
    await a_run(site.storage, thread_id=site.names["idle"], after_seconds=60, owner=owner)
    before = await site.rows()
    assert await check_database(site.database) == []
    assert await repair_database(site.database) == []
    assert await site.rows() == before


def test_each_fault_is_planted() -> None:
    """Every kind of fault that is looked for is in the table of this test."""
    assert {name for name, _ in PLANTS} == {fault.name for fault in FAULTS}


@pytest.mark.parametrize(("name", "statements"), PLANTS)
async def test_a_fault_is_found_and_repaired(name: str, statements: str, site: Site) -> None:
    """It is named, looking changes nothing, a repair removes it and touches nobody else's rows."""
    others = await site.rows(others=True)
    await site.plant(statements)
    broken = await site.rows()
    assert names(await check_database(site.database)) == [name]
    assert await site.rows() == broken
    [repaired] = await repair_database(site.database)
    assert repaired.found.fault.name == name
    assert set(others) <= set(await site.rows())
    if repaired.found.fault.mend is None:
        assert repaired.left == repaired.found
        await site.plant(BY_HAND)
    else:
        assert repaired.left is None
    assert await check_database(site.database) == []


async def test_what_is_in_use_is_left_alone(site: Site) -> None:
    """A repair neither waits for a thread that somebody has locked nor changes it."""
    await site.plant(UNUSED_BLOB.replace("%(thread)s", "%(idle)s"))
    async with await psycopg.AsyncConnection.connect(site.database.config.url or "") as other:
        await other.execute(
            "SELECT 1 FROM langgraph_server.threads WHERE thread_id = %s FOR UPDATE",
            (site.names["idle"],),
        )
        [repaired] = await repair_database(site.database)
    assert repaired.left == repaired.found
    assert [one.left for one in await repair_database(site.database)] == [None]


async def test_only_our_database_is_checked(empty_database_url: str) -> None:
    """A database that no server has migrated is refused, and one without LangGraph's tables not."""
    async with Database(DatabaseConfig(url=empty_database_url), name="check") as database:
        with pytest.raises(SchemaMismatch):
            await check_database(database)
        await database.migrate()
        assert await check_database(database) == []


async def test_the_command_says_what_is_wrong(site: Site) -> None:
    """It exits with 1 and names the fault and an example; with 0 once it has repaired all."""
    env = {"DATABASE_URL": site.database.config.url or "", "COLUMNS": "200"}
    check = partial(run, "harness.cli:main", "db", "check", env=env)
    await site.plant(UNUSED_WRITE.replace("%(thread)s", "%(idle)s"))
    found = await check()
    assert found.code == 1
    assert "writes whose checkpoint is not there" in found.out
    assert site.names["idle"] in found.out
    repaired = await check("--repair")
    assert (repaired.code, "done: they are deleted" in repaired.out) == (0, True)
    assert await check_database(site.database) == []
