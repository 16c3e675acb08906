"""Shortens and forgets what an `InMemorySaver` keeps, by the rules that hold in Postgres too.

What a trigger and `harness.storage.postgres.retention` do there.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot

from harness.models import Freed, Pruned
from harness.storage.requests import Keeping
from harness.storage.retention import Link, Settlement, newest, not_of, settle, time_of

_EMPTY = "empty"
"""The type of a blob without a value."""


class MemoryCheckpoints:
    """A saver's threads, as what lies beside the tables of a memory backend."""

    def __init__(self, saver: InMemorySaver) -> None:
        self._saver = saver

    def thread_ids(self) -> Iterable[str]:
        """Return every thread that has checkpoints."""
        return list(self._saver.storage)

    def remove(self, thread_id: str) -> None:
        """Forget a thread."""
        InMemorySaver.delete_thread(self._saver, thread_id)  # past fences, which are its callers'

    def prune(self, thread_id: str, keeping: Keeping, now: datetime) -> Pruned:
        """Shorten a thread's histories."""
        rows = sum(map(len, self._saver.storage.get(thread_id, {}).values()))
        if rows <= keeping.keep:  # all stay, and reading them is most of the work
            return Pruned()
        thread = _Thread(self._saver, thread_id)
        settlement = settle(thread.links(), newest(keeping, now))
        return thread.shorten(settlement, dry_run=keeping.dry_run)

    def forget_run(self, thread_id: str, run_id: str) -> None:
        """Remove what a run made of a thread, but for what others' delta channels need."""
        thread = _Thread(self._saver, thread_id)
        thread.shorten(settle(thread.links(), not_of({run_id}), with_calls=False), dry_run=False)


class _Row(NamedTuple):
    """One checkpoint, read."""

    namespace: str
    checkpoint_id: str
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    parent_id: str | None


class _Thread:
    """What an `InMemorySaver` holds of one thread."""

    def __init__(self, saver: InMemorySaver, thread_id: str) -> None:
        self._saver, self._thread_id = saver, thread_id
        self._spaces = saver.storage[thread_id]
        self._blobs = {key: blob for key, blob in saver.blobs.items() if key[0] == thread_id}

    def links(self) -> list[Link]:
        """Return what is to know of each checkpoint, namespaces together, newest first."""
        read = self._saver.serde.loads_typed
        found = [
            _Row(namespace, checkpoint_id, read(row[0]), read(row[1]), row[2])
            for namespace, rows in sorted(self._spaces.items())
            for checkpoint_id, row in sorted(rows.items(), reverse=True)
        ]
        deltas = self._deltas(row.metadata for row in found)
        return [self._link(row, deltas) for row in found]

    def shorten(self, settlement: Settlement, *, dry_run: bool) -> Pruned:
        """Delete what goes, or only count it."""
        doomed = {namespace: list(self._spaces[namespace]) for namespace in settlement.calls}
        doomed |= settlement.gone
        pruned = Pruned()
        for namespace, gone in doomed.items():
            pruned += self._delete(namespace, frozenset(gone), dry_run=dry_run)
        if not dry_run:
            for namespace in settlement.calls:
                del self._spaces[namespace]
            for namespace, channels in settlement.lost.items():
                for channel, checkpoint_ids in channels.items():
                    self._lose(namespace, channel, checkpoint_ids)
        return pruned

    def _delete(self, namespace: str, gone: frozenset[str], *, dry_run: bool) -> Pruned:
        rows = self._spaces[namespace]
        kept = self._versions(row for one, row in rows.items() if one not in gone)
        garbage = self._versions(rows[one] for one in gone) - kept
        blobs = {key: blob for key, blob in self._blobs.items() if key[1] == namespace}
        blobs = {key: blob for key, blob in blobs.items() if (key[2], key[3]) in garbage}
        writes = {
            key: written
            for key, written in self._saver.writes.items()
            if key[:2] == (self._thread_id, namespace) and key[2] in gone
        }
        pruned = Pruned(
            checkpoints=Freed(
                rows=len(gone),
                size_bytes=sum(len(rows[one][0][1]) + len(rows[one][1][1]) for one in gone),
            ),
            blobs=Freed(rows=len(blobs), size_bytes=sum(len(data) for _, data in blobs.values())),
            writes=Freed(
                rows=sum(map(len, writes.values())),
                size_bytes=sum(
                    len(w[2][1]) for written in writes.values() for w in written.values()
                ),
            ),
        )
        if not dry_run:
            for one in gone:
                del rows[one]
            for one, (checkpoint, metadata, parent_id) in rows.items():
                rows[one] = (checkpoint, metadata, None if parent_id in gone else parent_id)
            for key in blobs:
                del self._saver.blobs[key]
            for place in writes:
                del self._saver.writes[place]
        return pruned

    def _lose(self, namespace: str, channel: str, checkpoint_ids: Iterable[str]) -> None:
        serde, rows = self._saver.serde, self._spaces[namespace]
        for one in checkpoint_ids:
            checkpoint = serde.loads_typed(rows[one][0])
            del checkpoint["channel_versions"][channel]
            rows[one] = (serde.dumps_typed(checkpoint), *rows[one][1:])

    def _versions(self, rows: Iterable[Any]) -> set[tuple[str, Any]]:
        read = self._saver.serde.loads_typed
        return {one for row in rows for one in read(row[0])["channel_versions"].items()}

    def _deltas(self, metadata: Iterable[dict[str, Any]]) -> frozenset[str]:
        """Return the delta channels: their updates are counted, or a value of theirs is marked."""
        read = self._saver.serde.loads_typed
        marked = {
            key[2]
            for key, blob in self._blobs.items()
            if blob[0] != _EMPTY and isinstance(read(blob), _DeltaSnapshot)
        }
        counted = (one.get("counters_since_delta_snapshot") or {} for one in metadata)
        return frozenset(marked.union(*counted))

    def _link(self, row: _Row, deltas: frozenset[str]) -> Link:
        namespace, checkpoint_id, checkpoint, metadata, parent_id = row
        versions = checkpoint["channel_versions"]
        stored = frozenset(
            channel
            for channel in deltas & versions.keys()
            if self._blobs.get(
                (self._thread_id, namespace, channel, versions[channel]), (_EMPTY, b"")
            )[0]
            != _EMPTY
        )
        parents_writes = self._saver.writes.get((self._thread_id, namespace, parent_id or ""), {})
        return Link(
            namespace=namespace,
            checkpoint_id=checkpoint_id,
            parent_id=parent_id,
            made_at=time_of(checkpoint.get("ts")),
            root=(metadata.get("parents") or {}).get(""),
            run_id=metadata.get("run_id"),
            sends=checkpoint["v"] < 4 and any(w[1] == TASKS for w in parents_writes.values()),
            open=(deltas & versions.keys()) - stored,
            stored=stored,
        )
