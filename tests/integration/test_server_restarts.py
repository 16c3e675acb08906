"""Servers that begin together, outlive one another, lose their database, and end in order."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final
from uuid import uuid4

import psutil
import psycopg
import pytest
import pytest_asyncio
from langgraph_sdk.client import LangGraphClient

from harness.agents import GRAPHS
from harness.database import ScratchDatabases
from harness.faults import process as faults
from harness.provision import PostgresServer
from harness.schema import LANGGRAPH_TABLES
from tests.integration.restart.inspection import NO_VECTORS, TABLES, Inspection
from tests.integration.restart.underway import DONE, PLAN
from tests.integration.serving import Serving

SERVERS: Final = 4
BUNDLED: Final = ("--host", "127.0.0.1")
NOWHERE: Final = "postgresql://nobody:hunter2@127.0.0.1:1/none"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def empty_url(scratch_databases: ScratchDatabases) -> AsyncIterator[str]:
    """Address of a database with nothing in it."""
    async with scratch_databases.empty() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(empty_url: str) -> AsyncIterator[list[Serving]]:
    """Servers that boot on it at the same moment; one may have been killed since."""
    made = [Serving(empty_url, *BUNDLED, HARNESS_LEASE_S="2") for _ in range(SERVERS)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(server) for server in made))
        yield made


@pytest.mark.postgres
class TestManyProcesses:
    """Several servers of one database."""

    @pytest.mark.invariant(40)
    async def test_they_boot_at_once(self, empty_url: str, servers: list[Serving]) -> None:
        """On an empty database all succeed; tables and graphs are there once, indexes valid."""
        inspection = Inspection(empty_url)
        assert await inspection.tables() >= TABLES
        assert await inspection.langgraphs_tables() == set(LANGGRAPH_TABLES) - NO_VECTORS
        assert await inspection.invalid_indexes() == []
        clients = [server.client() for server in servers if server.pid is not None]
        seen = [await client.assistants.search() for client in clients]
        assert {assistant["graph_id"] for assistant in seen[0]} == set(GRAPHS)
        assert len(seen[0]) == len(GRAPHS)
        assert all(assistants == seen[0] for assistants in seen)

    @pytest.mark.invariant(28)
    async def test_one_takes_up_what_another_left(
        self, empty_url: str, servers: list[Serving]
    ) -> None:
        """Killed in mid-run, it is not started again; another goes on from its last checkpoint."""
        killed, *others = servers
        client = others[0].client()
        with frozen(others):  # each of them might have claimed the run
            run = await midway(killed.client())
            await killed.end(signal.SIGKILL)
        values: Any = await client.runs.join(run["thread_id"], run["run_id"])
        assert values["done"] == DONE
        ended = await client.runs.get(run["thread_id"], run["run_id"])
        assert ended["status"] == "success"
        history = await client.threads.get_history(run["thread_id"], limit=100)
        attempts = [(state["metadata"] or {})["run_attempt"] for state in reversed(history)]
        assert attempts == sorted(attempts)
        assert set(attempts) == {1, 2}
        assert await Inspection(empty_url).active() == []


@contextmanager
def frozen(servers: list[Serving]) -> Iterator[None]:
    """Keep servers from doing anything for the length of the block."""
    processes = [psutil.Process(server.pid) for server in servers]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def midway(client: LangGraphClient) -> Any:
    """Begin a run on the server that is asked, and return it when some of its steps are done."""
    thread_id = str(uuid4())
    async for part in client.runs.stream(
        thread_id, "steps", input=PLAN, if_not_exists="create", on_disconnect="continue"
    ):
        if part.event == "values" and part.data.get("step") == 5:
            break
    [run] = await client.runs.list(thread_id)
    return run


class TestWithoutDatabase:
    """What cannot be reached is said, and nothing is kept in memory in its place unsaid."""

    @pytest.mark.slow
    @pytest.mark.postgres
    @pytest.mark.invariant(41)
    async def test_down_later(self, own_postgres_server: PostgresServer) -> None:
        """While its database is gone it says so and keeps nothing; then it goes on with it."""
        url = own_postgres_server.url
        async with Serving(url, *BUNDLED, DATABASE_POOL_TIMEOUT_S="1") as server:
            http = server.http()
            kept = (await http.post("/threads", json={})).json()
            await faults.kill(own_postgres_server)
            told = await http.get("/health")
            assert told.status_code == 503
            assert told.json()["status"] == "degraded"
            assert told.json()["persistence"] == "postgres"
            refused = await http.post("/threads", json={})
            assert refused.status_code == 503
            assert (await http.get("/ok")).status_code == 200

            await faults.start(own_postgres_server)
            while (await http.get("/health")).status_code != 200:  # noqa: ASYNC110 -- it has no event
                await asyncio.sleep(0.05)
            assert (await http.get(f"/threads/{kept['thread_id']}")).json() == kept
            assert (await http.post("/threads/count", json={})).json() == 1
            assert "STORING IN MEMORY" not in server.log()
            async with await psycopg.AsyncConnection.connect(url) as connection:
                cursor = await connection.execute("SELECT count(*) FROM langgraph_server.threads")
                assert await cursor.fetchall() == [(1,)]


class TestInMemory:
    """It ends in order too."""

    async def test_readers_are_let_go(self) -> None:
        """Streams are closed and waiting requests answered before the process ends."""
        async with Serving() as server, server.http() as http:
            client = server.client()
            run: Any = await client.runs.create(
                str(uuid4()), "steps", input={"steps": 99, "delay_s": 0.2}, if_not_exists="create"
            )
            place = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
            stream = asyncio.create_task(http.get(f"{place}/stream"))
            waiting = asyncio.create_task(http.get(f"{place}/join"))
            async for part in client.runs.join_stream(run["thread_id"], run["run_id"]):
                if part.event == "values" and part.data.get("step") == 3:
                    break
            await server.end()
            assert (await stream).text.startswith("event: metadata")
            assert (await waiting).status_code == 503
