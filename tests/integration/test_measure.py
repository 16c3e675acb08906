"""Measurements end to end, on small sizes: what is measured, against what, and that it was done."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from harness.database import Database
from harness.errors import ResultsError
from harness.measure.backends import bind, plant
from harness.measure.environment import collect
from harness.measure.floors import bare
from harness.measure.gauge import Gauge, read
from harness.measure.paired import timed
from harness.measure.pgbench import find_pgbench
from harness.measure.plans import PLANS, QUICK, Plan
from harness.measure.pool import measure_cell
from harness.measure.records import load, save
from harness.measure.rows import RESOURCES, Table
from harness.measure.run import measure_pool, measure_timings
from harness.measure.sites import MemorySite, PostgresSite, Stage
from harness.measure.subjects import case_of
from harness.measure.workloads import creates
from harness.provision import PostgresServer

TINY = Plan(
    name="tiny",
    rounds=2,
    slow_rounds=1,
    budget_s=60,
    size=3,
    listed=5,
    searched=(12, 30),
    pool_sizes=(2,),
    callers=(1, 4),
    cell_s=0.02,
    pool_rows=12,
)
MINIMAL = replace(TINY, resources=("threads",), single_rows=False, listed=None, searched=())
TABLES: tuple[Table, ...] = (*RESOURCES, "states")


@pytest.mark.slow
async def test_timings(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Every workload is measured on both backends beside its floor, paired, and can be loaded."""
    told: list[tuple[int, int]] = []
    results = await measure_timings(
        postgres_server,
        replace(TINY, resources=("threads",)),
        on_progress=lambda done, total, _: told.append((done, total)),
    )
    assert results.complete
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert load(save(results, tmp_path)) == results
    measured = {(timing.workload, timing.subject) for timing in results.timings}
    assert {workload for workload, _ in measured} == {
        *("create_sequential", "create_20_workers", "create_at_once", "create_many"),
        *("get", "update", "delete", "count", "list_5", "add_state", "get_state", "get_history"),
        *("newest_10_of_12", "newest_10_of_30", "search_10_of_12", "search_10_of_30"),
    }
    for workload, _ in list(measured):
        for subject in ("memory", "postgres", "floor"):
            assert (workload, subject) in measured
    for timing in results.timings:
        assert len(timing.samples_s) == len(timing.order) in {1, 2}
        assert min(timing.samples_s) > 0


@pytest.mark.slow
async def test_floors(postgres_server: PostgresServer) -> None:
    """Creates of every resource stand beside pgbench, COPY, and validating and copying."""
    creates_only = replace(
        MINIMAL, rounds=1, resources=RESOURCES, creates=("create_sequential", "create_many")
    )
    results = await measure_timings(postgres_server, creates_only)
    measured = {(timing.workload, timing.resource, timing.subject) for timing in results.timings}
    for resource in RESOURCES:
        assert ("create_many", resource, "copy") in measured
        assert ("create_sequential", resource, "memory floor") in measured
        if find_pgbench() is not None:
            assert ("create_sequential", resource, "pgbench") in measured


@pytest.mark.slow
async def test_memory_needs_no_server() -> None:
    """Without a server the memory backend and its floor are measured, and nothing else."""
    results = await measure_timings(None, MINIMAL)
    assert {timing.subject for timing in results.timings} == {"memory", "memory floor"}
    assert results.environment.postgres is None
    pool = await measure_pool(None, MINIMAL)
    assert {cell.subject for cell in pool.pool} == {"memory"}


@pytest.mark.parametrize("table", TABLES)
async def test_floors_send_what_the_backend_sends(
    table: Table, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each call the floor's statements are the backend's, word for word."""
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def listening(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(re.sub(r"\s+", " ", str(query)).replace("( ", "(").replace(" )", ")").lower())
        return await execute(self, query, *args, **kwargs)

    site = PostgresSite(database)

    async def statements(floor: bool, call: str) -> list[str]:
        """What is sent for one call on two rows that are there, with room for two new ones."""
        await site.clear()
        await plant(site.storage, table, 0 if call.startswith("create") else 2, parents=2)
        pool = database.pool
        calls = bare.bind(pool, table, 2) if floor else bind(site.storage, table, 2)
        arguments = {"search": [], "count": [], "create_many": [2], "newest": [10]}.get(call, [0])
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.AsyncCursor, "execute", listening)
            sent.clear()
            await getattr(calls, call)(*arguments)
        return list(sent)

    calls = ["create", "get", "newest"]
    if table != "states":
        calls += ["create_many", "update", "search", "count", "delete"]
    for call in calls:
        theirs = await statements(floor=False, call=call)
        assert await statements(floor=True, call=call) == theirs, (
            f"write the backend's {call} into harness/measure/floors/{table}.sql"
        )


async def test_work_that_was_not_done_is_no_sample(database: Database) -> None:
    """A subject that writes one row too few is found out after the clock has stopped."""
    stage = Stage(PostgresSite(database))
    [workload, *_] = creates("threads", 4)
    lazy = replace(workload, run=creates("threads", 3)[0].run)
    with pytest.raises(ResultsError, match=r"left 3 rows .* where 4"):
        await timed(case_of("postgres", lazy, stage))


async def test_floors_of_postgres_need_postgres() -> None:
    """A floor cannot be asked for where there is no Postgres, nor a subject that nobody knows."""
    [workload, *_] = creates("threads", 4)
    with pytest.raises(TypeError):
        case_of("floor", workload, Stage(MemorySite()))
    with pytest.raises(ValueError, match="no subject 'mongodb'"):
        case_of("mongodb", workload, Stage(MemorySite()))


@pytest.mark.slow
async def test_pool_cells(postgres_server: PostgresServer) -> None:
    """Both backends and the floor are driven under every load; shares and peaks are possible."""
    results = await measure_pool(postgres_server, TINY)
    assert results.complete
    seen = {(cell.subject, cell.pool_size, cell.callers, cell.mix) for cell in results.pool}
    assert seen == {
        (subject, size, callers, mix)
        for subject, size in (("memory", 0), ("postgres", 2), ("floor", 2))
        for callers in TINY.callers
        for mix in TINY.mixes
    }
    for cell in results.pool:
        assert cell.wait_ms == sorted(cell.wait_ms)
        if cell.subject != "memory":
            assert 0 < cell.busy_share <= 1
            assert 1 <= cell.peak_in_use <= min(cell.callers, cell.pool_size)
            assert max(queued for _, _, queued in cell.timeline) <= cell.callers


async def test_gauge_on_a_pool_of_one(database_url: str) -> None:
    """Five callers of one connection keep it busy, one after another, and queue for it."""
    gauge = Gauge()
    hold_s = 0.02
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        await pool.wait()

        async def caller() -> None:
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(%s)", (hold_s,))

        with gauge.watch(pool):
            start_s = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(5)))
            end_s = time.perf_counter()
        await caller()
    checkouts = gauge.checkouts()
    assert len(checkouts) == 5
    reading = read(checkouts, pool_size=1, start_s=start_s, end_s=end_s)
    assert reading.peak_in_use == 1
    assert max(queued for _, _, queued in reading.timeline) == 4
    assert reading.busy_share >= 5 * hold_s / (end_s - start_s)
    assert all(wait >= 1_000 * hold_s * place for place, wait in enumerate(reading.wait_ms))


async def test_created_rows_are_counted(database: Database) -> None:
    """A subject that says it creates and does not is found out."""
    site = PostgresSite(database)
    await plant(site.storage, "threads", 4, parents=0)
    calls = bind(site.storage, "threads", 4)
    with pytest.raises(ResultsError, match="and 0 are there"):
        await measure_cell(
            site,
            replace(calls, create=calls.get),
            subject="liar",
            callers=2,
            mix="creates",
            duration_s=0.01,
            rows=4,
        )


@pytest.mark.parametrize(
    "measure", [measure_timings, pytest.param(measure_pool, marks=pytest.mark.slow)]
)
async def test_interruption_keeps_what_there_is(
    measure: Any, postgres_server: PostgresServer
) -> None:
    """A measurement that is cancelled returns what it had, says so, and drops its databases."""
    task = asyncio.current_task()
    assert task is not None
    plan = replace(MINIMAL, rounds=50, callers=(1, 2, 3))

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 12:
            task.cancel()

    query = "SELECT count(*) FROM pg_database WHERE datname LIKE 'harness_scratch%'"
    async with await psycopg.AsyncConnection.connect(postgres_server.url) as connection:
        before = await (await connection.execute(query)).fetchone()
        results = await measure(postgres_server, plan, on_progress=stop)
        assert await (await connection.execute(query)).fetchone() == before
    assert not task.cancelling()
    assert not results.complete
    assert results.timings or results.pool
    for timing in results.timings:
        assert len(timing.samples_s) < 50


async def test_environment(postgres_server: PostgresServer) -> None:
    """The record names the machine, the libraries, the server and what makes it fast or safe."""
    environment = await collect(postgres_server)
    assert environment.cpu
    assert environment.cores > 0
    assert environment.libraries["psycopg"]
    assert environment.postgres is not None
    assert environment.postgres.version == postgres_server.version
    assert environment.postgres.fsync == ("on" if postgres_server.fsync else "off")
    assert environment.postgres.location == postgres_server.location


def test_plans() -> None:
    """Every plan times 100 creates of all resources and looks at pools of 1, 5, 10 and 20."""
    for plan in PLANS.values():
        measured = {(w.resource, w.name) for _, group in plan.groups() for w in group}
        for resource in RESOURCES:
            assert (resource, "create_sequential") in measured
        assert plan.size == 100
        assert plan.pool_sizes == (1, 5, 10, 20)
        assert {1, 200} <= set(plan.callers)
    assert sum(len(group) for _, group in QUICK.groups()) == 20
