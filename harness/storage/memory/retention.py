"""Shortens the histories of threads in memory: states, and what lies beside the tables."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import orjson

from harness.models import Freed, Pruned
from harness.storage.memory.rows import StateRow
from harness.storage.memory.tables import Tables
from harness.storage.requests import Keeping


class MemoryRetention:
    """Prunes threads one by one."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def prune_all(
        self, thread_ids: Sequence[str] | None, keeping: Keeping, owner: str | None
    ) -> Pruned:
        """Prune those of the threads that there are; an owner's, or everybody's."""
        known = {
            row.thread_id
            for row in self._tables.threads
            if owner is None or (row.owner == owner and not self._tables.has_expired(row))
        }
        if owner is None:
            known.update(*(beside.thread_ids() for beside in self._tables.beside))
        wanted = known if thread_ids is None else known.intersection(thread_ids)
        return sum((self.prune(one, keeping) for one in sorted(wanted)), Pruned())

    def prune(self, thread_id: str, keeping: Keeping) -> Pruned:
        """Prune a thread."""
        pruned = self._prune_states(thread_id, keeping)
        now = self._tables.clock.now()
        for beside in self._tables.beside:
            pruned += beside.prune(thread_id, keeping, now)
        return replace(pruned, threads=int(pruned.rows > 0))

    def _prune_states(self, thread_id: str, keeping: Keeping) -> Pruned:
        table = self._tables.thread_states
        states = sorted(table.group("thread", thread_id), key=lambda row: -row.seq)
        old = states[keeping.keep :]
        if keeping.older_than_s is not None:
            until = self._tables.clock.now() - timedelta(seconds=keeping.older_than_s)
            old = [state for state in old if state.created_at <= until]
        freed = Freed(rows=len(old), size_bytes=sum(map(_size_bytes, old)))
        if not keeping.dry_run:
            for state in old:
                table.remove(state)
            there = {state.checkpoint_id for state in states} - {one.checkpoint_id for one in old}
            for state in table.group("thread", thread_id):
                if state.parent_checkpoint_id not in there:
                    table.change(state, parent_checkpoint_id=None)
        return Pruned(states=freed)


def _size_bytes(state: StateRow) -> int:
    """Size of what the state holds, as JSON."""
    return len(
        orjson.dumps((state.values, state.next, state.tasks, state.interrupts, state.metadata))
    )
