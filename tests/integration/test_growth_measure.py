"""Growth, measured end to end on small sizes: what is weighed is what lies there."""

import asyncio
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
from langgraph.types import StateSnapshot

from harness.database import Database
from harness.errors import ResultsError
from harness.measure import footprint as footprint_module
from harness.measure.agent_plans import AGENTS_QUICK, GrowthPlan
from harness.measure.agent_records import Channels
from harness.measure.footprint import copy_thread, disk_bytes, disk_factor, footprint
from harness.measure.growing import GrowingThread, config_of, graph_on, texts_of
from harness.measure.growth import measure_growth
from harness.measure.long_threads import cut, grow_long_threads
from harness.measure.plans import PLANS, QUICK, Plan
from harness.measure.reads import ReadCase
from harness.measure.records import load, save
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer

pytestmark = pytest.mark.postgres

TINY = GrowthPlan(turns=(1, 4), read_at=(3, 9), reads=2, budget_s=60, keep_latest=2)


def plan_of(growth: GrowthPlan) -> Plan:
    """A plan whose growth is of these sizes."""
    return replace(QUICK, agents=replace(AGENTS_QUICK, growth=growth))


@pytest.mark.slow
async def test_growth(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Every kind of thread is weighed, read and pruned; bytes grow; the results can be loaded."""
    told: list[tuple[int, int]] = []
    results = await measure_growth(
        postgres_server,
        plan_of(TINY),
        on_progress=lambda done, total, _: told.append((done, total)),
    )
    assert results.complete
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert load(save(results, tmp_path)) == results
    points = {(p.channels, p.durability, p.turns): p for p in results.growth}
    assert points.keys() == {
        (channels, durability, turns)
        for channels in TINY.channels
        for durability in TINY.durabilities
        for turns in TINY.turns
    }
    for (channels, durability, turns), point in points.items():
        if turns == 4:
            shorter = points[channels, durability, 1]
            assert point.rows["checkpoints"] > shorter.rows["checkpoints"]
            assert sum(point.stored_bytes.values()) > sum(shorter.stored_bytes.values())
            assert point.wal_bytes > shorter.wal_bytes > 0
    assert points["plain", "exit", 4].rows["checkpoints"] == 4
    assert points["plain", "sync", 4].rows == points["plain", "async", 4].rows
    assert points["plain", "sync", 4].rows["checkpoints"] == 16
    assert points["plain", "async", 4].rows["checkpoint_blobs"] == 12
    assert points["delta", "async", 4].rows["checkpoint_blobs"] == 4
    assert sum(points["delta", "async", 4].stored_bytes.values()) < sum(
        points["plain", "async", 4].stored_bytes.values()
    )
    read = {(t.workload, t.subject) for t in results.timings}
    assert read == {
        (f"{call}_at_{checkpoints}", channels)
        for call in ("state", "history_10")
        for checkpoints in (3, 9)
        for channels in ("plain", "delta")
    }
    factors = [p.disk_factor for p in results.growth if p.turns == TINY.turns[-1]]
    assert all(factor is not None and factor > 1 for factor in factors)
    gains = {(gain.channels, gain.turns): gain for gain in results.pruning}
    assert gains.keys() == {(one, turns) for one in TINY.channels for turns in (1, 3)}
    assert gains["plain", 1].checkpoints_before == 4
    assert gains["plain", 3].checkpoints_before == 12
    assert gains["plain", 3].checkpoints_after == 2
    assert gains["delta", 3].checkpoints_after >= 2
    for gain in gains.values():
        assert gain.bytes_after <= gain.bytes_before


async def test_what_is_weighed_is_what_lies_there(database: Database) -> None:
    """Rows and bytes are the thread's own, by table, as plain SQL counts them."""
    await setup_langgraph(database)
    thread = GrowingThread(graph_on(database, "plain"), "mine", "sync")
    other = GrowingThread(graph_on(database, "plain"), "other", "sync")
    for one in (thread, other, thread):
        await one.turn()
    there = await footprint(database, "mine")
    for table, rows in there.rows.items():
        [row] = await database.read(
            f"SELECT count(*) AS n, sum(pg_column_size(one.*)) AS size FROM {table} AS one "  # noqa: S608 -- a constant
            "WHERE thread_id = 'mine'"
        )
        assert (rows, there.stored_bytes[table]) == (row["n"], row["size"])
        assert rows > 0


@pytest.mark.parametrize("channels", TINY.channels)
async def test_a_copy_is_the_thread_as_it_was(channels: Channels, database: Database) -> None:
    """The first checkpoints of a thread, however many, read as they did then, history and all."""
    await setup_langgraph(database)
    thread = GrowingThread(graph_on(database, channels), "long")
    for _ in range(3):
        await thread.turn()

    async def history(thread_id: str) -> list[StateSnapshot]:
        found = [one async for one in thread.graph.aget_state_history(config_of(thread_id))]
        return found[::-1]

    was = await history("long")
    for checkpoints in range(1, len(was) + 1):
        await copy_thread(database, "long", f"copy-{checkpoints}", checkpoints)
        states = await history(f"copy-{checkpoints}")
        assert [one.values for one in states] == [one.values for one in was[:checkpoints]]
        assert [one.next for one in states] == [one.next for one in was[:checkpoints]]
        assert not any(task.result for task in states[-1].tasks)


@pytest.mark.slow
async def test_a_crowd_is_made_of_whole_copies(database: Database) -> None:
    """What stored bytes take on disk is measured on copies that take what their thread takes."""
    await setup_langgraph(database)
    thread = GrowingThread(graph_on(database, "plain"), "-mine")
    empty = sum((await disk_bytes(database)).values())
    for _ in range(8):
        await thread.turn()
    alone = sum((await disk_bytes(database)).values()) - empty
    factor = await disk_factor(database, "-mine")
    mine, copy = await footprint(database, "-mine"), await footprint(database, "1-mine")
    assert copy.rows == mine.rows
    assert sum(copy.stored_bytes.values()) == pytest.approx(
        sum(mine.stored_bytes.values()), rel=0.05
    )
    state = await thread.graph.aget_state(config_of("1-mine"))
    assert len(texts_of(state)) == 16
    assert 1 < factor < alone / sum(mine.stored_bytes.values())


async def test_a_read_that_lacks_messages_is_no_sample(database: Database) -> None:
    """What was read is held against what was said, after the clock has stopped."""
    await setup_langgraph(database)
    long = await grow_long_threads(database, ["plain"], 5)
    [thread] = await cut(database, long, 5, {"plain": "short"})
    case = ReadCase(replace(thread, said=(*thread.said, "and more")), "state")
    await case.prepare()
    await case.run()
    with pytest.raises(ResultsError, match="other messages"):
        await case.verify()
    with pytest.raises(ResultsError, match="of 500 checkpoints were copied"):
        await cut(database, long, 500, {"plain": "too long"})


@pytest.mark.slow
async def test_interruption_keeps_what_there_is(postgres_server: PostgresServer) -> None:
    """A cancelled measurement returns the points it had, and says that it is not complete."""
    task = asyncio.current_task()
    assert task is not None

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 6:
            task.cancel()

    results = await measure_growth(postgres_server, plan_of(TINY), on_progress=stop)
    assert not task.cancelling()
    assert not results.complete
    assert 0 < len(results.growth) < 12
    assert results.pruning == []


async def test_without_a_server_nothing_is_made_up() -> None:
    """Growth is a fact of Postgres' tables: where there are none, there are no numbers."""
    results = await measure_growth(None, plan_of(TINY))
    assert results.complete
    assert (results.growth, results.timings, results.pruning) == ([], [], [])


def test_every_block_of_sql_is_used() -> None:
    """No block of `footprint.sql` is left over."""
    source = inspect.getsource(footprint_module)
    assert all(f'SQL["{name}"]' in source for name in footprint_module.SQL)


def test_plans() -> None:
    """Growth is measured up to 200 turns and read up to 1,000 checkpoints by the full plan."""
    full = PLANS["full"].agents.growth
    assert (full.turns[0], full.turns[-1]) == (1, 200)
    for plan in (PLANS["full"], PLANS["default"]):
        assert plan.agents.growth.read_at == (10, 100, 1_000)
        assert plan.agents.growth.durabilities == ("sync", "async", "exit")
