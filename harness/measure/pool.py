"""Measures pool utilization: many callers at once, behind pools of several sizes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count

from harness.errors import ResultsError
from harness.measure.calls import Calls
from harness.measure.gauge import MAX_POINTS, MAX_WAITS, Gauge, Reading, read, thinned
from harness.measure.records import Mix, PoolCell
from harness.measure.sites import PostgresSite, Site

Step = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Drive:
    """What the callers did."""

    start_s: float
    end_s: float
    operations: int
    """Those that were done when the time was up."""
    created: int
    """Rows created, also by calls that ended after that."""


async def measure_cell(
    site: Site,
    calls: Calls,
    *,
    subject: str,
    callers: int,
    mix: Mix,
    duration_s: float,
    rows: int,
) -> PoolCell:
    """Let callers loop over the subject's calls for a while, and watch the pool meanwhile.

    Args:
        site: Where `rows` threads lie; more are created.
        calls: The subject's calls on threads, ready for `rows` rows.
        subject: Its name.
        callers: How many call at the same time.
        mix: What they call.
        duration_s: How long.
        rows: How many threads were planted.

    Raises:
        ResultsError: Not every row that was created is there.
    """
    before = await site.count("threads")
    if isinstance(site, PostgresSite):
        pool, gauge = site.database.pool, Gauge()
        with gauge.watch(pool):
            drive = await _drive(calls, callers=callers, mix=mix, duration_s=duration_s, rows=rows)
        pool_size = pool.max_size
        reading = read(
            gauge.checkouts(), pool_size=pool_size, start_s=drive.start_s, end_s=drive.end_s
        )
    else:
        drive = await _drive(calls, callers=callers, mix=mix, duration_s=duration_s, rows=rows)
        pool_size, reading = 0, Reading(busy_share=0, peak_in_use=0, wait_ms=[], timeline=[])
    there = await site.count("threads") - before
    if there != drive.created:
        raise ResultsError(
            f"{callers} callers of {subject} created {drive.created} threads, and {there} are there"
        )
    return PoolCell(
        pool_size=pool_size,
        callers=callers,
        mix=mix,
        subject=subject,
        duration_s=drive.end_s - drive.start_s,
        operations=drive.operations,
        busy_share=reading.busy_share,
        peak_in_use=reading.peak_in_use,
        wait_ms=thinned(reading.wait_ms, MAX_WAITS),
        throughput_per_s=drive.operations / (drive.end_s - drive.start_s),
        timeline=thinned(reading.timeline, MAX_POINTS),
    )


async def _drive(calls: Calls, *, callers: int, mix: Mix, duration_s: float, rows: int) -> Drive:
    """Run the callers until the time is up, and let each finish what it has begun."""
    steps = _steps(calls, mix)
    numbers = count()
    operations = created = 0
    start_s = time.perf_counter()
    end_s = start_s + duration_s

    async def caller() -> None:
        nonlocal operations, created
        while time.perf_counter() < end_s:
            step, creates = next(steps)
            await step(next(numbers) % rows)
            created += creates
            operations += time.perf_counter() <= end_s
            await asyncio.sleep(0)  # calls to memory never wait, and would keep the others out

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return Drive(start_s, end_s, operations, created)


def _steps(calls: Calls, mix: Mix) -> Iterator[tuple[Step, bool]]:
    """Yield what to do next, for ever, and whether it creates a row.

    `mixed` is five gets, two updates, a search, a listing and a create in ten.
    """
    create, get, update = (calls.create, True), (calls.get, False), (calls.update, False)
    search, newest = (lambda _: calls.search(), False), (lambda _: calls.newest(10), False)
    cycle: list[tuple[Step, bool]] = [create]
    if mix == "mixed":
        cycle = [get, update, get, search, get, create, get, update, get, newest]
    while True:
        yield from cycle
