"""What one run says while it is executed, for everybody who reads along."""

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from harness.errors import HarnessError, InvalidInput
from harness.models import Run
from harness.server.encoding import encode
from harness.server.execution.outcomes import Outcome

MAX_CHANNEL_BYTES: Final = 16 * 2**20
"""What a channel keeps of a run; older events are forgotten first."""

EventKey = tuple[int, int]
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
    ms, _, number = event_id.partition("-")
    if not (ms.isascii() and ms.isdigit() and number.isascii() and number.isdigit()):
        raise InvalidInput(f"Last-Event-ID must be the id of an event, not {event_id!r:.80}")
    return (int(ms), int(number))


class Channel:
    """The events of one run, for any number of readers.

    Readers wait for events and nobody waits for readers: whoever falls so far behind that the
    channel has forgotten what comes next gets `Lagged`.
    """

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        *,
        resumable: bool,
        echo: Callable[[str, str], None] | None = None,
    ) -> None:
        self.thread_id, self.run_id = thread_id, run_id
        self.resumable = resumable
        """Whether events carry their ids, and can be read after the run has ended."""
        self.outcome: Outcome | None = None
        """How the run ended; None while it has not, and if this process ended first."""
        self.watched = False
        """Whether somebody looks after the run's end, wherever it is executed."""
        self.size_bytes = 0
        self._echo = echo
        self._events: deque[Event] = deque()
        self._forgotten = 0
        self._newest_forgotten = BEGINNING
        self._ended = False
        self._last: EventKey = (0, -1)
        self._waiting: set[asyncio.Future[None]] = set()

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
        if not self._ended:
            data = encode(payload)
            self.append(name, data)
            if self._echo is not None:
                self._echo(name, data)

    def append(self, name: str, data: str) -> None:
        """Let every reader have an event whose payload is JSON text."""
        ms = max(time.time_ns() // 1_000_000, self._last[0])
        self._last = (ms, self._last[1] + 1)
        event = Event(self._last, name, data)
        self._events.append(event)
        self.size_bytes += len(event.data)
        while self.size_bytes > MAX_CHANNEL_BYTES and len(self._events) > 1:
            forgotten = self._events.popleft()
            self.size_bytes -= len(forgotten.data)
            self._forgotten += 1
            self._newest_forgotten = forgotten.key
        self._wake()

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

    async def read(self, after: EventKey | None = None) -> AsyncIterator[Sequence[Event]]:
        """Yield events as they come, all that are there at a time, until the run has ended.

        Args:
            after: The last event that the reader has seen; None: everything that is there.

        Raises:
            Lagged: Events that should come next are gone.
        """
        position = self._forgotten
        if after is not None:
            if BEGINNING < after < self._newest_forgotten:
                raise Lagged
            position += bisect_right(self._events, after, key=lambda event: event.key)
        while True:
            if position < self._forgotten:
                raise Lagged
            events = [self._events[i] for i in range(position - self._forgotten, len(self._events))]
            if events:
                position += len(events)
                yield events
            elif self._ended:
                return
            else:
                await self._more()

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
