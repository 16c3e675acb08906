"""Chat turns streamed on each checkpointer, alone and 50 at once."""

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.measure.agent_records import DURABILITIES, Durability
from harness.measure.benchmarking import Sizes
from harness.measure.running import databases
from harness.measure.streamers import Streamer, streamers
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer

POOL_SIZE = 10
NEAR_MS = 0.0
FAR_MS = 2.0
MEMORY, POSTGRES = ("none", "memory"), ("ours", "stock")
CELLS = [
    *(pytest.param((NEAR_MS, name), id=f"near-{name}") for name in MEMORY),
    *(
        pytest.param((network_ms, name), id=f"{where}-{name}", marks=pytest.mark.postgres)
        for where, network_ms in (("near", NEAR_MS), ("far", FAR_MS))
        for name in POSTGRES
    ),
]
LOADS = [
    pytest.param(
        (many, when),
        id=f"{many}-{when}",
        marks=() if (many, when) == (50, "async") else pytest.mark.slow,
    )
    for many in (1, 50)
    for when in DURABILITIES
]

Lent = dict[tuple[float, str], Streamer]


@asynccontextmanager
async def _lend(server: PostgresServer | None) -> Any:
    """Lend the subjects of both networks."""
    async with databases(server, [POOL_SIZE]) as scratch:
        database = scratch[0] if scratch else None
        if database is not None:
            await setup_langgraph(database)
        async with (
            streamers(database, network_ms=NEAR_MS, pool_size=POOL_SIZE) as near,
            streamers(database, network_ms=FAR_MS, pool_size=POOL_SIZE) as far,
        ):
            yield {
                **{(NEAR_MS, one.name): one for one in near},
                **{(FAR_MS, one.name): one for one in far},
            }


@pytest.fixture(scope="module")
def in_memory(loop: asyncio.AbstractEventLoop) -> Iterator[Lent]:
    """What needs no server."""
    context = _lend(None)
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def in_postgres(loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer) -> Iterator[Lent]:
    """Both savers on a scratch database, near and far."""
    context = _lend(postgres_server)
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.fixture
def streamer(cell: tuple[float, str], request: pytest.FixtureRequest) -> Streamer:
    """The subject of a cell, on the stage that it needs."""
    lent: Lent = request.getfixturevalue("in_memory" if cell[1] in MEMORY else "in_postgres")
    return lent[cell]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("load", LOADS)
def test_turn(
    streamer: Streamer,
    load: tuple[int, Durability],
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
) -> None:
    """One turn of so many new threads at once, to the last token of the last."""
    conversations, durability = load
    many = min(conversations, sizes.rows)
    benchmark.group = f"turn: {conversations} at once, {durability}"
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        lambda: loop.run_until_complete(streamer.sample(many, durability)),
        rounds=sizes.slow_rounds if many > 1 else sizes.rounds,
        warmup_rounds=1,
    )
