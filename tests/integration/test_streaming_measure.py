"""Streamed turns, measured end to end on small sizes, and the network that is made slow."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import psycopg
import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from harness.agents import build_agent
from harness.agents.model import DeterministicChatModel
from harness.database import Database
from harness.errors import ResultsError
from harness.faults.far import far
from harness.measure.agent_plans import AGENTS_QUICK, StreamingPlan
from harness.measure.agent_records import Durability
from harness.measure.plans import PLANS, QUICK, Plan
from harness.measure.records import load, save
from harness.measure.streamers import Stored, Streamer, stream_turn, streamers
from harness.measure.streaming import measure_streaming
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer


def plan_of(**sizes: Any) -> Plan:
    """A plan whose streaming is of these sizes."""
    tiny = StreamingPlan(rounds=2, budget_s=60, conversations=(1, 3), **sizes)
    return replace(QUICK, agents=replace(AGENTS_QUICK, streaming=tiny))


@pytest.mark.slow
@pytest.mark.postgres
async def test_every_cell_is_measured(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Both savers near and far, and near also memory and none; paired, whole, and loadable."""
    told: list[tuple[int, int]] = []
    plan = plan_of(durabilities=("async", "exit"), pool_size=2)
    results = await measure_streaming(
        postgres_server, plan, on_progress=lambda done, total, _: told.append((done, total))
    )
    assert results.complete
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert load(save(results, tmp_path)) == results
    measured = {
        (cell.network_ms, cell.durability, cell.conversations, cell.subject)
        for cell in results.streaming
    }
    near, away = ("none", "memory", "ours", "stock"), ("ours", "stock")
    assert measured == {
        (network_ms, durability, conversations, subject)
        for network_ms, subjects in ((0.0, near), (2.0, away))
        for durability in ("async", "exit")
        for conversations in (1, 3)
        for subject in subjects
    }
    for cell in results.streaming:
        assert len(cell.wall_s) == len(cell.order) == 2
        assert cell.pool_size == (2 if cell.subject in away else 0)
        for wall_s, firsts, totals in zip(
            cell.wall_s, cell.first_token_s, cell.total_s, strict=True
        ):
            assert len(firsts) == len(totals) == cell.conversations
            assert all(
                0 < first < total <= wall_s for first, total in zip(firsts, totals, strict=True)
            )


@pytest.mark.slow
async def test_memory_needs_no_server() -> None:
    """Without a server what needs none is measured, near."""
    results = await measure_streaming(None, plan_of(durabilities=("sync",)))
    assert {(cell.subject, cell.network_ms) for cell in results.streaming} == {
        ("none", 0.0),
        ("memory", 0.0),
    }


@pytest.mark.slow
async def test_interruption_keeps_whole_rounds() -> None:
    """A cancelled measurement returns what it had; a round of some subjects only is no round."""
    task = asyncio.current_task()
    assert task is not None

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 2 * 3 + 1:  # a warm-up, two rounds, and one subject of the third
            task.cancel()

    plan = plan_of(durabilities=("async",))
    longer = replace(plan.agents.streaming, rounds=9)
    plan = replace(plan, agents=replace(plan.agents, streaming=longer))
    results = await measure_streaming(None, plan, on_progress=stop)
    assert not task.cancelling()
    assert not results.complete
    assert [len(cell.wall_s) for cell in results.streaming] == [2, 2]
    assert [len(cell.total_s) for cell in results.streaming] == [2, 2]


@pytest.mark.postgres
@pytest.mark.parametrize(
    "durability",
    ["sync", *(pytest.param(late, marks=pytest.mark.slow) for late in ("async", "exit"))],
)
async def test_a_turn_that_was_not_stored_is_no_sample(
    database: Database, durability: Durability
) -> None:
    """A saver that keeps nothing where it says is found out after the clock has stopped."""
    await setup_langgraph(database)
    liar = Streamer("liar", InMemorySaver, stored=Stored(database))
    with pytest.raises(ResultsError, match="left 0 checkpoints"):
        await liar.sample(2, durability)
    async with streamers(database, network_ms=0, pool_size=2) as lent:
        for streamer in lent:
            await streamer.sample(2, durability)


async def test_an_answer_that_is_not_the_models_is_no_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens must make the answer."""
    monkeypatch.setattr("harness.agents.model.reply_to", lambda _: AIMessage("no").text)
    graph = build_agent(model=DeterministicChatModel())
    with pytest.raises(ResultsError, match="said 'no'"):
        await stream_turn(graph, "t", "async")


@pytest.mark.slow
@pytest.mark.postgres
async def test_far_is_slow_and_leaves_nothing_behind(database_url: str) -> None:
    """Each round trip takes as much longer; the proxy's process is gone afterwards."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with far(database_url, 40) as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            began_s = perf_counter()
            await connection.execute("SELECT 1")
            assert perf_counter() - began_s >= 0.040
        assert {child.pid for child in psutil.Process().children(recursive=True)} > before
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


def test_plans() -> None:
    """The targets can be judged: the default plan has 50 conversations, 2 ms away, on 10."""
    for name, plan in PLANS.items():
        streaming = plan.agents.streaming
        assert streaming.network_ms == (0.0, 2.0)
        assert streaming.pool_size == 10
        assert 1 in streaming.conversations
        assert (50 in streaming.conversations) == (name != "quick")
