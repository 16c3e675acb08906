"""Forgets a run with what it did to its thread, which LangGraph's savers have no call for."""

from datetime import datetime
from typing import Any, Final

from langgraph.checkpoint.memory import InMemorySaver

from harness.errors import LeaseLost, NotFound
from harness.models import TERMINAL, Lease
from harness.persistence.memory import MemorySaver
from harness.persistence.memory_retention import MemoryCheckpoints
from harness.persistence.saver import PooledSaver
from harness.storage.memory.transitions import age, end_run, remove_run
from harness.storage.postgres.checkpoints import in_thread, shorten
from harness.storage.postgres.heads import end_parameters, ends
from harness.storage.postgres.links import Connection, rows
from harness.storage.postgres.sql import load
from harness.storage.requests import StatusChange
from harness.storage.retention import not_of

SQL: Final = load("forgetting", package="harness.persistence")
RUNS: Final = load("runs")
INTERRUPT: Final = ends("is_active")[False]
INTERRUPTED: Final = StatusChange(status="interrupted", error=None, thread_status="idle", head=None)
_ASKED: Final = "__interrupt__"
_ANSWERED: Final = "__resume__"
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""The task that LangGraph keeps a caller's update under, until the next checkpoint has it."""


async def forget_run(
    saver: Any,
    thread_id: str,
    run_id: str,
    *,
    lease: Lease | None = None,
    active: bool = False,
    keep: bool = False,
    owner: str,
) -> bool:
    """Remove a run, and with it the checkpoints that it wrote, as `adelete_for_runs` does.

    All or nothing, and while no other run of the thread begins. Whoever executes the run has lost
    it then, and writes no more. The checkpoints stay where another run of the thread is executed.
    If no later run has begun, an interrupt that the run answered waits again.

    Args:
        saver: One of this project's.
        thread_id: The run's thread.
        run_id: The run.
        lease: Whoever executes the run gives its lease; None: whatever the run's status is.
        active: Whether only a run is removed that has not ended.
        keep: Whether the run itself, which has not ended, ends `interrupted` instead.
        owner: Whose it is.

    Returns:
        Whether the checkpoints are gone too.

    Raises:
        NotFound: There is no such run, or it is not to be removed since it has ended.
        LeaseLost: The lease is not the run's current one.
        Conflict: Somebody else changed the same checkpoints, again and again.
        OutcomeUnknown: The connection died; calling again is safe.
        DatabaseUnavailable: There is none to be had; nothing was removed.
        Overloaded: No connection became free in time; nothing was removed.
        TypeError: The saver is another's.
    """
    if isinstance(saver, MemorySaver):
        return _forget_in_memory(
            saver, thread_id, run_id, lease, active=active, keep=keep, owner=owner
        )
    if not isinstance(saver, PooledSaver):
        raise TypeError(f"{type(saver).__name__} is not one of this project's savers")
    parameters = {"thread_id": thread_id, "id": run_id, "owner": owner}

    async def forget(connection: Connection, _: datetime) -> bool:
        thread = await rows(connection, SQL["lock_thread"], **parameters)
        run = await rows(connection, SQL["lock_run"], **parameters)
        if not thread or not run:
            raise NotFound.of("run", run_id)
        _check(run_id, run[0]["status"], run[0]["token"], lease, active=active)
        rests = thread[0]["running"] in {None, run_id}
        if rests:
            await shorten(connection, thread_id, not_of({run_id}), with_calls=False)
            if run[0]["is_last"]:
                await rows(connection, SQL["forget_answers"], **parameters)
        if keep:
            await rows(connection, INTERRUPT, **parameters, **end_parameters(INTERRUPTED))
        else:
            await rows(connection, RUNS["delete"], **parameters)
        return rests

    return await in_thread(saver.database, thread_id, forget)


def _forget_in_memory(
    saver: MemorySaver,
    thread_id: str,
    run_id: str,
    lease: Lease | None,
    *,
    active: bool,
    keep: bool,
    owner: str,
) -> bool:
    tables = saver.tables
    with tables.runs.lock:
        run = tables.runs.get(run_id)
        if run is None or (run.thread_id, run.owner) != (thread_id, owner):
            raise NotFound.of("run", run_id)
        _check(run_id, run.status, run.lease_token, lease, active=active)
        others = [other for other in tables.runs.group("thread", thread_id) if other is not run]
        rests = not any(other.status == "running" for other in others)
        if rests:
            MemoryCheckpoints(saver).forget_run(thread_id, run_id)
            if not any(other.attempt and age(other) > age(run) for other in others):
                _forget_answers(saver, thread_id)
        if keep:
            end_run(tables, run, INTERRUPTED, tables.clock.now())
        else:
            remove_run(tables, run)
    return rests


def _check(
    run_id: str, status: str, token: str | None, lease: Lease | None, *, active: bool
) -> None:
    """Raise unless the run is to be removed."""
    if lease is not None and lease.token != token:
        raise LeaseLost(f"run {run_id} is not under this lease any more")
    if active and status in TERMINAL:
        raise NotFound(f"run {run_id} has ended")


async def forget_update(
    saver: Any, thread_id: str, run_id: str, *, lease: Lease, owner: str
) -> None:
    """Remove an update that the thread's graph refuses, and would be given again by each run.

    LangGraph stores the update of a command beside the head before any reducer has seen it.

    Args:
        saver: One of this project's; another's writes are left.
        thread_id: The thread.
        run_id: The run of the command.
        lease: Under which it is executed.
        owner: Whose it is.

    Raises:
        LeaseLost: The lease is not the run's current one.
        HarnessError: As `forget_run`.
    """
    if isinstance(saver, MemorySaver):
        with saver.tables.runs.lock:
            run = saver.tables.runs.get(run_id)
            if run is None or run.lease_token != lease.token:
                raise LeaseLost(f"run {run_id} is not under this lease any more")
            _forget_update(saver, thread_id)
    if not isinstance(saver, PooledSaver):
        return
    parameters = {"thread_id": thread_id, "id": run_id, "owner": owner}

    async def forget(connection: Connection, _: datetime) -> None:
        await rows(connection, SQL["lock_thread"], **parameters)
        run = await rows(connection, SQL["lock_run"], **parameters)
        if not run or run[0]["token"] != lease.token:
            raise LeaseLost(f"run {run_id} is not under this lease any more")
        await rows(connection, SQL["forget_update"], thread_id=thread_id, nobody=_NOBODY)

    await in_thread(saver.database, thread_id, forget)


def _forget_update(saver: InMemorySaver, thread_id: str) -> None:
    checkpoints = saver.storage.get(thread_id, {}).get("", {})
    writes = saver.writes.get((thread_id, "", max(checkpoints, default="")), {})
    for key, (task_id, channel, *_) in list(writes.items()):
        if task_id == _NOBODY and channel != _ANSWERED:
            del writes[key]


def _forget_answers(saver: InMemorySaver, thread_id: str) -> None:
    for namespace, checkpoints in saver.storage.get(thread_id, {}).items():
        if not checkpoints:
            continue
        writes = saver.writes.get((thread_id, namespace, max(checkpoints)), {})
        asking = {task_id for task_id, channel, *_ in writes.values() if channel == _ASKED}
        for key, (task_id, channel, *_) in list(writes.items()):
            if channel == _ANSWERED or (key[1] >= 0 and task_id in asking):
                del writes[key]
