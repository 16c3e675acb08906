"""Looks at what a saver keeps through its public reads, where nothing else can."""

from langgraph.checkpoint.base import CheckpointTuple

from harness.contract.checkpointer.base import Kept, Saver


class PublicProbe:
    """Counts what a saver's list shows of a thread; rows that no read shows are not counted."""

    sees_hidden = False

    def __init__(self, saver: Saver) -> None:
        self._saver = saver

    async def count(self, kept: Kept, thread_id: str) -> int:
        """Count what is shown of a thread, in all its namespaces."""
        config = {"configurable": {"thread_id": thread_id}}
        shown = [one async for one in self._saver.alist(config)]  # type: ignore[arg-type]  # a dict
        if kept == "checkpoints":
            return len(shown)
        if kept == "writes":
            return sum(len(one.pending_writes or []) for one in shown)
        return len({channel for one in shown for channel in _channels(one)})


def _channels(one: CheckpointTuple) -> list[tuple[str, str, str]]:
    """Return namespace, name and version of each channel that a checkpoint has a value of."""
    namespace = one.config["configurable"].get("checkpoint_ns", "")
    versions = one.checkpoint["channel_versions"]
    return [(namespace, name, str(versions.get(name))) for name in one.checkpoint["channel_values"]]
