"""Sweeps threads and items whose time is over, now and then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from harness.config import ServerConfig
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

_BATCH: Final = 100
"""Threads or items that go in one transaction."""
_ITEMS_A_SWEEP: Final = 100_000


class _Sweep(Protocol):
    def __call__(self, *, limit: int) -> Awaitable[int]:
        """Remove up to so many; return how many there were."""


class Sweeper:
    """Calls the sweeps of a storage at their intervals.

    Nothing depends on when it does: what has expired is not shown, swept or not. Any number of
    processes may sweep one storage; they share the work.

    Args:
        storage: What is swept.
        config: How often, and how much.
    """

    def __init__(self, storage: FullStorage, config: ServerConfig) -> None:
        self._storage, self._config = storage, config
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to sweep, first after an interval."""
        threads, items = self._config.thread_ttl, self._config.item_ttl
        for name, sweep, minutes, most in (
            (
                "threads",
                self._storage.threads.sweep,
                threads.sweep_interval_minutes,
                threads.sweep_limit,
            ),
            ("items", self._storage.items.sweep, items.sweep_interval_minutes, _ITEMS_A_SWEEP),
        ):
            work = _every(60 * minutes, partial(sweep_all, sweep, most), name)
            self._tasks.append(asyncio.create_task(work, name=f"sweeps {name}"))

    async def stop(self) -> None:
        """End; a transaction that is under way is rolled back or done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def sweep_all(sweep: _Sweep, most: int) -> int:
    """Sweep batch by batch until nothing is due, or so much has been swept; return how much."""
    swept = 0
    while swept < most:
        batch = min(_BATCH, most - swept)
        done = await sweep(limit=batch)
        swept += done
        if done < batch:
            break
    return swept


async def _every(interval_s: float, work: Callable[[], Awaitable[int]], name: str) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            swept = await work()
        except Exception as exc:  # noqa: BLE001 -- whatever is wrong, it may pass
            logger.warning("%s are not swept: %s", name, exc)
        else:
            if swept:
                logger.info("%d %s were swept", swept, name)
