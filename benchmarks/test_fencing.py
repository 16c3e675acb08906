"""What a run's fence adds to a put and to a task's writes: pairs with and without it."""

import asyncio

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.analysis.statistics import TIMES, paired_ratio
from harness.database import Database
from harness.measure.benchmarking import TIMED, Sizes
from harness.measure.fencing import measure_fence
from harness.measure.turns import Turn


@pytest.mark.postgres
@pytest.mark.parametrize("call", ["put", pytest.param("writes", marks=pytest.mark.slow)])
def test_fenced_beside_unfenced(
    call: str,
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    *,
    saver_database: Database,
    turn: Turn,
    sizes: Sizes,
) -> None:
    """The ratio of 200 alternating pairs stands in `extra_info`."""
    rounds = 200 if sizes == TIMED else 2

    def measure() -> None:
        taken = loop.run_until_complete(
            measure_fence(saver_database, turn, call, repeats=5, rounds=rounds)
        )
        ratio = paired_ratio(taken["fenced"].seconds, taken["unfenced"].seconds)
        benchmark.extra_info["fenced / unfenced"] = ratio.text(TIMES)

    benchmark.pedantic(measure)  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
