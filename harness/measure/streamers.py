"""Who streams chat turns: an agent on each checkpointer, near or far from its database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from harness.agents import DeterministicChatModel, build_agent
from harness.agents.graph import Graph, Saver
from harness.database import Database
from harness.errors import ResultsError
from harness.faults.far import far
from harness.measure.agent_records import Durability
from harness.measure.paired import collection_paused
from harness.measure.running import pooled
from harness.persistence import PooledSaver

QUESTION: Final = "What is the weather like in Lisbon today?"
ANSWER: Final = f"You said: {QUESTION}"
CHECKPOINTS: Final = 4
"""Checkpoints of a turn: its input, what that made, and after each of the two nodes."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one user saw of one turn."""

    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """Looks into the database, past every saver and past the slow network."""

    database: Database

    async def check(self, threads: Sequence[str], each: int) -> None:
        """Count the checkpoints of threads.

        Raises:
            ResultsError: There are not so many of each.
        """
        [row] = await self.database.read(
            "SELECT count(*) AS n FROM checkpoints WHERE thread_id = ANY(%s)", (list(threads),)
        )
        if row["n"] != each * len(threads):
            raise ResultsError(
                f"{len(threads)} turns left {row['n']} checkpoints, "
                f"where {each * len(threads)} were expected"
            )


@dataclass(frozen=True, slots=True)
class Streamer:
    """A subject: a checkpointer under the agent."""

    name: str
    """As in the records."""
    open_saver: Callable[[], Saver | None]
    """Returns the checkpointer; a new one for each sample where it is in memory."""
    pool_size: int = 0
    """Connections behind it; 0: it has none."""
    stored: Stored | None = None

    async def sample(self, conversations: int, durability: Durability) -> tuple[float, list[Turn]]:
        """Stream one turn of so many new threads at once; return the seconds of all and of each.

        After the clock has stopped, checkpoints are counted.

        Raises:
            ResultsError: A turn was not answered or not stored.
        """
        graph = build_agent(self.open_saver(), model=DeterministicChatModel())
        threads = [str(uuid4()) for _ in range(conversations)]
        with collection_paused():
            started_s = time.perf_counter()
            turns = await asyncio.gather(
                *(stream_turn(graph, thread, durability) for thread in threads)
            )
            elapsed_s = time.perf_counter() - started_s
        if self.stored is not None:
            await self.stored.check(threads, 1 if durability == "exit" else CHECKPOINTS)
        return elapsed_s, turns


async def stream_turn(graph: Graph, thread_id: str, durability: Durability) -> Turn:
    """Ask the agent one question and read its answer token by token.

    Raises:
        ResultsError: The tokens do not make the answer.
    """
    # LangGraph warns of a durability without a checkpointer, and of `sync` it dies.
    how: dict[str, Any] = {"durability": durability} if graph.checkpointer else {}
    first_token_s = 0.0
    pieces: list[str] = []
    started_s = time.perf_counter()
    async for chunk, metadata in graph.astream(
        {"messages": [HumanMessage(QUESTION)]},
        {"configurable": {"thread_id": thread_id}},
        stream_mode="messages",
        **how,
    ):
        if not pieces:
            first_token_s = time.perf_counter() - started_s
        if metadata["langgraph_node"] == "answer":
            pieces.append(chunk.text)
    total_s = time.perf_counter() - started_s
    if "".join(pieces) != ANSWER:
        raise ResultsError(f"the agent said {''.join(pieces)!r:.200}")
    return Turn(first_token_s, total_s)


@asynccontextmanager
async def streamers(
    database: Database | None, *, network_ms: float, pool_size: int
) -> AsyncIterator[list[Streamer]]:
    """Lend everybody who is measured on a network.

    The two savers in Postgres share one pool of connections, since they take turns; what uses no
    network is among the subjects on the fast one only.

    Args:
        database: Near, with LangGraph's tables, its pool of that size; None: in memory only.
        network_ms: Added to each round trip.
        pool_size: Connections of the pool.
    """
    lent: list[Streamer] = []
    async with AsyncExitStack() as stack:
        if not network_ms:
            lent += [Streamer("none", lambda: None), Streamer("memory", InMemorySaver)]
        if database is not None:
            used = database
            if network_ms:
                url = await stack.enter_async_context(far(str(database.config.url), network_ms))
                used = await stack.enter_async_context(pooled(url, pool_size))
            ours, stock = PooledSaver(used), AsyncPostgresSaver(used.pool)
            lent += [
                Streamer("ours", lambda: ours, pool_size, Stored(database)),
                Streamer("stock", lambda: stock, pool_size, Stored(database)),
            ]
        yield lent
