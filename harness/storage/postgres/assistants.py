"""Assistants and their versions, in Postgres."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, get_args

from psycopg.rows import scalar_row

from harness.database import Database
from harness.errors import NotFound
from harness.models import Assistant, AssistantVersion, Json
from harness.storage.interface import AssistantSortBy
from harness.storage.postgres.codec import dumps
from harness.storage.postgres.inserting import Inserting
from harness.storage.postgres.records import assistant, assistant_version, rows_of
from harness.storage.postgres.refusals import refusal
from harness.storage.postgres.searching import Searching, given, order_of, page_parameters
from harness.storage.postgres.sql import load
from harness.storage.requests import AssistantChange, AssistantQuery, NewAssistant, Page

SQL: Final = load("assistants")
SEARCHING: Final = Searching(SQL, get_args(AssistantSortBy), ["assistant_id"])
_ASSISTANTS: Final = rows_of(assistant)
_VERSIONS: Final = rows_of(assistant_version)


class PostgresAssistants:
    """Carries out requests on assistants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inserting = Inserting(
            database=database,
            blocks=SQL,
            kind="assistant",
            identify=lambda new: new.assistant_id,
            columns=_columns,
            record=_record,
            read=assistant,
        )

    async def insert(self, rows: Sequence[NewAssistant], *, owner: str) -> list[Assistant]:
        """Insert all or none, each with its first version."""
        return await self._inserting.insert(rows, owner=owner)

    async def get(self, assistant_id: str, *, owner: str) -> Assistant:
        """Return an assistant."""
        rows = await self._database.read(
            SQL["get"], {"id": assistant_id, "owner": owner}, row_factory=_ASSISTANTS
        )
        if not rows:
            raise NotFound.of("assistant", assistant_id)
        return rows[0]

    async def update(self, assistant_id: str, change: AssistantChange, *, owner: str) -> Assistant:
        """Make the next version and keep it beside the earlier ones."""
        parameters = {
            "id": assistant_id,
            "owner": owner,
            "graph_id": change.graph_id,
            "name": change.name,
            "name_folded": None if change.name is None else change.name.casefold(),
            "description": change.description,
            "config": None if change.config is None else dumps(change.config),
            "context": None if change.context is None else dumps(change.context),
            "metadata": dumps(change.metadata),
        }
        rows = await self._database.write(SQL["update"], parameters, row_factory=_ASSISTANTS)
        if not rows:
            raise await refusal(
                self._database, SQL["owner_of"], "assistant", assistant_id, owner=owner
            )
        return rows[0]

    async def search(self, query: AssistantQuery, page: Page, *, owner: str) -> list[Assistant]:
        """Return a page of the assistants that match."""
        conditions, parameters = _given(query)
        return await self._database.read(
            SEARCHING.search(conditions, order_of(page)),
            {**parameters, **page_parameters(page), "owner": owner},
            row_factory=_ASSISTANTS,
        )

    async def count(self, query: AssistantQuery, *, owner: str) -> int:
        """Count the assistants that match."""
        conditions, parameters = _given(query)
        [number] = await self._database.read(
            SEARCHING.count(conditions), {**parameters, "owner": owner}, row_factory=scalar_row
        )
        return int(number)

    async def delete(self, assistant_id: str, *, delete_threads: bool, owner: str) -> None:
        """Remove an assistant, and its threads if asked to."""
        statement = SQL["delete_with_threads"] if delete_threads else SQL["delete"]
        if not await self._database.write(statement, {"id": assistant_id, "owner": owner}):
            raise await refusal(
                self._database, SQL["owner_of"], "assistant", assistant_id, owner=owner
            )

    async def versions(
        self, assistant_id: str, metadata: Json, page: Page, *, owner: str
    ) -> list[AssistantVersion]:
        """Return a page of versions, newest first."""
        parameters = {
            "id": assistant_id,
            "owner": owner,
            "metadata": dumps(metadata),
            "limit": page.limit,
            "offset": page.offset,
        }
        rows = await self._database.read(SQL["versions"], parameters, row_factory=_VERSIONS)
        if not rows:
            raise NotFound.of("assistant", assistant_id)
        return [row for row in rows if row is not None]

    async def set_latest(self, assistant_id: str, version: int, *, owner: str) -> Assistant:
        """Make everything that a version holds current again."""
        parameters = {"id": assistant_id, "owner": owner, "version": version}
        rows = await self._database.write(SQL["set_latest"], parameters, row_factory=_ASSISTANTS)
        if not rows:
            await self._refuse_version(assistant_id, version, owner)
        return rows[0]

    async def _refuse_version(self, assistant_id: str, version: int, owner: str) -> None:
        found = await self._database.read(SQL["owner_of"], {"id": assistant_id})
        if found and found[0]["owner"] == owner:
            raise NotFound.of(f"assistant {assistant_id} version", version)
        raise await refusal(self._database, SQL["owner_of"], "assistant", assistant_id, owner=owner)


def _given(query: AssistantQuery) -> tuple[tuple[str, ...], dict[str, Any]]:
    return given(
        metadata=query.metadata,
        graph_id=query.graph_id,
        name=None if query.name is None else query.name.casefold(),
    )


def _columns(new: NewAssistant) -> dict[str, Any]:
    return {
        "assistant_id": new.assistant_id,
        "graph_id": new.graph_id,
        "name": new.name,
        "name_folded": new.name.casefold(),
        "description": new.description,
        "config": new.config,
        "context": new.context,
        "metadata": new.metadata,
    }


def _record(new: NewAssistant, made_at: datetime) -> Assistant:
    return Assistant(
        assistant_id=new.assistant_id,
        version=1,
        graph_id=new.graph_id,
        name=new.name,
        description=new.description,
        config=new.config,
        context=new.context,
        metadata=new.metadata,
        created_at=made_at,
        updated_at=made_at,
    )
