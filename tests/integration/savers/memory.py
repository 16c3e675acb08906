"""LangGraph's saver in memory as a subject: what looks behind it, and what kills it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from harness.contract.checkpointer.base import Kept


class MemoryProbe:
    """Counts what an `InMemorySaver` keeps of a thread, whatever type its id has."""

    sees_hidden = True

    def __init__(self, saver: InMemorySaver) -> None:
        self._saver = saver

    async def count(self, kept: Kept, thread_id: str) -> int:
        """Count what is stored of a thread, in all its namespaces."""
        saver = self._saver
        if kept == "blobs":
            return sum(str(key[0]) == thread_id for key in saver.blobs)
        if kept == "writes":
            found = (writes for key, writes in saver.writes.items() if str(key[0]) == thread_id)
            return sum(map(len, found))
        spaces = (spaces for key, spaces in saver.storage.items() if str(key) == thread_id)
        return sum(len(rows) for each in spaces for rows in each.values())


class MemoryKiller:
    """Ends a call where it first lets others run."""

    async def during_put(self, call: Coroutine[Any, Any, Any], config: Any) -> bool:
        """Kill an `aput`; return whether it was over before."""
        return await self._kill(call)

    async def during_writes(
        self, call: Coroutine[Any, Any, Any], config: Any, task_id: str, last: int
    ) -> bool:
        """Kill an `aput_writes`; return whether it was over before."""
        return await self._kill(call)

    async def _kill(self, call: Coroutine[Any, Any, Any]) -> bool:
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return not task.cancelled()
