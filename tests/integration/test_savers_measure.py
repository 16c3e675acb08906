"""Savers are measured by what LangGraph asks of them, and what they acknowledged is counted."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.database import Database
from harness.errors import ResultsError
from harness.measure.agent_plans import SaversPlan
from harness.measure.conversations import (
    ON_POSTGRES,
    Conversation,
    MemoryThreads,
    OnPostgres,
    Planted,
    PostgresThreads,
    prepare,
)
from harness.measure.paired import timed
from harness.measure.plans import QUICK
from harness.measure.recording import SAID, recorded_turn
from harness.measure.records import load, save
from harness.measure.saver_workloads import CALLS, SaverCase, at_once, one_by_one
from harness.measure.savers import measure_saver, measure_savers
from harness.measure.turns import Get, Put, Turn, Write
from harness.persistence import PooledSaver
from harness.provision import PostgresServer

TINY = SaversPlan(cell_s=0.02, rounds=2, alone_rounds=1, alone_turns=1, pool_sizes=(1, 2), tasks=4)


@pytest.fixture(scope="module")
async def turn() -> Turn:
    """Return what LangGraph asks for in a turn."""
    return await recorded_turn()


@pytest.fixture
async def prepared(database: Database, turn: Turn) -> Database:
    """Return a database of this test in which threads can be planted."""
    await prepare(database, turn)
    return database


def plan_of(savers: SaversPlan) -> Any:
    """Return a plan that measures savers so."""
    return replace(QUICK, agents=replace(QUICK.agents, savers=savers))


async def talked(threads: PostgresThreads, turns: int) -> Planted:
    """Carry one thread on for some turns."""
    planted = await threads.plant()
    one = Conversation(planted.player, threads.turn, planted.ids[0])
    for _ in range(turns * len(threads.turn.calls)):
        await one.go_on()
    return planted


async def test_a_turn_is_what_langgraph_asks_for(turn: Turn) -> None:
    """It reads once; then each checkpoint is followed by the writes of the task that it runs."""
    assert [type(call) for call in turn.calls] == [Get, *3 * [Put, Write], Put]
    last = turn.calls[-1]
    assert isinstance(last, Put)
    assert len(last.checkpoint["channel_values"]["messages"]) == 2 * len(SAID)


@pytest.mark.slow
async def test_savers(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Everybody is driven on every pool in pairs, and one conversation is timed beside memory."""
    told: list[tuple[int, int]] = []
    results = await measure_savers(
        postgres_server,
        plan_of(TINY),
        on_progress=lambda done, total, _: told.append((done, total)),
    )
    assert results.complete
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert load(save(results, tmp_path)) == results
    assert Counter((cell.subject, cell.pool_size) for cell in results.pool) == {
        (subject, size): TINY.rounds for subject in ON_POSTGRES for size in TINY.pool_sizes
    }
    for cell in results.pool:
        assert (cell.mix, cell.callers) == ("checkpoints", TINY.tasks)
        assert 0 < cell.busy_share <= 1
        assert 1 <= cell.peak_in_use <= (1 if cell.subject == "stock" else cell.pool_size)
    assert {timing.subject for timing in results.timings} == {"memory", *ON_POSTGRES}
    assert {timing.operations for timing in results.timings} == {8}


async def test_everybody_stores_the_same(prepared: Database, turn: Turn) -> None:
    """After two turns a thread holds the same, whoever carried it on, the floor included."""
    left: list[list[tuple[Any, ...]]] = []
    for subject in ON_POSTGRES:
        planted = await talked(PostgresThreads(prepared, turn, subject, 1), 2)
        config = turn.config(planted.ids[0])
        found = [one async for one in PooledSaver(prepared).alist(config)]
        assert {one.config["configurable"]["thread_id"] for one in found} == {*planted.ids}
        left.append(
            [
                (one.checkpoint, one.metadata["step"], one.metadata["source"], one.pending_writes)
                for one in found
            ]
        )
    assert left[0] == left[1] == left[2]
    assert len(left[0]) == 3 * turn.puts
    newest = left[0][0][0]
    last = turn.calls[-1]
    assert isinstance(last, Put)
    assert newest["channel_values"] == last.checkpoint["channel_values"]


async def test_the_floor_sends_what_our_saver_sends(
    prepared: Database, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each call the statements are the same, word for word, and so are the rows of each."""
    sent: list[tuple[str, int]] = []
    execute, executemany = psycopg.AsyncCursor.execute, psycopg.AsyncCursor.executemany

    def note(query: Any, rows: int) -> None:
        words = re.sub(r"\s+", " ", str(query)).strip(" ;").lower()
        sent.append((words, rows))

    async def executing(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        note(query, 1)
        return await execute(self, query, *args, **kwargs)

    async def executing_many(self: Any, query: Any, params: Any, **kwargs: Any) -> Any:
        note(query, len(params))
        return await executemany(self, query, params, **kwargs)

    async def statements(subject: OnPostgres) -> list[tuple[str, int]]:
        threads = PostgresThreads(prepared, turn, subject, 1)
        planted = await threads.plant()
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.AsyncCursor, "execute", executing)
            patch.setattr(psycopg.AsyncCursor, "executemany", executing_many)
            sent.clear()
            for step in planted.player.steps:
                await step(planted.ids[0], 1)
            await planted.player.newest(planted.ids[0], 4)
        return list(sent)

    theirs = await statements("ours")
    assert await statements("floor") == theirs, (
        "write what the saver sends into harness/measure/floors/checkpoints.sql"
    )


@pytest.mark.parametrize("call", CALLS)
async def test_workloads(prepared: Database, turn: Turn, call: str) -> None:
    """Each call can be timed alone and at once, on everybody, and leaves what it should."""
    for workload in (one_by_one(turn, call, 2), at_once(turn, call, 3)):
        count = workload.threads
        assert await timed(SaverCase(MemoryThreads(turn, count), workload)) > 0
        for subject in ON_POSTGRES:
            threads = PostgresThreads(prepared, turn, subject, count)
            assert await timed(SaverCase(threads, workload)) > 0


async def test_a_put_that_was_acknowledged_and_is_not_there_is_found(
    prepared: Database, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saver that only says that it has stored a task's writes is no measurement."""

    async def lying(*_arguments: Any) -> None:
        pass

    monkeypatch.setattr(PooledSaver, "aput_writes", lying)
    with pytest.raises(ResultsError, match=r"not there: 0 of \d+ checkpoint_writes are"):
        await measure_saver(PostgresThreads(prepared, turn, "ours", 3), 0.05)


@pytest.mark.slow
async def test_interruption_keeps_whole_rounds(postgres_server: PostgresServer) -> None:
    """What was measured by then is pairs, and marked as incomplete."""
    task = asyncio.current_task()
    assert task is not None

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 8:
            task.cancel()

    results = await measure_savers(postgres_server, plan_of(TINY), on_progress=stop)
    assert not task.cancelling()
    assert not results.complete
    assert Counter(cell.subject for cell in results.pool) == dict.fromkeys(ON_POSTGRES, 1)
