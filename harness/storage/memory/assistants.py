"""Assistants and their versions, in memory."""

from collections.abc import Sequence
from datetime import datetime

from harness.errors import NotFound
from harness.models import Assistant, AssistantVersion, Json
from harness.storage.memory.access import readable, visible, writable
from harness.storage.memory.inserting import insert_rows
from harness.storage.memory.jsonb import contains
from harness.storage.memory.paging import paged
from harness.storage.memory.records import assistant_of, version_of
from harness.storage.memory.rows import AssistantRow, VersionRow
from harness.storage.memory.tables import Tables
from harness.storage.requests import AssistantChange, AssistantQuery, NewAssistant, Page


class MemoryAssistants:
    """Carries out requests on assistants."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, rows: Sequence[NewAssistant], *, owner: str) -> list[Assistant]:
        """Insert all or none, each with its first version."""
        now = self._tables.clock.now()
        inserted, fresh = insert_rows(
            self._tables.assistants,
            rows,
            kind="assistant",
            identify=lambda new: new.assistant_id,
            make=lambda new: _row(new, owner, now),
            owner=owner,
        )
        for row in fresh:
            self._tables.assistant_versions.add(_version(row, now))
        return [assistant_of(row) for row in inserted]

    async def get(self, assistant_id: str, *, owner: str) -> Assistant:
        """Return an assistant."""
        return assistant_of(self._readable(assistant_id, owner))

    async def update(self, assistant_id: str, change: AssistantChange, *, owner: str) -> Assistant:
        """Make the next version and keep it beside the earlier ones."""
        row = self._writable(assistant_id, owner)
        now = self._tables.clock.now()
        config, context = row.config, row.context
        if change.config is not None:
            config = change.config
        elif change.context is not None:
            config = {**row.config, "configurable": change.context}
        if change.context is not None:
            context = change.context
        name = row.name if change.name is None else change.name
        self._tables.assistants.change(
            row,
            version=max(version.version for version in self._versions(assistant_id)) + 1,
            graph_id=row.graph_id if change.graph_id is None else change.graph_id,
            name=name,
            name_folded=name.casefold(),
            description=row.description if change.description is None else change.description,
            config=config,
            context=context,
            metadata={**row.metadata, **change.metadata},
            updated_at=now,
        )
        self._tables.assistant_versions.add(_version(row, now))
        return assistant_of(row)

    async def search(self, query: AssistantQuery, page: Page, *, owner: str) -> list[Assistant]:
        """Return a page of the assistants that match."""
        found = paged(self._matching(query, owner), page, lambda row: row.assistant_id)
        return [assistant_of(row) for row in found]

    async def count(self, query: AssistantQuery, *, owner: str) -> int:
        """Count the assistants that match."""
        return len(self._matching(query, owner))

    async def delete(self, assistant_id: str, *, delete_threads: bool, owner: str) -> None:
        """Remove an assistant, and its threads if asked to."""
        row = self._writable(assistant_id, owner)
        if delete_threads:
            for thread in self._tables.threads.group("owner", owner):
                if thread.metadata.get("assistant_id") == assistant_id:
                    self._tables.remove_thread(thread)
        self._tables.remove_assistant(row)

    async def versions(
        self, assistant_id: str, metadata: Json, page: Page, *, owner: str
    ) -> list[AssistantVersion]:
        """Return a page of versions, newest first."""
        self._readable(assistant_id, owner)
        found = sorted(
            (row for row in self._versions(assistant_id) if contains(row.metadata, metadata)),
            key=lambda row: row.version,
            reverse=True,
        )
        return [version_of(row) for row in found[page.offset : page.offset + page.limit]]

    async def set_latest(self, assistant_id: str, version: int, *, owner: str) -> Assistant:
        """Make everything that a version holds current again."""
        row = self._writable(assistant_id, owner)
        held = self._tables.assistant_versions.get((assistant_id, version))
        if held is None:
            raise NotFound.of(f"assistant {assistant_id} version", version)
        self._tables.assistants.change(
            row,
            version=held.version,
            graph_id=held.graph_id,
            name=held.name,
            name_folded=held.name.casefold(),
            description=held.description,
            config=held.config,
            context=held.context,
            metadata=held.metadata,
            updated_at=self._tables.clock.now(),
        )
        return assistant_of(row)

    def _readable(self, assistant_id: str, owner: str) -> AssistantRow:
        row = self._tables.assistants.get(assistant_id)
        return readable(row, "assistant", assistant_id, owner)

    def _writable(self, assistant_id: str, owner: str) -> AssistantRow:
        row = self._tables.assistants.get(assistant_id)
        return writable(row, "assistant", assistant_id, owner)

    def _versions(self, assistant_id: str) -> list[VersionRow]:
        return self._tables.assistant_versions.group("assistant", assistant_id)

    def _matching(self, query: AssistantQuery, owner: str) -> list[AssistantRow]:
        folded = None if query.name is None else query.name.casefold()
        return [
            row
            for row in visible(self._tables.assistants, owner)
            if (query.graph_id is None or row.graph_id == query.graph_id)
            and (folded is None or folded in row.name_folded)
            and contains(row.metadata, query.metadata)
        ]


def _row(new: NewAssistant, owner: str, now: datetime) -> AssistantRow:
    return AssistantRow(
        assistant_id=new.assistant_id,
        owner=owner,
        graph_id=new.graph_id,
        name=new.name,
        name_folded=new.name.casefold(),
        description=new.description,
        config=new.config,
        context=new.context,
        metadata=new.metadata,
        version=1,
        created_at=now,
        updated_at=now,
    )


def _version(row: AssistantRow, now: datetime) -> VersionRow:
    return VersionRow(
        assistant_id=row.assistant_id,
        version=row.version,
        graph_id=row.graph_id,
        name=row.name,
        description=row.description,
        config=row.config,
        context=row.context,
        metadata=row.metadata,
        created_at=now,
    )
