"""What each call costs on the wire: round trips, statements and commits, counted by libpq."""

import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from psycopg.pq import Trace
from psycopg.pq.abc import PGconn
from psycopg.sql import SQL, Identifier

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.models import ClaimedRun, ThreadHead
from harness.persistence import Fence, PooledSaver, fenced, setup_langgraph
from harness.schema import SCHEMA
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from harness.storage.probe import TABLES
from tests.integration.fencing import WRITES, Begun

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libpq traces on Linux only")

OWNER = "ada"
HEAD = ThreadHead(values={"a": 2}, checkpoint_id=None, interrupts={}, error=None)
Call = Callable[["Fixed"], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What was sent and done on one connection."""

    round_trips: int
    statements: int
    commits: int


class Wire:
    """Counts what goes over one connection, from libpq's own trace of it."""

    def __init__(self, connection: PGconn) -> None:
        self._connection = connection
        self.cost = Cost(0, 0, 0)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is sent meanwhile, into `cost`."""
        with tempfile.TemporaryFile("w+") as trace:
            self._connection.trace(trace.fileno())
            self._connection.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            try:
                yield
            finally:
                self._connection.untrace()
            trace.seek(0)
            self.cost = _cost(trace.read())


def _cost(trace: str) -> Cost:
    """Count messages.

    The server says `ReadyForQuery` once a round trip, with `I` outside of a transaction, and the
    client sends an `Execute` or a `Query` for each statement.
    """
    simple = re.findall(r"^F\t\d+\tQuery\t \"(\w+)", trace, re.MULTILINE)
    control = sum(word in {"BEGIN", "COMMIT", "ROLLBACK"} for word in simple)
    executed = len(re.findall(r"^F\t\d+\tExecute\t", trace, re.MULTILINE))
    return Cost(
        round_trips=len(re.findall(r"^B\t\d+\tReadyForQuery\t", trace, re.MULTILINE)),
        statements=executed + len(simple) - control,
        commits=len(re.findall(r"^B\t\d+\tReadyForQuery\t I", trace, re.MULTILINE)),
    )


@dataclass(slots=True)
class Fixed:
    """A storage with a row of each resource."""

    storage: LocalStorage
    database: Database
    wire: Wire
    assistant: str
    thread: str
    run: str
    claimed: ClaimedRun
    cron: str

    async def make_due(self) -> None:
        """Let the cron come due."""
        async with self.database.pool.connection() as connection:
            await connection.execute(
                "UPDATE langgraph_server.crons SET next_run_date = %s",
                [datetime.now(UTC) - timedelta(days=1)],
            )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def single(scratch_databases: ScratchDatabases) -> AsyncIterator[tuple[Database, Wire]]:
    """A database with LangGraph's tables, over one connection, and what counts on it."""
    async with scratch_databases.clone() as url:
        config = DatabaseConfig(url=url, pool_min_size=1, pool_max_size=1)
        async with Database(config, name="budgets") as database:
            await setup_langgraph(database)
            async with database.pool.connection() as connection:
                # psycopg prepares a statement by a round trip of its own, once in a connection's
                # life.
                connection.prepare_threshold = None
                wire = Wire(connection.pgconn)
            yield database, wire


@pytest_asyncio.fixture(loop_scope="session")
async def fixed(single: tuple[Database, Wire]) -> Fixed:
    """A storage with a row of each resource, and no other."""
    database, wire = single
    async with database.transaction() as connection:
        for table in reversed(TABLES):
            await connection.execute(SQL("DELETE FROM {}").format(Identifier(SCHEMA, table)))
    storage = LocalStorage(PostgresBackend(database))
    assistant = (await storage.assistants.create("g", owner=OWNER)).assistant_id
    thread = (await storage.threads.create(owner=OWNER)).thread_id
    await storage.threads.add_state(thread, {"a": 1}, owner=OWNER)
    await storage.runs.create(thread, assistant, owner=OWNER)
    claimed = await storage.runs.claim(lease_s=60)
    assert claimed is not None
    run = (await storage.runs.create(thread, assistant, owner=OWNER)).run_id
    cron = await storage.crons.create(assistant, schedule="0 0 * * *", owner=OWNER)
    await storage.items.put_item(("home",), "plain", {}, owner=OWNER)
    await storage.items.put_item(("home",), "mortal", {}, ttl=5, owner=OWNER)
    return Fixed(storage, database, wire, assistant, thread, run, claimed, cron.cron_id)


ONE: dict[str, Call] = {
    "assistants.create": lambda f: f.storage.assistants.create("g", owner=OWNER),
    "assistants.create do_nothing": lambda f: f.storage.assistants.create(
        "g", assistant_id=f.assistant, if_exists="do_nothing", owner=OWNER
    ),
    "assistants.create_many": lambda f: f.storage.assistants.create_many(
        [{"graph_id": "g"}] * 100, owner=OWNER
    ),
    "assistants.get": lambda f: f.storage.assistants.get(f.assistant, owner=OWNER),
    "assistants.update": lambda f: f.storage.assistants.update(f.assistant, owner=OWNER),
    "assistants.search": lambda f: f.storage.assistants.search(metadata={"a": 1}, owner=OWNER),
    "assistants.count": lambda f: f.storage.assistants.count(owner=OWNER),
    "assistants.get_versions": lambda f: f.storage.assistants.get_versions(
        f.assistant, owner=OWNER
    ),
    "assistants.set_latest": lambda f: f.storage.assistants.set_latest(f.assistant, 1, owner=OWNER),
    "assistants.delete": lambda f: f.storage.assistants.delete(f.assistant, owner=OWNER),
    "assistants.delete with threads": lambda f: f.storage.assistants.delete(
        f.assistant, delete_threads=True, owner=OWNER
    ),
    "threads.create": lambda f: f.storage.threads.create(owner=OWNER),
    "threads.create do_nothing": lambda f: f.storage.threads.create(
        thread_id=f.thread, if_exists="do_nothing", owner=OWNER
    ),
    "threads.create_many": lambda f: f.storage.threads.create_many([{}] * 100, owner=OWNER),
    "threads.get": lambda f: f.storage.threads.get(f.thread, owner=OWNER),
    "threads.update": lambda f: f.storage.threads.update(f.thread, metadata={}, owner=OWNER),
    "threads.search": lambda f: f.storage.threads.search(status="idle", owner=OWNER),
    "threads.count": lambda f: f.storage.threads.count(owner=OWNER),
    "threads.cache_head": lambda f: f.storage.threads.cache_head(f.thread, HEAD, owner=OWNER),
    "threads.add_state": lambda f: f.storage.threads.add_state(f.thread, {}, owner=OWNER),
    "threads.get_state": lambda f: f.storage.threads.get_state(f.thread, owner=OWNER),
    "threads.get_history": lambda f: f.storage.threads.get_history(f.thread, owner=OWNER),
    "threads.copy": lambda f: f.storage.threads.copy(f.thread, owner=OWNER),
    "threads.delete": lambda f: f.storage.threads.delete(f.thread, owner=OWNER),
    "runs.create": lambda f: f.storage.runs.create(f.thread, f.assistant, owner=OWNER),
    "runs.create with thread": lambda f: f.storage.runs.create(
        "0193d7f2-8b1e-7c3a-9f4d-000000000001", f.assistant, if_not_exists="create", owner=OWNER
    ),
    "runs.begin": lambda f: f.storage.runs.begin(f.thread, f.assistant, lease_s=60, owner=OWNER),
    "runs.begin with thread": lambda f: f.storage.runs.begin(
        "0193d7f2-8b1e-7c3a-9f4d-000000000002",
        f.assistant,
        lease_s=60,
        if_not_exists="create",
        owner=OWNER,
    ),
    "runs.create_many": lambda f: f.storage.runs.create_many(
        [{"thread_id": f.thread, "assistant_id": f.assistant}] * 100, owner=OWNER
    ),
    "runs.get": lambda f: f.storage.runs.get(f.thread, f.run, owner=OWNER),
    "runs.update": lambda f: f.storage.runs.update(f.thread, f.run, metadata={}, owner=OWNER),
    "runs.list": lambda f: f.storage.runs.list(f.thread, owner=OWNER),
    "runs.search": lambda f: f.storage.runs.search(owner=OWNER),
    "runs.count": lambda f: f.storage.runs.count(owner=OWNER),
    "runs.get_active": lambda f: f.storage.runs.get_active(f.thread, owner=OWNER),
    "runs.update_status": lambda f: f.storage.runs.update_status(
        f.thread, f.run, "interrupted", owner=OWNER
    ),
    "runs.update_status with head": lambda f: f.storage.runs.update_status(
        f.thread, f.run, "interrupted", head=HEAD, owner=OWNER
    ),
    "runs.delete": lambda f: f.storage.runs.delete(f.thread, f.run, owner=OWNER),
    "runs.claim of nothing": lambda f: f.storage.runs.claim(lease_s=60),
    "runs.heartbeat": lambda f: f.storage.runs.heartbeat(f.claimed.lease, lease_s=60, owner=OWNER),
    "runs.hand_back": lambda f: f.storage.runs.hand_back(f.claimed.lease, owner=OWNER),
    "runs.finish": lambda f: f.storage.runs.finish(f.claimed.lease, "success", owner=OWNER),
    "runs.finish with head": lambda f: f.storage.runs.finish(
        f.claimed.lease, "success", head=HEAD, owner=OWNER
    ),
    "runs.discard": lambda f: f.storage.runs.discard(
        f.thread, f.claimed.run.run_id, lease=f.claimed.lease, owner=OWNER
    ),
    "items.put_item": lambda f: f.storage.items.put_item(("home",), "new", {}, owner=OWNER),
    "items.put_item again": lambda f: f.storage.items.put_item(("home",), "plain", {}, owner=OWNER),
    "items.put_many": lambda f: f.storage.items.put_many(
        [{"namespace": ("home",), "key": str(key), "value": {}} for key in range(100)],
        owner=OWNER,
    ),
    "items.get_item": lambda f: f.storage.items.get_item(("home",), "plain", owner=OWNER),
    "items.get_item without refresh": lambda f: f.storage.items.get_item(
        ("home",), "mortal", refresh_ttl=False, owner=OWNER
    ),
    "items.search_items": lambda f: f.storage.items.search_items(
        ("home",), refresh_ttl=False, owner=OWNER
    ),
    "items.count_items": lambda f: f.storage.items.count_items((), owner=OWNER),
    "items.list_namespaces": lambda f: f.storage.items.list_namespaces(owner=OWNER),
    "items.delete_item": lambda f: f.storage.items.delete_item(("home",), "plain", owner=OWNER),
    "items.sweep": lambda f: f.storage.items.sweep(),
    "crons.create": lambda f: f.storage.crons.create(
        f.assistant, schedule="0 0 * * *", owner=OWNER
    ),
    "crons.create_many": lambda f: f.storage.crons.create_many(
        [{"assistant_id": f.assistant, "schedule": "0 0 * * *"}] * 100, owner=OWNER
    ),
    "crons.get": lambda f: f.storage.crons.get(f.cron, owner=OWNER),
    "crons.update": lambda f: f.storage.crons.update(f.cron, metadata={}, owner=OWNER),
    "crons.search": lambda f: f.storage.crons.search(owner=OWNER),
    "crons.count": lambda f: f.storage.crons.count(owner=OWNER),
    "crons.delete": lambda f: f.storage.crons.delete(f.cron, owner=OWNER),
}
"""Calls that are one statement, one round trip and one commit."""


@pytest.mark.parametrize("call", ONE.values(), ids=ONE)
async def test_one_statement_one_round_trip_one_commit(fixed: Fixed, call: Call) -> None:
    """The call is one statement, which is its own transaction."""
    with fixed.wire.counting():
        await call(fixed)
    assert fixed.wire.cost == Cost(round_trips=1, statements=1, commits=1)


@pytest.mark.parametrize("write", sorted(WRITES.keys() - {"copy"}))
async def test_a_fenced_write_is_one_statement(fixed: Fixed, write: str) -> None:
    """What a run writes proves that its lease is current in the statement that writes it."""
    saver = PooledSaver(fixed.database)
    run = Begun(lease=fixed.claimed.lease, assistant=fixed.assistant, checkpoint=str(uuid4()))
    with fixed.wire.counting(), fenced(Fence.of(fixed.claimed.lease, owner=OWNER)):
        await WRITES[write](saver, run)
    assert fixed.wire.cost == Cost(round_trips=1, statements=1, commits=1)


async def test_a_claim_is_one_statement(fixed: Fixed) -> None:
    """Claiming a run that waits is one statement and one commit."""
    await fixed.storage.runs.finish(fixed.claimed.lease, "success", owner=OWNER)
    with fixed.wire.counting():
        claimed = await fixed.storage.runs.claim(lease_s=60)
    assert claimed is not None
    assert fixed.wire.cost == Cost(round_trips=1, statements=1, commits=1)


async def test_a_firing_is_one_statement(fixed: Fixed) -> None:
    """The due crons are found by one statement, and each fires by one more."""
    await fixed.make_due()
    with fixed.wire.counting():
        firings = await fixed.storage.crons.claim_due()
    assert len(firings) == 1
    assert fixed.wire.cost == Cost(round_trips=2, statements=2, commits=2)


async def test_only_an_item_that_can_expire_costs_a_refresh(fixed: Fixed) -> None:
    """Reading items with a time to live costs one more statement, however many they are."""
    with fixed.wire.counting():
        await fixed.storage.items.search_items(("home",), owner=OWNER)
    assert fixed.wire.cost == Cost(round_trips=2, statements=2, commits=2)


async def test_a_new_schedule_costs_a_read(fixed: Fixed) -> None:
    """What moves a cron's next date is computed here, from the row as it is."""
    with fixed.wire.counting():
        await fixed.storage.crons.update(fixed.cron, schedule="1 1 * * *", owner=OWNER)
    assert fixed.wire.cost == Cost(round_trips=2, statements=2, commits=2)


MANY: dict[str, tuple[int, Call]] = {
    "assistants or get": (
        2,
        lambda f: f.storage.assistants.create_many(
            [{"graph_id": "g", "if_exists": "do_nothing"}] * 100, owner=OWNER
        ),
    ),
    "runs with threads": (
        4,
        lambda f: f.storage.runs.create_many(
            [{"thread_id": f.thread, "assistant_id": f.assistant, "if_not_exists": "create"}] * 100,
            owner=OWNER,
        ),
    ),
    "prune": (2, lambda f: f.storage.threads.prune([f.thread], owner=OWNER)),
}
"""Bulks of several statements, and how many, which does not depend on the number of rows."""


@pytest.mark.parametrize(("statements", "call"), MANY.values(), ids=MANY)
async def test_a_bulk_is_one_transaction(fixed: Fixed, statements: int, call: Call) -> None:
    """A bulk that must look before it writes is a few statements and one commit."""
    with fixed.wire.counting():
        await call(fixed)
    assert fixed.wire.cost == Cost(statements + 2, statements, commits=1)
