"""Forgets what one run did to a thread, which LangGraph's savers have no call for."""

from importlib import resources
from typing import Any, Final

from langgraph.checkpoint.memory import InMemorySaver

from harness.persistence.saver import PooledSaver
from harness.storage.postgres.sql import Blocks

SQL: Final = Blocks(
    resources.files("harness.persistence").joinpath("forgetting.sql").read_text(encoding="utf-8")
)
_ASKED: Final = "__interrupt__"
_ANSWERED: Final = "__resume__"


async def forget_run(saver: Any, thread_id: str, run_id: str, *, undo: bool) -> bool:
    """Remove the checkpoints that a run wrote, with their writes and the values only they have.

    (A `DeltaChannel` that later checkpoints build upon cannot be read any more, as LangGraph warns
    at `delete_for_runs`.)

    Args:
        saver: One of this project's; another's checkpoints are left.
        thread_id: The thread.
        run_id: Stands in the metadata of the run's checkpoints.
        undo: The run was the thread's last: an interrupt that it answered waits again.

    Returns:
        Whether they are gone; not while another run of the thread is executed, nor if there is no
        such thread.

    Raises:
        OutcomeUnknown: The connection died; calling again is safe.
        DatabaseUnavailable: There is none to be had; nothing was removed.
        Overloaded: No connection became free in time; nothing was removed.
    """
    if isinstance(saver, InMemorySaver):
        _forget_in_memory(saver, thread_id, run_id, undo=undo)
    if not isinstance(saver, PooledSaver):
        return isinstance(saver, InMemorySaver)
    parameters = {"thread_id": thread_id, "run_id": run_id}
    async with saver.database.transaction() as connection:
        locked = await connection.execute(SQL["lock_resting"], parameters)
        if await locked.fetchone() is None:
            return False
        await connection.execute(SQL["forget_checkpoints"], parameters)
        await connection.execute(SQL["forget_blobs"], parameters)
        if undo:
            await connection.execute(SQL["forget_answers"], parameters)
    return True


def _forget_in_memory(saver: InMemorySaver, thread_id: str, run_id: str, *, undo: bool) -> None:
    for namespace, checkpoints in saver.storage.get(thread_id, {}).items():
        for checkpoint_id, (_, metadata, _) in list(checkpoints.items()):
            if saver.serde.loads_typed(metadata).get("run_id") == run_id:
                del checkpoints[checkpoint_id]
                saver.writes.pop((thread_id, namespace, checkpoint_id), None)
        if checkpoints and undo:
            _forget_answers(saver.writes.get((thread_id, namespace, max(checkpoints)), {}))
        used = {
            (channel, version)
            for checkpoint, _, _ in checkpoints.values()
            for channel, version in saver.serde.loads_typed(checkpoint)["channel_versions"].items()
        }
        for key in [key for key in saver.blobs if key[:2] == (thread_id, namespace)]:
            if key[2:] not in used:
                del saver.blobs[key]


def _forget_answers(writes: dict[tuple[str, int], Any]) -> None:
    asking = {task_id for task_id, channel, *_ in writes.values() if channel == _ASKED}
    for key, (task_id, channel, *_) in list(writes.items()):
        if channel == _ANSWERED or (key[1] >= 0 and task_id in asking):
            del writes[key]
