"""The checkpointer of memory mode, which follows its storage: it forgets and prunes with it."""

import copy
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from harness.errors import Conflict, NotFound
from harness.persistence.fence import Fenceable
from harness.persistence.memory_retention import MemoryCheckpoints
from harness.persistence.metadata import without_configurable
from harness.persistence.serde import Serializer
from harness.storage.memory import MemoryBackend
from harness.storage.memory.jsonb import contains
from harness.storage.memory.rows import ThreadRow
from harness.storage.memory.tables import Tables

_MISSING: Final = object()
_writing_to: ContextVar[ThreadRow | None] = ContextVar("harness_writing_to", default=None)


class MemorySaver(Fenceable, InMemorySaver):
    """An `InMemorySaver` that filters as Postgres does, copies threads, and keeps to fences.

    Args:
        tables: Where the threads and runs are that it is written for.
        serde: How values become bytes; by default a `Serializer`.
        stores_configurable: Whether metadata take up what a config's `configurable` says, as
            LangGraph's savers have it.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        serde: SerializerProtocol | None = None,
        stores_configurable: bool = True,
    ) -> None:
        super().__init__(serde=Serializer() if serde is None else serde)
        self.tables: Final = tables
        self._stores_configurable = stores_configurable

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint with its blobs.

        Raises:
            LeaseLost: A run writes whose lease is gone, or nobody whom a saver that requires a
                fence knows (see `harness.persistence.fence`); nothing was written.
            NotFound: It writes to another thread, which its owner does not have; or the thread that
                is written to alone is gone; nothing was written.
        """
        told = config if self._stores_configurable else without_configurable(config)
        configurable = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable["checkpoint_ns"]
        keys = [(thread_id, namespace, name, version) for name, version in new_versions.items()]
        with self._let_through(thread_id), _whole(self.blobs, keys):
            return super().put(told, checkpoint, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote; raises as `put` does."""
        configurable = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable.get("checkpoint_ns", "")
        key = thread_id, namespace, configurable["checkpoint_id"]
        with self._let_through(thread_id), _whole(self.writes, [key]):
            super().put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints, blobs and writes; raises as `put` does."""
        with self._let_through(thread_id):
            super().delete_thread(thread_id)

    @contextmanager
    def writing_to(self, thread_id: str) -> Iterator[None]:
        """Have what is put in the block be put only as long as the thread is this very one.

        Raises:
            NotFound: There is no such thread.
        """
        thread = self.tables.threads.get(thread_id)
        if thread is None:
            raise NotFound.of("thread", thread_id)
        token = _writing_to.set(thread)
        try:
            yield
        finally:
            _writing_to.reset(token)

    @contextmanager
    def _let_through(self, thread_id: Any) -> Iterator[None]:
        """Keep the run and the thread that are written for as they are, if they may be written for.

        Locked, since nodes that are no coroutines call a saver from threads of their own.
        """
        runs, threads, fence = self.tables.runs, self.tables.threads, self._write_fence()
        with runs.lock, threads.lock:
            alone = _writing_to.get()
            if alone is not None and threads.get(alone.thread_id) is not alone:
                raise NotFound.of("thread", alone.thread_id)
            if fence is not None:
                run = runs.get(fence.run_id)
                held = None if run is None else (run.thread_id, run.owner, run.lease_token)
                if held != (fence.thread_id, fence.owner, fence.token):
                    raise fence.lost()
                thread = threads.get(thread_id)
                if thread is None or thread.owner != fence.owner:
                    raise NotFound.of("thread", thread_id)
            yield

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
        """Copy a thread's checkpoints, blobs and writes; one that is not there has none.

        Writes whose checkpoint is not stored yet are not copied.

        Raises:
            Conflict: Something is stored under the target's id; nothing was written.
            LeaseLost: As `put`, likewise.
            NotFound: Likewise.
        """
        source, target = str(source_thread_id), str(target_thread_id)
        with self._let_through(target):
            self._copy(source, target)

    def _copy(self, source: str, target: str) -> None:
        if any(self.storage.get(target, {}).values()):
            raise Conflict(f"thread {target} has checkpoints already; nothing was written")
        for namespace, rows in self.storage.get(source, {}).items():
            self.storage[target][namespace] = dict(rows)
        for (thread, namespace, checkpoint), writes in list(self.writes.items()):
            if thread == source and checkpoint in self.storage[source].get(namespace, {}):
                self.writes[target, namespace, checkpoint] = dict(writes)
        for (thread, namespace, channel, version), blob in list(self.blobs.items()):
            if thread == source:
                self.blobs[target, namespace, channel, version] = blob


@contextmanager
def _whole(rows: MutableMapping[Any, Any], keys: Iterable[Any]) -> Iterator[None]:
    """Put back what was stored under some keys if the block fails, in the midst of which it may."""
    before = {key: copy.copy(rows[key]) if key in rows else _MISSING for key in keys}
    try:
        yield
    except BaseException:
        for key, row in before.items():
            if row is _MISSING:
                rows.pop(key, None)
            else:
                rows[key] = row
        raise


def memory_saver(
    backend: MemoryBackend,
    *,
    serde: SerializerProtocol | None = None,
    stores_configurable: bool = True,
) -> MemorySaver:
    """Return an empty checkpointer that loses what the backend deletes, in the same step."""
    saver = MemorySaver(backend.tables, serde=serde, stores_configurable=stores_configurable)
    backend.tables.beside.append(MemoryCheckpoints(saver))
    return saver
