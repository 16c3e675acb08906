"""Shortens the histories that an `InMemorySaver` keeps, by the rule that holds in Postgres too."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot

from harness.models import Freed, Pruned
from harness.storage.requests import Keeping
from harness.storage.retention import Link, Settlement, newest, not_of, settle, time_of

Blob = tuple[str, str, Any]
"""A namespace, a channel and its version."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A checkpoint as it was put, without its values."""

    namespace: str
    checkpoint_id: str
    parent_id: str | None
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    size_bytes: int

    @property
    def blobs(self) -> Iterator[Blob]:
        """The blobs it refers to."""
        for channel, version in self.checkpoint["channel_versions"].items():
            yield self.namespace, channel, version


class MemoryCheckpoints:
    """The checkpoints of an `InMemorySaver`, as `harness.storage.memory.tables.Checkpoints`."""

    def __init__(self, saver: InMemorySaver) -> None:
        self._saver = saver

    def thread_ids(self) -> list[str]:
        """Return the threads that have checkpoints."""
        return list(self._saver.storage)

    def forget(self, thread_id: str) -> None:
        """Remove all of a thread."""
        self._saver.delete_thread(thread_id)

    def prune(self, thread_id: str, keeping: Keeping, now: datetime) -> Pruned:
        """Remove what is old of a thread; in a dry run only say what would go."""
        loaded = self._load(thread_id)
        settlement = settle(self._links(thread_id, loaded), newest(keeping, now))
        return self._carry_out(settlement, thread_id, loaded, dry_run=keeping.dry_run)

    def forget_run(self, thread_id: str, run_id: str) -> None:
        """Remove what a run made of a thread, but for what others' delta channels need."""
        loaded = self._load(thread_id)
        links = self._links(thread_id, loaded)
        settlement = settle(links, not_of({run_id}), with_calls=False)
        self._carry_out(settlement, thread_id, loaded, dry_run=False)

    def _carry_out(
        self, settlement: Settlement, thread_id: str, loaded: list[_Loaded], *, dry_run: bool
    ) -> Pruned:
        gone, kept = _parted(loaded, settlement)
        blobs = {blob for one in gone for blob in one.blobs}
        blobs -= {blob for one in kept for blob in one.blobs}
        blobs.update(self._of_calls(self._saver.blobs, thread_id, settlement))
        blobs &= {key[1:] for key in self._saver.blobs if key[0] == thread_id}
        writes = {(one.namespace, one.checkpoint_id) for one in gone}
        writes.update(self._of_calls(self._saver.writes, thread_id, settlement))
        writes &= {key[1:] for key in self._saver.writes if key[0] == thread_id}
        pruned = Pruned(
            checkpoints=Freed(rows=len(gone), size_bytes=sum(one.size_bytes for one in gone)),
            blobs=_freed(self._saver.blobs[thread_id, *blob] for blob in blobs),
            writes=_freed(
                serialized
                for each in writes
                for _, _, serialized, _ in self._saver.writes[thread_id, *each].values()
            ),
        )
        if not dry_run:
            for blob in blobs:
                del self._saver.blobs[thread_id, *blob]
            for each in writes:
                del self._saver.writes[thread_id, *each]
            self._drop(thread_id, gone, kept, settlement)
        return pruned

    def _of_calls(
        self, keyed: Iterable[tuple[Any, ...]], thread_id: str, settlement: Settlement
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rest of the keys that are in namespaces that go as a whole."""
        calls = frozenset(settlement.calls)
        return (key[1:] for key in keyed if key[0] == thread_id and key[1] in calls)

    def _load(self, thread_id: str) -> list[_Loaded]:
        """Return all checkpoints of a thread, newest first in each namespace."""
        loads = self._saver.serde.loads_typed
        return [
            _Loaded(
                namespace,
                checkpoint_id,
                parent_id,
                loads(checkpoint),
                loads(metadata),
                len(checkpoint[1]) + len(metadata[1]),
            )
            for namespace, rows in sorted(self._saver.storage.get(thread_id, {}).items())
            for checkpoint_id, (checkpoint, metadata, parent_id) in sorted(
                rows.items(), reverse=True
            )
        ]

    def _links(self, thread_id: str, loaded: list[_Loaded]) -> list[Link]:
        deltas = self._delta_channels(thread_id, loaded)
        return [self._link(thread_id, one, deltas) for one in loaded]

    def _link(self, thread_id: str, one: _Loaded, deltas: set[str]) -> Link:
        versioned = deltas & one.checkpoint["channel_versions"].keys()
        stored = {
            channel
            for namespace, channel, version in one.blobs
            if channel in deltas and self._is_stored(thread_id, (namespace, channel, version))
        }
        sent = self._saver.writes.get((thread_id, one.namespace, one.parent_id or ""), {})
        return Link(
            namespace=one.namespace,
            checkpoint_id=one.checkpoint_id,
            parent_id=one.parent_id,
            made_at=time_of(one.checkpoint.get("ts")),
            root=one.metadata.get("parents", {}).get(""),
            run_id=one.metadata.get("run_id"),
            sends=one.checkpoint["v"] < 4
            and any(channel == TASKS for _, channel, _, _ in sent.values()),
            open=frozenset(versioned - stored),
            stored=frozenset(stored),
        )

    def _delta_channels(self, thread_id: str, loaded: list[_Loaded]) -> set[str]:
        """Return the channels that the thread's checkpoints tell are delta channels.

        By counters in the metadata; or by a snapshot, for which only those are looked through that
        have no value somewhere.
        """
        deltas = {
            channel
            for one in loaded
            for channel in one.metadata.get("counters_since_delta_snapshot", ())
        }
        blobs = {blob for one in loaded for blob in one.blobs}
        emptied = {blob[1] for blob in blobs if not self._is_stored(thread_id, blob)}
        for blob in blobs:
            if blob[1] in emptied - deltas and self._is_stored(thread_id, blob):
                value = self._saver.serde.loads_typed(self._saver.blobs[thread_id, *blob])
                if isinstance(value, _DeltaSnapshot):
                    deltas.add(blob[1])
        return deltas

    def _is_stored(self, thread_id: str, blob: Blob) -> bool:
        return self._saver.blobs.get((thread_id, *blob), ("empty", b""))[0] != "empty"

    def _drop(
        self, thread_id: str, gone: list[_Loaded], kept: list[_Loaded], settlement: Settlement
    ) -> None:
        """Remove the checkpoints that go, and make roots of those that have lost their parent."""
        spaces = self._saver.storage[thread_id]
        ids = {(one.namespace, one.checkpoint_id) for one in gone}
        for namespace, checkpoint_id in ids:
            del spaces[namespace][checkpoint_id]
        for namespace in settlement.calls:
            del spaces[namespace]
        lost = _lost(settlement)
        for one in kept:
            checkpoint, metadata, parent_id = spaces[one.namespace][one.checkpoint_id]
            if channels := lost.get((one.namespace, one.checkpoint_id)):
                for channel in channels:
                    del one.checkpoint["channel_versions"][channel]
                checkpoint = self._saver.serde.dumps_typed(one.checkpoint)
            if (one.namespace, parent_id) in ids:
                parent_id = None
            spaces[one.namespace][one.checkpoint_id] = checkpoint, metadata, parent_id


def _parted(loaded: list[_Loaded], settlement: Settlement) -> tuple[list[_Loaded], list[_Loaded]]:
    """Return the checkpoints that go, and those that stay."""
    calls = frozenset(settlement.calls)
    goes = {(name, each) for name, ids in settlement.gone.items() for each in ids}
    parts: tuple[list[_Loaded], list[_Loaded]] = ([], [])
    for one in loaded:
        stays = one.namespace not in calls and (one.namespace, one.checkpoint_id) not in goes
        parts[stays].append(one)
    return parts


def _lost(settlement: Settlement) -> dict[tuple[str, str], list[str]]:
    """Return the channels that checkpoints which stay have lost, by namespace and id."""
    lost = defaultdict[tuple[str, str], list[str]](list)
    for namespace, channels in settlement.lost.items():
        for channel, ids in channels.items():
            for each in ids:
                lost[namespace, each].append(channel)
    return lost


def _freed(blobs: Iterable[tuple[str, bytes]]) -> Freed:
    sizes = [len(content) for _, content in blobs]
    return Freed(rows=len(sizes), size_bytes=sum(sizes))
