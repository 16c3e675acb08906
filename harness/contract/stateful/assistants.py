"""Random histories of assistants."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.contract.stateful.core import TwoSides
from harness.contract.stateful.strategies import (
    ASSISTANTS,
    GRAPHS,
    NAME_PARTS,
    NAMES,
    OBJECTS,
    OWNERS,
    PATTERNS,
    Id,
    optional,
    pages,
)

_IF_EXISTS = st.sampled_from(["raise", "do_nothing"])
_NEW = optional(config=OBJECTS, metadata=OBJECTS, name=NAMES, description=st.text(max_size=3))
_CHANGE = optional(
    graph_id=GRAPHS,
    config=st.one_of(OBJECTS, st.just({"configurable": {"m": 1}, "n": 1})),
    context=OBJECTS,
    metadata=OBJECTS,
    name=NAMES,
    description=st.text(max_size=3),
)
_QUERY = optional(metadata=PATTERNS, graph_id=GRAPHS, name=NAME_PARTS)


class AssistantRules(TwoSides):
    """Assistants, created, changed, searched and removed."""

    @rule(graph_id=GRAPHS, assistant_id=ASSISTANTS, if_exists=_IF_EXISTS, owner=OWNERS, given=_NEW)
    def create_assistant(self, graph_id: str, given: dict[str, Any], **arguments: Any) -> None:
        """Create one."""
        self.same("assistants.create", graph_id, **given, **arguments)

    @rule(context=OBJECTS, assistant_id=ASSISTANTS, owner=OWNERS)
    def create_assistant_with_context(self, **arguments: Any) -> None:
        """Create one by its context."""
        self.same("assistants.create", "agent", **arguments)

    @rule(
        ids=st.lists(ASSISTANTS, max_size=3), if_exists=_IF_EXISTS, metadata=OBJECTS, owner=OWNERS
    )
    def create_assistants(
        self, ids: list[Id], if_exists: str, metadata: dict[str, Any], owner: str
    ) -> None:
        """Create some or none."""
        rows: list[Any] = [
            {"graph_id": "agent", "assistant_id": one, "if_exists": if_exists, "metadata": metadata}
            for one in ids
        ]
        self.same("assistants.create_many", rows, owner=owner)

    @rule(assistant_id=ASSISTANTS, owner=OWNERS)
    def get_assistant(self, **arguments: Any) -> None:
        """Read one."""
        self.same("assistants.get", **arguments)

    @rule(assistant_id=ASSISTANTS, owner=OWNERS, change=_CHANGE)
    def update_assistant(self, change: dict[str, Any], **arguments: Any) -> None:
        """Make a version."""
        self.same("assistants.update", **arguments, **change)

    @rule(assistant_id=ASSISTANTS, version=st.integers(0, 3), owner=OWNERS)
    def set_latest(self, **arguments: Any) -> None:
        """Go back to a version."""
        self.same("assistants.set_latest", **arguments)

    @rule(
        assistant_id=ASSISTANTS,
        metadata=PATTERNS,
        limit=st.integers(1, 3),
        offset=st.integers(0, 2),
        owner=OWNERS,
    )
    def get_versions(self, **arguments: Any) -> None:
        """Read versions."""
        self.same("assistants.get_versions", **arguments)

    @rule(
        query=_QUERY,
        page=pages("assistant_id", "graph_id", "name", "created_at", "updated_at"),
        owner=OWNERS,
    )
    def search_assistants(self, query: dict[str, Any], page: dict[str, Any], owner: str) -> None:
        """Find and count."""
        self.same("assistants.search", **query, **page, owner=owner)
        self.same("assistants.count", **query, owner=owner)

    @rule(assistant_id=ASSISTANTS, delete_threads=st.booleans(), owner=OWNERS)
    def delete_assistant(self, **arguments: Any) -> None:
        """Remove one."""
        self.same("assistants.delete", **arguments)
