"""Measures how a connection pool is used, exactly: from when callers ask, take and give back.

psycopg_pool's own `usage_ms` cuts every checkout down to whole milliseconds
(`psycopg_pool.pool_async`, `_putconn`), which for short statements leaves nothing.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

MAX_WAITS: Final = 5_000
MAX_POINTS: Final = 2_000

ValueT = TypeVar("ValueT")


class Checkout(NamedTuple):
    """One connection's way to a caller and back; times in seconds of one clock."""

    asked_s: float
    taken_s: float | None
    """None: the caller was still queued when the recording ended, or gave up."""
    given_s: float | None
    """When it was given back, or when a caller that never got one gave up; None: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the checkouts of a period amount to."""

    busy_share: float
    """Connection-seconds in callers' hands over pool size times the period, 0 to 1."""
    peak_in_use: int
    wait_ms: list[float]
    """What each caller that took a connection in the period had waited for it, ascending."""
    timeline: list[tuple[float, int, int]]
    """`(t_s, in use, queued)` from 0 to the period's end, each holding until the next."""


class Gauge:
    """Records the checkouts of a pool while it watches it."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._done: list[Checkout] = []
        self._held: dict[int, tuple[float, float]] = {}
        self._queued: dict[int, float] = {}
        self._tickets = 0

    def asked(self) -> int:
        """Note that a caller asks for a connection; returns its ticket."""
        self._tickets += 1
        self._queued[self._tickets] = self._clock()
        return self._tickets

    def taken(self, ticket: int, connection: int) -> None:
        """Note that the caller got the connection of that identity."""
        self._held[connection] = (self._queued.pop(ticket), self._clock())

    def gave_up(self, ticket: int) -> None:
        """Note that the caller leaves without one."""
        self._done.append(Checkout(self._queued.pop(ticket), None, self._clock()))

    def given(self, connection: int) -> None:
        """Note that a caller gives a connection back."""
        held = self._held.pop(connection, None)
        if held is not None:  # taken before the watch began
            self._done.append(Checkout(*held, self._clock()))

    def checkouts(self) -> list[Checkout]:
        """Return everything recorded, what is still held or queued included."""
        held = [Checkout(asked_s, taken_s, None) for asked_s, taken_s in self._held.values()]
        queued = [Checkout(asked_s, None, None) for asked_s in self._queued.values()]
        return [*self._done, *held, *queued]

    @contextmanager
    def watch(self, pool: AsyncConnectionPool[Any]) -> Iterator[None]:
        """Record the pool's checkouts; `connection()` goes through the same two methods."""
        getconn, putconn = pool.getconn, pool.putconn

        async def watched_getconn(timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109 -- psycopg_pool's own
            ticket = self.asked()
            try:
                connection: AsyncConnection[Any] = await getconn(timeout)
            except BaseException:
                self.gave_up(ticket)
                raise
            self.taken(ticket, id(connection))
            return connection

        async def watched_putconn(conn: AsyncConnection[Any]) -> None:
            self.given(id(conn))
            await putconn(conn)

        pool.getconn, pool.putconn = watched_getconn, watched_putconn  # type: ignore[method-assign]  # for this one pool, while watched
        try:
            yield
        finally:
            del pool.getconn, pool.putconn


def read(checkouts: Iterable[Checkout], *, pool_size: int, start_s: float, end_s: float) -> Reading:
    """Return what happened between two times; what overlaps an edge counts up to the edge.

    Raises:
        ValueError: The period is empty.
    """
    if end_s <= start_s:
        raise ValueError("the period is empty")
    busy_s = 0.0
    waits_ms = []
    steps: list[tuple[float, int, int]] = []
    for asked_s, taken_s, given_s in checkouts:
        left_s = math.inf if given_s is None else given_s
        queue_left_s = left_s if taken_s is None else taken_s
        steps += _steps(asked_s, queue_left_s, start_s, end_s, (0, 1))
        if taken_s is None:
            continue
        steps += _steps(taken_s, left_s, start_s, end_s, (1, 0))
        busy_s += max(0.0, min(left_s, end_s) - max(taken_s, start_s))
        if start_s <= taken_s < end_s:
            waits_ms.append(1_000 * (taken_s - asked_s))
    timeline = _timeline(steps, end_s - start_s)
    return Reading(
        busy_share=busy_s / (pool_size * (end_s - start_s)),
        peak_in_use=max(in_use for _, in_use, _ in timeline),
        wait_ms=sorted(waits_ms),
        timeline=timeline,
    )


def thinned(values: Sequence[ValueT], most: int) -> list[ValueT]:
    """Return at most `most` values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _steps(
    from_s: float, to_s: float, start_s: float, end_s: float, change: tuple[int, int]
) -> list[tuple[float, int, int]]:
    """The rise and the fall of one interval, cut to the period and counted from its start."""
    first_s = max(from_s, start_s)
    if first_s >= min(to_s, end_s):
        return []
    in_use, queued = change
    rise = (first_s - start_s, in_use, queued)
    fall = (to_s - start_s, -in_use, -queued)
    return [rise, fall] if to_s <= end_s else [rise]


def _timeline(steps: list[tuple[float, int, int]], length_s: float) -> list[tuple[float, int, int]]:
    """Sum the steps up; steps of the same time are one, so nothing is counted twice there."""
    timeline = [(0.0, 0, 0)]
    for t_s, in_use_step, queued_step in sorted(steps, key=itemgetter(0)):
        last_s, in_use, queued = timeline[-1]
        point = (t_s, in_use + in_use_step, queued + queued_step)
        if t_s == last_s:
            timeline[-1] = point
        else:
            timeline.append(point)
    _, in_use, queued = timeline[-1]
    if timeline[-1][0] < length_s:
        timeline.append((length_s, in_use, queued))
    return timeline
