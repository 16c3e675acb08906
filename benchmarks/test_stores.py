"""Puts, gets and searches of LangGraph's stores and ours, one after another and all at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.contract.store_differences import IN_MEMORY
from harness.measure.benchmarking import Sizes
from harness.measure.names import OURS_IN_MEMORY, STORES, Operation, Way
from harness.measure.store_sites import StoreSite, open_sites
from harness.measure.store_work import StoreCase, store_works
from harness.provision import PostgresServer

PLACES = {name: "memory" if name in {IN_MEMORY, OURS_IN_MEMORY} else "postgres" for name in STORES}


def lend(
    loop: asyncio.AbstractEventLoop, server: PostgresServer | None
) -> Iterator[dict[str, StoreSite]]:
    """Lend stores by their names, on the benchmarks' loop."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[dict[str, StoreSite]]:
        async with open_sites(server) as sites:
            yield {site.name: site for site in sites}

    context = opened()
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def memory_stores(loop: asyncio.AbstractEventLoop) -> Iterator[dict[str, StoreSite]]:
    """The stores in memory."""
    yield from lend(loop, None)


@pytest.fixture(scope="module")
def postgres_stores(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer
) -> Iterator[dict[str, StoreSite]]:
    """All stores."""
    yield from lend(loop, postgres_server)


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(name, marks=pytest.mark.postgres if place == "postgres" else ())
        for name, place in PLACES.items()
    ],
)
@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("operation", get_args(Operation))
def test_store(
    *,
    operation: Operation,
    way: Way,
    store: str,
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
    request: pytest.FixtureRequest,
) -> None:
    """Memories of as many users."""
    place = PLACES[store]
    sites: dict[str, StoreSite] = request.getfixturevalue(f"{place}_stores")
    works = store_works(sizes.rows, sizes.rows)
    [work] = [work for work in works if (work.operation, work.way) == (operation, way)]
    case = StoreCase(sites[store], work)
    benchmark.group = f"store: {work.name}"
    benchmark.extra_info = {
        "resource": "store",
        "subject": store,
        "operations": work.operations,
        "environment": request.getfixturevalue(f"{place}_environment"),
    }
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        lambda: loop.run_until_complete(case.run()),
        setup=lambda: loop.run_until_complete(case.prepare()),
        teardown=lambda: loop.run_until_complete(case.verify()),
        rounds=sizes.rounds,
        warmup_rounds=1,
    )
    if benchmark.disabled:  # pytest-benchmark then calls no teardown
        loop.run_until_complete(case.verify())
