"""Lets many callers loop for a while, and watches their pool meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool

from harness.measure.gauge import MAX_POINTS, MAX_WAITS, Gauge, Reading, read, thinned
from harness.measure.records import Mix, PoolCell

Act = Callable[[int], Awaitable[object]]
"""Carries out the next operation of a caller, who is given by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Who calls what, how many at once, and for how long."""

    subject: str
    mix: Mix
    callers: int
    duration_s: float


async def drive(load: Load, act: Act, pool: AsyncConnectionPool[Any] | None = None) -> PoolCell:
    """Run the callers until the time is up, and let each finish what it has begun.

    What ends after that is done, and not counted among the operations.

    Args:
        load: How hard to drive.
        act: What the callers do.
        pool: Whose connections they use; None where there are none.
    """
    gauge = Gauge()
    operations = 0

    async def caller(number: int) -> None:
        nonlocal operations
        while time.perf_counter() < end_s:
            await act(number)
            operations += time.perf_counter() <= end_s
            await asyncio.sleep(0)  # calls to memory never wait, and would keep the others out

    with nullcontext() if pool is None else gauge.watch(pool):
        start_s = time.perf_counter()
        end_s = start_s + load.duration_s
        async with asyncio.TaskGroup() as group:
            for number in range(load.callers):
                group.create_task(caller(number))
    reading = Reading(busy_share=0, peak_in_use=0, wait_ms=[], timeline=[])
    if pool is not None:
        reading = read(gauge.checkouts(), pool_size=pool.max_size, start_s=start_s, end_s=end_s)
    return PoolCell(
        pool_size=0 if pool is None else pool.max_size,
        callers=load.callers,
        mix=load.mix,
        subject=load.subject,
        duration_s=end_s - start_s,
        operations=operations,
        busy_share=reading.busy_share,
        peak_in_use=reading.peak_in_use,
        wait_ms=thinned(reading.wait_ms, MAX_WAITS),
        throughput_per_s=operations / (end_s - start_s),
        timeline=thinned(reading.timeline, MAX_POINTS),
    )
