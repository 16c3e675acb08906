"""Shortens the histories of threads in memory: states, and what checkpoints are tied to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import orjson

from harness.models import Freed, Pruned
from harness.storage.memory.rows import StateRow
from harness.storage.memory.tables import Tables
from harness.storage.requests import Keeping


def threads_of(tables: Tables, thread_ids: Sequence[str] | None, owner: str | None) -> list[str]:
    """Return the threads that may be pruned: the owner's, or everybody's and LangGraph's own."""
    if owner is None:
        known = {row.thread_id for row in tables.threads}
        known.update(*(checkpoints.thread_ids() for checkpoints in tables.checkpoints))
    else:
        known = {row.thread_id for row in tables.threads.group("owner", owner)}
    return sorted(known if thread_ids is None else known.intersection(thread_ids))


def prune_thread(tables: Tables, thread_id: str, keeping: Keeping) -> Pruned:
    """Delete what is old of a thread; in a dry run only say what would go."""
    pruned = Pruned(states=_prune_states(tables, thread_id, keeping))
    for checkpoints in tables.checkpoints:
        pruned += checkpoints.prune(thread_id, keeping, tables.clock.now())
    return replace(pruned, threads=int(pruned.rows > 0))


def _prune_states(tables: Tables, thread_id: str, keeping: Keeping) -> Freed:
    rows = tables.thread_states.group("thread", thread_id)
    rows.sort(key=lambda row: row.seq, reverse=True)
    gone = rows[keeping.keep :]
    if keeping.older_than_s is not None:
        until = tables.clock.now() - timedelta(seconds=keeping.older_than_s)
        gone = [row for row in gone if row.created_at <= until]
    freed = Freed(rows=len(gone), size_bytes=sum(map(_size, gone)))
    if keeping.dry_run:
        return freed
    for row in gone:
        tables.thread_states.remove(row)
    ids = {row.checkpoint_id for row in gone}
    for row in tables.thread_states.group("thread", thread_id):
        if row.parent_checkpoint_id in ids:
            tables.thread_states.change(row, parent_checkpoint_id=None)
    return freed


def _size(row: StateRow) -> int:
    """Return what a state's JSON takes up as text, in bytes."""
    return len(orjson.dumps([row.values, row.next, row.tasks, row.interrupts, row.metadata]))
