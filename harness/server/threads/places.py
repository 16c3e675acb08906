"""Places in a thread's history: a checkpoint, or the head; of the graph, or of a subgraph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from langchain_core.runnables import RunnableConfig

from harness.models import Json
from harness.storage.checks import check_id
from harness.storage.values import check_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a history; which thread's is said by the path of a request alone."""

    checkpoint_id: str | None = None
    """None: the head."""
    checkpoint_ns: str = ""
    """Of a subgraph; empty: the graph itself."""
    checkpoint_map: Mapping[str, str] = field(default_factory=dict)
    """For a subgraph: the checkpoints of those around it, by namespace."""

    @classmethod
    def of(cls, given: str | Mapping[str, Any] | None) -> Self:
        """Return what a caller means: an id, a checkpoint, or a config with one.

        Raises:
            InvalidInput: An id is no UUID, or a namespace no text that can be stored.
        """
        if given is None:
            return cls()
        if isinstance(given, str):
            return cls(checkpoint_id=check_id(given, "checkpoint"))
        found: Mapping[str, Any] = given.get("configurable") or given
        checkpoint_id = found.get("checkpoint_id")
        return cls(
            checkpoint_id=None if checkpoint_id is None else check_id(checkpoint_id, "checkpoint"),
            checkpoint_ns=check_text(found.get("checkpoint_ns") or "", "checkpoint_ns"),
            checkpoint_map={
                check_text(name, "checkpoint_map"): check_id(value, "checkpoint")
                for name, value in (found.get("checkpoint_map") or {}).items()
            },
        )

    def config(self, thread_id: str) -> RunnableConfig:
        """Return LangGraph's config for this place in a thread."""
        configurable: Json = {"thread_id": thread_id, "checkpoint_ns": self.checkpoint_ns}
        if self.checkpoint_id is not None:
            configurable["checkpoint_id"] = self.checkpoint_id
        if self.checkpoint_map:
            configurable["checkpoint_map"] = dict(self.checkpoint_map)
        return {"configurable": configurable}


def checkpoint_of(config: Mapping[str, Any] | None) -> Json | None:
    """Return what callers know a config as; None without a checkpoint."""
    configurable = (config or {}).get("configurable") or {}
    if not configurable.get("checkpoint_id"):
        return None
    names = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
    found = {name: configurable[name] for name in names if name in configurable}
    return {"checkpoint_ns": "", **found}
