"""Fixtures of the benchmarks: timed under `--benchmark-only`, else each runs once, on few rows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TypeGuard

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.measure.benchmarking import TIMED, UNTIMED, Measure, Sizes
from harness.measure.conversations import prepare
from harness.measure.environment import collect
from harness.measure.recording import recorded_turn
from harness.measure.rows import RESOURCES
from harness.measure.sites import MemorySite, PostgresSite, Stage
from harness.measure.subjects import case_of
from harness.measure.turns import Turn
from harness.measure.workloads import Workload
from harness.provision import PostgresServer


def is_timed(config: pytest.Config) -> bool:
    """Whether benchmarks were asked for."""
    return bool(config.getoption("benchmark_only") or config.getoption("benchmark_enable"))


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark reads its options
def pytest_configure(config: pytest.Config) -> None:
    """Time nothing unless that is asked for: a plain run calls each benchmark once."""
    if not is_timed(config):
        config.option.benchmark_disable = True


@pytest.hookimpl(trylast=True)  # after whatever shuffles
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put benchmarks last and in their own order: those of the same rows follow each other.

    Under `--benchmark-only` the rest is deselected; pytest-benchmark would report each as skipped.
    """
    if config.getoption("benchmark_only"):
        config.hook.pytest_deselected(items=[item for item in items if not _is_benchmark(item)])
        items[:] = [item for item in items if _is_benchmark(item)]
    items.sort(key=_place)


def _is_benchmark(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and "benchmark" in item.fixturenames


def _place(item: pytest.Item) -> tuple[str, ...]:
    if not _is_benchmark(item):
        return ()
    params = item.callspec.params if hasattr(item, "callspec") else {}
    rows = [str(value) for name, value in sorted(params.items()) if name != "subject"]
    return (str(item.path), item.originalname, *rows, str(params.get("subject", "")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Measure each benchmark on memory, on Postgres, and as the same SQL through bare psycopg.

    What is measured of one resource is measured of all; a run that times nothing tries one.
    """
    if "resource" in metafunc.fixturenames:
        others = [pytest.param(name, marks=pytest.mark.slow) for name in RESOURCES[1:]]
        metafunc.parametrize("resource", [RESOURCES[0], *others])
    if "subject" in metafunc.fixturenames:
        on_postgres = [
            pytest.param(name, marks=pytest.mark.postgres) for name in ("postgres", "floor")
        ]
        metafunc.parametrize("subject", ["memory", *on_postgres])


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    """Sizes of this run."""
    return TIMED if is_timed(pytestconfig) else UNTIMED


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for the benchmarks alone: pytest-benchmark calls functions that are not async."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner.get_loop()


@pytest.fixture(scope="session")
def memory_stage() -> Stage:
    """Tables in memory."""
    return Stage(MemorySite())


@pytest.fixture(scope="session")
def postgres_stage(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer
) -> Iterator[Stage]:
    """Tables in a scratch database, behind a pool with default settings."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Stage]:
        async with (
            ScratchDatabases(postgres_server.url) as scratch,
            scratch.clone() as url,
            Database(DatabaseConfig.for_scratch(url), name="benchmarks") as database,
        ):
            yield Stage(PostgresSite(database))

    context = opened()
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def turn(loop: asyncio.AbstractEventLoop) -> Turn:
    """What LangGraph asks for in a turn."""
    return loop.run_until_complete(recorded_turn())


@pytest.fixture(scope="session")
def saver_database(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer, turn: Turn
) -> Iterator[Database]:
    """A scratch database, behind a pool with default settings."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Database]:
        async with (
            ScratchDatabases(postgres_server.url) as scratch,
            scratch.clone() as url,
            Database(DatabaseConfig.for_scratch(url), name="benchmarks") as database,
        ):
            await prepare(database, turn)
            yield database

    context = opened()
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def memory_environment(loop: asyncio.AbstractEventLoop) -> dict[str, str]:
    """What the benchmarks of memory run on."""
    return loop.run_until_complete(collect(None)).fingerprint()


@pytest.fixture(scope="session")
def postgres_environment(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer
) -> dict[str, str]:
    """What the benchmarks of Postgres run on, its settings included."""
    return loop.run_until_complete(collect(postgres_server)).fingerprint()


@pytest.fixture
def measure(
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
    request: pytest.FixtureRequest,
) -> Measure:
    """Time a subject doing a workload; rows are planted and counted outside the clock."""

    def measured(workload: Workload, subject: str) -> None:
        place = "memory" if subject.startswith("memory") else "postgres"  # its floor, too
        stage: Stage = request.getfixturevalue(f"{place}_stage")
        case = case_of(subject, workload, stage)
        slow = max(workload.planted, workload.operations) > sizes.rows
        benchmark.group = f"{workload.resource}: {workload.name}"
        benchmark.extra_info = {
            "resource": workload.resource,
            "subject": subject,
            "operations": workload.operations,
            "environment": request.getfixturevalue(f"{place}_environment"),
        }
        benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
            lambda: loop.run_until_complete(case.run()),
            setup=lambda: loop.run_until_complete(case.prepare()),
            teardown=lambda: loop.run_until_complete(case.verify()),
            rounds=sizes.slow_rounds if slow else sizes.rounds,
            warmup_rounds=1,
        )
        if benchmark.disabled:  # pytest-benchmark then calls no teardown
            loop.run_until_complete(case.verify())

    return measured
