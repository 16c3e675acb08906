"""A saver in memory that keeps the whole contract, for faults to be seeded in."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.memory import InMemorySaver


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
            for namespace, rows in self.storage.get(thread, {}).items():
                self._keep(thread, namespace, {max(rows)})

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove what runs made."""
        for thread, namespaces in list(self.storage.items()):
            for namespace, rows in namespaces.items():
                made_by = {key: self._metadata(row).get("run_id") for key, row in rows.items()}
                self._keep(
                    thread, namespace, {k for k, run in made_by.items() if run not in run_ids}
                )

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread."""
        if target_thread_id in self.storage:
            raise ValueError(f"thread {target_thread_id} has checkpoints")
        for namespace, rows in self.storage.get(source_thread_id, {}).items():
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

    def _keep(self, thread: str, namespace: str, chosen: set[str]) -> None:
        """Remove all checkpoints of a namespace but those chosen, and what nobody else needs."""
        rows = self.storage[thread][namespace]
        kept = chosen | {way for key in chosen for way in self._ways(thread, namespace, key)}
        for key in rows.keys() - kept:
            del rows[key]
            self.writes.pop((thread, namespace, key), None)
        used = set()
        for key, (checkpoint, metadata, parent) in rows.items():
            rows[key] = (checkpoint, metadata, parent if parent in rows else None)
            used.update(self.serde.loads_typed(checkpoint)["channel_versions"].items())
        for blob in [k for k in self.blobs if k[:2] == (thread, namespace) and k[2:] not in used]:
            del self.blobs[blob]

    def _ways(self, thread: str, namespace: str, key: str) -> set[str]:
        """Return the checkpoints from which the delta channels of one are rebuilt."""
        rows, ways = self.storage[thread][namespace], set()
        for channel in self._metadata(rows[key]).get("counters_since_delta_snapshot", ()):
            way = key
            while way in rows and not self._stores(thread, namespace, rows[way], channel):
                way = rows[way][2] or ""
                ways.add(way)
        return ways

    def _stores(self, thread: str, namespace: str, row: Any, channel: str) -> bool:
        """Tell whether a checkpoint has a value of a channel."""
        version = self.serde.loads_typed(row[0])["channel_versions"].get(channel)
        return self.blobs.get((thread, namespace, channel, version), ("empty", b""))[0] != "empty"

    def _metadata(self, row: Any) -> dict[str, Any]:
        """Return a checkpoint's metadata."""
        metadata: dict[str, Any] = self.serde.loads_typed(row[1])
        return metadata


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
