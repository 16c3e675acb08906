"""A user's round of an agent server, alone and beside owners who take what they can get."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.database import ScratchDatabases
from harness.faults.served import Served
from harness.measure.benchmarking import Sizes
from harness.measure.neighbours import Tokens, Victim, hostile
from harness.provision import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

HOSTILE = (0, 5)


@pytest.fixture(scope="module")
def served(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer
) -> Iterator[tuple[Served, Tokens]]:
    """A server that tells owners apart, with its default shares."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Served, Tokens]]:
        tokens = Tokens()
        async with (
            ScratchDatabases(postgres_server.url) as scratch,
            scratch.clone() as url,
            Served(url, settings=tokens.settings) as server,
        ):
            yield server, tokens

    context = opened()
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.mark.parametrize("owners", HOSTILE)
def test_round(
    owners: int,
    served: tuple[Served, Tokens],
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
) -> None:
    """Create a thread, run and wait, put an item, search, beside so many hostile owners."""
    server, tokens = served
    others = hostile(server, tokens, min(owners, sizes.slow_rounds))
    loop.run_until_complete(others.__aenter__())
    victim = Victim(server, tokens.of("victim"))
    benchmark.group = "a user's round beside hostile owners"
    try:
        benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
            lambda: loop.run_until_complete(victim.round()),
            rounds=sizes.slow_rounds,
            warmup_rounds=1,
        )
    finally:
        loop.run_until_complete(victim.close())
        loop.run_until_complete(others.__aexit__(None, None, None))
