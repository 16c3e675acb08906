"""Creates and turns over HTTP, in memory and on Postgres, beside an echo and work in process."""

import asyncio
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.measure.benchmarking import Sizes
from harness.measure.served_creates import CREATED, WAYS, Created, create_subjects
from harness.measure.served_places import Places, places
from harness.measure.served_turns import askable
from harness.measure.server_records import WAYS as ASKED
from harness.measure.server_records import Way
from harness.provision import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

STORES = ("memory", "postgres")
CREATORS = [
    *("echo raw", "echo sdk"),
    *(f"{store} {how}" for store in STORES for how in ("raw", "sdk", "storage")),
]
ANSWERERS = [
    "echo none raw",
    *(f"process {store} None" for store in ("none", *STORES)),
    *(f"server {store} {client}" for store in STORES for client in ("raw", "sdk")),
]
CREATES = [
    pytest.param((resource, workload, who), id=f"{resource}-{workload}-{who.replace(' ', '-')}")
    for resource in CREATED
    for workload in WAYS
    for who in CREATORS
]
TURNS = [
    pytest.param((way, many, who), id=f"{way}-{many}-{who.replace(' ', '-')}")
    for way in ASKED
    for many in (1, 10)
    for who in ANSWERERS
]


@pytest.fixture(scope="module")
def running(loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer) -> Iterator[Places]:
    """An echo, and a server in memory and one on Postgres."""
    context = places(postgres_server, ())
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.mark.parametrize("cell", CREATES)
def test_create(
    cell: tuple[Created, str, str],
    running: Places,
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
) -> None:
    """Create rows, one after another or by 20 workers."""
    resource, workload, who = cell
    everybody = create_subjects(running, resource, workload, sizes.rows)
    [one] = [timed.subject for timed in everybody if timed.subject.name == who]
    benchmark.group = f"{resource} over HTTP: {workload}"
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        lambda: loop.run_until_complete(one.sample()),
        rounds=sizes.slow_rounds,
        warmup_rounds=1,
    )


@pytest.mark.parametrize("cell", TURNS)
def test_turn(
    cell: tuple[Way, int, str],
    running: Places,
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
) -> None:
    """One turn of so many threads at once, to the end of the last."""
    way, conversations, who = cell
    many = min(conversations, sizes.rows)
    [one] = [asked for asked in askable(running, way) if asked.name == who]
    benchmark.group = f"{way} over HTTP: {many} at once"
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        lambda: loop.run_until_complete(one.sample(many)),
        rounds=sizes.slow_rounds,
        warmup_rounds=1,
    )
