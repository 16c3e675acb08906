"""With an encrypting serializer nothing that a graph hears or says can be read in a table."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import CipherProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from psycopg import AsyncConnection, sql

from harness.contract.checkpointer.builders import Story, a_thread, at, everywhere, found, listed
from harness.database import Database
from harness.errors import Unreadable
from harness.persistence import PooledSaver, Serializer, setup_langgraph

pytestmark = [pytest.mark.postgres, pytest.mark.invariant(62)]

WORDS: Final = {
    name: f"{name}-{secrets.token_hex(8)}"
    for name in ("input", "state", "sent", "question", "answer", "failure", "child", "update")
}
"""What is planted, and where."""


class Cipher(CipherProtocol):
    """AES-GCM."""

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(128))

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """Return the cipher's name, and the nonce with what is encrypted."""
        nonce = secrets.token_bytes(12)
        return "gcm", nonce + self._key.encrypt(nonce, plaintext, None)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """Return what was encrypted."""
        assert ciphername == "gcm"
        return self._key.decrypt(ciphertext[:12], ciphertext[12:], None)


class State(TypedDict, total=False):
    """Plain values, where LangGraph's own saver leaves them in the row."""

    said: str
    topic: str
    number: int
    flag: bool
    nothing: None


def read(state: State) -> State:
    """Say something, of every plain type."""
    del state
    return {"topic": WORDS["state"], "number": 4_711_471_147, "flag": True, "nothing": None}


def ask(state: State) -> State:
    """Wait for an answer."""
    del state
    return {"said": interrupt(WORDS["question"])}


def fan_out(state: State) -> list[Send]:
    """Send a text to a node."""
    del state
    return [Send("child", {"said": WORDS["sent"]})]


def child(state: State) -> State:
    """Run a graph that keeps a checkpoint of its own."""
    del state
    return {"topic": WORDS["child"]}


def fail(state: State) -> State:
    """Raise."""
    del state
    raise RuntimeError(WORDS["failure"])


def graph_on(saver: BaseCheckpointSaver[Any]) -> Any:
    """Return a graph that reads, asks, sends to a subgraph, and fails."""
    inner = StateGraph(State)
    inner.add_node("say", child)
    inner.add_edge(START, "say")
    graph = StateGraph(State)
    graph.add_node("read", read)
    graph.add_node("ask", ask)
    graph.add_node("child", inner.compile())
    graph.add_node("fail", fail)
    graph.add_edge(START, "read")
    graph.add_edge("read", "ask")
    graph.add_conditional_edges("ask", fan_out, ["child"])
    graph.add_edge("child", "fail")
    return graph.compile(saver)


@dataclass(frozen=True)
class Place:
    """A database with LangGraph's tables, and what is looked for in it."""

    database: Database
    connection: AsyncConnection[Any]

    async def holding(self, words: list[str]) -> set[str]:
        """Return the columns of all tables in which a word stands, as text or as bytes."""
        columns = await self.connection.execute(
            "SELECT table_schema, table_name, column_name, data_type"
            " FROM information_schema.columns"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        holding = set()
        for schema, table, column, kind in await columns.fetchall():
            name = sql.Identifier(column)
            text = (
                sql.SQL("encode({}, 'escape')").format(name)
                if kind == "bytea"
                else sql.SQL("{}::text").format(name)
            )
            asked = sql.SQL("SELECT 1 FROM {} WHERE {} LIKE ANY (%s) LIMIT 1").format(
                sql.Identifier(schema, table), text
            )
            if await (
                await self.connection.execute(asked, [[f"%{word}%" for word in words]])
            ).fetchone():
                holding.add(f"{table}.{column}")
        return holding


@pytest.fixture
async def place(database: Database, database_url: str) -> AsyncIterator[Place]:
    """Return a database of this test."""
    await setup_langgraph(database)
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield Place(database, connection)


async def talk(saver: BaseCheckpointSaver[Any]) -> Any:
    """Let all the words be said on a thread; return its config."""
    graph = graph_on(saver)
    thread: Any = {"configurable": {"thread_id": a_thread()}}
    await graph.ainvoke({"said": WORDS["input"]}, thread)
    await graph.aupdate_state(thread, {"topic": WORDS["update"]}, as_node="read")
    with pytest.raises(RuntimeError):
        await graph.ainvoke(Command(resume=WORDS["answer"]), thread)
    return thread


async def test_nothing_lies_in_plain_text(place: Place) -> None:
    """No input, state, question, answer, error or update stands in any column of any table."""
    serde = EncryptedSerializer(Cipher(), Serializer())
    saver = PooledSaver(place.database, serde=serde)
    thread = await talk(saver)
    assert await place.holding([*WORDS.values(), "4711471147"]) == set()
    state = await graph_on(saver).aget_state(thread)
    assert state.values == {
        "said": WORDS["sent"],
        "topic": WORDS["child"],
        "number": 4_711_471_147,
        "flag": True,
        "nothing": None,
    }
    history = [one async for one in graph_on(saver).aget_state_history(thread)]
    assert history[-1].tasks[0].result is not None
    assert any(one.values.get("topic") == WORDS["update"] for one in history)


@pytest.mark.parametrize("saver", ["ours", "stock"])
async def test_the_search_finds_what_lies_in_plain_text(place: Place, saver: str) -> None:
    """Without encryption all is found, and with LangGraph's own saver plain values are."""
    if saver == "ours":
        await talk(PooledSaver(place.database))
        columns = {"checkpoint_blobs.blob", "checkpoint_writes.blob", "checkpoints.checkpoint"}
    else:
        encrypted = EncryptedSerializer(Cipher(), Serializer())
        await talk(AsyncPostgresSaver(place.database.pool, serde=encrypted))
        columns = {"checkpoints.checkpoint"}
    assert await place.holding([*WORDS.values()]) == columns


async def test_a_thread_is_encrypted_from_now_on(place: Place) -> None:
    """What lies inline in rows of before is read, and kept by checkpoints that do not change it."""
    plain = PooledSaver(place.database)
    story = Story(plain)
    await story.step({"topic": WORDS["state"], "flag": True, "words": ["a"], "none": None})
    story.saver = PooledSaver(place.database, serde=EncryptedSerializer(Cipher(), Serializer()))
    for number in range(2):
        await story.step({"number": number})
    await story.saver.aprune([str(story.thread_id)], strategy="keep_latest")
    there = await found(story.saver, story.head)
    assert there.checkpoint["channel_values"] == story.values
    assert await place.holding([WORDS["state"]]) == set()
    await story.step({"flag": False})
    assert (await found(story.saver, story.head)).checkpoint["channel_values"] == story.values


async def test_another_key_is_an_error(place: Place) -> None:
    """Whoever has another key, or none, is told that nothing can be read; not that nothing is."""
    story = Story(PooledSaver(place.database, serde=EncryptedSerializer(Cipher(), Serializer())))
    await story.step({"c": "x"})
    await story.write("y")
    for serde in (EncryptedSerializer(Cipher(), Serializer()), Serializer()):
        other = PooledSaver(place.database, serde=serde)
        with pytest.raises(Unreadable):
            await other.aget_tuple(at(story.thread_id))
        with pytest.raises(Unreadable):
            await listed(other, everywhere(story.thread_id))
