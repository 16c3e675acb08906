"""What every graph here is, and what builds one."""

from typing import Any, Protocol, TypeAlias

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

Saver: TypeAlias = BaseCheckpointSaver[Any]
"""A checkpointer, whatever it numbers its versions with."""

# LangGraph's type is invariant in state, context, input and output: only Any fits all graphs.
Graph: TypeAlias = CompiledStateGraph[Any, Any, Any, Any]
"""A compiled graph of any state."""


class GraphBuilder(Protocol):
    """Compiles a graph on what it is given; with neither, the graph forgets after each run."""

    def __call__(self, checkpointer: Saver | None = None, store: BaseStore | None = None) -> Graph:
        """Return a new compiled graph."""
        ...
