"""Two hundred users at once on a pool of ten connections: nobody fails, nobody sees another."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import jwt
import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from tests.integration.serving import Serving

pytestmark = pytest.mark.postgres

USERS = 200
POOL = 10
SECRET = secrets.token_hex(32)


def client_of(server: Serving, user: str) -> LangGraphClient:
    """Return a client that shows the user's token."""
    claims = {"sub": user, "exp": int(time.time()) + 600}
    return server.client(jwt.encode(claims, SECRET, algorithm="HS256"))


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[list[int]]:
    """Count the database's connections, over and over, for the length of the block."""
    counts: list[int] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def watch() -> None:
            while True:
                cursor = await connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                [(number,)] = await cursor.fetchall()
                counts.append(number)
                await asyncio.sleep(0.01)

        watcher = asyncio.create_task(watch())
        try:
            yield counts
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


async def converse(client: LangGraphClient, user: str) -> str:
    """Have something remembered for the user, and ask for it; return the thread."""
    thread_id = str(uuid4())
    values: Any = await client.runs.wait(
        thread_id, "memory", input=said(f"Remember that {user} was here."), if_not_exists="create"
    )
    assert len(values["messages"]) == 2
    stream = client.runs.stream(thread_id, "memory", input=said("What do you know?"))
    *_, last = [part async for part in stream]
    answer = last.data["messages"][-1]["content"]
    assert f"{user} was here" in answer
    assert answer.count("was here") == 1
    return thread_id


def said(text: str) -> dict[str, Any]:
    """Return an input of one message."""
    return {"messages": [{"role": "user", "content": text}]}


async def test_everybody_at_once(database_url: str) -> None:
    """No error, nothing under the wrong owner, no connection beyond the pool (13 and 42)."""
    settings = {"HARNESS_JWT_SECRET": SECRET, "DATABASE_POOL_MAX_SIZE": str(POOL)}
    async with Serving(database_url, **settings) as server:
        users = [f"user{number:03}" for number in range(USERS)]
        clients = [client_of(server, user) for user in users]
        async with watching(database_url) as connections:
            threads = await asyncio.gather(
                *(converse(client, user) for client, user in zip(clients, users, strict=True))
            )
        assert max(connections) <= POOL
        with pytest.raises(NotFoundError):
            await clients[0].runs.list(threads[1])
        with pytest.raises(NotFoundError):
            await clients[0].runs.create(threads[1], "agent", input={})

    owner_of = dict(zip(threads, users, strict=True))
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT thread_id::text, owner, metadata ->> 'owner' FROM langgraph_server.threads"
            " UNION ALL SELECT thread_id::text, owner, metadata ->> 'owner'"
            " FROM langgraph_server.runs"
            " UNION ALL SELECT DISTINCT thread_id, metadata ->> 'user_id', metadata ->> 'user_id'"
            " FROM checkpoints"
        )
        rows = await cursor.fetchall()
        assert len(rows) == USERS * (1 + 2 + 1)
        assert all(owner_of[thread_id] == owner == stamp for thread_id, owner, stamp in rows)
        cursor = await connection.execute(
            "SELECT owner, value ->> 'fact' FROM langgraph_server.store_items"
        )
        items = await cursor.fetchall()
        assert len(items) == USERS
        assert all(fact.startswith(f"{owner} was here") for owner, fact in items)


async def test_streams_hold_no_connection(database_url: str) -> None:
    """With more open streams than connections, others are answered (invariant 32)."""
    settings = {"DATABASE_POOL_MAX_SIZE": "2", "DATABASE_POOL_TIMEOUT_S": "1"}
    async with Serving(database_url, **settings) as server:
        client = server.client()

        async def read(begun: asyncio.Event) -> int:
            count = 0
            async for part in client.runs.stream(
                str(uuid4()),
                "talk",
                input={"times": 2, "delay_s": 1.5},
                if_not_exists="create",
                stream_mode="custom",
            ):
                count += part.event == "custom"
                begun.set()
            return count

        beginnings = [asyncio.Event() for _ in range(15)]
        readers = [asyncio.create_task(read(begun)) for begun in beginnings]
        await asyncio.gather(*(begun.wait() for begun in beginnings))
        values: Any = await client.runs.wait(None, "steps", input={"steps": 1})
        assert values["done"] == [1]
        assert await asyncio.gather(*readers) == [2] * 15
