"""Writes to a thread's state from outside of its runs, which LangGraph does in several calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from harness.errors import NotFound
from harness.persistence.fence import unfenced
from harness.persistence.memory import MemorySaver
from harness.persistence.saver import PooledSaver
from harness.storage.postgres.sql import load

SQL: Final = load("writing", package="harness.persistence")
THREADS: Final = load("threads")


@asynccontextmanager
async def write_alone(saver: Any, thread_id: str) -> AsyncIterator[None]:
    """Have all that is read and written in the block be one transaction, alone on the thread.

    No run of the thread is created or begins meanwhile, nor is the thread deleted, whichever
    process would do it. In memory there is only this process, which has to see to the runs itself;
    if the thread is deleted, what is put afterwards raises `NotFound`.

    Args:
        saver: The checkpointer; with another than this project's, nothing is kept apart.
        thread_id: The thread.

    Raises:
        NotFound: There is no such thread, whoever's.
        Conflict: The server undid it because of concurrent ones; nothing was written.
        OutcomeUnknown: The connection died while the commit was under way.
        DatabaseUnavailable: There is none to be had, or it died; nothing was written.
        Overloaded: No connection became free in time; nothing was written.
    """
    if isinstance(saver, MemorySaver):
        with unfenced(), saver.writing_to(thread_id):
            yield
        return
    if not isinstance(saver, PooledSaver):
        yield
        return
    async with _locking(saver, SQL["lock"], {"thread_id": thread_id}):
        yield


@asynccontextmanager
async def hold_thread(saver: Any, thread_id: str) -> AsyncIterator[None]:
    """Have all that is read and written in the block be one transaction, with a thread held.

    The thread is not deleted meanwhile, nor is its id taken by another; its runs go on. In memory
    a block that does not wait for anything is as safe.

    Args:
        saver: The checkpointer; with another than this project's, nothing is held.
        thread_id: The thread.

    Raises:
        Exception: As `write_alone`.
    """
    if not isinstance(saver, PooledSaver):
        with unfenced():
            yield
        return
    async with _locking(saver, THREADS["hold"], {"id": thread_id}):
        yield


@asynccontextmanager
async def _locking(saver: PooledSaver, lock: str, place: dict[str, str]) -> AsyncIterator[None]:
    """Have the block be one transaction, with a thread locked from its beginning."""
    async with saver.database.unit() as connection:
        locked = await connection.execute(lock, place)
        if not locked.rowcount:  # nothing would keep it apart from one that is made meanwhile
            raise NotFound.of("thread", *place.values())
        with unfenced():
            yield
