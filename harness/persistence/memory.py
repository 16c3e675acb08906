"""The checkpointer of memory mode, which follows its storage: it forgets and prunes with it."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver

from harness.errors import Conflict
from harness.persistence.memory_retention import MemoryCheckpoints
from harness.storage.memory import MemoryBackend
from harness.storage.memory.jsonb import contains


class MemorySaver(InMemorySaver):
    """An `InMemorySaver` that filters as Postgres does, and that can copy threads."""

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 -- the library's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints whose metadata contain the filter, in jsonb's sense; newest first."""
        found = super().list(config, before=before)
        matching = (one for one in found if contains(dict(one.metadata), filter or {}))
        return islice(matching, limit)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints, blobs and writes of a thread; one that is not there has none.

        Raises:
            Conflict: Something is stored under the target's id; nothing was written.
        """
        source, target = str(source_thread_id), str(target_thread_id)
        if any(self.storage.get(target, {}).values()):
            raise Conflict(f"thread {target} has checkpoints already; nothing was written")
        for namespace, rows in self.storage.get(source, {}).items():
            self.storage[target][namespace] = dict(rows)
        for (thread, namespace, checkpoint), writes in list(self.writes.items()):
            if thread == source:
                self.writes[target, namespace, checkpoint] = dict(writes)
        for (thread, namespace, channel, version), blob in list(self.blobs.items()):
            if thread == source:
                self.blobs[target, namespace, channel, version] = blob


def memory_saver(backend: MemoryBackend) -> MemorySaver:
    """Return an empty checkpointer that loses what the backend deletes, in the same step."""
    saver = MemorySaver()
    backend.tables.beside.append(MemoryCheckpoints(saver))
    return saver
