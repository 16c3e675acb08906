"""What a run left behind: the head of its thread, as its graph reads it."""

from dataclasses import dataclass
from typing import Any

from harness.agents.graph import Graph, Saver
from harness.models import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest state of a thread."""

    values: Any
    next: tuple[str, ...]
    """Nodes that would run next; none when the graph has ended."""
    interrupts: dict[str, list[Any]]
    """What each task that waits for an answer asks, by the task's id."""
    checkpoint_id: str | None

    @property
    def answer(self) -> Any:
        """What `wait` answers: the values, with what is asked under `__interrupt__`."""
        asked = [interrupt for found in self.interrupts.values() for interrupt in found]
        if not asked or not isinstance(self.values, dict):
            return self.values
        return {**self.values, "__interrupt__": asked}


async def head_of(graph: Graph, run: Run) -> Head:
    """Read the head of the run's thread."""
    snapshot = await graph.aget_state({"configurable": _thread(run)})
    return Head(
        values=snapshot.values,
        next=snapshot.next,
        interrupts={task.id: list(task.interrupts) for task in snapshot.tasks if task.interrupts},
        checkpoint_id=snapshot.config["configurable"].get("checkpoint_id"),
    )


async def is_head_of(saver: Saver, run: Run) -> bool:
    """Whether the thread's newest checkpoint was written by this run."""
    found = await saver.aget_tuple({"configurable": _thread(run)})
    return found is not None and dict(found.metadata).get("run_id") == run.run_id


def _thread(run: Run) -> dict[str, Any]:
    return {"thread_id": run.thread_id, "checkpoint_ns": ""}
