"""What a run left behind: the head of its thread, as its graph reads it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

import orjson
from langchain_core.runnables import RunnableConfig

from harness.agents.graph import Graph, Saver
from harness.errors import Conflict, GraphUnusable, InvalidInput, NotFound, Unreadable
from harness.models import Run, ThreadHead, ThreadStatus
from harness.persistence import owner_scope
from harness.server.encoding import encode, mark, storable
from harness.server.execution.reading import Reading, read_state
from harness.server.graphs import Graphs
from harness.storage.extensions import FullStorage

logger = logging.getLogger("harness.server")

ResultT = TypeVar("ResultT")

MAX_SHOWN: Final = 16 * 2**20
"""Characters of JSON that a thread's row shows of a state, and of each question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest state of a thread."""

    values: Any
    next: tuple[str, ...]
    """Nodes that would run next; none when the graph has ended."""
    interrupts: dict[str, list[Any]]
    """What each task that waits for an answer asks, by the task's id."""
    checkpoint_id: str | None
    problem: str | None = None
    """Why its graph cannot read it, if so."""

    @classmethod
    def of(cls, read: Reading) -> Self:
        """Return the head that a thread has whose newest state this is."""
        snapshot = read.snapshot
        asking = [task for task in snapshot.tasks if task.interrupts]
        return cls(
            values=snapshot.values,
            next=snapshot.next,
            interrupts={task.id: list(task.interrupts) for task in asking},
            checkpoint_id=snapshot.config["configurable"].get("checkpoint_id"),
            problem=read.problem,
        )

    @property
    def answer(self) -> Any:
        """What `wait` answers: the values, with what is asked under `__interrupt__`."""
        asked = [interrupt for found in self.interrupts.values() for interrupt in found]
        if not asked or not isinstance(self.values, dict):
            return self.values
        return {**dict.copy(self.values), "__interrupt__": asked}

    def shown(self, error: Mapping[str, str] | None = None) -> ThreadHead:
        """Return what the thread's row is to show of it.

        Args:
            error: Why the run that left it failed, if it did.
        """
        values = _json(self.values) if self.checkpoint_id is not None else None
        interrupts = {
            task_id: [{"id": _json(asked.id), "value": _json(asked.value)} for asked in found]
            for task_id, found in self.interrupts.items()
        }
        return ThreadHead(
            values=values if isinstance(values, dict) else None,
            checkpoint_id=self.checkpoint_id,
            interrupts=interrupts,
            error=None if error is None else dict(error),
        )

    @property
    def thread_status(self) -> ThreadStatus:
        """What a thread is that has ended there: a node that would run next waits for somebody."""
        return "interrupted" if self.next else "idle"


async def head_of(graph: Graph, run: Run) -> Head:
    """Read the head of the run's thread; raises as `read_state` does."""
    return Head.of(await read_state(graph, _thread(run)))


async def show_head(storage: FullStorage, graphs: Graphs, run: Run, *, owner: str) -> None:
    """Have a thread's row show its head again, after checkpoints of it were removed.

    It stays as it is if the graph is gone, if the head cannot be read, or if somebody else has
    changed it meanwhile.
    """
    try:
        thread = await storage.threads.get(run.thread_id, owner=owner)
        assistant = await storage.assistants.get(run.assistant_id, owner=owner)
        with owner_scope(owner):
            async with graphs.open(assistant.graph_id) as graph:
                head = await head_of(graph, run)
        await storage.threads.cache_head(
            run.thread_id,
            head.shown(),
            thread_status=head.thread_status,
            seen_at=thread.state_updated_at,
            owner=owner,
        )
    except (Conflict, GraphUnusable, InvalidInput, NotFound, Unreadable):
        return


async def is_head_of(saver: Saver, run: Run) -> bool:
    """Whether the thread's newest checkpoint was written by this run."""
    found = await saver.aget_tuple(_thread(run))
    return found is not None and dict(found.metadata).get("run_id") == run.run_id


async def show_what_fits(
    show: Callable[[ThreadHead], Awaitable[ResultT]], head: ThreadHead
) -> ResultT:
    """Show a head, or what of it a row can hold: see `storable`."""
    try:
        return await show(head)
    except InvalidInput as exc:
        logger.warning("checkpoint %s holds what no row can show: %s", head.checkpoint_id, exc)
    values, interrupts = storable(head.values), storable(head.interrupts)
    return await show(replace(head, values=values, interrupts=interrupts))


def _json(value: Any) -> Any:
    """Return what messages and other records are in JSON; of what is too large, a mark."""
    text = encode(value)
    if len(text) > MAX_SHOWN:
        return mark(value, f"{len(text)} characters of JSON: the thread's state shows them")
    return orjson.loads(text)


def _thread(run: Run) -> RunnableConfig:
    return {"configurable": {"thread_id": run.thread_id, "checkpoint_ns": ""}}
