"""Assistants over HTTP."""

from collections.abc import Callable
from typing import Any

from langgraph_sdk.client import LangGraphClient

from harness.models import Assistant, AssistantVersion, IfExists, SortOrder
from harness.storage.checks import check_flag
from harness.storage.interface import AssistantSortBy, JsonObject
from harness.storage.remote import wire
from harness.storage.remote.wire import checked, given, needed, read, write


class RemoteAssistants:
    """`AssistantStore`, as the SDK calls it."""

    def __init__(self, client: Callable[[str], LangGraphClient]) -> None:
        self._client = client

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
        """Store a new assistant."""
        found: Any = await write(
            lambda: self._client(owner).assistants.create(
                graph_id,
                checked(config, "config"),
                context=checked(context, "context"),
                metadata=checked(metadata, "metadata"),
                assistant_id=given(assistant_id, "assistant_id"),
                if_exists=needed(if_exists, "if_exists"),
                name=given(name, "name"),
                description=given(description, "description"),
            )
        )
        return wire.assistant(found)

    async def get(self, assistant_id: str, *, owner: str) -> Assistant:
        """Return an assistant."""
        found: Any = await read(
            lambda: self._client(owner).assistants.get(needed(assistant_id, "assistant ID"))
        )
        return wire.assistant(found)

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
        found: Any = await write(
            lambda: self._client(owner).assistants.update(
                needed(assistant_id, "assistant ID"),
                graph_id=given(graph_id, "graph_id"),
                config=checked(config, "config"),
                context=checked(context, "context"),
                metadata=checked(metadata, "metadata"),
                name=given(name, "name"),
                description=given(description, "description"),
            )
        )
        return wire.assistant(found)

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
        found: Any = await read(
            lambda: self._client(owner).assistants.search(
                metadata=checked(metadata, "metadata"),
                graph_id=given(graph_id, "graph_id"),
                name=name,
                limit=limit,
                offset=offset,
                sort_by=needed(sort_by, "sort_by"),
                sort_order=needed(sort_order, "sort_order"),
            )
        )
        return [wire.assistant(one) for one in found]

    async def count(
        self,
        *,
        metadata: JsonObject | None = None,
        graph_id: str | None = None,
        name: str | None = None,
        owner: str,
    ) -> int:
        """Count what `search` would find without a limit."""
        return await read(
            lambda: self._client(owner).assistants.count(
                metadata=checked(metadata, "metadata"),
                graph_id=given(graph_id, "graph_id"),
                name=name,
            )
        )

    async def delete(self, assistant_id: str, *, delete_threads: bool = False, owner: str) -> None:
        """Remove an assistant."""
        await write(
            lambda: self._client(owner).assistants.delete(
                needed(assistant_id, "assistant ID"),
                delete_threads=check_flag(delete_threads, "delete_threads"),
            )
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
        found: Any = await read(
            lambda: self._client(owner).assistants.get_versions(
                needed(assistant_id, "assistant ID"), checked(metadata, "metadata"), limit, offset
            )
        )
        return [wire.assistant_version(one) for one in found]

    async def set_latest(self, assistant_id: str, version: int, *, owner: str) -> Assistant:
        """Go back to a version."""
        found: Any = await write(
            lambda: self._client(owner).assistants.set_latest(
                needed(assistant_id, "assistant ID"), version
            )
        )
        return wire.assistant(found)
