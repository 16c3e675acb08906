"""A server under load: what it gets done, and how it says that its pool was used meanwhile."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from harness.errors import ResultsError
from harness.measure.raw_http import RawConnection
from harness.measure.rows import metadata
from harness.measure.served_places import Pooled
from harness.measure.server_records import ServerLoad

_BODY: Final = orjson.dumps({"metadata": metadata(0)})
_POOL: Final = "harness_pool_"


async def measure_load(pooled: Pooled, callers: int, duration_s: float) -> ServerLoad:
    """Let callers create threads for a while, each on a connection of its own.

    The counters of the server's pool are read before the first request and after the last.

    Args:
        pooled: The server.
        callers: How many call at the same time.
        duration_s: How long; what has begun by then is finished, and counts.

    Raises:
        ResultsError: Not every thread that was created is there.
    """
    created = 0
    rows = await pooled.site.count("threads")
    http = pooled.served.http()

    async def call(line: RawConnection) -> None:
        nonlocal created
        while time.perf_counter() < end_s:
            await line.post("/threads", _BODY)
            created += 1

    async with AsyncExitStack() as stack:
        lines = [
            await stack.enter_async_context(RawConnection(pooled.served.url))
            for _ in range(callers)
        ]
        before = await _read(http)
        start_s = time.perf_counter()
        end_s = start_s + duration_s
        await asyncio.gather(*(call(line) for line in lines))
        took_s = time.perf_counter() - start_s
        after = await _read(http)
    there = await pooled.site.count("threads") - rows
    if there != created:
        raise ResultsError(f"{callers} callers created {created} threads, and {there} are there")
    spent = {name: after[name] - before[name] for name in after}
    checkouts = round(spent["checkouts_total"])
    return ServerLoad(
        pool_size=pooled.size,
        callers=callers,
        duration_s=took_s,
        operations=created,
        busy_share=spent["busy_seconds_total"] / (pooled.size * took_s),
        waiting=spent["waiting_seconds_total"] / took_s,
        wait_ms=1_000 * spent["waiting_seconds_total"] / checkouts,
        checkouts=checkouts,
    )


async def _read(http: httpx.AsyncClient) -> dict[str, float]:
    """Return what the server counts of its pool."""
    text = (await http.get("/metrics")).text
    return {
        sample.name.removeprefix(_POOL): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(_POOL)
    }
