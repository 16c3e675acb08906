"""Random histories: Postgres answers as memory does."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from harness.config import DatabaseConfig
from harness.contract.machine import Side, storage_machine
from harness.database import Database
from harness.storage.local import LocalStorage
from harness.storage.memory import MemoryBackend
from harness.storage.memory.probe import MemoryProbe
from harness.storage.postgres import PostgresBackend
from harness.storage.postgres.probe import PostgresProbe
from harness.storage.probe import TABLES

EMPTIED = "; ".join(f"DELETE FROM langgraph_server.{table}" for table in reversed(TABLES))  # noqa: S608 -- names of ours


async def memory() -> Side:
    """Return an empty memory storage."""
    backend = MemoryBackend()
    return Side(LocalStorage(backend), MemoryProbe(backend.tables))


def histories(many: int) -> settings:
    """Return how many histories to try, and how long ones."""
    profile = settings.get_current_profile_name()
    times = {"explore": 4, "full": 30}.get(profile, 1)
    return settings(max_examples=many * times, stateful_step_count=80 if profile == "full" else 40)


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
@pytest.mark.invariant(12, 14, 16, 17, 22, 23, 37, 43)
@pytest.mark.parametrize("many", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_postgres_answers_as_memory(database_url: str, many: int) -> None:
    """Random histories of all resources get the same answers and the same errors from both."""
    database = Database(DatabaseConfig(url=database_url), name="machine")

    async def postgres() -> Side:
        await database.write(EMPTIED)
        return Side(LocalStorage(PostgresBackend(database)), PostgresProbe(database.pool))

    # A loop of its own: Hypothesis is synchronous, and the session's loop must not be blocked.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(database.open())
        try:
            machine = storage_machine(runner, model=memory, subject=postgres)
            run_state_machine_as_test(machine, settings=histories(many))
        finally:
            runner.run(database.close())
