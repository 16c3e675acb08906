"""Reads states through their graphs, and past a graph that cannot read what is stored."""

from dataclasses import dataclass
from typing import Any, Final, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import StateSnapshot

from harness.agents.graph import Graph, Saver
from harness.errors import HarnessError, Unreadable
from harness.server.execution.outcomes import error_of, error_text
from harness.server.user_code import ends_task

_ROOT: Final = "__root__"
"""The one channel of a graph whose state has no keys."""
_INTERNAL: Final = ("__", "branch:", "start:")
"""How LangGraph's own channels begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A state, as its graph reads it or as it is stored."""

    snapshot: StateSnapshot
    problem: str | None = None
    """Why the graph cannot read it. The snapshot then has the values of all channels that are
    stored, and nobody knows what would run next."""


async def read_state(graph: Graph, config: RunnableConfig, *, subgraphs: bool = False) -> Reading:
    """Read the state at a place in a thread; where there is none, an empty one.

    Reducers, schemas and validators of the graph take part in that. They may raise whatever they
    like: the graph can have changed since the state was stored.

    Raises:
        Unreadable: What is stored cannot be made Python values again.
        HarnessError: The database cannot be read, or says no.
    """
    try:
        return Reading(snapshot=await graph.aget_state(config, subgraphs=subgraphs))
    except Unreadable as exc:
        raise _unreadable(exc, config) from exc
    except HarnessError:
        raise
    except BaseException as exc:  # whatever user code raises
        if ends_task(exc):
            raise
        problem = error_text(error_of(exc))
    found = await stored_at(cast("Saver", graph.checkpointer), config)
    return Reading(snapshot=_as_stored(found, config), problem=problem)


async def read_history(
    graph: Graph, config: RunnableConfig, *, limit: int, **which: Any
) -> list[Reading]:
    """Read the states of a thread, newest first; raises as `read_state` does.

    Args:
        graph: What has run on it.
        config: Names the thread, and a subgraph of it.
        limit: How many at most.
        which: `filter` and `before`, as LangGraph's `aget_state_history` takes them.
    """
    try:
        found = graph.aget_state_history(config, limit=limit, **which)
        return [Reading(snapshot=snapshot) async for snapshot in found]
    except Unreadable as exc:
        raise _unreadable(exc, config) from exc
    except HarnessError:
        raise
    except BaseException as exc:  # whatever user code raises: one by one, to see where
        if ends_task(exc):
            raise
        saver = cast("Saver", graph.checkpointer)
    try:
        listed = [one async for one in saver.alist(config, limit=limit, **which)]
    except Exception as exc:
        raise _unreadable(exc, config) from exc
    return [await read_state(graph, one.config) for one in listed]


async def stored_at(saver: Saver, config: RunnableConfig) -> CheckpointTuple | None:
    """Return what is stored at a place in a thread; raises as `read_state` does."""
    try:
        return await saver.aget_tuple(config)
    except Exception as exc:
        raise _unreadable(exc, config) from exc


def _unreadable(exc: Exception, config: RunnableConfig) -> Exception:
    """Return what to raise for an error of a saver: its serializer's are told as ours."""
    if isinstance(exc, HarnessError | psycopg.Error) and not isinstance(exc, Unreadable):
        return exc
    thread_id = config["configurable"]["thread_id"]
    return Unreadable(f"thread {thread_id} cannot be read: {error_text(error_of(exc))}")


def _as_stored(found: CheckpointTuple | None, config: RunnableConfig) -> StateSnapshot:
    if found is None:
        return StateSnapshot({}, (), config, None, None, None, (), ())
    channels = found.checkpoint["channel_values"]
    own = {name: value for name, value in channels.items() if not name.startswith(_INTERNAL)}
    return StateSnapshot(
        values=channels.get(_ROOT, own),
        next=(),
        config=found.config,
        metadata=found.metadata,
        created_at=found.checkpoint["ts"],
        parent_config=found.parent_config,
        tasks=(),
        interrupts=(),
    )
