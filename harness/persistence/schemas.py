"""Which classes a graph's state may hold: those that its schemas name."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, get_args, get_type_hints

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel

_NO_CLASSES: Final = frozenset(
    {"builtins", "collections.abc", "typing", "typing_extensions", "types"}
)
"""Modules whose classes are read without being registered, or never stored."""


def register_schemas(saver: BaseCheckpointSaver[Any], graph: Pregel[Any, Any, Any, Any]) -> None:
    """Register the classes of a graph's schemas, and of its subgraphs', with a checkpointer.

    Those are all classes that the annotations of the state, of its channels and of what nodes take
    name, however deep. LangGraph's own `compile` registers fewer (no named tuples, none within
    abstract collections), and a compiled graph's `copy` and `with_config` forget them.

    Args:
        saver: Its serializer is a `Serializer`, or encrypts what one makes.
        graph: A compiled graph.
    """
    subgraphs = (one for _, one in graph.get_subgraphs(recurse=True))
    for one in (graph, *subgraphs):
        if isinstance(one, Pregel):
            saver.with_allowlist(classes_of(one))  # type: ignore[arg-type]  # classes will do, too


def classes_of(graph: Pregel[Any, Any, Any, Any]) -> set[type]:
    """Return the classes that a graph's own schemas name."""
    builder = getattr(graph, "builder", None)
    named: list[Any] = [*builder.schemas] if isinstance(builder, StateGraph) else []
    for channel in graph.channels.values():
        named += [getattr(channel, "ValueType", None), getattr(channel, "UpdateType", None)]
    found: set[type] = set()
    seen: dict[int, Any] = {}  # by identity: not every annotation can be hashed
    while named:
        annotation = named.pop()
        if id(annotation) in seen:
            continue
        seen[id(annotation)] = annotation
        named += _named_by(annotation)
        if isinstance(annotation, type) and annotation.__module__ not in _NO_CLASSES:
            found.add(annotation)
    return found


def _named_by(annotation: Any) -> Iterator[Any]:
    """Yield the annotations that one is made of."""
    yield from get_args(annotation)
    yield getattr(annotation, "__origin__", None)
    yield getattr(annotation, "__supertype__", None)  # of a NewType
    yield getattr(annotation, "__value__", None)  # of a type alias
    if isinstance(annotation, type) and getattr(annotation, "__module__", None) not in _NO_CLASSES:
        yield from _fields_of(annotation)


@lru_cache(maxsize=1_024)
def _fields_of(kind: type) -> tuple[Any, ...]:
    try:
        found = [*get_type_hints(kind, include_extras=True).values()]
    except Exception:  # noqa: BLE001 -- names that only the place of their definition knows
        found = [*getattr(kind, "__annotations__", {}).values()]
    if issubclass(kind, BaseModel):
        found += (field.annotation for field in kind.model_fields.values())
    return tuple(found)
