"""Writes to a thread's state from outside of its runs, which LangGraph does in several calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from harness.persistence.saver import PooledSaver
from harness.storage.postgres.sql import load

SQL: Final = load("writing", package="harness.persistence")


@asynccontextmanager
async def write_alone(saver: Any, thread_id: str) -> AsyncIterator[None]:
    """Have all that is read and written in the block be one transaction, alone on the thread.

    No run of the thread is created or begins meanwhile, whichever process would do it. In memory
    there is only this process, which has to see to that itself.

    Args:
        saver: The checkpointer; with another than this project's, nothing is kept apart.
        thread_id: The thread, which need not be there.

    Raises:
        Conflict: The server undid it because of concurrent ones; nothing was written.
        OutcomeUnknown: The connection died while the commit was under way.
        DatabaseUnavailable: There is none to be had, or it died; nothing was written.
        Overloaded: No connection became free in time; nothing was written.
    """
    if not isinstance(saver, PooledSaver):
        yield
        return
    async with saver.database.unit() as connection:
        await connection.execute(SQL["lock"], {"thread_id": thread_id})
        yield
