"""Assistants: from arguments to requests."""

from collections.abc import Sequence

from harness.errors import InvalidInput
from harness.models import Assistant, AssistantVersion, IfExists, Json, SortOrder
from harness.storage.checks import (
    check_choice,
    check_flag,
    check_id,
    check_integer,
    check_name,
    check_owner,
)
from harness.storage.engine import AssistantEngine
from harness.storage.interface import AssistantSortBy, JsonObject
from harness.storage.requests import AssistantChange, AssistantQuery, NewAssistant
from harness.storage.resources.arguments import bulk_rows, make_page, optional_text
from harness.storage.resources.ownership import given_or_new, owned, stamped
from harness.storage.values import canonical_object, check_text

DEFAULT_NAME = "Untitled"


class Assistants:
    """Assistants and their versions; see `harness.storage.interface.AssistantStore`."""

    def __init__(self, engine: AssistantEngine) -> None:
        self._engine = engine

    async def create(
        self,
        graph_id: str,
        config: JsonObject | None = None,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        assistant_id: str | None = None,
        if_exists: IfExists = "raise",
        name: str | None = None,
        description: str | None = None,
        owner: str,
    ) -> Assistant:
        """Store a new assistant at version 1."""
        new = _new(
            graph_id,
            config,
            context=context,
            metadata=metadata,
            assistant_id=assistant_id,
            if_exists=if_exists,
            name=name,
            description=description,
            owner=check_owner(owner),
        )
        [created] = await self._engine.insert([new], owner=owner)
        return created

    async def create_many(self, rows: Sequence[JsonObject], *, owner: str) -> list[Assistant]:
        """Create all or none."""
        check_owner(owner)
        news = bulk_rows(rows, lambda row: _new(**row, owner=owner))
        return await self._engine.insert(news, owner=owner) if news else []

    async def get(self, assistant_id: str, *, owner: str) -> Assistant:
        """Return an assistant."""
        return await self._engine.get(check_id(assistant_id, "assistant"), owner=check_owner(owner))

    async def update(
        self,
        assistant_id: str,
        *,
        graph_id: str | None = None,
        config: JsonObject | None = None,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        name: str | None = None,
        description: str | None = None,
        owner: str,
    ) -> Assistant:
        """Make a new version."""
        check_owner(owner)
        new_config = None if config is None else canonical_object(config, "config")
        new_context = None if context is None else canonical_object(context, "context")
        if new_config is not None:
            new_config, new_context = _mirrored(new_config, new_context)
        change = AssistantChange(
            graph_id=None if graph_id is None else check_name(graph_id, "graph_id"),
            name=None if name is None else check_name(name, "name"),
            description=optional_text(description, "description"),
            config=new_config,
            context=new_context,
            metadata=owned(metadata, owner),
        )
        return await self._engine.update(check_id(assistant_id, "assistant"), change, owner=owner)

    async def search(
        self,
        *,
        metadata: JsonObject | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: AssistantSortBy = "created_at",
        sort_order: SortOrder = "desc",
        owner: str,
    ) -> list[Assistant]:
        """Find assistants."""
        page = make_page(limit, offset, sort_by, AssistantSortBy, sort_order)
        query = _query(metadata, graph_id, name)
        return await self._engine.search(query, page, owner=check_owner(owner))

    async def count(
        self,
        *,
        metadata: JsonObject | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find."""
        query = _query(metadata, graph_id, name)
        return await self._engine.count(query, owner=check_owner(owner))

    async def delete(self, assistant_id: str, *, delete_threads: bool = False, owner: str) -> None:
        """Remove an assistant, its versions and crons."""
        await self._engine.delete(
            check_id(assistant_id, "assistant"),
            delete_threads=check_flag(delete_threads, "delete_threads"),
            owner=check_owner(owner),
        )

    async def get_versions(
        self,
        assistant_id: str,
        metadata: JsonObject | None = None,
        limit: int = 10,
        offset: int = 0,
        *,
        owner: str,
    ) -> list[AssistantVersion]:
        """Return versions, newest first."""
        return await self._engine.versions(
            check_id(assistant_id, "assistant"),
            canonical_object(metadata, "metadata"),
            make_page(limit, offset),
            owner=check_owner(owner),
        )

    async def set_latest(self, assistant_id: str, version: int, *, owner: str) -> Assistant:
        """Go back to a version."""
        return await self._engine.set_latest(
            check_id(assistant_id, "assistant"),
            check_integer(version, "version", low=1, high=2**31 - 1),
            owner=check_owner(owner),
        )


def _new(
    graph_id: str,
    config: JsonObject | None = None,
    *,
    context: JsonObject | None = None,
    metadata: JsonObject | None = None,
    assistant_id: str | None = None,
    if_exists: IfExists = "raise",
    name: str | None = None,
    description: str | None = None,
    owner: str,
) -> NewAssistant:
    mirrored_config, mirrored_context = _mirrored(
        canonical_object(config, "config"),
        None if context is None else canonical_object(context, "context"),
    )
    return NewAssistant(
        assistant_id=given_or_new(assistant_id, "assistant"),
        graph_id=check_name(graph_id, "graph_id"),
        name=DEFAULT_NAME if name is None else check_name(name, "name"),
        description=optional_text(description, "description"),
        config=mirrored_config,
        context=mirrored_context,
        metadata=stamped(metadata, owner),
        if_exists=check_choice(if_exists, IfExists, "if_exists"),
    )


def _mirrored(config: Json, context: Json | None) -> tuple[Json, Json]:
    """Return config and context with `config["configurable"]` and the context alike."""
    configurable = config.get("configurable")
    if configurable is not None and not isinstance(configurable, dict):
        raise InvalidInput("config.configurable must be an object")
    if configurable and context:
        raise InvalidInput("give config.configurable or context, not both")
    if context:
        return {**config, "configurable": canonical_object(context, "context")}, context
    return config, canonical_object(configurable, "config.configurable")


def _query(metadata: JsonObject | None, graph_id: str | None, name: str | None) -> AssistantQuery:
    return AssistantQuery(
        metadata=canonical_object(metadata, "metadata"),
        graph_id=None if graph_id is None else check_name(graph_id, "graph_id"),
        name=None if name is None else check_text(name, "name"),
    )
