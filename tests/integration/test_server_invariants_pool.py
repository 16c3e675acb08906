"""What must hold of a server whose pool of connections is small: streams wait, callers queue."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient

from harness.database import ScratchDatabases
from tests.integration.serving import Serving

pytest_plugins = ("tests.integration.serving_fixtures",)
pytestmark = pytest.mark.postgres

POOL = 2
STREAMS = 15
CALLERS = 8
SETTINGS = {
    "DATABASE_POOL_MAX_SIZE": str(POOL),
    "DATABASE_POOL_TIMEOUT_S": "0.5",
    "HARNESS_HEARTBEAT_S": "0.2",
}


@pytest.fixture(scope="module")
def scratch(scratch_databases: ScratchDatabases) -> ScratchDatabases:
    """Where the server's database is made; in memory there is no pool."""
    return scratch_databases


async def busy(server: Serving) -> int:
    """Count the connections on which the server has a statement or a transaction under way."""
    assert server.database_url is not None
    async with await psycopg.AsyncConnection.connect(server.database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        [(number,)] = await cursor.fetchall()
        return int(number)


@pytest.mark.invariant(32)
async def test_streams_hold_no_connection(server: Serving, client: LangGraphClient) -> None:
    """With more open streams than connections none is taken, and others are answered."""
    runs: list[Any] = [
        await client.runs.create(
            str(uuid4()), "steps", input={"steps": 0}, if_not_exists="create", after_seconds=3_600
        )
        for _ in range(STREAMS)
    ]
    async with server.http() as http:
        opened = [asyncio.Event() for _ in runs]

        async def read(run: Any, is_open: asyncio.Event) -> str:
            place = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
            text = ""
            async with http.stream("GET", place) as answer:
                async for piece in answer.aiter_text():
                    text += piece
                    is_open.set()
            return text

        readers = [asyncio.create_task(read(*each)) for each in zip(runs, opened, strict=True)]
        await asyncio.gather(*(is_open.wait() for is_open in opened))
        values: Any = await client.runs.wait(None, "steps", input={"steps": 1})
        assert values["done"] == [1]
        # A look at a run now and then is all that may be under way.
        assert min([await busy(server) for _ in range(20)]) == 0
        pools = [(await http.get("/health")).json()["pool"] for _ in range(20)]
        assert any(pool["pool_available"] == pool["pool_size"] <= POOL for pool in pools)
        await client.runs.cancel_many(status="all")
        assert all(text.startswith(": heartbeat") for text in await asyncio.gather(*readers))


@pytest.mark.invariant(42)
async def test_who_waits_too_long_is_told(server: Serving, client: LangGraphClient) -> None:
    """Past the pool's timeout: 503 with one line, and when to come back; then all is well."""
    thread_id = (await client.threads.create())["thread_id"]
    assert server.database_url is not None
    async with (
        await psycopg.AsyncConnection.connect(server.database_url) as connection,
        server.http() as http,
    ):
        await connection.execute("LOCK TABLE langgraph_server.threads IN ACCESS EXCLUSIVE MODE")
        asking = {asyncio.create_task(http.get(f"/threads/{thread_id}")) for _ in range(CALLERS)}
        while len(asking) > POOL:
            refused, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            for each in refused:
                check_refusal(each.result())
        assert (await http.get("/ok")).status_code == 200
        await connection.rollback()
        for answer in await asyncio.gather(*asking):
            if answer.status_code != 200:  # the executor had a connection too
                check_refusal(answer)
        answers = await asyncio.gather(
            *(http.get(f"/threads/{thread_id}") for _ in range(10 * CALLERS))
        )
        assert {answer.status_code for answer in answers} == {200}


def check_refusal(answer: httpx.Response) -> None:
    """Assert that a refusal says what is the matter, in one line and without a trace."""
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert list(answer.json()) == ["detail"]
    assert "connection" in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
