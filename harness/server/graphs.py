"""The graphs that are served: from a `langgraph.json`, or those that come with harness."""

import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from uuid import UUID, uuid5

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import AccessContext

from harness.agents import GRAPHS, Graph
from harness.agents.graph import Saver
from harness.config import Deployment
from harness.errors import ConfigError, GraphUnusable, NotFound
from harness.persistence import Fence, Fenceable, register_schemas
from harness.server.factories import Factory, Purpose, entered, is_context, telling
from harness.server.loading import import_from, load
from harness.server.users import User

_NAMESPACE: Final = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""Of the ids of system assistants; the official server's, so that `agent` has the same id there."""


def system_assistant_id(graph_id: str) -> str:
    """Return the id of a graph's own assistant: the same on every server."""
    return str(uuid5(_NAMESPACE, graph_id))


class Graphs:
    """Graphs by name, each on this server's checkpointer and store.

    Args:
        sources: What each name stands for: a graph, a builder, a function that makes one, or why
            there is none of them.
        checkpointer: Where threads are kept.
        store: The long-term memory.
    """

    def __init__(self, sources: Mapping[str, Any], checkpointer: Saver, store: BaseStore) -> None:
        self._sources = dict(sources)
        self._checkpointer, self._store = checkpointer, store
        self._made: dict[str, Graph] = {}
        self._factories: dict[str, Factory] = {}
        self._ids = {system_assistant_id(name): name for name in sources}
        self.problems: dict[str, GraphUnusable] = {}
        """Why each graph that cannot be used cannot be, as far as it has been tried."""

    @property
    def names(self) -> list[str]:
        """Every graph's name, sorted."""
        return sorted(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def assistant_id(self, named: str) -> str:
        """Return the id of the assistant that a caller names, be it by its graph."""
        return system_assistant_id(named) if named in self else named

    def check(self, named: str) -> None:
        """Refuse a graph that cannot be used, named by itself or by the id of its own assistant.

        Raises:
            GraphUnusable: It cannot be; says why.
        """
        problem = self.problems.get(self._ids.get(named, named))
        if problem is not None:
            raise GraphUnusable(str(problem))

    async def try_all(self) -> Mapping[str, GraphUnusable]:
        """Make each graph once, and return why some could not be.

        One whose function takes arguments is no problem yet: it may be made for others.
        """
        failed: dict[str, GraphUnusable] = {}
        for name in self._sources:
            try:
                async with self.open(name, access="assistants.read"):
                    pass
            except GraphUnusable as exc:
                if isinstance(exc.__cause__, KeyboardInterrupt):  # Ctrl-C while the server starts
                    raise exc.__cause__ from None
                failed[name] = exc
                factory = self._factories.get(name)
                if factory is None or not factory.is_asked_each_time:
                    self.problems[name] = exc
        return failed

    @asynccontextmanager
    async def open(
        self,
        name: str,
        config: RunnableConfig | None = None,
        *,
        access: AccessContext = "threads.read",
        context: Mapping[str, Any] | None = None,
        user: User | None = None,
    ) -> AsyncIterator[Graph]:
        """Yield a graph; one that its function makes for a purpose ends with the block.

        Args:
            name: Which one.
            config: The run's.
            access: What it is wanted for.
            context: The run's.
            user: Who wants it; None without authentication.

        Raises:
            NotFound: There is no graph of that name.
            GraphUnusable: It cannot be loaded or made, or is no graph.
        """
        if name not in self._sources:
            raise NotFound.of("graph", name)
        if name in self._made:
            yield self._made[name]
            return
        source = self._sources[name]
        if isinstance(source, GraphUnusable):
            raise GraphUnusable(str(source))
        if GRAPHS.get(name) is source:
            made: Any = GRAPHS[name](checkpointer=self._checkpointer, store=self._store)
            register_schemas(self._checkpointer, made)
            self._made[name] = made
            yield made
            return
        lasts, made = True, source
        if _is_factory(source):
            factory = self._factory(name, source)
            lasts = not factory.is_asked_each_time
            purpose = Purpose(
                access=access, config=config or {"configurable": {}}, user=user, context=context
            )
            made = await factory.make(purpose, self._store)
        if is_context(made):
            async with entered(name, made) as graph:
                yield self._on_ours(name, graph)
            return
        graph = self._on_ours(name, made)
        if lasts:
            self._made[name] = graph
            self.problems.pop(name, None)
        yield graph

    def _factory(self, name: str, source: Any) -> Factory:
        if name not in self._factories:
            with telling(name, "made"):
                self._factories[name] = Factory(name, source)
        return self._factories[name]

    def _on_ours(self, name: str, made: Any) -> Graph:
        """Return the graph on this server's checkpointer and store."""
        with telling(name, "compiled"):
            graph: Any = None
            if isinstance(made, StateGraph):
                graph = made.compile(self._checkpointer, store=self._store, name=name)
            elif isinstance(made, Pregel):
                update = {"checkpointer": self._checkpointer, "store": self._store, "name": name}
                graph = made.copy(update)
            if graph is not None:
                register_schemas(self._checkpointer, graph)
                return cast("Graph", graph)
        raise GraphUnusable(f"graph {name!r} is no LangGraph graph, but a {type(made).__name__}")


def on_fenced_saver(graph: Graph, fence: Fence) -> Graph:
    """Return the graph as a run has it, whose saver is fenced whatever thread of a node calls it.

    It is a shallow copy, since other runs share the rest.
    """
    saver: Any = graph.checkpointer
    if not isinstance(saver, Fenceable):
        return graph
    own = copy.copy(graph)
    own.checkpointer = cast("Saver", saver.fenced_by(fence))
    return own


def _is_factory(source: Any) -> bool:
    return not isinstance(source, Pregel | StateGraph) and callable(source)


def load_graphs(deployment: Deployment | None) -> Mapping[str, Any]:
    """Return what each graph of a `langgraph.json` is made from; without one, our own agents.

    What cannot be loaded is a `GraphUnusable` that says why.
    """
    if deployment is None:
        return GRAPHS
    import_from(deployment.folders)
    sources: dict[str, Any] = {}
    for name, source in deployment.graphs.items():
        try:
            sources[name] = load(
                f"graph {name!r}",
                source.path,
                deployment.folder,
                module=f"harness_graph_{name}",
            )
        except ConfigError as exc:
            sources[name] = GraphUnusable(str(exc))
    return sources
