"""Tasks that nobody awaits."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("harness.server")


def spawn(work: Coroutine[Any, Any, None], tasks: set[asyncio.Future[None]]) -> None:
    """Start a task, hold it until it is done, and log if it failed."""

    def done(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("a task of the executor failed", exc_info=exc)

    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(done)
