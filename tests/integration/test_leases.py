"""Leases in Postgres: kept by a thread of their own, and told where they are lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection

from harness.database import Database
from harness.models import Lease, RunStatus
from harness.storage.local import LocalStorage
from harness.storage.postgres import PostgresBackend
from harness.storage.postgres.leases import PostgresLeases, listen

pytestmark = pytest.mark.postgres

OWNER = "ada"
NEVER_S = 3_600.0
"""Between two looks, where a test shows that none is needed."""
PATIENCE_S = 20.0


class Bench:
    """Storage, and runs that are begun."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.storage = LocalStorage(PostgresBackend(database))
        self.lost: asyncio.Queue[str] = asyncio.Queue()

    async def begin(self, lease_s: float = 60.0) -> Lease:
        """Begin a run on a thread of its own."""
        assistant = await self.storage.assistants.create("g", owner=OWNER)
        thread = await self.storage.threads.create(owner=OWNER)
        _, lease = await self.storage.runs.begin(
            thread.thread_id, assistant.assistant_id, lease_s=lease_s, owner=OWNER
        )
        assert lease is not None
        return lease

    @asynccontextmanager
    async def keeping(
        self, *leases: Lease, lease_s: float = 60.0, check_s: float = NEVER_S
    ) -> AsyncIterator[None]:
        """Keep leases in the block, from when the keeper listens."""
        keeper = PostgresLeases(self.database).keeper(
            lease_s=lease_s, on_lost=self.lost.put_nowait, check_s=check_s
        )
        try:
            await eventually(self.backends)
            await asyncio.sleep(0.1)  # until it listens
            for lease in leases:
                keeper.keep(lease)
            yield
        finally:
            await keeper.close()
        await eventually(self._is_alone)

    async def _is_alone(self) -> bool:
        return not await self.backends()

    async def next_lost(self) -> str:
        """Wait for the next lease that is told to be lost."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.lost.get()

    async def backends(self) -> list[int]:
        """Return the server processes that keepers are connected to."""
        found = await self.database.read(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'harness leases' AND datname = current_database()"
        )
        return [row["pid"] for row in found]

    async def all_in_time(self) -> bool:
        """Whether no run's lease has run out."""
        query = "SELECT run_id::text FROM langgraph_server.runs WHERE leased_until < now()"
        return not await self.database.read(query)

    async def cancel(self, lease: Lease) -> None:
        """End a run from outside."""
        await self.storage.runs.update_status(
            lease.thread_id, lease.run_id, "interrupted", owner=OWNER
        )


async def eventually(is_so: Callable[[], Awaitable[object]]) -> None:
    """Wait until something in the database is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():  # noqa: ASYNC110 -- another thread makes it so
            await asyncio.sleep(0.02)


@pytest.fixture
def bench(database: Database) -> Bench:
    """A bench on a database of its own."""
    return Bench(database)


async def test_a_lost_lease_is_notified(bench: Bench) -> None:
    """Cancelled, taken over, deleted, deleted with its thread: each loss is told, unasked."""
    runs, threads = bench.storage.runs, bench.storage.threads
    leases = [await bench.begin() for _ in range(4)]
    async with bench.keeping(*leases):
        cancelled, taken, deleted, orphaned = leases
        await bench.cancel(cancelled)
        assert await bench.next_lost() == cancelled.token
        await bench.database.write(
            "UPDATE langgraph_server.runs SET leased_until = now() WHERE run_id = %s",
            (taken.run_id,),
        )
        assert (await runs.claim(lease_s=60)) is not None
        assert await bench.next_lost() == taken.token
        await runs.delete(deleted.thread_id, deleted.run_id, owner=OWNER)
        assert await bench.next_lost() == deleted.token
        await threads.delete(orphaned.thread_id, owner=OWNER)
        assert await bench.next_lost() == orphaned.token


async def test_what_its_holder_does_is_not_notified(bench: Bench, database_url: str) -> None:
    """A lease that is prolonged, handed back, or ends with its run costs no notification."""
    runs = bench.storage.runs
    async with await AsyncConnection.connect(database_url, autocommit=True) as ear:
        await listen(ear)  # type: ignore[arg-type]  # rows of another kind
        statuses: tuple[RunStatus, ...] = ("success", "error")
        for status in statuses:
            await runs.finish(await bench.begin(), status, owner=OWNER)
        await runs.heartbeat(lease := await bench.begin(), lease_s=60, owner=OWNER)
        await runs.hand_back(lease, owner=OWNER)
        await bench.cancel(last := await bench.begin())
        async for told in ear.notifies(timeout=PATIENCE_S, stop_after=1):
            assert told.payload == last.token


async def test_a_loss_that_is_not_notified_is_found(bench: Bench) -> None:
    """Where no notification comes, a look tells within the time between two looks."""
    kept, lost = await bench.begin(), await bench.begin()
    await bench.database.write("ALTER TABLE langgraph_server.runs DISABLE TRIGGER USER")
    async with bench.keeping(kept, lost, check_s=0.05):
        await bench.cancel(lost)
        assert await bench.next_lost() == lost.token
        await asyncio.sleep(0.2)
        assert bench.lost.empty()


async def test_a_loss_during_an_outage_is_found(bench: Bench) -> None:
    """After its connection was cut a keeper makes another one, and looks at once."""
    kept, lost = await bench.begin(), await bench.begin()
    async with bench.keeping(kept, lost):
        [backend] = await bench.backends()
        await bench.database.read("SELECT pg_terminate_backend(%s)", (backend,))
        await bench.cancel(lost)
        assert await bench.next_lost() == lost.token
        await bench.cancel(kept)
        assert await bench.next_lost() == kept.token


@pytest.mark.slow
@pytest.mark.invariant(51)
async def test_leases_are_kept_while_the_loop_is_blocked(bench: Bench) -> None:
    """Code that blocks the event loop for longer than a lease loses none."""
    lease_s = 1.5
    leases = [await bench.begin(lease_s) for _ in range(3)]
    async with bench.keeping(*leases, lease_s=lease_s):
        time.sleep(1.5 * lease_s)  # noqa: ASYNC251 -- as user code does
        assert await bench.storage.runs.claim(lease_s=60) is None
    assert bench.lost.empty()


async def test_a_locked_run_holds_up_no_other(bench: Bench, database_url: str) -> None:
    """While somebody holds the row of one run, the leases of the others are prolonged."""
    lease_s = 1.5
    locked, *others = [await bench.begin(lease_s) for _ in range(3)]
    async with await AsyncConnection.connect(database_url) as other:
        await other.execute(
            "SELECT FROM langgraph_server.runs WHERE run_id = %s FOR UPDATE", (locked.run_id,)
        )
        async with bench.keeping(locked, *others, lease_s=lease_s):
            await asyncio.sleep(1.5 * lease_s)
            late: list[Any] = await bench.database.read(
                "SELECT run_id::text FROM langgraph_server.runs WHERE leased_until < now()"
            )
            assert [row["run_id"] for row in late] == [locked.run_id]
            assert bench.lost.empty()
            await other.rollback()
            await eventually(bench.all_in_time)


async def test_a_claim_waits_for_a_run_that_is_written(bench: Bench, database_url: str) -> None:
    """While a late write holds a run whose lease is over, a claim rests until that has ended."""
    overdue = await bench.begin()
    await bench.database.write(
        "UPDATE langgraph_server.runs SET leased_until = now() WHERE run_id = %s",
        (overdue.run_id,),
    )

    async def rests() -> bool:
        waiting = await bench.database.read(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(waiting)

    async with await AsyncConnection.connect(database_url) as writer:
        await writer.execute(  # as a run's fence does
            "SELECT FROM langgraph_server.runs WHERE run_id = %s FOR SHARE", (overdue.run_id,)
        )
        claiming = asyncio.create_task(bench.storage.runs.claim(lease_s=60))
        try:
            await eventually(rests)
        finally:
            await writer.rollback()
            claimed = await claiming
    assert claimed is not None
    assert claimed.run.run_id == overdue.run_id


async def test_who_waits_for_a_stop(bench: Bench) -> None:
    """A cancelled run is stopping until its holder denies it, or its lease would have ended."""
    leases = bench.storage.leases
    told, silent = await bench.begin(), await bench.begin(lease_s=0.5)
    for lease in (told, silent):
        assert not await leases.is_stopping(lease.run_id)
        await bench.cancel(lease)
    assert await leases.is_stopping(told.run_id)
    await leases.acknowledge(silent)  # of another run
    assert await leases.is_stopping(told.run_id)
    await leases.acknowledge(told)
    assert not await leases.is_stopping(told.run_id)
    dead = await bench.begin(lease_s=0.5)
    await bench.cancel(dead)

    async def has_stopped() -> bool:
        return not await leases.is_stopping(dead.run_id)

    await eventually(has_stopped)
