"""What a run loses when its database dies: measured at every superstep, on a real server."""

import asyncio
from dataclasses import replace

import psutil
import pytest

from harness.config import DatabaseConfig
from harness.database import Database
from harness.errors import ResultsError
from harness.measure.agent_plans import AGENTS_FULL, DurabilityPlan
from harness.measure.durability import die_at, measure_durability
from harness.measure.plans import QUICK, Plan
from harness.measure.records import Results
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.survival]

STEPS = 20


def plan(durability: DurabilityPlan) -> Plan:
    """A plan that asks for these deaths."""
    return replace(QUICK, agents=replace(QUICK.agents, durability=durability))


def check(results: Results) -> None:
    """What holds of every cell, whatever the durability."""
    assert results.complete
    for cell in results.durability:
        assert cell.finished, cell
        assert cell.died_at <= cell.acknowledged <= cell.seen <= STEPS, cell
        assert 0 <= cell.stored <= cell.seen, cell
        assert cell.lost == max(0, cell.acknowledged - cell.stored), cell
        assert cell.executed_again == cell.seen - cell.stored, cell


@pytest.mark.slow
@pytest.mark.invariant(49)
async def test_sync_loses_nothing_acknowledged(postgres_server: PostgresServer) -> None:
    """At each of 20 supersteps: every state that was given is stored, and only the next redone."""
    every = replace(AGENTS_FULL.durability, durabilities=("sync",))
    results = await measure_durability(postgres_server, plan(every))
    check(results)
    assert [cell.died_at for cell in results.durability] == list(range(1, STEPS + 1))
    for cell in results.durability:
        assert (cell.lost, cell.stored) == (0, cell.died_at), cell
        assert cell.seen <= cell.died_at + 1, "it ran on after a superstep that was not stored"


@pytest.mark.slow
async def test_the_others_lose_what_they_may(postgres_server: PostgresServer) -> None:
    """Control: `async` and `exit` run on and lose; what they lose is done again, once and all."""
    some = DurabilityPlan(deaths=(1, 10, STEPS), durabilities=("async", "exit"))
    told: list[int] = []
    results = await measure_durability(
        postgres_server, plan(some), on_progress=lambda done, total, _: told.append(total - done)
    )
    check(results)
    assert told == [5, 4, 3, 2, 1, 0]
    for cell in results.durability:
        if cell.died_at == STEPS:
            assert (cell.stored, cell.lost) == (STEPS, 0), "the end is told once it is stored"
            continue
        assert cell.seen == STEPS, "it ran on to its end"
        assert cell.lost > 0, cell
        assert cell.stored <= cell.died_at, "something was stored after the database had died"
        if cell.durability == "exit":
            assert (cell.stored, cell.resumable) == (0, False), cell


def children() -> set[int]:
    """The processes that this one has started: of each server, its supervisor."""
    return {process.pid for process in psutil.Process().children()}


@pytest.mark.slow
async def test_a_death_that_never_came_is_no_cell(own_postgres_server: PostgresServer) -> None:
    """A run that failed or ended by itself is said, and not counted as one that was survived."""
    with pytest.raises(ResultsError, match="failed before superstep 1"):
        await die_at(own_postgres_server, 1, "sync", steps=2)  # there are no tables
    async with Database(DatabaseConfig(url=own_postgres_server.url)) as database:
        await database.migrate()
        await setup_langgraph(database)
    with pytest.raises(ResultsError, match="ended before superstep 3 of 2"):
        await die_at(own_postgres_server, 3, "sync", steps=2)


@pytest.mark.slow
async def test_an_interruption_keeps_what_there_is(postgres_server: PostgresServer) -> None:
    """A measurement that is cancelled returns its cells, and its own server is gone."""
    this = asyncio.current_task()
    assert this is not None
    before = children()

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 1:
            this.cancel()

    results = await measure_durability(postgres_server, QUICK, on_progress=stop)
    assert not this.cancelling()
    assert (results.complete, len(results.durability)) == (False, 1)
    assert children() <= before


async def test_without_a_server_nothing_is_measured() -> None:
    """Memory has no database that could die."""
    results = await measure_durability(None, QUICK)
    assert (results.complete, results.durability) == (True, [])
