"""Forgets what one run did to a thread, which LangGraph's savers have no call for."""

from datetime import datetime
from typing import Any, Final

from langgraph.checkpoint.memory import InMemorySaver

from harness.persistence.memory_retention import MemoryCheckpoints
from harness.persistence.saver import PooledSaver
from harness.storage.postgres.checkpoints import in_thread, shorten
from harness.storage.postgres.links import Connection
from harness.storage.postgres.sql import load
from harness.storage.retention import not_of

SQL: Final = load("forgetting", package="harness.persistence")
_ASKED: Final = "__interrupt__"
_ANSWERED: Final = "__resume__"


async def forget_run(saver: Any, thread_id: str, run_id: str, *, undo: bool) -> bool:
    """Remove the checkpoints that a run wrote, as `adelete_for_runs` does, but of one thread.

    Args:
        saver: One of this project's; another's checkpoints are left.
        thread_id: The thread.
        run_id: Stands in the metadata of the run's checkpoints.
        undo: The run was the thread's last: an interrupt that it answered waits again.

    Returns:
        Whether they are gone; not while another run of the thread is executed, nor if there is no
        such thread.

    Raises:
        Conflict: Somebody else changed the same checkpoints, again and again.
        OutcomeUnknown: The connection died; calling again is safe.
        DatabaseUnavailable: There is none to be had; nothing was removed.
        Overloaded: No connection became free in time; nothing was removed.
    """
    if isinstance(saver, InMemorySaver):
        MemoryCheckpoints(saver).forget_run(thread_id, run_id)
        if undo:
            _forget_answers(saver, thread_id)
        return True
    if not isinstance(saver, PooledSaver):
        return False
    parameters = {"thread_id": thread_id, "run_id": run_id}

    async def forget(connection: Connection, _: datetime) -> bool:
        locked = await connection.execute(SQL["lock_resting"], parameters)
        if await locked.fetchone() is None:
            return False
        await shorten(connection, thread_id, not_of({run_id}), with_calls=False)
        if undo:
            await connection.execute(SQL["forget_answers"], parameters)
        return True

    return await in_thread(saver.database, thread_id, forget)


def _forget_answers(saver: InMemorySaver, thread_id: str) -> None:
    for namespace, checkpoints in saver.storage.get(thread_id, {}).items():
        if not checkpoints:
            continue
        writes = saver.writes.get((thread_id, namespace, max(checkpoints)), {})
        asking = {task_id for task_id, channel, *_ in writes.values() if channel == _ASKED}
        for key, (task_id, channel, *_) in list(writes.items()):
            if channel == _ANSWERED or (key[1] >= 0 and task_id in asking):
                del writes[key]
