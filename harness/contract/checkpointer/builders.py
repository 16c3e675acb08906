"""Makes checkpoints as LangGraph's loop makes them, and reads them back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.base.id import uuid6

from harness.contract.checkpointer.base import KEPT, Saver, SaverProbe

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from langchain_core.runnables import RunnableConfig


def a_thread() -> str:
    """Return the id of a thread that nobody else uses."""
    return str(uuid4())


def at(thread_id: object, namespace: str = "", checkpoint_id: str | None = None) -> RunnableConfig:
    """Return the config that names a thread's namespace, or a checkpoint in it."""
    configurable = {"thread_id": thread_id, "checkpoint_ns": namespace}
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}


def everywhere(thread_id: object) -> RunnableConfig:
    """Return the config that names a thread, with all of its namespaces."""
    return {"configurable": {"thread_id": thread_id}}


def id_of(config: RunnableConfig) -> str:
    """Return the id of the checkpoint that a config names."""
    return cast("str", config["configurable"]["checkpoint_id"])


def a_checkpoint(
    values: Mapping[str, Any] | None = None,
    versions: Mapping[str, Any] | None = None,
    checkpoint_id: str | None = None,
) -> Checkpoint:
    """Return a checkpoint in today's format (4), with a new id if none is given."""
    return Checkpoint(
        v=4,
        id=checkpoint_id or str(uuid6()),
        ts=datetime.now(UTC).isoformat(),
        channel_values=dict(values or {}),
        channel_versions=dict(versions or {}),
        versions_seen={},
        updated_channels=None,
    )


def some_metadata(step: int = 0, **more: Any) -> CheckpointMetadata:
    """Return metadata as the loop writes it, and more."""
    return cast("CheckpointMetadata", {"source": "loop", "step": step, "parents": {}, **more})


class Story:
    """Checkpoints of one thread that follow one another, as a running graph puts them.

    Attributes:
        head: Config of the last one.
        values: What its channels hold.
        versions: The versions of its channels.
    """

    def __init__(self, saver: Saver, thread_id: object = None, namespace: str = "") -> None:
        self.saver = saver
        self.thread_id = thread_id or a_thread()
        self.namespace = namespace
        self.head = at(self.thread_id, namespace)
        self.values: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.steps = -1

    async def step(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        emptied: Collection[str] = (),
        checkpoint_id: str | None = None,
        **metadata: Any,
    ) -> RunnableConfig:
        """Put the next checkpoint: changed channels get their next version, the others keep theirs.

        Args:
            changes: New values of channels.
            emptied: Channels that hold nothing from now on.
            checkpoint_id: The checkpoint's id; a new one, later than all others, if None.
            metadata: What the metadata hold besides source, step and parents.

        Returns:
            The config that the saver returns.
        """
        self.steps += 1
        changed = {**(changes or {})}
        self.values = {k: v for k, v in {**self.values, **changed}.items() if k not in emptied}
        new = {
            channel: self.saver.get_next_version(self.versions.get(channel), None)
            for channel in (*changed, *emptied)
        }
        self.versions |= new
        self.head = await self.saver.aput(
            self.head,
            a_checkpoint(self.values, self.versions, checkpoint_id),
            some_metadata(**{"step": self.steps, **metadata}),
            new,
        )
        return self.head

    def fork(self) -> Story:
        """Return a story that goes on from where this one is now, beside it."""
        other = Story(self.saver, self.thread_id, self.namespace)
        other.head, other.steps = self.head, self.steps
        other.values, other.versions = dict(self.values), dict(self.versions)
        return other

    async def write(self, *values: Any, task: str = "task", channel: str = "c") -> None:
        """Store a task's writes to one channel at the head."""
        await self.saver.aput_writes(self.head, [(channel, value) for value in values], task)


async def found(saver: Saver, config: RunnableConfig) -> CheckpointTuple:
    """Return the checkpoint that is there."""
    there = await saver.aget_tuple(config)
    assert there is not None, f"there is no checkpoint at {config}"
    return there


async def listed(
    saver: Saver, config: RunnableConfig | None, **conditions: Any
) -> list[CheckpointTuple]:
    """Return all that `alist` yields."""
    return [one async for one in saver.alist(config, **conditions)]


async def ids(saver: Saver, config: RunnableConfig | None, **conditions: Any) -> list[str]:
    """Return the checkpoint ids that `alist` yields."""
    return [id_of(one.config) for one in await listed(saver, config, **conditions)]


async def written(saver: Saver, config: RunnableConfig) -> list[Any]:
    """Return the values of a checkpoint's pending writes, in their order."""
    return [value for _, _, value in (await found(saver, config)).pending_writes or []]


async def counts(probe: SaverProbe, thread_id: object) -> tuple[int, int, int]:
    """Return how many checkpoints, blobs and writes are stored of a thread."""
    checkpoints, blobs, writes = [await probe.count(kept, str(thread_id)) for kept in KEPT]
    return checkpoints, blobs, writes
