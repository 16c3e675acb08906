"""Faults in what is deleted with a run, and in copies onto what is there."""
# ruff: noqa: D102 -- a class says what is wrong with it; the methods are the saver's

from collections.abc import Collection, Mapping
from typing import Any, Final

from harness.contract.checkpointer import (
    CheckpointerContract,
    SaverCopyContract,
    SaverDeleteForRunsContract,
)
from tests.integration.savers.broken.sound import Sound


class CopiesOverwrite(Sound):
    """A copy replaces what is there."""

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.delete_thread(target_thread_id)
        await super().acopy_thread(source_thread_id, target_thread_id)


class RunsOutliveTheirThreads(Sound):
    """Only the first thread of a run is cleaned up."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        for spaces in self.storage.values():
            for rows in spaces.values():
                if any(self._run_of(row) in run_ids for row in rows.values()):
                    await self._delete_in_one(spaces, run_ids)
                    return

    async def _delete_in_one(self, spaces: Any, run_ids: Any) -> None:
        others = {thread: kept for thread, kept in self.storage.items() if kept is not spaces}
        for thread in others:
            del self.storage[thread]
        await super().adelete_for_runs(run_ids)
        self.storage.update(others)


class SharedValuesGoWithTheirRun(Sound):
    """A run's values go with it, whoever else has them."""

    def _remove(self, thread: str, namespace: str, gone: Collection[str]) -> None:
        doomed = [self.storage[thread][namespace][one] for one in gone]
        super()._remove(thread, namespace, gone)
        for checkpoint, _, _ in doomed:
            for version in self.serde.loads_typed(checkpoint)["channel_versions"].items():
                self.blobs.pop((thread, namespace, *version), None)


class NoRunIsEveryRun(Sound):
    """Naming no run that there is deletes what names none."""

    async def adelete_for_runs(self, run_ids: Any) -> None:
        await super().adelete_for_runs([*run_ids, None])


FAULTS: Final[Mapping[type[Sound], type[CheckpointerContract]]] = {
    CopiesOverwrite: SaverCopyContract,
    RunsOutliveTheirThreads: SaverDeleteForRunsContract,
    SharedValuesGoWithTheirRun: SaverDeleteForRunsContract,
    NoRunIsEveryRun: SaverDeleteForRunsContract,
}
"""Each fault, and the contract class whose promise it breaks."""
