"""One call of a checkpointer after another, and 50 at once: InMemorySaver, LangGraph's and ours."""

import asyncio
from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.measure.benchmarking import Sizes
from harness.measure.conversations import ON_POSTGRES, MemoryThreads, PostgresThreads
from harness.measure.names import CHECKPOINTS
from harness.measure.saver_workloads import (
    CALLS,
    SaverCase,
    SaverWorkload,
    at_once,
    one_by_one,
)
from harness.measure.turns import Turn

SAVERS = [
    "memory",
    *(pytest.param(name, marks=pytest.mark.postgres) for name in ON_POSTGRES),
]


@dataclass(frozen=True, slots=True)
class Bench:
    """Times savers."""

    benchmark: BenchmarkFixture
    loop: asyncio.AbstractEventLoop
    turn: Turn
    sizes: Sizes
    request: pytest.FixtureRequest

    def __call__(self, workload: SaverWorkload, saver_name: str) -> None:
        """Time a saver doing a workload; threads are planted and rows counted outside the clock."""
        place = "memory" if saver_name == "memory" else "postgres"
        case = SaverCase(self._threads(saver_name, workload.threads), workload)
        run = self.loop.run_until_complete
        self.benchmark.group = f"{CHECKPOINTS}: {workload.name}"
        self.benchmark.extra_info = {
            "resource": CHECKPOINTS,
            "subject": saver_name,
            "operations": workload.operations,
            "environment": self.request.getfixturevalue(f"{place}_environment"),
        }
        self.benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
            lambda: run(case.run()),
            setup=lambda: run(case.prepare()),
            teardown=lambda: run(case.verify()),
            rounds=self.sizes.rounds,
            warmup_rounds=1,
        )
        if self.benchmark.disabled:  # pytest-benchmark then calls no teardown
            run(case.verify())

    def _threads(self, saver_name: str, count: int) -> MemoryThreads | PostgresThreads:
        for subject in ON_POSTGRES:
            if subject == saver_name:
                database = self.request.getfixturevalue("saver_database")
                return PostgresThreads(database, self.turn, subject, count)
        return MemoryThreads(self.turn, count)


@pytest.fixture
def bench(
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    turn: Turn,
    sizes: Sizes,
    request: pytest.FixtureRequest,
) -> Bench:
    """What times a saver."""
    return Bench(benchmark, loop, turn, sizes, request)


@pytest.mark.parametrize("saver_name", SAVERS)
@pytest.mark.parametrize("call", CALLS)
def test_one_by_one(call: str, saver_name: str, bench: Bench) -> None:
    """Puts, writes, gets and lists, one after another on one thread."""
    bench(one_by_one(bench.turn, call, 10), saver_name)


@pytest.mark.slow
@pytest.mark.parametrize("saver_name", SAVERS)
@pytest.mark.parametrize("call", CALLS)
def test_50_at_once(call: str, saver_name: str, bench: Bench) -> None:
    """The same, one on each of 50 threads, all at the same time."""
    bench(at_once(bench.turn, call, 50), saver_name)
