"""The graphs that are served: from a `langgraph.json`, or those that come with harness."""

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import UUID, uuid5

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from harness.agents import GRAPHS, Graph
from harness.agents.graph import Saver
from harness.errors import ConfigError, NotFound
from harness.persistence import register_schemas

_NAMESPACE: Final = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""Of the ids of system assistants; the official server's, so that `agent` has the same id there."""


def system_assistant_id(graph_id: str) -> str:
    """Return the id of a graph's own assistant: the same on every server."""
    return str(uuid5(_NAMESPACE, graph_id))


class Graphs:
    """Graphs by name, each on this server's checkpointer and store.

    Args:
        sources: What each name stands for: a graph, a builder, or a function that makes one.
        checkpointer: Where threads are kept.
        store: The long-term memory.
    """

    def __init__(self, sources: Mapping[str, Any], checkpointer: Saver, store: BaseStore) -> None:
        self._sources = dict(sources)
        self._checkpointer, self._store = checkpointer, store
        self._made: dict[str, Graph] = {}

    @property
    def names(self) -> list[str]:
        """Every graph's name, sorted."""
        return sorted(self._sources)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def assistant_id(self, named: str) -> str:
        """Return the id of the assistant that a caller names, be it by its graph."""
        return system_assistant_id(named) if named in self else named

    async def get(self, name: str, config: RunnableConfig | None = None) -> Graph:
        """Return a graph; a function that makes one from a config is called each time.

        Raises:
            NotFound: There is no graph of that name.
            ConfigError: What stands under the name is no graph.
        """
        if name not in self._sources:
            raise NotFound.of("graph", name)
        if name not in self._made:
            graph, lasts = await self._make(name, config or {})
            register_schemas(self._checkpointer, graph)
            if not lasts:
                return graph
            self._made[name] = graph
        return self._made[name]

    async def _make(self, name: str, config: RunnableConfig) -> tuple[Graph, bool]:
        """Return the graph, and whether it serves every config."""
        source = self._sources[name]
        if GRAPHS.get(name) is source:
            return GRAPHS[name](checkpointer=self._checkpointer, store=self._store), True
        made = source
        lasts = True
        if not isinstance(source, Pregel | StateGraph) and callable(source):
            takes_config = bool(inspect.signature(source).parameters)
            lasts = not takes_config
            try:
                made = source(config) if takes_config else source()
                if inspect.isawaitable(made):
                    made = await made
            except Exception as exc:  # whatever the user's function raises
                raise ConfigError(
                    f"graph {name!r} cannot be made: {type(exc).__name__}: {exc}"
                ) from exc
        if isinstance(made, StateGraph):
            return made.compile(self._checkpointer, store=self._store, name=name), lasts
        if isinstance(made, Pregel):
            update = {"checkpointer": self._checkpointer, "store": self._store, "name": name}
            return made.copy(update), lasts  # type: ignore[return-value]  # compiled graphs are
        raise ConfigError(f"graph {name!r} is no LangGraph graph, but a {type(made).__name__}")


def load_graphs(path: Path | None) -> Mapping[str, Any]:
    """Return what each graph of a `langgraph.json` is made from; without one, our own agents.

    The file's `graphs` maps names to `path/to/file.py:variable` or `package.module:variable`;
    `dependencies` that are folders can be imported from.

    Raises:
        ConfigError: The file cannot be read, or a graph not be loaded; says which and why.
    """
    if path is None:
        return GRAPHS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(f"{path} is no JSON: {exc}") from exc
    graphs = document.get("graphs") if isinstance(document, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise ConfigError(
            f'{path} names no graphs; write {{"graphs": {{"agent": "./a.py:graph"}}}}'
        )
    folder = path.resolve().parent
    for dependency in [".", *document.get("dependencies", [])]:
        place = str((folder / str(dependency)).resolve())
        if Path(place).is_dir() and place not in sys.path:
            sys.path.insert(0, place)
    return {name: _load(name, target, folder) for name, target in graphs.items()}


def _load(name: str, target: Any, folder: Path) -> Any:
    if isinstance(target, dict):
        target = target.get("path")
    place, colon, variable = str(target).rpartition(":")
    if not colon:
        raise ConfigError(f"graph {name!r} must be file.py:variable, not {target!r}")
    try:
        module = _module(name, (folder / place).resolve()) if place.endswith(".py") else None
        return getattr(module or importlib.import_module(place), variable)
    except Exception as exc:  # whatever the user's module raises
        raise ConfigError(f"graph {name!r} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _module(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"harness_graph_{name}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
