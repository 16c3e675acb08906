"""The measurement of stores end to end, on small sizes: who was asked, timed and disturbed."""

import asyncio
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.store.base import Op, PutOp, Result
from langgraph.store.memory import InMemoryStore

from harness.analysis.stores import answer_frame
from harness.contract.langgraph_store import QUESTIONS
from harness.contract.store_differences import IN_MEMORY, POSTGRES, STORE_DIFFERENCES
from harness.errors import ResultsError
from harness.measure.agent_plans import AGENTS_QUICK, StoresPlan
from harness.measure.agent_records import DISTURBANCES
from harness.measure.contract_run import run_contract
from harness.measure.names import OURS_IN_MEMORY, STORES
from harness.measure.plans import QUICK
from harness.measure.records import load, save
from harness.measure.store_sites import StockMemorySite
from harness.measure.store_work import StoreCase, store_works
from harness.measure.stores import measure_stores
from harness.provision import PostgresServer

PLAN = replace(
    QUICK,
    agents=replace(
        AGENTS_QUICK,
        stores=StoresPlan(
            rounds=1, budget_s=60, items=3, callers=4, mix_rounds=1, archived=20, fields=5
        ),
    ),
)


@pytest.mark.slow
async def test_stores(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """All four are asked everything, timed side by side and disturbed; all of it can be loaded."""
    told: list[tuple[int, int]] = []
    results = await measure_stores(
        postgres_server, PLAN, on_progress=lambda done, total, _: told.append((done, total))
    )
    assert results.complete
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert load(save(results, tmp_path)) == results

    answers = answer_frame(results)
    assert list(answers.columns) == ["question", *STORES]
    assert list(answers.index) == list(QUESTIONS)
    declared = {(known.store, known.question) for known in STORE_DIFFERENCES}
    found = {
        (store, question)
        for store in STORES
        for question in answers.index
        if answers[store][question] != "yes"
    }
    assert found == declared
    assert {outcome.outcome for outcome in results.contract} == {"passed", "differs"}

    assert {(timing.workload, timing.subject) for timing in results.timings} == {
        (work.name, store) for work in store_works(3, 4) for store in STORES
    }
    for timing in results.timings:
        assert timing.resource == "store"
        assert len(timing.samples_s) == len(timing.order) == 1

    assert {(mix.subject, mix.disturbance) for mix in results.stores} == {
        (store, disturbance) for store in STORES for disturbance in DISTURBANCES
    }
    for mix in results.stores:
        lost = mix.subject == POSTGRES and mix.disturbance == "bad operation"
        assert mix.failed == [4 if lost else 0]
        assert [len(one) for one in mix.latency_ms] == [0 if lost else 4]
        assert len(mix.slow_ms) == (mix.disturbance == "slow search")


@pytest.mark.slow
async def test_stores_in_memory_need_no_server() -> None:
    """Without a server the two in memory are asked and measured, and nothing else."""
    results = await measure_stores(None, PLAN)
    both = {IN_MEMORY, OURS_IN_MEMORY}
    assert {outcome.backend for outcome in results.contract} == both
    assert {timing.subject for timing in results.timings} == both
    assert {mix.subject for mix in results.stores} == both
    assert results.environment.postgres is None


@pytest.mark.slow
async def test_interruption_keeps_the_answers(postgres_server: PostgresServer) -> None:
    """A measurement that is cancelled while it asks returns what was answered, and says so."""
    task = asyncio.current_task()
    assert task is not None

    def stop(done: int, _total: int, _label: str) -> None:
        if done == 3:
            task.cancel()

    query = "SELECT count(*) FROM pg_database WHERE datname LIKE 'harness_scratch%'"
    async with await psycopg.AsyncConnection.connect(postgres_server.url) as connection:
        before = await (await connection.execute(query)).fetchone()
        results = await measure_stores(postgres_server, PLAN, on_progress=stop)
        assert await (await connection.execute(query)).fetchone() == before
    assert not task.cancelling()
    assert not results.complete
    assert results.contract
    assert results.timings == []


@pytest.mark.slow
async def test_a_fixed_library_is_a_failure(tmp_path: Path) -> None:
    """What passes though declared to differ fails and says so; what differs has its reason."""
    suite = """
        from harness.contract.store_base import StoreSubject
        from harness.contract.store_differences import StoreDifference


        class TestFixed(StoreSubject):
            subject_name = "Fixed"
            differences = (
                StoreDifference("test_still", "Fixed", "it is so"),
                StoreDifference("test_no_more", "Fixed", "it was so"),
            )

            def test_still(self):
                assert False

            def test_no_more(self):
                pass

            def test_never(self):
                pass
    """
    (tmp_path / "suite_of_a_fixed_library.py").write_text(textwrap.dedent(suite))
    asked = run_contract(
        ["memory"],
        suite="suite_of_a_fixed_library",
        log=tmp_path / "log",
        environment={"PYTHONPATH": str(tmp_path)},
    )
    found = {progress.outcome.test: progress.outcome async for progress in asked}
    assert {test: outcome.outcome for test, outcome in found.items()} == {
        "test_still": "differs",
        "test_no_more": "failed",
        "test_never": "passed",
    }
    assert {outcome.backend for outcome in found.values()} == {"Fixed"}
    assert found["test_still"].message == "it is so"
    assert found["test_no_more"].message.startswith("it passes now")
    assert "it was so" in found["test_no_more"].message


class Forgetful(InMemoryStore):
    """A store that acknowledges puts and keeps none."""

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out all but puts."""
        return await super().abatch(
            [op._replace(value=None) if isinstance(op, PutOp) else op for op in ops]
        )


async def test_puts_that_were_not_done_are_no_sample() -> None:
    """A store that keeps nothing is found out after the clock has stopped."""
    works: dict[str, Any] = {work.name: work for work in store_works(3, 4)}
    site = StockMemorySite()
    case = StoreCase(site, works["put_at_once"])
    await case.prepare()
    site.store = Forgetful()
    await case.run()
    with pytest.raises(ResultsError, match="left 0 items, where 4 and 4 were expected"):
        await case.verify()
