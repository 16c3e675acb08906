"""Faults of the database: each has one clear answer that names nothing, and passes by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from harness.database import ScratchDatabases
from harness.server.http import PARAMETER
from harness.server.routes import ROUTES
from tests.integration.serving import Serving

pytestmark = [pytest.mark.postgres, pytest.mark.invariant(59)]

CALLERS = 40
WITHIN_S = 30.0
ENDLESS = "/threads/{thread_id}/stream"
READ_ONLY: LiteralString = "ALTER DATABASE {} SET default_transaction_read_only = on"
WRITABLE: LiteralString = "ALTER DATABASE {} RESET default_transaction_read_only"
CLOSED: LiteralString = "ALTER DATABASE {} ALLOW_CONNECTIONS false"
OPEN: LiteralString = "ALTER DATABASE {} ALLOW_CONNECTIONS true"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(scratch_databases: ScratchDatabases) -> AsyncIterator[Serving]:
    """A server whose database these tests break."""
    async with (
        scratch_databases.clone() as url,
        Serving(url, DATABASE_POOL_TIMEOUT_S="1") as serving,
    ):
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http(server: Serving) -> httpx.AsyncClient:
    """A plain client."""
    return server.http()


async def alter(url: str, statement: LiteralString) -> None:
    """Change a database for its next connections, and end those that there are."""
    name = str(conninfo_to_dict(url)["dbname"])
    async with await psycopg.AsyncConnection.connect(url, dbname="postgres", autocommit=True) as db:
        await db.execute(sql.SQL(statement).format(sql.Identifier(name)))
        await db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )


@asynccontextmanager
async def broken(
    server: Serving, http: httpx.AsyncClient, harm: LiteralString, mend: LiteralString
) -> AsyncIterator[None]:
    """Break the server's database for the block, and wait until the server works again."""
    assert server.database_url is not None
    await alter(server.database_url, harm)
    try:
        yield
    finally:
        await alter(server.database_url, mend)
    async with asyncio.timeout(WITHIN_S):
        while (await http.post("/threads", json={})).status_code != 200:  # noqa: ASYNC110 -- a database has no event
            await asyncio.sleep(0.1)


async def refused_for(http: httpx.AsyncClient, reason: str) -> httpx.Response:
    """Return the answer to a write that names a reason, once the ended sessions are replaced."""
    async with asyncio.timeout(WITHIN_S):
        while reason not in (refused := await http.post("/threads", json={})).text:
            assert refused.status_code == 503
    assert refused.status_code == 503
    return refused


def names_nothing(server: Serving, answer: httpx.Response) -> bool:
    """Tell whether an answer says nothing of where the database is, and shows no code."""
    told = conninfo_to_dict(server.database_url or "")
    words = [str(told["dbname"]), f"{told['host']}:{told['port']}", "postgresql://", "Traceback"]
    return not any(word in answer.text for word in words)


async def test_health_is_told_to_everybody_who_asks_at_once(http: httpx.AsyncClient) -> None:
    """However many ask at the same time, each is answered."""
    for _ in range(5):
        answers = await asyncio.gather(*(http.get("/health") for _ in range(CALLERS)))
        assert {answer.status_code for answer in answers} == {200}


async def test_a_read_only_database(server: Serving, http: httpx.AsyncClient) -> None:
    """Writes get a 503 that says why, reads are answered, and what was acknowledged is there."""
    thread_id = (await http.post("/threads", json={})).json()["thread_id"]
    async with broken(server, http, READ_ONLY, WRITABLE):
        refused = await refused_for(http, "read-only")
        assert names_nothing(server, refused)
        assert (await http.get(f"/threads/{thread_id}")).status_code == 200
    assert (await http.get(f"/threads/{thread_id}")).status_code == 200


async def test_no_route_names_the_database(server: Serving, http: httpx.AsyncClient) -> None:
    """While there is no connection to be had, no answer of any route says where or who it is."""
    ids = {name: str(uuid4()) for name in ("thread_id", "assistant_id", "run_id", "cron_id")}
    ids |= {"checkpoint_id": str(uuid4()), "namespace": "child"}
    body = {
        "graph_id": "agent",
        "assistant_id": "agent",
        "schedule": "0 4 1 1 *",
        "namespace": ["a"],
        "key": "k",
        "value": {},
        "namespace_prefix": [],
        "thread_ids": [ids["thread_id"]],
        "checkpoint": {},
        "values": {},
        "version": 1,
    }
    routes = [route for route in ROUTES if route.path != ENDLESS]
    async with broken(server, http, CLOSED, OPEN):
        answers = await asyncio.gather(
            *(
                http.request(
                    route.method,
                    PARAMETER.sub(lambda found: ids[found[1]], route.path),
                    json=body if route.method in {"POST", "PUT", "PATCH"} else None,
                )
                for route in routes
            )
        )
    assert {answer.status_code for answer in answers} <= {200, 202, 204, 400, 404, 422, 503}
    assert sum(answer.status_code == 503 for answer in answers) > len(routes) / 2
    assert [answer.url for answer in answers if not names_nothing(server, answer)] == []
