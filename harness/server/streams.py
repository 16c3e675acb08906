"""Open streams: how many there are, and which of their readers are gone."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, Protocol, runtime_checkable

from harness.config import ServerConfig
from harness.server.failures import HttpError
from harness.server.metrics import Metrics
from harness.server.shares import Shares

_LEAST_PATIENCE_S: Final = 2.0


class Streams:
    """Room for open streams, as many as the HTTP server can hold.

    Each holds one of Robyn's 256 threads until the reader has it all, or Robyn has found out that
    the reader is gone; the stream after the last thread would wait for ever.

    Args:
        config: How many, and how often a silent one shows that it is alive.
        metrics: Counts them.
    """

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self._most, self.heartbeat_s = config.max_streams, config.heartbeat_s
        self._shares = Shares(config.max_streams, config.part_of_owner)
        self._open: set[Slot] = set()
        self._none = asyncio.Event()
        self._gauge = metrics.streams

    def reserve(self, owner: str) -> "Slot":
        """Take room for one stream of an owner.

        Raises:
            HttpError: 503, there is none; 429, the owner has as many as one may.
        """
        again = {"Retry-After": "1"}
        if len(self._open) >= self._most:
            raise HttpError(503, f"{self._most} streams are open already", again)
        if self._shares.is_full(owner):
            raise HttpError(
                429, f"you have {self._shares.held_by(owner)} streams open: close one", again
            )
        slot = Slot(self, owner)
        self._open.add(slot)
        self._shares.take(owner)
        self._gauge.set(len(self._open))
        return slot

    def release(self, slot: "Slot") -> None:
        """Take room back; once is enough."""
        if slot in self._open:
            self._open.discard(slot)
            self._shares.give(slot.owner)
        if not self._open:
            self._none.set()
        self._gauge.set(len(self._open))

    async def all_ended(self, within_s: float) -> None:
        """Wait until all streams have been pulled to their ends, but no longer than that."""
        if self._open:
            self._none.clear()
            await asyncio.wait({asyncio.ensure_future(self._none.wait())}, timeout=within_s)


@runtime_checkable
class Closing(Protocol):
    """What can be ended before its end."""

    async def aclose(self) -> None:
        """End it."""


class Slot:
    """Room for one stream."""

    def __init__(self, streams: Streams, owner: str) -> None:
        self._streams, self.owner = streams, owner

    def release(self) -> None:
        """Give it back."""
        self._streams.release(self)

    def stream(
        self,
        pieces: AsyncGenerator[str, None],
        *,
        heartbeat: str,
        on_gone: Callable[[], None] | None = None,
    ) -> AsyncIterator[str]:
        """Return what Robyn pulls: the pieces, and a heartbeat where they take long.

        Args:
            pieces: Closed when the reader is gone.
            heartbeat: Sent when there is nothing else.
            on_gone: Called if the reader leaves before the end.
        """
        stream = _Stream(pieces, heartbeat, self._streams.heartbeat_s, self.release, on_gone)
        # Robyn drops it in a thread of its own, at the next request.
        dropped = weakref.finalize(
            stream, asyncio.get_running_loop().call_soon_threadsafe, self.release
        )
        dropped.atexit = False
        return stream


class _Stream:
    """An iterator that knows whether it is still pulled.

    Robyn pulls the next piece as soon as it has sent one. It notices that a reader is gone when it
    cannot send, and then neither pulls nor closes: a piece that nothing comes after was the last.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[str, None],
        heartbeat: str,
        heartbeat_s: float,
        on_end: Callable[[], None],
        on_gone: Callable[[], None] | None,
    ) -> None:
        self._pieces, self._heartbeat, self._heartbeat_s = pieces, heartbeat, heartbeat_s
        self._on_end, self._on_gone = on_end, on_gone
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Task[str | None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._ended = False
        self._patience = self._expect_pull()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        self._patience.cancel()
        piece = None if self._ended else await self._piece()
        if piece is None:
            self._ended = True
            self._on_end()
            raise StopAsyncIteration
        self._patience = self._expect_pull()
        return piece

    async def aclose(self) -> None:
        """End it before its end, as nobody wants the rest; that is not its reader's leaving."""
        self._patience.cancel()
        if not self._ended:
            self._ended = True
            self._on_end()
            await _close(self._pieces, self._next)

    async def _piece(self) -> str | None:
        """Return the next piece, or a heartbeat; None at the end."""
        if self._next is None:
            self._next = asyncio.create_task(_next(self._pieces))
        await asyncio.wait({self._next}, timeout=self._heartbeat_s)
        if not self._next.done():
            return self._heartbeat
        finished, self._next = self._next, None
        return finished.result()

    def _expect_pull(self) -> asyncio.TimerHandle:
        return self._loop.call_later(max(_LEAST_PATIENCE_S, self._heartbeat_s), self._leave)

    def _leave(self) -> None:
        """Give up: the reader is gone, or reads so slowly that it is as good as gone."""
        if self._ended:
            return
        self._ended = True
        if self._next is not None:
            self._next.cancel()
        self._closing = self._loop.create_task(_close(self._pieces, self._next))
        if self._on_gone is not None:
            self._on_gone()


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    try:
        return await anext(pieces)
    except StopAsyncIteration:
        return None


async def _close(
    pieces: AsyncGenerator[str, None], pending: asyncio.Task[str | None] | None
) -> None:
    if pending is not None:
        await asyncio.wait({pending})
    await pieces.aclose()
