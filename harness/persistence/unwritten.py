"""What a run has said and not yet stored, and the run waiting until that is little enough.

With `durability="async"` LangGraph stores checkpoints in tasks, one after another, and goes on to
the next superstep meanwhile. Where the database is slower than the graph, what waits would grow for
as long as the run goes on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint

Place = tuple[str, str]
"""A checkpoint: its namespace and id."""

_current: ContextVar["Unwritten | None"] = ContextVar("harness_unwritten", default=None)
_write: ContextVar["_Write | None"] = ContextVar("harness_write", default=None)
_ROOM_FOR_ONE: Final = 1
_TURNS: Final = 2
_UNSEEN: Final = 1 / 8
"""Part of the room that a call is taken to need until it has been serialised."""


class _Write:
    """One call of the saver, and what it holds."""

    def __init__(self, expected_bytes: int, inline_bytes: int, changed: asyncio.Event) -> None:
        self.size_bytes = expected_bytes
        self._inline_bytes, self._changed = inline_bytes, changed

    def seen(self, size_bytes: int) -> None:
        """Take its size, once it is known."""
        self.size_bytes = self._inline_bytes + size_bytes
        self._changed.set()


class Unwritten:
    """Counts what one run has not yet stored.

    A checkpoint is known to wait from the first write that refers to it. Its size is taken to be
    that of the one that was stored last, or of what was written to it, if that is larger.

    Args:
        most: How many calls and checkpoints may wait.
        most_bytes: What they may hold together; one may be larger.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._calls: set[_Write] = set()
        self._ahead: dict[Place, list[_Write]] = {}
        """Checkpoints that wait, and what tasks wrote to them, which the next ones hold too."""
        self._stored: dict[str, str] = {}
        self._last_bytes = 0
        self._changed = asyncio.Event()
        self.peak = 0
        """The most that ever waited."""

    @property
    def waiting(self) -> int:
        """How many calls and checkpoints wait."""
        return len(self._calls) + len(self._ahead)

    async def room(self) -> None:
        """Wait until little enough waits; returns at once where nothing is being stored."""
        while self._calls and self._is_too_much():
            self._changed.clear()
            await self._changed.wait()

    async def settled(self) -> None:
        """Wait until nothing is being stored.

        LangGraph leaves writes behind that it has scheduled, where a graph refuses its input. They
        begin within two turns of the event loop.
        """
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        while self._calls:
            self._changed.clear()
            await self._changed.wait()

    def _is_too_much(self) -> bool:
        held = sum(call.size_bytes for call in self._calls)
        for writes in self._ahead.values():
            held += max(sum(write.size_bytes for write in writes), self._last_bytes)
        return self.waiting > self._most or (
            held > self._most_bytes and self.waiting > _ROOM_FOR_ONE
        )

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is stored in this block and in tasks of it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def call(self, config: RunnableConfig, stored: Checkpoint | None) -> Iterator[None]:
        """Count one call of the saver: of a checkpoint, or of a task's writes."""
        configurable = config["configurable"]
        namespace = configurable.get("checkpoint_ns", "")
        expected_bytes = ceil(self._most_bytes * _UNSEEN)
        if stored is None:
            write = _Write(expected_bytes, 0, self._changed)
            refers_to = str(configurable.get("checkpoint_id", ""))
            if refers_to > self._stored.get(namespace, ""):
                self._ahead.setdefault((namespace, refers_to), []).append(write)
        else:
            values = stored["channel_values"].values()
            inline_bytes = sum(len(value) for value in values if isinstance(value, str))
            write = _Write(expected_bytes, inline_bytes, self._changed)
        self._calls.add(write)
        self.peak = max(self.peak, self.waiting)
        token = _write.set(write)
        try:
            yield
            if stored is not None:
                self._last_bytes = write.size_bytes
                self._stored[namespace] = stored["id"]
                for place in [(ns, id_) for ns, id_ in self._ahead if ns == namespace]:
                    if place[1] <= stored["id"]:
                        del self._ahead[place]
        finally:
            _write.reset(token)
            self._calls.discard(write)
            self._changed.set()


@contextmanager
def counted(config: RunnableConfig, stored: Checkpoint | None = None) -> Iterator[None]:
    """Count a call of the saver for the run that makes it, if one does."""
    unwritten = _current.get()
    if unwritten is None:
        yield
        return
    with unwritten.call(config, stored):
        yield


def note_size(size_bytes: int) -> None:
    """Say how much the call of the saver that is under way here holds."""
    write = _write.get()
    if write is not None:
        write.seen(size_bytes)


class WaitsForRoom(AsyncCallbackHandler):
    """Has each node wait, before it begins, until its run has stored enough.

    Args:
        unwritten: Of the run.
    """

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_agent = ignore_retriever = ignore_retry = True
    ignore_custom_event = True

    def __init__(self, unwritten: Unwritten) -> None:
        self._unwritten = unwritten

    async def on_chain_start(self, *_: Any, **__: Any) -> None:
        """Wait before a node begins."""
        await self._unwritten.room()
