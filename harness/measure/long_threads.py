"""Threads of many checkpoints to read and to prune, made of one that real turns made."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.agents import Graph
from harness.database import Database
from harness.errors import ResultsError
from harness.measure.agent_records import Channels
from harness.measure.footprint import copy_thread, footprint
from harness.measure.growing import GrowingThread, config_of, graph_on, texts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LongThread:
    """A thread that grew as long as any that is wanted."""

    channels: Channels
    graph: Graph
    thread_id: str
    turns: int
    checkpoints_a_turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CutThread:
    """A copy of a long thread as it was when it had fewer checkpoints."""

    channels: Channels
    graph: Graph
    thread_id: str
    checkpoints: int
    said: tuple[str, ...]
    """Every message of its state."""


async def grow_long_threads(
    database: Database,
    channels: Sequence[Channels],
    checkpoints: int,
    *,
    on_turn: Callable[[], None] = lambda: None,
) -> list[LongThread]:
    """Hold a conversation on each kind of channels, at the same time, for so many checkpoints.

    Every turn is a real one, with the durability that LangGraph has by default.

    Raises:
        ResultsError: Messages are missing.
    """

    async def grow(channels: Channels) -> LongThread:
        growing = GrowingThread(graph_on(database, channels), f"long-{channels}")
        await growing.turn()
        on_turn()
        a_turn = (await footprint(database, growing.thread_id)).rows["checkpoints"]
        while growing.turns * a_turn < checkpoints:
            await growing.turn()
            on_turn()
        return LongThread(
            channels=channels,
            graph=growing.graph,
            thread_id=growing.thread_id,
            turns=growing.turns,
            checkpoints_a_turn=a_turn,
        )

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(grow(one)) for one in channels]
    return [task.result() for task in tasks]


async def cut(
    database: Database, threads: Sequence[LongThread], checkpoints: int, ids: Mapping[Channels, str]
) -> list[CutThread]:
    """Copy the first checkpoints of each thread.

    Args:
        database: Where they are.
        threads: What is copied; they say the same.
        checkpoints: How many.
        ids: The id of each copy, by channels.

    Raises:
        ResultsError: The copies don't hold so many, or don't say the same.
    """
    copies = []
    for thread in threads:
        thread_id = ids[thread.channels]
        await copy_thread(database, thread.thread_id, thread_id, checkpoints)
        there = (await footprint(database, thread_id)).rows["checkpoints"]
        if there != checkpoints:
            raise ResultsError(f"{there} of {checkpoints} checkpoints were copied")
        copies.append(
            CutThread(
                channels=thread.channels,
                graph=thread.graph,
                thread_id=thread_id,
                checkpoints=checkpoints,
                said=tuple(texts_of(await thread.graph.aget_state(config_of(thread_id)))),
            )
        )
    if len({copy.said for copy in copies}) > 1:
        raise ResultsError(f"after {checkpoints} checkpoints unlike channels hold unlike messages")
    return copies
