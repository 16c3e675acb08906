"""A saver in memory that keeps the whole contract, for faults to be seeded in."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot


class Sound(InMemorySaver):
    """LangGraph's saver in memory, without what the contract holds against it."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, with a config of its own."""
        config = self._named(config)
        thread, namespace = _place(config)
        rows = self.storage.get(thread, {}).get(namespace, {})
        checkpoint_id = config["configurable"].get("checkpoint_id") or self._latest(rows)
        if checkpoint_id not in rows:
            return None
        found = super().get_tuple(_at(thread, namespace, checkpoint_id))
        return found and self._shown(found)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 -- the library's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield what matches as it is now, newest first."""
        wanted = self._named(config)["configurable"] if config else {}
        found = [
            _at(thread, namespace, checkpoint_id)
            for thread, namespaces in self.storage.items()
            if wanted.get("thread_id", thread) == thread
            for namespace, rows in namespaces.items()
            if wanted.get("checkpoint_ns", namespace) == namespace
            for checkpoint_id in rows
            if wanted.get("checkpoint_id", checkpoint_id) == checkpoint_id
        ]
        found.sort(key=lambda one: one["configurable"]["checkpoint_id"], reverse=True)
        tuples = [self.get_tuple(one) for one in found]
        chosen = [one for one in tuples if one and self._before(one, before)]
        chosen = [one for one in chosen if self._matches(dict(one.metadata), filter or {})]
        yield from chosen[:limit]

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, once all of it is known to be storable."""
        for value in checkpoint["channel_values"].values():
            self.serde.dumps_typed(value)
        return super().put(self._named(config), checkpoint, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store writes, once all of them are known to be storable."""
        for _, value in writes:
            self.serde.dumps_typed(value)
        super().put_writes(self._named(config), writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        super().delete_thread(str(thread_id))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Any:
        """Return what rebuilds delta channels."""
        return self.get_delta_channel_history(config=self._named(config), channels=channels)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the latest checkpoint of each namespace, or nothing."""
        if strategy not in {"keep_latest", "delete"}:
            raise ValueError(f"unknown strategy {strategy!r}")
        for thread in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread)
                continue
            if self._has_deltas(thread):
                raise NotImplementedError(f"thread {thread} has delta channels")
            for namespace, rows in self.storage.get(thread, {}).items():
                self._keep(thread, namespace, max(rows))

    async def adelete_for_runs(self, run_ids: Sequence[Any]) -> None:
        """Delete what runs made."""
        for thread, spaces in self.storage.items():
            for namespace, rows in spaces.items():
                gone = {one for one, row in rows.items() if self._run_of(row) in run_ids}
                self._remove(thread, namespace, gone)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread."""
        if target_thread_id in self.storage:
            raise ValueError(f"thread {target_thread_id} is there already")
        for namespace, rows in self.storage[source_thread_id].items():
            self.storage[target_thread_id][namespace] = dict(rows)
        for (thread, *rest), writes in list(self.writes.items()):
            if thread == source_thread_id:
                self.writes[cast("Any", (target_thread_id, *rest))] = dict(writes)
        for (thread, namespace, channel, version), blob in list(self.blobs.items()):
            if thread == source_thread_id:
                self.blobs[target_thread_id, namespace, channel, version] = blob

    def _named(self, config: RunnableConfig) -> RunnableConfig:
        """Return the config with the thread's id as text."""
        configurable = config["configurable"]
        named = {**configurable, "thread_id": str(configurable["thread_id"])}
        return {**config, "configurable": named}

    def _latest(self, rows: dict[str, Any]) -> str:
        """Return the id of the checkpoint that is read when none is asked for."""
        return max(rows, default="")

    def _shown(self, found: CheckpointTuple) -> CheckpointTuple:
        """Return what a reader gets to see."""
        return found

    def _before(self, one: CheckpointTuple, before: RunnableConfig | None) -> bool:
        """Tell whether a checkpoint is before another."""
        mine: str = one.config["configurable"]["checkpoint_id"]
        return before is None or mine < before["configurable"]["checkpoint_id"]

    def _matches(self, metadata: dict[str, Any], wanted: dict[str, Any]) -> bool:
        """Tell whether metadata hold all that is wanted."""
        return all(
            key in metadata and metadata[key] == value and type(metadata[key]) is type(value)
            for key, value in wanted.items()
        )

    def _run_of(self, row: Any) -> Any:
        """Return the run that made a checkpoint."""
        return self.serde.loads_typed(row[1]).get("run_id")

    def _has_deltas(self, thread: str) -> bool:
        """Tell whether a thread has snapshots of delta channels."""
        blobs = [blob for key, blob in self.blobs.items() if key[0] == thread]
        return any(isinstance(self.serde.loads_typed(b), _DeltaSnapshot) for b in blobs if b[1])

    def _keep(self, thread: str, namespace: str, kept: str) -> None:
        """Remove all checkpoints of a namespace but one, and what only they used."""
        self._remove(thread, namespace, self.storage[thread][namespace].keys() - {kept})

    def _remove(self, thread: str, namespace: str, gone: Collection[str]) -> None:
        """Remove checkpoints of a namespace, and what only they used."""
        rows = self.storage[thread][namespace]
        self.storage[thread][namespace] = {
            one: (checkpoint, metadata, None if parent in gone else parent)
            for one, (checkpoint, metadata, parent) in rows.items()
            if one not in gone
        }
        for key in [k for k in self.writes if k[:2] == (thread, namespace) and k[2] in gone]:
            del self.writes[key]
        used = {
            version
            for checkpoint, _, _ in self.storage[thread][namespace].values()
            for version in self.serde.loads_typed(checkpoint)["channel_versions"].items()
        }
        for blob in [k for k in self.blobs if k[:2] == (thread, namespace)]:
            if (blob[2], blob[3]) not in used:
                del self.blobs[blob]


def _place(config: RunnableConfig) -> tuple[str, str]:
    configurable = config["configurable"]
    return configurable["thread_id"], configurable.get("checkpoint_ns", "")


def _at(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
        }
    }
