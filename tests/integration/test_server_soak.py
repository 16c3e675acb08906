"""Fifty users at two servers that are killed and stopped: nothing is left over, nothing leaks.

Ten minutes of it: `pytest tests/integration/test_server_soak.py --soak-s 600 --timeout 0`.
"""

import asyncio
import contextlib

import pytest

from harness.config import DatabaseConfig
from harness.database import Database, ScratchDatabases
from harness.persistence.check import check_database
from tests.integration import owners
from tests.integration.serving import Serving
from tests.integration.soak.mayhem import Mayhem
from tests.integration.soak.users import Observations, User

USERS = 50
LEASE_S = 3.0
SETTLED_WITHIN_S = 60.0
SETTINGS = owners.SETTINGS | {"HARNESS_LEASE_S": str(LEASE_S), "HARNESS_GRACE_S": "3"}
ACTIVE = "SELECT count(*) FROM langgraph_server.runs WHERE status IN ('pending', 'running')"


async def settled(database: Database) -> None:
    """Wait until every run has ended."""
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while (await database.read(ACTIVE))[0]["count"]:  # noqa: ASYNC110 -- other processes end them
            await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.survival
@pytest.mark.timeout(240)
@pytest.mark.invariant(13, 25, 28, 52, 53, 61)
async def test_nothing_is_left_over(
    scratch_databases: ScratchDatabases, request: pytest.FixtureRequest
) -> None:
    """No row outlives what it belongs to or reaches another user; no answer is a 5xx but 503."""
    seconds: float = request.config.getoption("soak_s")
    seed: str = request.config.getoption("soak_seed")
    seen, over = Observations(), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(scratch_databases.clone())
        servers = [
            await stack.enter_async_context(Serving(url, **SETTINGS)),
            await stack.enter_async_context(Serving(url, **SETTINGS)),
        ]
        urls = [server.url for server in servers]
        users = [User(f"user{n}", urls, seen, seed) for n in range(USERS)]
        mayhem = Mayhem(servers, lease_s=LEASE_S, seed=seed)
        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(user.live(over))
            group.create_task(mayhem.go_on(over))
            await asyncio.sleep(seconds)
            over.set()
        config = DatabaseConfig.for_scratch(url)
        async with Database(config, name="soak") as database:
            await settled(database)
            for server in servers:
                answer = await server.http().get("/health")
                assert answer.status_code == 200, answer.text
                await server.end()
                await server.start()  # what is left on the stack is ended with it
            findings = await check_database(database)
    print(f"seed {seed}: {dict(seen.statuses)}, {seen.lost} cut off, {dict(mayhem.done)}")  # noqa: T201 -- the figures of a long soak
    assert seen.wrong == []
    assert findings == []
    assert mayhem.done.total() > 0
