"""Reads of the state and the history of threads of 10, 100 and 1,000 checkpoints."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.measure.agent_plans import AGENTS_FULL
from harness.measure.agent_records import Channels
from harness.measure.benchmarking import Sizes
from harness.measure.footprint import settle
from harness.measure.long_threads import CutThread, cut, grow_long_threads
from harness.measure.reads import CALLS, Call, ReadCase
from harness.measure.running import databases
from harness.persistence import setup_langgraph
from harness.provision import PostgresServer

LENGTHS = AGENTS_FULL.growth.read_at
CHANNELS = AGENTS_FULL.growth.channels
UNTIMED_LENGTH = 12

Threads = dict[tuple[Channels, int], CutThread]


@asynccontextmanager
async def _grown(server: PostgresServer, sizes: Sizes) -> AsyncIterator[Threads]:
    """Lend threads of every length; all short where nothing is timed."""
    lengths = {one: one if sizes.rounds > 1 else UNTIMED_LENGTH for one in LENGTHS}
    async with databases(server, [None]) as [database]:
        await setup_langgraph(database)
        long = await grow_long_threads(database, CHANNELS, max(lengths.values()))
        threads: Threads = {}
        for length, checkpoints in lengths.items():
            ids = {one: f"{one}-{length}" for one in CHANNELS}
            for thread in await cut(database, long, checkpoints, ids):
                threads[thread.channels, length] = thread
        await settle(database)
        yield threads


@pytest.fixture(scope="module")
def threads(
    loop: asyncio.AbstractEventLoop, postgres_server: PostgresServer, sizes: Sizes
) -> Iterator[Threads]:
    """Threads that real turns made."""
    context = _grown(postgres_server, sizes)
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))


READS = [(call, length, channels) for call in CALLS for length in LENGTHS for channels in CHANNELS]


@pytest.mark.postgres
@pytest.mark.timeout(600)  # 1,000 checkpoints are made first
@pytest.mark.parametrize("read", READS, ids=lambda read: "-".join(map(str, read)))
def test_read(
    threads: Threads,
    read: tuple[Call, int, Channels],
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    sizes: Sizes,
) -> None:
    """Through the graph, on our saver."""
    call, length, channels = read
    case = ReadCase(threads[channels, length], call)
    benchmark.group = f"{call} of {length} checkpoints"
    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        lambda: loop.run_until_complete(case.run()),
        setup=lambda: loop.run_until_complete(case.prepare()),
        teardown=lambda: loop.run_until_complete(case.verify()),
        rounds=sizes.rounds,
        warmup_rounds=1,
    )
