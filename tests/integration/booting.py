"""Processes that boot at the same moment."""

import asyncio
import os
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from harness.config import DatabaseConfig
from harness.database import Database
from harness.runtime import get_checkpointer, initialize_database, shutdown_database
from tests.integration.forked.process import Forked


@asynccontextmanager
async def booting(main: str, count: int) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Start processes that call a function of this module, `migrate` or `initialize`.

    Lends what boots all of them on an empty database at once, and waits until each has.
    """
    with tempfile.TemporaryFile() as log:
        start = (f"{__name__}:{main}", (), os.environ, log.fileno())
        processes = [await Forked.start(*start) for _ in range(count)]

        async def boot(url: str) -> None:
            for process in processes:
                process.say(url)
            for process in processes:
                if await process.stdout.readline() != b"done\n":
                    log.seek(0)
                    raise AssertionError(log.read().decode())

        try:
            yield boot
        finally:
            for process in processes:
                process.kill()
                await process.wait()


def migrate() -> None:
    """Make the runtime's tables in each database that standard input names."""
    _boot_each(_migrate)


def initialize() -> None:
    """Initialize the runtime on each database that standard input names."""
    _boot_each(_initialize)


def _boot_each(boot: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    warnings.simplefilter("error")
    for line in sys.stdin:
        asyncio.run(boot(line.strip()))
        sys.stdout.write("done\n")
        sys.stdout.flush()


async def _migrate(url: str) -> None:
    async with Database(DatabaseConfig(url=url, pool_min_size=1, pool_max_size=1)) as database:
        await database.migrate()


async def _initialize(url: str) -> None:
    config = DatabaseConfig(url=url, required=True, pool_min_size=1, pool_max_size=1)
    if not await initialize_database(config):
        raise AssertionError("it stores in memory")
    checkpointer = get_checkpointer()
    if checkpointer is None:
        raise AssertionError("it has no checkpointer")
    found = await checkpointer.aget_tuple({"configurable": {"thread_id": "t"}})
    if found is not None:
        raise AssertionError(f"an empty database has {found}")
    await shutdown_database()
