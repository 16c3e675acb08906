"""Creates over HTTP, beside an echo of the same bodies and the same storage in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal

import orjson
from langgraph_sdk.client import LangGraphClient

from harness.errors import ResultsError
from harness.faults.served import Served
from harness.measure import rows
from harness.measure.paired import Subject, collection_paused
from harness.measure.raw_http import RawConnection
from harness.measure.rows import OWNER
from harness.measure.served_places import Place, Places
from harness.measure.server_records import CLIENTS, Client
from harness.measure.timing import Timed
from harness.measure.workloads import WORKERS
from harness.storage.extensions import FullStorage

Created = Literal["assistants", "threads"]
CREATED: Final[tuple[Created, ...]] = ("assistants", "threads")
WAYS: Final = {"create_sequential": 1, "create_20_workers": WORKERS}
"""How many workers share the rows of a sample, by workload."""

Create = Callable[[int, int], Awaitable[object]]
"""Creates a row, given by number, on behalf of a worker, given by number."""
Opened = Callable[[], AbstractAsyncContextManager[Create]]
"""Lends a `Create`."""


def create_subjects(everything: Places, resource: Created, workload: str, size: int) -> list[Timed]:
    """Return everybody who creates rows of a resource: servers, echo and storage.

    Subjects are called `memory sdk`, `memory raw`, `memory storage`, …, `echo sdk`, `echo raw`.

    Args:
        everything: What is running.
        resource: What is created.
        workload: Of `WAYS`.
        size: How many rows a sample creates.
    """
    new = [rows.new(resource, n) for n in range(size)]
    workers = WAYS[workload]
    found: list[tuple[str, Opened, Callable[[], Awaitable[int]] | None]] = []
    for client in CLIENTS:
        over = _over_http(everything.echo, client, resource, new, workers)
        found.append((f"echo {client}", over, None))
    for place in everything.stores:
        for client in CLIENTS:
            over = _over_http(place.served, client, resource, new, workers)
            found.append((f"{place.checkpoints} {client}", over, _counting(place, resource, True)))
        here = _in_process(place.storage, resource, new)
        found.append((f"{place.checkpoints} storage", here, _counting(place, resource, False)))
    return [
        Timed(
            subject=Subject(name, _sampling(name, opened, count, size, workers)),
            workload=workload,
            resource=resource,
            operations=size,
        )
        for name, opened, count in found
    ]


def _sampling(
    name: str,
    opened: Opened,
    count: Callable[[], Awaitable[int]] | None,
    size: int,
    workers: int,
) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        """Create all rows; return seconds. They are counted before and after."""
        before = await count() if count else 0
        async with opened() as create:
            numbers = iter(range(size))

            async def work(worker: int) -> None:
                for n in numbers:
                    await create(worker, n)

            with collection_paused():
                started_s = time.perf_counter()
                await asyncio.gather(*(work(worker) for worker in range(workers)))
                elapsed_s = time.perf_counter() - started_s
        if count and (there := await count() - before) != size:
            raise ResultsError(f"{name} created {there} rows, where {size} were to be created")
        return elapsed_s

    return sample


def _counting(place: Place, resource: Created, served: bool) -> Callable[[], Awaitable[int]]:
    return lambda: place.rows(resource, served=served)


def _over_http(
    served: Served, client: Client, resource: Created, new: list[dict[str, Any]], workers: int
) -> Opened:
    if client == "sdk":
        return _with_sdk(served.client(), resource, new)
    bodies = [orjson.dumps(row) for row in new]

    @asynccontextmanager
    async def opened() -> AsyncIterator[Create]:
        async with AsyncExitStack() as stack:
            lines = [
                await stack.enter_async_context(RawConnection(served.url)) for _ in range(workers)
            ]
            yield lambda worker, n: lines[worker].post(f"/{resource}", bodies[n])

    return opened


def _with_sdk(client: LangGraphClient, resource: Created, new: list[dict[str, Any]]) -> Opened:
    create: Callable[..., Awaitable[object]] = getattr(client, resource).create

    @asynccontextmanager
    async def opened() -> AsyncIterator[Create]:
        yield lambda _, n: create(**new[n])

    return opened


def _in_process(storage: FullStorage, resource: Created, new: list[dict[str, Any]]) -> Opened:
    create: Callable[..., Awaitable[object]] = getattr(storage, resource).create

    @asynccontextmanager
    async def opened() -> AsyncIterator[Create]:
        yield lambda _, n: create(**new[n], owner=OWNER)

    return opened
