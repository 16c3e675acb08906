"""Faults in what deletes: threads, runs, what is pruned; and in copies."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the saver's

from collections.abc import Mapping
from typing import Any, Final

from harness.contract.checkpointer import (
    CheckpointerContract,
    SaverCopyContract,
    SaverDeleteContract,
    SaverPruneContract,
    SaverRunsContract,
)
from tests.integration.savers.broken.sound import Sound


class BlobsOutliveTheirThread(Sound):
    """A deleted thread leaves its blobs."""

    def delete_thread(self, thread_id: str) -> None:
        blobs = dict(self.blobs)
        super().delete_thread(thread_id)
        self.blobs.update(blobs)


class WritesOutliveTheirThread(Sound):
    """A deleted thread leaves its writes."""

    def delete_thread(self, thread_id: str) -> None:
        writes = dict(self.writes)
        super().delete_thread(thread_id)
        self.writes.update(writes)


class OnlyTheRootIsDeleted(Sound):
    """A deleted thread leaves its subgraphs' checkpoints."""

    def delete_thread(self, thread_id: str) -> None:
        inner = {ns: rows for ns, rows in self.storage.get(thread_id, {}).items() if ns}
        super().delete_thread(thread_id)
        if inner:
            self.storage[thread_id].update(inner)


class NeighboursAreDeleted(Sound):
    """Deleting a thread deletes those whose ids begin with its."""

    def delete_thread(self, thread_id: str) -> None:
        for thread in [one for one in self.storage if one.startswith(str(thread_id))]:
            super().delete_thread(thread)
        super().delete_thread(thread_id)


class DeletingNothingRaises(Sound):
    """A thread that is not there cannot be deleted."""

    def delete_thread(self, thread_id: str) -> None:
        if str(thread_id) not in self.storage:
            raise KeyError(thread_id)
        super().delete_thread(thread_id)


class PruneKeepsOneOfAll(Sound):
    """Pruning keeps one checkpoint of a thread, whatever its namespaces."""

    async def aprune(self, thread_ids: Any, *, strategy: str = "keep_latest") -> None:
        await super().aprune(thread_ids, strategy=strategy)
        for thread in thread_ids:
            for namespace in [*self.storage.get(thread, {})][1:]:
                del self.storage[thread][namespace]


class PruneLeavesBlobs(Sound):
    """Pruning frees no blob."""

    async def aprune(self, thread_ids: Any, *, strategy: str = "keep_latest") -> None:
        blobs = dict(self.blobs)
        await super().aprune(thread_ids, strategy=strategy)
        self.blobs.update(blobs)


class AnyStrategyWillDo(Sound):
    """A strategy that does not exist is the default."""

    async def aprune(self, thread_ids: Any, *, strategy: str = "keep_latest") -> None:
        known = "delete" if strategy == "delete" else "keep_latest"
        await super().aprune(thread_ids, strategy=known)


class PruneForgetsDeltas(Sound):
    """Pruning drops the checkpoints that a delta channel is rebuilt from."""

    def _ways(self, thread: str, namespace: str, key: str) -> set[str]:
        return set()


class DeltasAreNotPruned(Sound):
    """A thread with delta channels is kept for ever."""

    async def aprune(self, thread_ids: Any, *, strategy: str = "keep_latest") -> None:
        await super().aprune(
            [one for one in thread_ids if not self._counts(one)], strategy=strategy
        )

    def _counts(self, thread: str) -> bool:
        rows = [row for space in self.storage.get(thread, {}).values() for row in space.values()]
        return any("counters_since_delta_snapshot" in self._metadata(row) for row in rows)


class RunsKeepTheirParents(Sound):
    """What followed a deleted checkpoint names it still."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        parents = {
            (thread, namespace, key): row[2]
            for thread, namespaces in self.storage.items()
            for namespace, rows in namespaces.items()
            for key, row in rows.items()
        }
        await super().adelete_for_runs(run_ids)
        for thread, namespaces in self.storage.items():
            for namespace, rows in namespaces.items():
                for key, row in rows.items():
                    rows[key] = (*row[:2], parents[thread, namespace, key])


class RunsLeaveBlobs(Sound):
    """Deleting a run frees no blob."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        blobs = dict(self.blobs)
        await super().adelete_for_runs(run_ids)
        self.blobs.update(blobs)


class RunsLeaveWrites(Sound):
    """Deleting a run leaves its writes."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        writes = dict(self.writes)
        await super().adelete_for_runs(run_ids)
        self.writes.update(writes)


class OnlyTheFirstRunIsDeleted(Sound):
    """Of several runs one goes."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        await super().adelete_for_runs(run_ids[:1])


class RunsHaveOneThread(Sound):
    """A run is looked for until a thread of it is found."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        others = dict(self.storage)
        for thread, namespaces in others.items():
            made = {
                self._metadata(r).get("run_id") for s in namespaces.values() for r in s.values()
            }
            if made & {*run_ids}:
                self.storage.clear()
                self.storage[thread] = namespaces
                await super().adelete_for_runs(run_ids)
                self.storage.update({**others, thread: self.storage[thread]})
                return


class RunsForgetDeltas(PruneForgetsDeltas):
    """A run takes what another's delta channels are rebuilt from."""


class CopiesAreMerged(Sound):
    """A copy is added to what the target has."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        held = {k: dict(v) for k, v in self.storage.pop(target_thread_id, {}).items()}
        await super().acopy_thread(source_thread_id, target_thread_id)
        for namespace, rows in held.items():
            self.storage[target_thread_id][namespace].update(rows)


class NothingCannotBeCopied(Sound):
    """A thread that is not there has no copy."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        if source_thread_id not in self.storage:
            raise KeyError(source_thread_id)
        await super().acopy_thread(source_thread_id, target_thread_id)


class CopiesAreTheLatest(Sound):
    """Only the last checkpoint of each namespace is copied."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await super().acopy_thread(source_thread_id, target_thread_id)
        for rows in self.storage.get(target_thread_id, {}).values():
            for key in [*rows]:
                if key != max(rows):
                    del rows[key]


class CopiesLackWrites(Sound):
    """A copied thread has no pending writes."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await super().acopy_thread(source_thread_id, target_thread_id)
        for key in [key for key in self.writes if key[0] == target_thread_id]:
            del self.writes[key]


class CopiesAreShared(Sound):
    """A copied thread's writes are the original's."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await super().acopy_thread(source_thread_id, target_thread_id)
        for thread, namespace, checkpoint in [*self.writes]:
            if thread == source_thread_id:
                shared = self.writes[thread, namespace, checkpoint]
                self.writes[target_thread_id, namespace, checkpoint] = shared


FAULTS: Final[Mapping[type[Sound], type[CheckpointerContract]]] = {
    BlobsOutliveTheirThread: SaverDeleteContract,
    WritesOutliveTheirThread: SaverDeleteContract,
    OnlyTheRootIsDeleted: SaverDeleteContract,
    NeighboursAreDeleted: SaverDeleteContract,
    DeletingNothingRaises: SaverDeleteContract,
    PruneKeepsOneOfAll: SaverPruneContract,
    PruneLeavesBlobs: SaverPruneContract,
    AnyStrategyWillDo: SaverPruneContract,
    PruneForgetsDeltas: SaverPruneContract,
    DeltasAreNotPruned: SaverPruneContract,
    RunsKeepTheirParents: SaverRunsContract,
    RunsLeaveBlobs: SaverRunsContract,
    RunsLeaveWrites: SaverRunsContract,
    OnlyTheFirstRunIsDeleted: SaverRunsContract,
    RunsHaveOneThread: SaverRunsContract,
    RunsForgetDeltas: SaverRunsContract,
    CopiesLackWrites: SaverCopyContract,
    CopiesAreShared: SaverCopyContract,
    CopiesAreMerged: SaverCopyContract,
    NothingCannotBeCopied: SaverCopyContract,
    CopiesAreTheLatest: SaverCopyContract,
}
"""Each fault, and the contract class whose promise it breaks."""
