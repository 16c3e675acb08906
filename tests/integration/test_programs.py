"""Concurrent programs: whatever the interleaving, the outcome keeps the promises."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given, settings

from harness.config import DatabaseConfig
from harness.contract.outcomes import check
from harness.contract.programs import Program, programs, run_program
from harness.database import Database
from harness.storage.extensions import FullStorage
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.memory.probe import MemoryProbe
from harness.storage.postgres import PostgresBackend
from harness.storage.postgres.probe import PostgresProbe
from harness.storage.probe import TABLES, Probe

EMPTIED = "; ".join(f"DELETE FROM langgraph_server.{table}" for table in reversed(TABLES))  # noqa: S608 -- names of ours
PROMISES = pytest.mark.invariant(9, 13, 26, 27, 35, 37, 38, 39, 45)


async def run_and_check(program: Program, storage: FullStorage, probe: Probe) -> None:
    """Run a program and look at what it left."""
    await check(await run_program(program, storage, probe), storage, probe)


def on_every_program(run: Callable[[Program], None]) -> None:
    """Call `run` with many programs."""
    full = settings.get_current_profile_name() == "full"
    given(programs(tasks=8 if full else 5))(settings(max_examples=3_000 if full else 60)(run))()


@PROMISES
@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_programs_on_memory() -> None:
    """The model keeps what the outcomes are checked for."""

    def fresh(program: Program) -> Coroutine[None, None, None]:
        backend = MemoryBackend()
        return run_and_check(program, LocalStorage(backend), MemoryProbe(backend.tables))

    # A loop of its own, as below.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        on_every_program(lambda program: runner.run(fresh(program)))


@pytest.mark.slow
@PROMISES
@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_programs_on_postgres(database_url: str) -> None:
    """Postgres keeps it too, under real concurrency."""
    database = Database(DatabaseConfig(url=database_url), name="programs")
    storage = LocalStorage(PostgresBackend(database))

    async def cleanly(program: Program) -> None:
        await database.write(EMPTIED)
        await run_and_check(program, storage, PostgresProbe(database.pool))

    # A loop of its own: Hypothesis is synchronous, and the session's loop must not be blocked.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(database.open())
        try:
            on_every_program(lambda program: runner.run(cleanly(program)))
        finally:
            runner.run(database.close())
