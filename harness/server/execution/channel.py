"""What one run says while it is executed, for everybody who reads along."""

import asyncio
import re
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from weakref import WeakSet

from harness.errors import HarnessError, InvalidInput
from harness.models import Run
from harness.server.encoding import clean, encode
from harness.server.execution.outcomes import Outcome

MAX_CHANNEL_BYTES: Final = 16 * 2**20
"""What a channel keeps of a run; older events are forgotten first."""
MAX_PIECE_BYTES: Final = 256 * 2**10
"""From this size on a reader is given what comes next apart: it is what each one holds."""
PATIENCE_S: Final = 2.0
"""For how long in all a run waits for a reader who is about to miss something."""
_FULL: Final = 0.5
"""Part of what a channel keeps behind which a reader is waited for."""

_FIRST: Final = 2
"""Events that a run sends before it goes on: that it has begun, and the first of its graph."""
_HEAD_START_S: Final = 0.01
"""For how long each of them may take. Threads send them, which CPython lets run only when the run
rests, or after it has gone on for 5 ms, which is longer than many a graph takes."""

EventKey = tuple[int, int]
_EVENT_ID: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
BEGINNING: Final[EventKey] = (-1, -1)
"""Before all events."""


class Lagged(HarnessError, RuntimeError):
    """The reader is so far behind that events it has not seen are gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a run said."""

    key: EventKey
    """Milliseconds since 1970 and a number that counts up; in order over attempts and processes."""
    name: str
    """The stream mode, with the namespace of a subgraph behind it: `updates|research:…`."""
    data: str
    """JSON text."""

    @property
    def id(self) -> str:
        """The key as text: `<ms>-<number>`."""
        return f"{self.key[0]}-{self.key[1]}"


def key_of(event_id: str) -> EventKey:
    """Read the id of the last event that a reader has seen; `0` and `-1` are before all.

    Raises:
        InvalidInput: It is no id of an event.
    """
    if event_id in ("", "0", "-1"):
        return BEGINNING
    parts = _EVENT_ID.fullmatch(event_id)
    if parts is None:
        raise InvalidInput(f"Last-Event-ID must be the id of an event, not {event_id!r:.80}")
    return (int(parts[1]), int(parts[2]))


class Channel:
    """The events of one run, for any number of readers.

    Readers wait for events. The run waits for a moment until its first ones are sent, and for a
    reader who has fallen far behind, but for `PATIENCE_S` in all; whoever is still so slow that the
    channel has forgotten what comes next gets `Lagged`.
    """

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        *,
        resumable: bool,
        owner: str = "",
        echo: Callable[[], "Channel | None"] | None = None,
    ) -> None:
        self.thread_id, self.run_id, self.owner = thread_id, run_id, owner
        self.resumable = resumable
        """Whether events carry their ids, and can be read after the run has ended."""
        self.outcome: Outcome | None = None
        """How the run ended; None while it has not, and if this process ended first."""
        self.watched = False
        """Whether somebody looks after the run's end, wherever it is executed."""
        self.size_bytes = 0
        self.on_change: Callable[[Channel, int], None] | None = None
        """Told by how many bytes what is kept has grown or shrunk."""
        self._echo = echo
        self._events: deque[Event] = deque()
        self._forgotten = 0
        self._newest_forgotten = BEGINNING
        self._ended = False
        self._last: EventKey = (0, -1)
        self._said_bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._readers: WeakSet[Reader] = WeakSet()
        self._taken = asyncio.Event()
        self._pulled = asyncio.Event()

    @classmethod
    def ended_of(cls, run: Run) -> Self:
        """Return the empty channel of a run that has ended, and of which nothing is kept."""
        channel = cls(run.thread_id, run.run_id, resumable=False)
        channel.end()
        return channel

    @property
    def newest(self) -> EventKey:
        """The last event; whoever reads after it gets only what is new."""
        return self._last

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

    def publish(self, name: str, payload: Any) -> None:
        """Let every reader have an event, as it is now."""
        if self._ended:
            return
        data = encode(payload)
        name = " ".join(clean(name).splitlines())  # it has names of nodes, and is one line
        self.append(name, data)
        echo = self._echo and self._echo()
        if echo is not None:
            echo.append(name, data)

    def append(self, name: str, data: str) -> None:
        """Let every reader have an event whose payload is JSON text."""
        ms = max(time.time_ns() // 1_000_000, self._last[0])
        self._last = (ms, self._last[1] + 1)
        event = Event(self._last, name, data)
        self._events.append(event)
        self._said_bytes += len(event.data)
        self._resize(len(event.data))
        while self.size_bytes > MAX_CHANNEL_BYTES and len(self._events) > 1:
            self._forget_one()
        self._wake()

    def forget(self, size_bytes: int) -> int:
        """Forget the oldest events until so much is free, or none is left; return how much is."""
        before = self.size_bytes
        while self._events and before - self.size_bytes < size_bytes:
            self._forget_one()
        return before - self.size_bytes

    def forget_values(self) -> None:
        """Keep of the outcome no more than how the run ended; what it left behind is stored."""
        if self.outcome is not None:
            self.outcome = replace(self.outcome, values=None)

    def _forget_one(self) -> None:
        forgotten = self._events.popleft()
        self._forgotten += 1
        self._newest_forgotten = forgotten.key
        self._resize(-len(forgotten.data))

    def _resize(self, by_bytes: int) -> None:
        self.size_bytes += by_bytes
        if self.on_change is not None:
            self.on_change(self, by_bytes)

    async def room(self) -> None:
        """Let readers get the first events, or catch up who would otherwise miss what comes next.

        Those of the run, and those of its thread; if they are quick.
        """
        if self._forgotten + len(self._events) <= _FIRST:
            await self._await_sent()
        await self._await_late()
        echo = self._echo and self._echo()
        if echo is not None:
            await echo.room()

    async def _await_sent(self) -> None:
        said = self._forgotten + len(self._events)
        try:
            async with asyncio.timeout(_HEAD_START_S):
                while any(reader.sent < said for reader in self._readers) and not self._ended:
                    self._pulled.clear()
                    await self._pulled.wait()
        except TimeoutError:
            return

    async def _await_late(self) -> None:
        while late := self._late():
            began_s = time.monotonic()
            self._taken.clear()
            try:
                async with asyncio.timeout(min(reader.patience_s for reader in late)):
                    await self._taken.wait()
            except TimeoutError:
                pass
            for reader in late:
                reader.patience_s -= time.monotonic() - began_s

    def _late(self) -> "list[Reader]":
        """Return who is far behind, has missed nothing yet, and has not been waited for long."""
        full_bytes = MAX_CHANNEL_BYTES * _FULL
        if self.size_bytes <= full_bytes:
            return []
        return [
            reader
            for reader in self._readers
            if self._said_bytes - reader.taken_bytes > full_bytes
            and reader.patience_s > 0
            and reader.position >= self._forgotten
        ]

    def end(self, outcome: Outcome | None = None) -> None:
        """Say that nothing more will come."""
        if not self._ended:
            self._ended, self.outcome = True, outcome
            self._wake()

    async def wait(self) -> Outcome | None:
        """Return how the run ended, once it has."""
        while not self._ended:
            await self._more()
        return self.outcome

    async def ends_within(self, seconds: float) -> bool:
        """Wait for the end, but no longer than so many seconds; return whether it has come."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return False
        return True

    def read(self, after: EventKey | None = None) -> "Reader":
        """Return a reader of events as they come, until the run has ended.

        Args:
            after: The last event that it has seen; None: everything that is there.
        """
        seen = 0
        if after is not None:
            if BEGINNING < after < self._newest_forgotten:
                seen = -1
            else:
                seen = bisect_right(self._events, after, key=lambda event: event.key)
        ahead = sum(len(self._events[n].data) for n in range(max(seen, 0), len(self._events)))
        reader = Reader(self, self._forgotten + seen, self._said_bytes - ahead)
        self._readers.add(reader)
        return reader

    def pulled(self) -> None:
        """Say that a reader has sent what it had, and asks for more."""
        self._pulled.set()

    async def after(self, position: int) -> Sequence[Event]:
        """Return the events from a position on, as many as are there and make a piece.

        Nothing at the end of the run.

        Raises:
            Lagged: They are gone.
        """
        while self._forgotten + len(self._events) <= position and not self._ended:
            await self._more()
        if position < self._forgotten:
            raise Lagged
        events: list[Event] = []
        size_bytes = 0
        for n in range(position - self._forgotten, len(self._events)):
            events.append(self._events[n])
            size_bytes += len(events[-1].data)
            if size_bytes >= MAX_PIECE_BYTES:
                break
        self._taken.set()
        return events

    async def _more(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Reader:
    """Yields a channel's events, all that are there and make a piece at a time.

    The channel knows its readers from the time that they were made, and while somebody holds them.
    """

    def __init__(self, channel: Channel, position: int, taken_bytes: int) -> None:
        self.channel = channel
        self.position, self.taken_bytes = position, taken_bytes
        """How many of the channel's events, and what of it, this reader has had or passed over."""
        self.sent = position
        """How many of them it has passed on."""
        self.patience_s = PATIENCE_S
        """For how long the run will still wait for it."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        """Return what comes next.

        Raises:
            Lagged: Events that should come next are gone.
        """
        self.sent = self.position
        self.channel.pulled()
        events = await self.channel.after(self.position)
        if not events:
            raise StopAsyncIteration
        self.position += len(events)
        self.taken_bytes += sum(len(event.data) for event in events)
        return events
