"""Many users at once on a pool of ten connections: nobody fails, nobody sees another."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.integration import owners
from tests.integration.owners import token_of
from tests.integration.serving import Serving

pytestmark = [pytest.mark.postgres, pytest.mark.invariant(13, 42)]

CLIENTS = 4
"""Each is shared by many users, and so are its connections."""
POOL = 10
NOTES = ["notes"]

TABLES = """
    SELECT 'thread', owner, metadata ->> 'owner', thread_id::text FROM langgraph_server.threads
    UNION ALL
    SELECT 'run', owner, metadata ->> 'owner', thread_id::text FROM langgraph_server.runs
    UNION ALL
    SELECT 'assistant', owner, metadata ->> 'owner', name FROM langgraph_server.assistants
    WHERE owner <> 'system'
    UNION ALL
    SELECT 'note', owner, owner, value ->> 'of' FROM langgraph_server.store_items
    WHERE namespace = ARRAY['notes']
    UNION ALL
    SELECT 'fact', owner, owner, split_part(value ->> 'fact', ' ', 1)
    FROM langgraph_server.store_items WHERE namespace <> ARRAY['notes']
    UNION ALL
    SELECT DISTINCT 'checkpoint', r.owner, r.owner, c.thread_id
    FROM checkpoints AS c
    LEFT JOIN langgraph_server.runs AS r ON r.run_id::text = c.metadata ->> 'run_id'
"""
"""Of each row: what it is, its owner, the owner that its readers see, and whose it should be."""


@dataclass
class User:
    """Somebody who does everything that there is to do, and looks at what comes of it."""

    name: str
    client: LangGraphClient
    thread_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def headers(self) -> Mapping[str, str]:
        """What says whose requests these are."""
        return {"Authorization": f"Bearer {token_of(self.name)}"}

    async def live(self) -> None:
        """Talk, keep a note under the name that everybody uses, and make an assistant.

        Every answer must be about this user, and about nobody else.
        """
        client, headers, remembered = self.client, self.headers, f"{self.name} was here"
        values: Any = await client.runs.wait(
            self.thread_id,
            "memory",
            input=said(f"Remember that {remembered}."),
            if_not_exists="create",
            headers=headers,
        )
        assert len(values["messages"]) == 2
        await client.store.put_item(NOTES, "mine", {"of": self.name}, headers=headers)
        await client.assistants.create("agent", name=self.name, headers=headers)
        stream = client.runs.stream(
            self.thread_id, "memory", input=said("What do you know?"), headers=headers
        )
        *_, last = [part async for part in stream]
        answer = last.data["messages"][-1]["content"]
        assert remembered in answer
        assert answer.count("was here") == 1

        state: Any = await client.threads.get_state(self.thread_id, headers=headers)
        assert state["values"] == last.data
        note = await client.store.get_item(NOTES, "mine", headers=headers)
        assert note["value"] == {"of": self.name}
        [thread] = await client.threads.search(headers=headers)
        assert thread["thread_id"] == self.thread_id
        assert dict(thread["metadata"] or {})["owner"] == self.name

    async def intrude(self, other: "User") -> None:
        """Try to read, write and take what is another's."""
        client, headers = self.client, self.headers
        for call in (
            client.threads.get_state(other.thread_id, headers=headers),
            client.threads.get_history(other.thread_id, headers=headers),
            client.runs.list(other.thread_id, headers=headers),
            client.runs.create(other.thread_id, "agent", input={}, headers=headers),
            client.threads.delete(other.thread_id, headers=headers),
        ):
            with pytest.raises(NotFoundError):
                await call
        with pytest.raises(ConflictError):
            await client.threads.create(thread_id=other.thread_id, headers=headers)


def said(text: str) -> dict[str, Any]:
    """Return an input of one message."""
    return {"messages": [{"role": "user", "content": text}]}


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[list[int]]:
    """Count the database's other connections, over and over, for the length of the block."""
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
                await asyncio.sleep(0.05)

        watcher = asyncio.create_task(watch())
        try:
            yield counts
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
async def test_everybody_at_once(database_url: str, count: int) -> None:
    """No error, nothing under the wrong owner, and the pool used but never exceeded."""
    settings = {**owners.SETTINGS, "DATABASE_POOL_MAX_SIZE": str(POOL)}
    async with Serving(database_url, **settings) as server:
        clients = [server.client() for _ in range(CLIENTS)]
        users = [User(f"user{n:03}", clients[n % CLIENTS]) for n in range(count)]
        async with watching(database_url) as connections:
            await asyncio.gather(*(user.live() for user in users))
        assert 1 < max(connections) <= POOL + 1  # one more keeps the leases
        assert server.failures() == ""
        some = random.Random(count).sample(users, 5)  # noqa: S311 -- no secret
        await asyncio.gather(*(one.intrude(other) for one, other in pairwise(some)))

    owner_of = {user.thread_id: user.name for user in users}
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        rows = await (await connection.execute(TABLES)).fetchall()
    kinds = [kind for kind, *_ in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        **dict.fromkeys(("thread", "assistant", "note", "fact", "checkpoint"), count),
        "run": 2 * count,
    }
    wrong = [row for row in rows if not row[1] == row[2] == owner_of.get(row[3], row[3])]
    assert wrong == []
