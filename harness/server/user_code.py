"""What users' code may raise within a request: anything at all, and it must not end the server."""

import asyncio


def ends_task(exc: BaseException) -> bool:
    """Whether an error is the cancelling of the current task, and not one that its code made up."""
    task = asyncio.current_task()
    return isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling() > 0
